"""MLflow's own stores, read without MLflow: the database `mlflow.db`, or one run's folder in a file store.

A reader is handed a file. Of a database that is the file itself, and its newest finished run is read. Of a file store
it is a run's `mlruns/<experiment>/<run>/meta.yaml`, which MLflow writes last; the metrics are the files in `metrics/`
beside it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import ClassVar

from mlci.core.documents import Metric
from mlci.errors import MetricError
from mlci.plugins.readers.mlflow_database import SQLITE, newest_run
from mlci.plugins.readers.series import Series
from mlci.plugins.readers.source import Found, read_bytes
from mlci.plugins.readers.text import as_float

_MAX_BYTES = 1024 * 1024 * 1024  # of a database, of which little is read
_MAX_META = 64 * 1024
_MAX_HISTORY = 16 * 1024 * 1024  # of a run's metric files, all together
_MAX_FILES = 20_000
_RUN = re.compile(rb"^run_(?:id|uuid): ", re.MULTILINE)
_STATUS = re.compile(rb"^status: (\d)\s*$", re.MULTILINE)
_STATUSES = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}


@dataclass(frozen=True)
class MlflowReader:
    """Each metric's value at its last step, and its values by step."""

    name: ClassVar[str] = "mlflow"
    suffixes: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def recognises(path: PurePath, head: bytes) -> bool:
        """A database that is called MLflow's or shows its tables, or a run's `meta.yaml`."""
        if path.name == "meta.yaml":
            return bool(_RUN.search(head)) if head else "mlruns" in path.parts
        named = path.suffix in (".db", ".sqlite", ".sqlite3") and "mlflow" in path.name
        if not head:
            return named
        return head.startswith(SQLITE) and (named or b"latest_metrics" in head)

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """The metrics of the newest finished run of a database, or of the run that a `meta.yaml` describes."""
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                head = file.read(_MAX_META)
        except OSError as error:
            raise MetricError(f"{name}: cannot be read: {error.strerror}") from None
        if size > _MAX_BYTES:
            raise MetricError(f"{name}: larger than {_MAX_BYTES:,} bytes")
        if head.startswith(SQLITE):
            return newest_run(path, name)
        if not _RUN.search(head):
            raise MetricError(f"{name}: neither a database of MLflow nor the meta.yaml of a run")
        status = _STATUS.search(head)
        said = _STATUSES.get(int(status[1]), "unknown") if status else "not said"
        if said != "FINISHED":
            raise MetricError(f"{name}: status: the run's is {said}, only FINISHED ones are read")
        return _stored(path.parent / "metrics", name)


def _stored(folder: Path, name: str) -> list[Metric]:
    """The metrics of a run in a file store: a file a metric, one line a value."""
    found = Found(name)
    left = _MAX_HISTORY
    for path in _files(folder, name):
        key = path.relative_to(folder).as_posix()
        data = read_bytes(path, f"{name}: metrics/{key}", limit=left)
        left -= len(data)
        series = Series()
        for step, _, value in sorted(_history(data, f"{name}: metrics/{key}")):
            series.add(step, value)
        found.add(Metric(name=key, value=series.value, series=series.points()))
    return found.all()


def _files(folder: Path, name: str) -> Iterator[Path]:
    """The plain files below a folder, sorted; a link leads nowhere, and no pipe is waited for."""
    count = 0
    for parent, folders, files in () if folder.is_symlink() else os.walk(folder):
        folders.sort()
        for file in sorted(files):
            count += 1
            if count > _MAX_FILES:
                raise MetricError(f"{name}: more than {_MAX_FILES:,} files in metrics/")
            path = Path(parent, file)
            if path.is_file() and not path.is_symlink():
                yield path


def _history(data: bytes, where: str) -> Iterator[tuple[float, float, float]]:
    """(step, timestamp, value) of each line; MLflow wrote no step at first, and appends a dataset's name today."""
    line = 0
    for line, text in enumerate(data.splitlines(), start=1):
        time, value, step = [as_float(word.decode("ascii", "replace")) for word in (*text.split(b" "), b"0", b"")[:3]]
        if time is None or value is None or step is None:
            raise MetricError(f"{where}, line {line}: expected a time, a value and a step")
        yield step, time, value
    if not line:
        raise MetricError(f"{where}: it is empty, expected lines of a time, a value and a step")
