"""Collects what a run wrote: only files written anew count, and each is copied with its digest."""

from __future__ import annotations

import os.path
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from mlci.config.tables import MetricFile, PredictionsTable, RunTable
from mlci.core.documents import Artifact, Failure, Metric, PredictionsFile
from mlci.core.metric import agree, key, merge_sources
from mlci.errors import MetricError
from mlci.running import formats, known
from mlci.running.inputs import sha256

_GLOB = re.compile(r"[*?\[]")
Stamp = tuple[int, int, int, int]


@dataclass(frozen=True)
class Collected:
    """What a run left behind."""

    metrics: tuple[Metric, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    plots: tuple[Artifact, ...] = ()
    predictions: PredictionsFile | None = None
    problems: tuple[Failure, ...] = ()  # what was declared and not written anew, or cannot be read
    notes: tuple[str, ...] = ()  # what lies in known places and is not read
    written: tuple[Path, ...] = ()  # every file that it wrote where outputs lie
    doubtful: bool = False  # there may be more, of which nobody knows whether it wrote them


@dataclass(frozen=True)
class Before:
    """What lay where a run's outputs will, when it began."""

    stamps: Mapping[Path, Stamp] = field(default_factory=dict)
    places: tuple[str, ...] = ()  # the known ones that are looked at
    crowded: frozenset[str] = frozenset()  # those of them that hold too much to look through


def declared(table: RunTable, cwd: Path) -> list[str]:
    """Every output pattern that a run names, `auto` among them."""
    return [*(known.places(cwd) if _asks_for_auto(table) else ()), *_named(table)]


def taken(table: RunTable, cwd: Path) -> list[str]:
    """Every pattern whose files are outputs: of a run that names no metrics those of known places too."""
    return [*declared(table, cwd), *(known.places(cwd) if table.metrics is None else ())]


def within_reach(table: RunTable, cwd: Path) -> tuple[str, ...]:
    """Absolute patterns of what a run may write where another one looks for its own."""
    return tuple(os.path.normpath(cwd / pattern) for pattern in (*_named(table), *known.places(cwd)))


def named_by_dvc(table: RunTable, cwd: Path) -> tuple[str, ...]:
    """The metrics that `dvc.yaml` adds to what is read."""
    return known.named_by_dvc(cwd) if _looks_around(table) else ()


def _looks_around(table: RunTable) -> bool:
    return table.metrics is None or _asks_for_auto(table)


def _asks_for_auto(table: RunTable) -> bool:
    return any(map(_is_auto, table.metric_files))


def _named(table: RunTable) -> list[str]:
    predictions = [table.predictions_file.path] if table.predictions_file else []
    metrics = [file.path for file in table.metric_files if not _is_auto(file)]
    return [*metrics, *table.artifacts, *table.plots, *predictions]


def _is_auto(file: MetricFile) -> bool:
    return file == MetricFile(path=known.AUTO)


def begun(table: RunTable, cwd: Path) -> Before:
    """What lies there now: a file that the run does not change afterwards is stale, whoever wrote it."""
    found = {place: known.look(cwd, place) for place in (known.places(cwd) if _looks_around(table) else ())}
    stamps = {path: _stamp(path) for paths in found.values() for path in paths or ()}
    return Before(
        snapshot(cwd, _named(table)) | {path: stamp for path, stamp in stamps.items() if stamp},
        tuple(found),
        frozenset(place for place, paths in found.items() if paths is None),
    )


def snapshot(cwd: Path, patterns: Iterable[str]) -> dict[Path, Stamp]:
    """What matches now."""
    stamps = {path: _stamp(path) for pattern in patterns for path in _matching(cwd, pattern)}
    return {path: stamp for path, stamp in stamps.items() if stamp}


def collect(
    table: RunTable,
    *,
    cwd: Path,
    repository: Path,
    before: Before,
    folder: Path,
    workspace: Path,
    logged: Path,
    notebook: Path | None,
    beside: Mapping[str, Sequence[str]] | None = None,
) -> Collected:
    """Copy the declared outputs into `folder` and read the metrics.

    Args:
        table: The run's effective values.
        cwd: The run's working directory, which output paths are relative to.
        repository: Nothing outside of it is copied.
        before: What `begun` saw before the run.
        folder: The run's folder in the workspace.
        workspace: What stored paths are relative to.
        logged: The file that `log_metric` appended to.
        notebook: The executed notebook, whose scraps are read.
        beside: What ran meanwhile, and what was within its reach.
    """
    collector = _Collector(cwd, repository, before, folder, workspace)
    sources: dict[str, list[Metric]] = {}
    if notebook is not None:
        collector.problems += collector.read("the notebook's scraps", notebook, "notebook", sources)
    if logged.exists():
        collector.problems += collector.read("log_metric", logged, "mlci-log", sources)
    for file in table.metric_files:
        if not _is_auto(file):
            paths = collector.fresh(file.path)
            collector.problems += collector.read_all(paths, file.format, sources)
            collector.keep_copies(paths, "metrics")
    predictions, computed = None, table.predictions_file
    if computed and computed.metrics:  # which are asked for by name: they count before what lies about
        predictions = collector.read_predictions(computed, sources)
    collector.read_known(sources, asked=table.metrics is not None, beside=beside or {})
    if computed and not computed.metrics:
        predictions = collector.read_predictions(computed, sources)
    artifacts = collector.keep_all(table.artifacts, "artifacts")
    plots = collector.keep_all(table.plots, "plots")
    try:
        metrics = merge_sources(sources)
    except MetricError as error:
        collector.problems.append(Failure(kind="metrics", message=error.message))
        metrics = ()
    return Collected(
        metrics,
        artifacts,
        plots,
        predictions,
        tuple(collector.problems),
        tuple(collector.notes),
        tuple(collector.written),
        collector.doubtful,
    )


class _Collector:
    def __init__(self, cwd: Path, repository: Path, before: Before, folder: Path, workspace: Path) -> None:
        self.problems: list[Failure] = []
        self.notes: list[str] = []
        self.written: dict[Path, None] = {}
        self.doubtful = False
        self._cwd, self._repository, self._before = cwd, repository, before
        self._folder, self._workspace = folder, workspace

    def fresh(self, pattern: str) -> list[Path]:
        found = _matching(self._cwd, pattern)
        anew = self._anew(found)
        inside = self._inside(anew)
        if inside != anew:
            self._missing(f"{pattern!r} is a link that leaves the repository")
        elif not anew:
            said = "is as it was before the run" if found else "was not written"
            self._missing(f"{pattern!r} is declared and {said}")
        self.written |= dict.fromkeys(inside)
        return inside

    def _anew(self, found: Iterable[Path]) -> list[Path]:
        stamps = {path: _stamp(path) for path in found}
        return [path for path, stamp in stamps.items() if stamp and stamp != self._before.stamps.get(path)]

    def _inside(self, paths: Iterable[Path]) -> list[Path]:
        return [path for path in paths if path.resolve().is_relative_to(self._repository)]

    def read_known(self, sources: dict[str, list[Metric]], *, asked: bool, beside: Mapping[str, Sequence[str]]) -> None:
        """Read what lies where frameworks write; a place that nothing was written to is none that is missing.

        Args:
            sources: What is read already, which counts before it.
            asked: Whether `metrics` says `auto`: else nothing here can fail the run, and what is not sure is not read.
            beside: What ran meanwhile, and what was within its reach.
        """
        for place in self._before.places:
            paths = self._in_place(place, {} if asked else beside)
            paths = [path for path in paths if self._shown(path) not in sources]
            if not asked and sum(path.stat().st_size for path in paths) > known.MAX_BYTES:
                self._pass_over(f"{place}: larger than {known.MAX_BYTES:,} bytes")
                continue
            here: dict[str, list[Metric]] = {}
            failures = self.read_all(paths, known.ONLY.get(place), here)
            said = {key(metric): metric.value for metrics in sources.values() for metric in metrics}
            for metrics in here.values():
                metrics[:] = [item for item in metrics if agree(said.get(key(item), item.value), item.value)]
            if asked:
                self.problems += failures
                self.keep_copies(paths, "metrics")
            else:  # nor is it copied: nobody has said that it may leave this machine
                self._pass_over(*(failure.message for failure in failures))
                here = self._undisputed(here)
            sources |= here

    def _undisputed(self, here: dict[str, list[Metric]]) -> dict[str, list[Metric]]:
        """The sources of one place, or none of them where they contradict each other."""
        try:
            merge_sources(here)
        except MetricError as error:
            self._pass_over(error.message)
            return {}
        return here

    def _in_place(self, place: str, beside: Mapping[str, Sequence[str]]) -> list[Path]:
        """What of a known place was written anew, and by this run."""
        found = None if place in self._before.crowded else known.look(self._cwd, place)
        if found is None:
            self.doubtful = True
            self._pass_over(f"{place}: more than {known.MAX_ENTRIES:,} files lie there")
            return []
        paths = self._inside(self._anew(found))
        for label, reach in beside.items():
            patterns = [PurePath(pattern).parts for pattern in reach]
            unsure = [path for path in paths if any(known.matches(path.parts, pattern) for pattern in patterns)]
            self.doubtful = self.doubtful or bool(unsure)
            self._pass_over(*(f"{self._shown(path)}: {label} ran meanwhile and may have written it" for path in unsure))
            paths = [path for path in paths if path not in unsure]
        self.written |= dict.fromkeys(paths)
        if place in known.ONLY:
            paths = [path for path in paths if formats.is_of(known.ONLY[place], path)]
        if place in known.NEWEST:
            paths = sorted(paths, key=lambda path: path.stat().st_mtime_ns)[-1:]
        return paths

    def _pass_over(self, *messages: str) -> None:
        """Note what is not read; of much that is alike the first."""
        if messages:
            more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
            said = " ".join(messages[0].split())
            self.notes.append(f"not read: {said}{more}; name it in `metrics`, or say `metrics = []`")

    def read_all(self, paths: Iterable[Path], reader: str | None, sources: dict[str, list[Metric]]) -> list[Failure]:
        return [failure for path in paths for failure in self.read(self._shown(path), path, reader, sources)]

    def _shown(self, path: Path) -> str:
        return Path(os.path.relpath(path, self._cwd)).as_posix()

    def read(self, shown: str, path: Path, reader: str | None, sources: dict[str, list[Metric]]) -> list[Failure]:
        """Add what a file says to `sources`; returns why it cannot be read."""
        try:
            metrics = formats.read_metrics(path, name=shown, reader=reader)
        except MetricError as error:
            return [Failure(kind="metrics", message=error.message)]
        if metrics:
            sources.setdefault(shown, []).extend(metrics)
        return []

    def read_predictions(self, table: PredictionsTable, sources: dict[str, list[Metric]]) -> PredictionsFile | None:
        """Keep the file of predictions, and add what is computed from it to `sources`."""
        from mlci.running import predicted  # noqa: PLC0415 - numpy, for runs that have predictions

        paths = self.fresh(table.path)
        if len(paths) != 1:
            if paths:
                self._missing(f"{table.path!r} is to be one file of predictions, and {len(paths)} were written")
            return None
        kept = self.keep(paths[0], "predictions")
        said = {key(metric): metric.value for metrics in sources.values() for metric in metrics}
        try:
            found = predicted.metrics_of_file(self._workspace / str(kept.stored), table, name=kept.path, said=said)
            sources.setdefault(kept.path, []).extend(found.metrics)
            self.notes += found.notes
        except MetricError as error:
            self.problems.append(Failure(kind="metrics", message=error.message))
        return PredictionsFile(path=kept.path, sha256=kept.sha256, size=kept.size, stored=kept.stored)

    def keep_all(self, patterns: Iterable[str], kind: str) -> tuple[Artifact, ...]:
        return self.keep_copies(dict.fromkeys(path for pattern in patterns for path in self.fresh(pattern)), kind)

    def keep_copies(self, paths: Iterable[Path], kind: str) -> tuple[Artifact, ...]:
        return tuple(self.keep(path, kind) for path in paths)

    def keep(self, path: Path, kind: str) -> Artifact:
        shown = self._shown(path)
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


def _stamp(path: Path) -> Stamp | None:
    """None: it is gone, as files come and go where others are at work."""
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns
