"""Records of what was trained elsewhere: metrics from a file or from a tracking server, and nothing run for them."""

from __future__ import annotations

import os.path
from pathlib import Path

import msgspec

from mlci.core.documents import Metric, Record
from mlci.core.metric import merge_sources
from mlci.errors import MetricError
from mlci.plugins.readers.mlflow_tracking import TrackingServer, Wanted
from mlci.project import Project, origin_of
from mlci.running.formats import read_metrics

_MLFLOW, _DATABASE = "mlflow:", "sqlite:///"


def elsewhere_record(
    project: Project, source: str, *, commit: str, name: str, profile: str, reader: str | None
) -> Record:
    """The record of a run at a commit; its origin is this invocation's, but for the commit.

    Args:
        project: Where.
        source: A file, or `mlflow:URI[#experiment]`.
        commit: The whole id.
        name: The run's.
        profile: Its profile.
        reader: The file's format; None: by content, name and ending.

    Raises:
        MetricError: The metrics cannot be read.
    """
    metrics, where = _read(project, source, commit=commit, reader=reader)
    if not metrics:
        raise MetricError(f"{where}: it has no metric")
    here = origin_of(project)
    branch = here.branch if here.commit == commit else None
    return Record(
        name=name,
        profile=profile,
        # What lies in this work tree was not what was trained: whether it is clean says nothing.
        origin=msgspec.structs.replace(here, commit=commit, branch=branch, dirty=False),
        status="succeeded",
        metrics=merge_sources({where: metrics}),
        elsewhere=where,
    )


def _read(project: Project, source: str, *, commit: str, reader: str | None) -> tuple[list[Metric], str]:
    if source.startswith(_MLFLOW):
        uri, _, experiment = source.removeprefix(_MLFLOW).partition("#")
        if not uri.startswith(_DATABASE):
            server = TrackingServer(uri=uri, environ=project.invocation.environ, experiment=experiment or None)
            found = server.find(Wanted(commit=commit))
            return found.metrics, found.where
        source, reader = uri.removeprefix(_DATABASE), "mlflow"
    path = Path(project.invocation.folder, source)
    shown = Path(os.path.relpath(path, project.config.root)).as_posix()
    name = path.name if shown.startswith("../") else shown
    if not path.is_file():
        raise MetricError(f"{name}: there is no such file")
    return read_metrics(path, name=name, reader=reader), name
