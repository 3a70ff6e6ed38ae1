"""Collects what a run wrote: only files written anew count, and each is copied with its digest."""

from __future__ import annotations

import os.path
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from mlci.config.tables import RunTable
from mlci.core.documents import Artifact, Failure, Metric
from mlci.core.metric import merge_sources
from mlci.errors import MetricError
from mlci.plugins import registry
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
    predictions = [table.predictions] if table.predictions else []
    return [*(file.path for file in table.metric_files), *table.artifacts, *table.plots, *predictions]


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
        for path in collector.fresh(file.path):
            shown = path.relative_to(cwd).as_posix() if path.is_relative_to(cwd) else path.name
            collector.read(shown, path, file.format, sources)
            collector.keep(path, "metrics")
    predictions = [table.predictions] if table.predictions else []
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
        found = _matching(self._cwd, pattern)
        anew = [path for path in found if self._before.get(path) != _stamp(path)]
        outside = [path for path in anew if not path.resolve().is_relative_to(self._repository)]
        if outside:
            self._missing(f"{pattern!r} is a link that leaves the repository")
        elif not anew:
            said = "is as it was before the run" if found else "was not written"
            self._missing(f"{pattern!r} is declared and {said}")
        return [path for path in anew if path not in outside]

    def read(self, shown: str, path: Path, reader: str | None, sources: dict[str, list[Metric]]) -> None:
        try:
            metrics = registry.load("readers", reader or reader_of(path)).read(path, name=shown)
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


def reader_of(path: PurePath) -> str:
    """The name of the reader whose endings match.

    Raises:
        MetricError: No reader's do.
    """
    for name in registry.names("readers"):
        if path.suffix.lower() in registry.plugin_class("readers", name).suffixes:
            return name
    known = "json, yaml, toml, csv, tsv"
    raise MetricError(
        f"{path.name}: no reader for files ending in {path.suffix!r}",
        hint=f"Name its format ({known}) beside its path.",
    )
