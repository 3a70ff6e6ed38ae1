"""promptfoo's results, `promptfoo eval --output results.json`: how many tests passed, and each named metric."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, ClassVar

from mlci.core.documents import Direction, Metric
from mlci.errors import MetricError
from mlci.plugins.readers.outline import outline
from mlci.plugins.readers.source import Found, mapping, read_json
from mlci.plugins.readers.tree import as_number

_COUNTS: dict[str, Direction] = {"successes": "higher", "failures": "lower", "errors": "lower"}
_PROMPT_COUNTS = {"successes": "testPassCount", "failures": "testFailCount", "errors": "testErrorCount"}


@dataclass(frozen=True)
class PromptfooReader:
    """Named metrics are means over their assertions; where there are several prompts, each one is a slice."""

    name: ClassVar[str] = "promptfoo"
    suffixes: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def recognises(path: PurePath, head: bytes) -> bool:
        """By the id of its evaluation, or the keys of what lies below."""
        del path
        seen = outline(head)
        inner = seen.below("results")
        return (seen.has("evalId", "results") or seen.has("results", "config")) and "version" in inner

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """The counts, the pass rate and the named metrics."""
        document = mapping(read_json(path, name), name)
        # Its library gives the inner object; its command wraps that.
        where, summary = (name, document) if "stats" in document else (f"{name}: results", document.get("results"))
        inner = mapping(summary, where)
        counts = _numbers(inner.get("stats"), tuple(_COUNTS), f"{where}: stats")
        found = Found(name)
        for count, direction in _COUNTS.items():
            found.add(Metric(name=count, value=counts[count], direction=direction))
        _add_rate(found, counts, None)
        prompts = _prompts(inner, where)
        for slice_, metrics in prompts.items():
            if len(prompts) > 1:
                given = {count: metrics.get(field, 0) for count, field in _PROMPT_COUNTS.items()}
                _add_rate(found, _numbers(given, tuple(_COUNTS), f"{where}: {slice_}"), slice_)
                _add_named(found, [metrics], slice_, f"{where}: {slice_}")
        _add_named(found, list(prompts.values()), None, where)
        return found.all()


def _prompts(summary: dict[str, Any], where: str) -> dict[str, dict[str, Any]]:
    """The metrics of each prompt, under a name that survives a change of its words; version 2 has them in a table."""
    table = summary.get("table")
    head = table.get("head") if isinstance(table, dict) else None
    prompts = summary.get("prompts") or (head.get("prompts") if isinstance(head, dict) else None) or []
    found = {}
    for index, prompt in enumerate(prompts if isinstance(prompts, list) else [], start=1):
        fields = mapping(prompt, f"{where}: prompts[{index - 1}]")
        if isinstance(fields.get("metrics"), dict):
            found[f"provider={fields.get('provider')},prompt={index}"] = fields["metrics"]
    return found


def _add_rate(found: Found, counts: dict[str, float], slice_: str | None) -> None:
    total = sum(counts.values(), 0.0)
    if total > 0 and total.is_integer():
        rate = counts["successes"] / total
        found.add(Metric(name="pass_rate", value=rate, direction="higher", slice=slice_, n=int(total)))


def _add_named(found: Found, prompts: list[dict[str, Any]], slice_: str | None, where: str) -> None:
    """Each named metric's sum of scores over the sum of their weights; a derived metric has none and is as it is."""
    sums: dict[str, tuple[float, float, float]] = {}
    for metrics in prompts:
        scores = metrics.get("namedScores") or {}
        for key, score in _numbers(scores, tuple(scores), f"{where}: namedScores").items():
            count = _of(metrics, "namedScoresCount", key)
            weight = _of(metrics, "namedScoreWeights", key) or count
            before = sums.get(key, (0.0, 0.0, 0.0))
            sums[key] = (before[0] + score, before[1] + weight, before[2] + count)
    for key, (score, weight, count) in sums.items():
        if not weight and len(prompts) > 1:
            continue  # what was derived for each prompt is not for us to sum up
        n = int(count) if count > 0 and count.is_integer() else None
        found.add(Metric(name=key, value=score / weight if weight else score, slice=slice_, n=n))


def _of(metrics: dict[str, Any], field: str, key: str) -> float:
    given = metrics.get(field)
    return (as_number(given.get(key)) or 0.0) if isinstance(given, dict) else 0.0


def _numbers(given: object, keys: tuple[str, ...], where: str) -> dict[str, float]:
    fields = mapping(given, where)
    numbers = {}
    for key in keys:
        number = as_number(fields.get(key, 0))
        if number is None:
            raise MetricError(f"{where}.{key:.60}: expected a number, got {fields[key]!r:.60}")
        numbers[key] = number
    return numbers
