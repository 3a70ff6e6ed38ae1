"""CSV and TSV logs of training: the last value of each column is the metric, the column its series."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mlci.core.documents import Metric
from mlci.core.lines import bounded
from mlci.errors import MetricError
from mlci.plugins.readers.series import Series
from mlci.plugins.readers.source import Found
from mlci.plugins.readers.text import as_float

_MAX_BYTES = 32 * 1024 * 1024
_MAX_LINE = 4 * 1024 * 1024
_MAX_COLUMNS = 2_000
_MAX_FIELD = 1024 * 1024
# Columns that count rows rather than measure; the first of them found is the series' step.
_STEPS = ("step", "global_step", "epoch", "iteration", "iter", "batch")
_CLOCKS = ("timestamp", "wall_time", "walltime", "time")
_EMPTY = ("", "na", "n/a", "null", "none", "-")


@dataclass(frozen=True)
class CsvReader:
    """Comma-separated values with one header line, such as Lightning's, Keras' and Ultralytics'."""

    name: ClassVar[str] = "csv"
    suffixes: ClassVar[tuple[str, ...]] = (".csv",)

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """The last non-empty value of each numeric column."""
        return _read(path, name, ",")


@dataclass(frozen=True)
class TsvReader:
    """The same, separated by tabs, such as dvclive's plots."""

    name: ClassVar[str] = "tsv"
    suffixes: ClassVar[tuple[str, ...]] = (".tsv",)

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """The last non-empty value of each numeric column."""
        return _read(path, name, "\t")


def _read(path: Path, name: str, delimiter: str) -> list[Metric]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise MetricError(f"{name}: larger than {_MAX_BYTES:,} bytes")
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _metrics(_rows(bounded(file, longest=_MAX_LINE, name=name), delimiter, name), name)
    except OSError as error:
        raise MetricError(f"{name}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise MetricError(f"{name}: not UTF-8 text") from None


def _rows(lines: Iterator[str], delimiter: str, name: str) -> Iterator[list[str]]:
    csv.field_size_limit(_MAX_FIELD)
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    try:
        for row in reader:
            if any(map(str.strip, row)):
                yield row
    except csv.Error as error:
        raise MetricError(f"{name}: line {reader.line_num}: {error}") from None


def _metrics(rows: Iterator[list[str]], name: str) -> list[Metric]:
    headers = [header.strip() for header in next(rows, ())]
    if not headers:
        raise MetricError(f"{name}: it is empty, expected a line of column names")
    if len(headers) > _MAX_COLUMNS:
        raise MetricError(f"{name}: {len(headers):,} columns, at most {_MAX_COLUMNS:,} are read")
    twice = next((header for header in headers if header and headers.count(header) > 1), None)
    if twice is not None:
        raise MetricError(f"{name}: the column {twice[:80]!r} stands twice")
    step = next((headers.index(column) for column in _STEPS if column in headers), None)
    columns: defaultdict[str, Series] = defaultdict(Series)
    text: set[str] = set()
    for position, row in enumerate(rows):
        if len(row) > len(headers):
            raise MetricError(f"{name}: row {position + 1} has {len(row)} fields, the header {len(headers)}")
        at = as_float(row[step]) if step is not None and step < len(row) else None
        for header, field in zip(headers, row, strict=False):
            value = as_float(field)
            if value is not None and header:
                columns[header].add(float(position) if at is None else at, value)
            elif field.strip().lower() not in _EMPTY:
                text.add(header)
    found = Found(name)
    for header in headers:
        if header in columns and header not in text and not _counts(header, headers):
            found.add(Metric(name=header, value=columns[header].value, series=columns[header].points()))
    return found.all()


def _counts(header: str, headers: Sequence[str]) -> bool:
    return header in _STEPS or (header in _CLOCKS and any(column in headers for column in _STEPS))
