"""Evidently's reports as `snapshot.save_json` writes them since 0.7: `{"metrics": [...], "tests": [...]}`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, ClassVar

from mlci.core.documents import Direction, Metric
from mlci.errors import MetricError
from mlci.plugins.readers.outline import outline
from mlci.plugins.readers.source import Found, kind, mapping, read_json
from mlci.plugins.readers.tree import as_number

# A value of several numbers: these keys are their names, any others the labels that they belong to.
_PARTS = {"count", "share", "mean", "std"}
_BY_LABEL = {"counts": "count", "shares": "share"}
# What the names do not say.
_LOWER = (
    "DriftedColumnsCount",
    "MissingValueCount",
    "DatasetMissingValueCount",
    "EmptyRowsCount",
    "EmptyColumnsCount",
    "DuplicatedRowCount",
    "DuplicatedColumnsCount",
    "ConstantColumnsCount",
    "AlmostConstantColumnsCount",
)
_STATUSES: dict[str, Direction | None] = {
    "success": "higher",
    "fail": "lower",
    "warning": "lower",
    "error": "lower",
    "skipped": None,
}


@dataclass(frozen=True)
class EvidentlyReader:
    """A metric keeps the name that Evidently gives it, settings included; its labels are slices."""

    name: ClassVar[str] = "evidently"
    suffixes: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def recognises(path: PurePath, head: bytes) -> bool:
        """By the keys of its first metric."""
        del path
        return {"metric_name", "config", "value"} <= set(outline(head).below("metrics", "[]"))

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """The metrics, then how many of the report's tests came to what."""
        report = mapping(read_json(path, name), name)
        found = Found(name)
        for index, entry in enumerate(_list(report, "metrics", name)):
            where = f"{name}: metrics[{index}]"
            fields = mapping(entry, where)
            if not isinstance(fields.get("metric_name"), str):
                raise MetricError(f"{where}.metric_name: expected text, got {kind(fields.get('metric_name'))}")
            for metric in _metrics(fields["metric_name"], fields.get("value"), _direction(fields.get("config"))):
                found.add(metric)
        if report.get("tests"):
            for metric in _tests(_list(report, "tests", name), name):
                found.add(metric)
        return found.all()


def _metrics(name: str, value: object, direction: Direction | None) -> Iterator[Metric]:
    if not isinstance(value, dict):
        number = as_number(value)
        if number is not None:
            yield Metric(name=name, value=number, direction=direction)
        return
    for key, inner in value.items():
        if key in _BY_LABEL and isinstance(inner, dict):
            yield from _sliced(f"{name}.{_BY_LABEL[key]}", inner, direction)
        elif key in _PARTS:
            yield from _metrics(f"{name}.{key}", inner, direction)
        else:
            yield from _sliced(name, {key: inner}, direction)


def _sliced(name: str, by_label: dict[str, Any], direction: Direction | None) -> Iterator[Metric]:
    for label, value in by_label.items():
        number = as_number(value)
        if number is not None:
            yield Metric(name=name, value=number, direction=direction, slice=f"class={label}")


def _direction(config: object) -> Direction | None:
    given = config if isinstance(config, dict) else {}
    metric = str(given.get("type")).rpartition(":")[2]
    if metric == "ValueDrift":
        # Of a test, the probability that nothing drifted; of a distance, how far it did.
        return "higher" if "p_value" in str(given.get("method")) else "lower"
    return "lower" if metric in _LOWER else None


def _tests(tests: list[Any], name: str) -> Iterator[Metric]:
    counts = dict.fromkeys(_STATUSES, 0)
    for index, test in enumerate(tests):
        status = str(mapping(test, f"{name}: tests[{index}]").get("status")).lower()
        if status not in counts:
            raise MetricError(f"{name}: tests[{index}].status: expected one of {', '.join(counts)}, got {status!r:.60}")
        counts[status] += 1
    for status, count in counts.items():
        yield Metric(name=f"tests.{status}", value=float(count), direction=_STATUSES[status])


def _list(report: dict[str, Any], key: str, name: str) -> list[Any]:
    found = report.get(key)
    if not isinstance(found, list):
        raise MetricError(f"{name}: {key}: expected a list, got {kind(found)}")
    return found
