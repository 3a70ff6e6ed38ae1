"""Results of lm-evaluation-harness: tasks with standard errors, sample sizes and directions, as it says them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, ClassVar

from mlci.core.documents import Direction, Metric
from mlci.plugins.readers.outline import outline
from mlci.plugins.readers.source import Found, mapping, read_json
from mlci.plugins.readers.tree import as_count, as_error, as_number

_STDERR = "_stderr"
_OTHERS = ("alias", "name", "sample_len", "sample_count", "samples")  # beside a task's metrics, none of them


@dataclass(frozen=True)
class LmEvalReader:
    """`results_*.json`: the metric `arc_easy.acc`, or `gsm8k.exact_match,strict-match` where a filter has a name."""

    name: ClassVar[str] = "lm-eval"
    suffixes: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def recognises(path: PurePath, head: bytes) -> bool:
        """By tasks under `results` with a metric that names its filter, or its standard error."""
        if path.suffix.lower() != ".json":
            return False
        keys = outline(head)
        measured = {key for task in keys.below("results") for key in keys.below("results", task)}
        return any("," in key or key.endswith(_STDERR) for key in measured)

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """The metrics of every task and group; another version, number of shots or hash is another definition."""
        tree = mapping(read_json(path, name), name)
        found = Found(name)
        for task, results in mapping(tree.get("results"), f"{name}: results").items():
            measured = mapping(results, f"{name}: results.{task[:80]}")
            for key, value in measured.items():
                metric, _, chosen = key.partition(",")
                number = as_number(value)
                if number is None or metric.endswith(_STDERR) or key in _OTHERS:
                    continue
                found.add(
                    Metric(
                        name=f"{task}.{metric}" + (f",{chosen}" if chosen not in ("", "none") else ""),
                        value=number,
                        direction=_direction(_inner(tree, "higher_is_better", task).get(metric)),
                        n=as_count(_inner(tree, "n-samples", task).get("effective"))
                        or as_count(_inner(results, "sample_count").get(key)),
                        standard_error=as_error(measured.get(metric + _STDERR + (f",{chosen}" if chosen else ""))),
                        definition=_definition(tree, task),
                    )
                )
        return found.all()


def _inner(tree: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The object at `keys`; an empty one where nothing is said, as often of groups."""
    said: object = tree
    for key in keys:
        said = said.get(key) if isinstance(said, dict) else None
    return said if isinstance(said, dict) else {}


def _definition(tree: dict[str, Any], task: str) -> str | None:
    """What decides which questions are asked, and how: such as "version 1.0, 5 shots, hash 8f3a11c09b2e"."""
    version, shots, digest = (_inner(tree, key).get(task) for key in ("versions", "n-shot", "task_hashes"))
    said = [
        f"version {version!s:.40}" if isinstance(version, str | int | float) else "",
        f"{as_count(shots)} shots" if as_count(shots) else "",
        f"hash {digest[:12]}" if digest and isinstance(digest, str) else "",
    ]
    return ", ".join(filter(None, said)) or None


def _direction(higher: object) -> Direction | None:
    if not isinstance(higher, bool):
        return None
    return "higher" if higher else "lower"
