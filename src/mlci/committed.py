"""Metrics that git itself holds, as users of DVC commit them: read as they are, here and at the merge base."""

from __future__ import annotations

import os.path
import posixpath
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mlci import git
from mlci.config import Run
from mlci.core.documents import Failure, Metric, Origin, Record, RunResult
from mlci.core.metric import merge_sources
from mlci.errors import GitError, MetricError
from mlci.running.formats import read_metrics
from mlci.running.known import MAX_DVC, metrics_of_dvc

if TYPE_CHECKING:
    from mlci.project import Project

ELSEWHERE = "committed to git"
_DVC = "dvc.yaml"
_MAX_BYTES = 16 * 1024 * 1024  # of one file
_FETCH = ("fetch", "--quiet", "--depth=1", "--filter=blob:none", "--no-tags", "--no-write-fetch-head")

_Place = Callable[[str], Path | None]  # a path from the repository's top -> its content on disk, None where it is not


def committed_result(project: Project, run: Run) -> RunResult:
    """The result of a run that nothing is executed for: what its files say in this checkout."""
    top = project.config.repository
    read: list[str] = []

    def place(path: str) -> Path | None:
        found = top / path
        if not found.resolve().is_relative_to(top):
            raise MetricError(f"{path}: a link that leaves the repository")
        read.append(path)
        return found if found.is_file() else None

    metrics: tuple[Metric, ...] = ()
    problem: str | None
    try:
        sources, missing = _sources(project, run, place)
        metrics = merge_sources(sources)
    except MetricError as error:
        problem = error.message
    else:
        problem = f"{missing[0]}: there is no such file here" if missing else None
    return RunResult(
        name=run.name,
        profile=run.profile,
        status="failed" if problem else "succeeded",
        error=Failure(kind="metrics", message=problem) if problem else None,
        metrics=() if problem else metrics,
        elsewhere=ELSEWHERE,
        notes=tuple(_uncommitted(project, read)),
    )


def committed_baseline(project: Project, name: str, profile: str) -> Record | None:
    """What the files of a run said at the merge base; None for other runs, and where there is nothing to compare.

    Args:
        project: Its history says which commit that is.
        name: The run's.
        profile: Its profile.
    """
    table = project.config.settings.runs.get(name)
    commit = project.history.merge_base
    if table is None or not table.committed or commit is None:
        return None
    run = project.runs(profile)[name]
    try:
        with _view(project, commit) as view, tempfile.TemporaryDirectory(prefix="mlci-") as folder:
            sources, _ = _sources(project, run, lambda path: _checked_out(view, commit, path, Path(folder)))
            metrics = merge_sources(sources)
            created = datetime.fromtimestamp(int(view.run("show", "--no-patch", "--format=%ct", commit)), UTC)
    except (GitError, MetricError) as error:
        project.invocation.say(f"{name}: what git holds of it at {commit[:10]} is not read: {error.message}")
        return None
    if not metrics:
        return None
    origin = Origin(commit=commit, dirty=False, branch=None, event="local", created_at=created.isoformat())
    return Record(name=name, profile=profile, origin=origin, status="succeeded", metrics=metrics, elsewhere=ELSEWHERE)


def _sources(project: Project, run: Run, place: _Place) -> tuple[dict[str, list[Metric]], list[str]]:
    """Metrics by file, and the files that are not there."""
    folder = Path(os.path.relpath(run.cwd, project.config.repository)).as_posix()
    sources: dict[str, list[Metric]] = {}
    missing: list[str] = []
    for file in run.table.metric_files:
        for path in _listed(posixpath.normpath(posixpath.join(folder, file.path)), place):
            found = place(path)
            shown = posixpath.relpath(path, folder)
            if found is None:
                missing.append(shown)
            else:
                sources[shown] = read_metrics(found, name=shown, reader=file.format)
    return sources, missing


def _listed(path: str, place: _Place) -> list[str]:
    """The file itself, or those that a `dvc.yaml` lists."""
    found = place(path) if PurePosixPath(path).name == _DVC else None
    if found is None:
        return [path]
    if found.stat().st_size > MAX_DVC:
        raise MetricError(f"{path}: larger than {MAX_DVC:,} bytes")
    folder = posixpath.dirname(path)
    beside = [posixpath.normpath(posixpath.join(folder, item)) for item in metrics_of_dvc(found.read_bytes())]
    if not beside:
        raise MetricError(f"{path}: it lists no metrics")
    if any(posixpath.isabs(item) or item.startswith("../") for item in beside):
        raise MetricError(f"{path}: it lists metrics that leave the repository")
    return beside


def _uncommitted(project: Project, paths: list[str]) -> Iterator[str]:
    clone = git.Git(project.config.repository, project.invocation.environ)
    for path in paths:
        state = clone.answer("status", "--porcelain", "--ignored", "--untracked-files=all", "--", path)
        if state:
            yield f"{path} {'is not in git' if state[:2] in ('??', '!!') else 'has changes that are not committed'}"


@contextmanager
def _view(project: Project, commit: str) -> Iterator[git.Git]:
    """Where the files of a commit can be read: the clone, or a private repository where that is too shallow."""
    root, environ = project.config.root, project.invocation.environ
    clone = git.Git(root, environ)
    if clone.answer("cat-file", "-t", commit) == "commit":
        yield clone
        return
    remote = project.remote
    if remote is None:
        raise GitError("the clone does not have that commit, and there is no remote to ask")
    with git.private_repository(root, "committed", environ, remote.config) as private:
        done = git.talk(private, *_FETCH, remote.name, f"+{commit}:refs/mlci/base")
        if done.returncode != 0:
            raise GitError(private.complaint(done))
        yield private


def _checked_out(view: git.Git, commit: str, path: str, folder: Path) -> Path | None:
    """A file of a commit, written below `folder`: readers look at names and folders, too."""
    size = view.answer("cat-file", "-s", f"{commit}:{path}")
    if size is None or view.answer("cat-file", "-t", f"{commit}:{path}") != "blob":
        return None
    if int(size) > _MAX_BYTES:
        raise MetricError(f"{path}: larger than {_MAX_BYTES:,} bytes")
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(view.output("cat-file", "blob", f"{commit}:{path}"))
    return target
