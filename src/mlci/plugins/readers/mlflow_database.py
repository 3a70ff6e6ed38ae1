"""The newest finished run of an MLflow database, by SQLite, which is told to trust nothing that lies in the file."""

from __future__ import annotations

import math
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import count, groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mlci.core.documents import Metric
from mlci.errors import MetricError
from mlci.plugins.readers.series import Series
from mlci.plugins.readers.source import Found

SQLITE = b"SQLite format 3\0"
_MAX_ROWS = 1_000_000
_MAX_TEXT = 1024 * 1024
_MAX_WORK = 300_000_000  # of the machine's instructions in which SQLite runs a query: some seconds
_WORK_UNIT = 100_000
_TABLES = ("runs", "metrics")
_FINISHED = """
    SELECT run_uuid, end_time FROM runs WHERE lifecycle_stage = 'active' AND status = 'FINISHED'
    ORDER BY end_time DESC, start_time DESC LIMIT 1
"""
_UNFINISHED = """
    SELECT name, run_uuid, status FROM runs
    WHERE lifecycle_stage = 'active' AND status <> 'FINISHED' AND (? IS NULL OR start_time > ?)
    ORDER BY start_time DESC LIMIT 1
"""
_VALUES = """
    SELECT key, step, value, is_nan FROM metrics WHERE run_uuid = ? ORDER BY key, step, timestamp, value LIMIT ?
"""


def newest_run(path: Path, name: str) -> list[Metric]:
    """The metrics of the run that finished last.

    Raises:
        MetricError: The database cannot be read, or the run that started last did not finish.
    """
    for ending in ("-journal", "-wal"):
        beside = path.with_name(path.name + ending)
        if beside.exists() and beside.stat().st_size:
            raise MetricError(f"{name}: {beside.name} lies beside it: who wrote it has not closed it")
    if not _whole(path):
        raise MetricError(f"{name}: not a database that can be read: it ends within a page")
    try:
        with closing(_opened(path)) as database:
            _check_tables(database, name)
            return _metrics(database, _run(database, name), name)
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter of what SQLite says about a broken page
        said = "it takes too long" if str(error) == "interrupted" else " ".join(str(error).split())[:200]
        raise MetricError(f"{name}: not a database that can be read: {said}") from None


def _whole(path: Path) -> bool:
    """Whether the last page is there to its end: SQLite takes one that is cut to end in zeros."""
    with path.open("rb") as file:
        page = int.from_bytes(file.read(18)[16:], "big")
    return path.stat().st_size % (65536 if page == 1 else page or 1) == 0


def _opened(path: Path) -> sqlite3.Connection:
    # Immutable: no locks, no journal, nothing written beside it. The file may hold views, triggers and functions.
    database = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1", uri=True)
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0", "temp_store = MEMORY"):
        database.execute(f"PRAGMA {pragma}")
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_TEXT)
    done = count()
    database.set_progress_handler(lambda: next(done) > _MAX_WORK // _WORK_UNIT, _WORK_UNIT)
    return database


def _check_tables(database: sqlite3.Connection, name: str) -> None:
    for table in _TABLES:
        row = database.execute("SELECT type, sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        if row is None:
            raise MetricError(f"{name}: no database of MLflow: it has no table {table!r}")
        if row[0] != "table" or not str(row[1]).upper().startswith("CREATE TABLE"):
            raise MetricError(f"{name}: no database of MLflow: {table!r} is no plain table")


def _run(database: sqlite3.Connection, name: str) -> str:
    run, ended = database.execute(_FINISHED).fetchone() or (None, None)
    later = database.execute(_UNFINISHED, (ended, ended)).fetchone()
    if later is not None:
        raise MetricError(f"{name}: the newest run, {later[0] or later[1]!r:.60}, is {later[2]!s:.20}, not FINISHED")
    if run is None:
        raise MetricError(f"{name}: it holds no run")
    return str(run)


def _metrics(database: sqlite3.Connection, run: str, name: str) -> list[Metric]:
    found = Found(name)
    rows = _limited(database.execute(_VALUES, (run, _MAX_ROWS + 1)), name)
    for key, values in groupby(rows, key=lambda row: row[0]):
        series = Series()
        for _, step, value, is_nan in values:
            if not isinstance(step, int | float) or not isinstance(value, int | float):
                where = f"{name}: the metric {key!s:.60}"
                raise MetricError(f"{where}: expected numbers, got {value!r:.60} at {step!r:.20}")
            series.add(float(step), math.nan if is_nan else unbounded(float(value)))
        found.add(Metric(name=str(key), value=series.value, series=series.points()))
    return found.all()


def _limited(rows: Iterable[tuple[Any, ...]], name: str) -> Iterator[tuple[Any, ...]]:
    for number, row in enumerate(rows):
        if number == _MAX_ROWS:
            raise MetricError(f"{name}: more than {_MAX_ROWS:,} values of one run")
        yield row


def unbounded(value: float) -> float:
    """Infinity, where MLflow wrote the largest number in place of it."""
    return math.copysign(math.inf, value) if abs(value) >= sys.float_info.max else value
