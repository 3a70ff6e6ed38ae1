"""Timings: pytest-benchmark's report, Bencher's metric format, and the entries of github-action-benchmark."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import ClassVar

from mlci.core.documents import Direction, Metric
from mlci.errors import MetricError
from mlci.plugins.readers.outline import outline
from mlci.plugins.readers.source import Found, kind, mapping, read_json
from mlci.plugins.readers.tree import as_count, as_error, as_number

_BOUNDS = frozenset({"value", "lower_value", "upper_value"})
# The measures that every project of Bencher has, by their slugs.
_MEASURES: dict[str, tuple[str, Direction]] = {
    "latency": ("ns", "lower"),
    "throughput": ("1/s", "higher"),
    "build-time": ("s", "lower"),
    "file-size": ("B", "lower"),
}
_BETTER = re.compile(r"(bigger|smaller)[ _-]*is[ _-]*better", re.IGNORECASE)


@dataclass(frozen=True)
class PytestBenchmarkReader:
    """`--benchmark-json`: the mean of a benchmark in seconds, its standard error from the spread of the rounds."""

    name: ClassVar[str] = "pytest-benchmark"
    suffixes: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def recognises(path: PurePath, head: bytes) -> bool:
        """By what it says of machine and commit before the benchmarks."""
        return path.suffix.lower() == ".json" and outline(head).has("machine_info", "commit_info")

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """One metric a benchmark, named as the test is."""
        found = Found(name)
        benchmarks = mapping(read_json(path, name), name).get("benchmarks")
        if not isinstance(benchmarks, list):
            raise MetricError(f"{name}: benchmarks: expected a list, got {kind(benchmarks)}")
        for position, entry in enumerate(benchmarks):
            where = f"{name}: benchmarks[{position}]"
            benchmark = mapping(entry, where)
            stats = mapping(benchmark.get("stats"), f"{where}.stats")
            called = benchmark.get("fullname")
            mean = as_number(stats.get("mean"))
            if not isinstance(called, str) or mean is None:
                raise MetricError(f'{where}: expected "fullname" and a number "stats.mean"')
            rounds, spread = as_count(stats.get("rounds")), as_error(stats.get("stddev"))
            # Of one round the spread is said to be 0.
            error = spread / math.sqrt(rounds) if spread is not None and rounds and rounds > 1 else None
            found.add(Metric(name=called, value=mean, unit="s", direction="lower", n=rounds, standard_error=error))
        return found.all()


@dataclass(frozen=True)
class BencherReader:
    """Bencher Metric Format: `{"bench": {"latency": {"value": 1}}}` is `bench.latency`; its bounds are of no level."""

    name: ClassVar[str] = "bencher"
    suffixes: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def recognises(path: PurePath, head: bytes) -> bool:
        """By values that lie exactly three deep, with nothing but bounds beside them."""
        keys = outline(head)
        measured = [keys.below(bench) for bench in keys.below()]
        values = [set(keys.below(bench, measure)) for bench in keys.below() for measure in keys.below(bench)]
        whole = all(measured) and all("value" in found for found in values)
        return (
            path.suffix.lower() == ".json"
            and any(values)
            and all(found <= _BOUNDS for found in values)
            and (whole or keys.cut)
        )

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """One metric a benchmark and measure."""
        found = Found(name)
        for bench, measures in mapping(read_json(path, name), name).items():
            for measure, values in mapping(measures, f"{name}: {bench[:80]}").items():
                where = f"{name}: {bench[:80]}.{measure[:80]}"
                value = as_number(mapping(values, where).get("value"))
                if value is None:
                    raise MetricError(f'{where}: expected a number "value"')
                unit, direction = _MEASURES.get(measure, (None, None))
                found.add(Metric(name=f"{bench}.{measure}", value=value, unit=unit, direction=direction))
        return found.all()


@dataclass(frozen=True)
class ActionBenchmarkReader:
    """github-action-benchmark's own entries, bigger or smaller being better: `[{"name", "unit", "value", "range"}]`."""

    name: ClassVar[str] = "github-action-benchmark"
    suffixes: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def recognises(path: PurePath, head: bytes) -> bool:
        """By a list of objects with a name, a unit and a value."""
        return path.suffix.lower() == ".json" and {"name", "unit", "value"} <= set(outline(head).below("[]"))

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """One metric an entry; which way is better only a name can say, and a range is text of no fixed meaning."""
        found = Found(name)
        entries = read_json(path, name)
        if not isinstance(entries, list):
            raise MetricError(f"{name}: expected a list of benchmarks, got {kind(entries)}")
        for position, given in enumerate(entries):
            entry = mapping(given, f"{name}: [{position}]")
            called, value, unit = entry.get("name"), as_number(entry.get("value")), entry.get("unit")
            if not isinstance(called, str) or value is None:
                raise MetricError(f'{name}: [{position}]: expected "name" and a number "value"')
            said = _BETTER.search(called[:1000])
            direction: Direction | None = None
            if said:
                direction = "higher" if said[1].lower() == "bigger" else "lower"
            found.add(
                Metric(name=called, value=value, unit=unit if isinstance(unit, str) else None, direction=direction)
            )
        return found.all()
