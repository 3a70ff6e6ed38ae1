"""Adds what a tracking server knows of an execution to what the execution left behind here."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from datetime import datetime

from mlci.config import Run
from mlci.config.tables import MetricFile
from mlci.core.documents import Failure, Metric
from mlci.core.metric import merge_sources
from mlci.errors import MetricError
from mlci.plugins.readers.mlflow_tracking import EXECUTION, Tracked, TrackingServer, Wanted
from mlci.running.outputs import Collected


def with_tracked(
    collected: Collected, run: Run, *, environ: Mapping[str, str], commit: str | None, started_at: str
) -> Collected:
    """`collected` with the metrics of the servers that the run names.

    Args:
        collected: What it left here.
        run: What was executed.
        environ: With which environment; it tells the execution, servers by variable, and credentials.
        commit: Of the code.
        started_at: When it began, ISO 8601.
    """
    began = datetime.fromisoformat(started_at)
    wanted = Wanted(execution=environ.get(EXECUTION), commit=commit, since_ms=int(began.timestamp() * 1000))
    sources: dict[str, list[Metric]] = {"the run": list(collected.metrics)}
    try:
        found = list(_asked(run, environ, wanted))
        metrics = merge_sources(sources | {item.where: item.metrics for item in found})
    except MetricError as error:
        problem = Failure(kind="metrics", message=f"{error.message}{f' ({error.hint})' if error.hint else ''}")
        return dataclasses.replace(collected, problems=(*collected.problems, problem))
    notes = [f"{item.where} was found by commit and time: it has no tag of mlci" for item in found if item.by_commit]
    return dataclasses.replace(collected, metrics=metrics, notes=(*collected.notes, *notes))


def _asked(run: Run, environ: Mapping[str, str], wanted: Wanted) -> Iterator[Tracked]:
    for source in run.table.metric_servers:
        server = TrackingServer(uri=_address(source, environ), environ=environ, experiment=source.experiment)
        yield server.find(wanted)


def _address(source: MetricFile, environ: Mapping[str, str]) -> str:
    if not source.path.startswith("$"):
        return source.path
    found = environ.get(source.path[1:])
    if not found:
        raise MetricError(f"{source.path} is not set: expected the address of a tracking server")
    return found
