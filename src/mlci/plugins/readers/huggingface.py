"""What the Trainer of Hugging Face writes: flat results a split, and its state with everything that it logged."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, ClassVar

from mlci.core.documents import Metric
from mlci.errors import MetricError
from mlci.plugins.readers.outline import outline
from mlci.plugins.readers.series import Series
from mlci.plugins.readers.source import Found, check_count, kind, mapping, read_json
from mlci.plugins.readers.tree import as_count, as_number

_RESULTS = re.compile(r"([a-z]+)_results\.json")
_UNITS = {"_runtime": "s", "_per_second": "1/s"}
_COUNTS = ("step", "epoch")  # where training stood, not how good it was


@dataclass(frozen=True)
class HuggingFaceReader:
    """`all_results.json`, `eval_results.json` and its like, and `trainer_state.json`; `eval_` stays in the name."""

    name: ClassVar[str] = "hf-trainer"
    suffixes: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def recognises(path: PurePath, head: bytes) -> bool:
        """By the file's name and the keys that the Trainer writes under it."""
        keys = outline(head)
        if path.name == "trainer_state.json":
            return keys.has("global_step", "log_history")
        named = _RESULTS.fullmatch(path.name)
        if named is None or set(keys.keys) != {()}:
            return False
        splits = ("train", "eval", "test", "predict") if named[1] == "all" else (named[1],)
        return any(key.startswith(f"{split}_") for key in keys.below() for split in splits)

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """The results; of a state the last value of all that was logged, its series, and `best_metric`."""
        tree = mapping(read_json(path, name), name)
        return _state(tree, name) if "log_history" in tree else _results(tree, name)


def _results(tree: dict[str, Any], name: str) -> list[Metric]:
    found = Found(name)
    for key, value in tree.items():
        number = as_number(value)
        if number is None or key in _COUNTS:
            continue
        unit = _unit(key)
        examples = as_count(tree.get(f"{key.partition('_')[0]}_samples"))
        counted = unit is None and not key.endswith("_samples")
        found.add(Metric(name=key, value=number, unit=unit, n=examples if counted else None))
    return found.all()


def _state(tree: dict[str, Any], name: str) -> list[Metric]:
    history = tree["log_history"]
    if not isinstance(history, list):
        raise MetricError(f"{name}: log_history: expected a list, got {kind(history)}")
    logged: dict[str, Series] = {}
    for position, entry in enumerate(history):
        line = mapping(entry, f"{name}: log_history[{position}]")
        step = as_number(line.get("step"))
        for key, value in line.items():
            number = as_number(value)
            if number is not None and key not in _COUNTS:
                logged.setdefault(key, Series()).add(float(position) if step is None else step, number)
        check_count(len(logged), name)
    found = Found(name)
    for key, series in logged.items():
        found.add(Metric(name=key, value=series.value, unit=_unit(key), series=series.points()))
    best = as_number(tree.get("best_metric"))
    if best is not None and "best_metric" not in logged:
        found.add(Metric(name="best_metric", value=best))
    return found.all()


def _unit(key: str) -> str | None:
    return next((unit for ending, unit in _UNITS.items() if key.endswith(ending)), None)
