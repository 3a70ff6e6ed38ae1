"""Collects what a run wrote: only files written anew count, and each is copied with its digest."""

from __future__ import annotations

import os.path
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from mlci.config.tables import MetricFile, RunTable
from mlci.core.documents import Artifact, Failure, Metric
from mlci.core.metric import key, merge_sources
from mlci.errors import MetricError
from mlci.plugins import registry
from mlci.plugins.readers.interface import HEAD, Reader, Recognising
from mlci.running import known
from mlci.running.inputs import sha256

_GLOB = re.compile(r"[*?\[]")
Stamp = tuple[int, int, int, int]


@dataclass(frozen=True)
class Collected:
    """What a run left behind."""

    metrics: tuple[Metric, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    plots: tuple[Artifact, ...] = ()
    problems: tuple[Failure, ...] = ()  # what was declared and not written anew, or cannot be read


def declared(table: RunTable) -> list[str]:
    """Every output pattern of a run."""
    predictions = [table.predictions_file.path] if table.predictions_file else []
    metrics = [place for file in table.metric_files for place in (known.PLACES if _is_auto(file) else [file.path])]
    return [*metrics, *table.artifacts, *table.plots, *predictions]


def _is_auto(file: MetricFile) -> bool:
    return file == MetricFile(path=known.AUTO)


def snapshot(cwd: Path, patterns: Iterable[str]) -> dict[Path, Stamp]:
    """What matches now: a file that a run does not change afterwards is stale, whoever wrote it."""
    return {path: _stamp(path) for pattern in patterns for path in _matching(cwd, pattern)}


def collect(
    table: RunTable,
    *,
    cwd: Path,
    repository: Path,
    before: Mapping[Path, Stamp],
    folder: Path,
    workspace: Path,
    logged: Path,
    notebook: Path | None,
) -> Collected:
    """Copy the declared outputs into `folder` and read the metrics.

    Args:
        table: The run's effective values.
        cwd: The run's working directory, which output paths are relative to.
        repository: Nothing outside of it is copied.
        before: What `snapshot` saw before the run.
        folder: The run's folder in the workspace.
        workspace: What stored paths are relative to.
        logged: The file that `log_metric` appended to.
        notebook: The executed notebook, whose scraps are read.
    """
    collector = _Collector(cwd, repository, before, folder, workspace)
    sources: dict[str, list[Metric]] = {}
    if notebook is not None:
        collector.read("the notebook's scraps", notebook, "notebook", sources)
    if logged.exists():
        collector.read("log_metric", logged, "mlci-log", sources)
    for file in table.metric_files:
        if not _is_auto(file):
            collector.read_all(collector.fresh(file.path), file.format, sources)
    if any(map(_is_auto, table.metric_files)):
        collector.read_known(sources)
    predictions = [table.predictions_file.path] if table.predictions_file else []
    artifacts = collector.keep_all([*table.artifacts, *predictions], "artifacts")
    plots = collector.keep_all(table.plots, "plots")
    try:
        metrics = merge_sources(sources)
    except MetricError as error:
        collector.problems.append(Failure(kind="metrics", message=error.message))
        metrics = ()
    return Collected(metrics, artifacts, plots, tuple(collector.problems))


class _Collector:
    def __init__(
        self, cwd: Path, repository: Path, before: Mapping[Path, Stamp], folder: Path, workspace: Path
    ) -> None:
        self.problems: list[Failure] = []
        self._cwd, self._repository, self._before = cwd, repository, before
        self._folder, self._workspace = folder, workspace

    def fresh(self, pattern: str) -> list[Path]:
        found, anew, outside = self._look(pattern)
        if outside:
            self._missing(f"{pattern!r} is a link that leaves the repository")
        elif not anew:
            said = "is as it was before the run" if found else "was not written"
            self._missing(f"{pattern!r} is declared and {said}")
        return [path for path in anew if path not in outside]

    def _look(self, pattern: str) -> tuple[list[Path], list[Path], list[Path]]:
        """What matches, what of it was written anew, and what of that lies outside of the repository."""
        found = _matching(self._cwd, pattern)
        anew = [path for path in found if self._before.get(path) != _stamp(path)]
        return found, anew, [path for path in anew if not path.resolve().is_relative_to(self._repository)]

    def read_known(self, sources: dict[str, list[Metric]]) -> None:
        """Read what lies where frameworks write; a place that nothing was written to is none that is missing."""
        for place in known.PLACES:
            _, anew, outside = self._look(place)
            paths = [path for path in anew if path not in outside and self._shown(path) not in sources]
            if place in known.NEWEST:
                paths = sorted(paths, key=lambda path: path.stat().st_mtime_ns)[-1:]
            said = {key(metric): metric.value for metrics in sources.values() for metric in metrics}
            here: dict[str, list[Metric]] = {}
            self.read_all(paths, None, here)
            for source, metrics in here.items():
                sources[source] = [
                    metric for metric in metrics if key(metric) not in said or said[key(metric)] == metric.value
                ]

    def read_all(self, paths: Iterable[Path], reader: str | None, sources: dict[str, list[Metric]]) -> None:
        for path in paths:
            self.read(self._shown(path), path, reader, sources)
            self.keep(path, "metrics")

    def _shown(self, path: Path) -> str:
        return path.relative_to(self._cwd).as_posix() if path.is_relative_to(self._cwd) else path.name

    def read(self, shown: str, path: Path, reader: str | None, sources: dict[str, list[Metric]]) -> None:
        try:
            metrics = registry.load("readers", reader or reader_of(path, _head(path))).read(path, name=shown)
        except MetricError as error:
            self.problems.append(Failure(kind="metrics", message=error.message))
            return
        if metrics:
            sources.setdefault(shown, []).extend(metrics)

    def keep_all(self, patterns: Iterable[str], kind: str) -> tuple[Artifact, ...]:
        paths = dict.fromkeys(path for pattern in patterns for path in self.fresh(pattern))
        return tuple(self.keep(path, kind) for path in paths)

    def keep(self, path: Path, kind: str) -> Artifact:
        shown = Path(os.path.relpath(path, self._cwd)).as_posix()
        copy = self._folder / kind / shown.replace("../", "__/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        return Artifact(
            path=shown,
            size=copy.stat().st_size,
            sha256=sha256(copy),
            stored=copy.relative_to(self._workspace).as_posix(),
        )

    def _missing(self, message: str) -> None:
        self.problems.append(Failure(kind="missing-output", message=message))


def _matching(cwd: Path, pattern: str) -> list[Path]:
    joined = Path(os.path.normpath(cwd / pattern))
    if not _GLOB.search(pattern):
        return [joined] if joined.is_file() else []
    fixed = joined
    while _GLOB.search(str(fixed)):
        fixed = fixed.parent
    return sorted(path for path in fixed.glob(joined.relative_to(fixed).as_posix()) if path.is_file())


def _stamp(path: Path) -> Stamp:
    seen = path.stat()
    return seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns


def reader_of(path: PurePath, head: bytes = b"") -> str:
    """The name of the reader for a file: one that recognises it, else the one of its ending.

    Args:
        path: The file's, or a pattern of files that a run is still to write.
        head: Its first bytes.

    Raises:
        MetricError: No reader is for it, or more than one recognises it.
    """
    readers = {name: registry.plugin_class("readers", name) for name in registry.names("readers")}
    taken = [name for name, reader in readers.items() if _recognises(reader, path, head)]
    if len(taken) > 1:
        raise MetricError(f"{path.name}: it may be {' or '.join(taken)}", hint="Name its format beside its path.")
    for name in taken or [name for name, reader in readers.items() if path.suffix.lower() in reader.suffixes]:
        return name
    formats = "json, yaml, toml, csv, tsv"
    raise MetricError(
        f"{path.name}: no reader for files ending in {path.suffix!r}",
        hint=f"Name its format ({formats}) beside its path.",
    )


def _recognises(reader: type[Reader] | type[Recognising], path: PurePath, head: bytes) -> bool:
    return hasattr(reader, "recognises") and bool(reader.recognises(path, head))


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""  # its reader says why
