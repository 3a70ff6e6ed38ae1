"""The lines that `log_metric` appends: one JSON object a call, the last one possibly cut by a crash."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mlci.core import strict_json
from mlci.core.documents import Metric
from mlci.core.metric import DIRECTIONS, Key
from mlci.errors import DocumentError, MetricError
from mlci.plugins.readers.series import Series
from mlci.plugins.readers.source import Found, check_count
from mlci.plugins.readers.tree import as_number

_MAX_LINE = 64 * 1024
_MAX_LINES = 2_000_000  # some 20 seconds


@dataclass(frozen=True)
class MlciLogReader:
    """The last value of a metric counts; values with a step are its series."""

    name: ClassVar[str] = "mlci-log"
    suffixes: ClassVar[tuple[str, ...]] = ()

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """The metrics of a log, one a (name, split, slice)."""
        series: defaultdict[Key, Series] = defaultdict(Series)
        last: dict[Key, dict[str, Any]] = {}
        for number, line in _lines(path, name):
            entry = _entry(line, f"{name}, line {number}")
            key = (entry["name"], entry.get("split"), entry.get("slice"))
            # An attribute said once holds for the later values.
            last[key] = {**last.get(key, {}), **entry}
            if entry.get("step") is not None:
                series[key].add(entry["step"], entry["value"])
            check_count(len(last), name)
        found = Found(name)
        for key, entry in last.items():
            found.add(_metric(entry, series[key].points() if key in series else ()))
        return found.all()


def _lines(path: Path, name: str) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            for number in itertools.count(1):
                line = file.readline(_MAX_LINE + 1)
                if len(line) > _MAX_LINE:
                    raise MetricError(f"{name}, line {number}: more than {_MAX_LINE:,} bytes")
                if line and number > _MAX_LINES:
                    raise MetricError(f"{name}: more than {_MAX_LINES:,} lines")
                if not line.endswith(b"\n"):
                    return  # the end, or torn: its writer died in the middle of it
                if line.strip():
                    yield number, line
    except OSError as error:
        raise MetricError(f"{name}: cannot be read: {error.strerror}") from None


def _entry(line: bytes, name: str) -> dict[str, Any]:
    try:
        entry = strict_json.loads(line, name=name, max_depth=4, allow_nan=True)
    except DocumentError as error:
        raise MetricError(error.message) from None
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise MetricError(f'{name}: expected an object with "name" and "value"')
    checked: dict[str, Any] = {"name": entry["name"]}
    for field, required in (("value", True), ("step", False), ("n", False), ("standard_error", False)):
        given = entry.get(field)
        if given is None and not required:
            continue
        number = as_number(given)
        if number is None or (field == "n" and not number.is_integer()):
            raise MetricError(f"{name}: {field} of the metric {entry['name']!r}: expected a number, got {given!r:.60}")
        checked[field] = number
    for field in ("unit", "split", "slice", "direction"):
        given = entry.get(field)
        if given is None:
            continue
        if not isinstance(given, str) or (field == "direction" and given not in DIRECTIONS):
            expected = " or ".join(f'"{word}"' for word in DIRECTIONS) if field == "direction" else "text"
            raise MetricError(
                f"{name}: {field} of the metric {entry['name']!r}: expected {expected}, got {given!r:.60}"
            )
        checked[field] = DIRECTIONS[given] if field == "direction" else given
    return checked


def _metric(entry: dict[str, Any], points: tuple[tuple[float, float], ...]) -> Metric:
    return Metric(
        name=entry["name"],
        value=entry["value"],
        direction=entry.get("direction"),
        unit=entry.get("unit"),
        split=entry.get("split"),
        slice=entry.get("slice"),
        n=int(entry["n"]) if "n" in entry else None,
        standard_error=entry.get("standard_error"),
        series=points,
    )
