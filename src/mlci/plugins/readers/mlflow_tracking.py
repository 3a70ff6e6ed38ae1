"""An MLflow tracking server, asked over its REST API for the run that an execution or a commit belongs to.

MLflow itself puts the tags of MLFLOW_RUN_CONTEXT on every run that it starts, and the commit of the code that ran: so
a run is found without a change to the code that logs it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlci.core.documents import Metric
from mlci.errors import MetricError
from mlci.plugins.readers.mlflow_database import unbounded
from mlci.plugins.readers.mlflow_server import Conversation, host
from mlci.plugins.readers.source import Found, mapping
from mlci.plugins.readers.tree import as_number

EXECUTION_TAG = "mlci.execution"
EXECUTION = "MLCI_EXECUTION"
_COMMIT_TAG = "mlflow.source.git.commit"
_PARENT_TAG = "mlflow.parentRunId"
_CONTEXT = "MLFLOW_RUN_CONTEXT"


def tagging(environ: Mapping[str, str], execution: str) -> dict[str, str]:
    """Variables by which MLflow tags the runs of a process, and of those that it starts, with `execution`."""
    try:
        known = json.loads(environ.get(_CONTEXT, "{}"))
    except ValueError:
        known = {}  # MLflow would not read it either
    tags = {**(known if isinstance(known, dict) else {}), EXECUTION_TAG: execution}
    return {EXECUTION: execution, _CONTEXT: json.dumps(tags)}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which run is looked for: the one of an execution, else the newest of a commit.

    Args:
        execution: What `tagging` tagged it with.
        commit: The whole id of the commit of its code.
        since_ms: When one that only its commit tells must have started at the earliest, in ms since 1970.
    """

    execution: str | None = None
    commit: str | None = None
    since_ms: int = 0


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """A run that was found."""

    where: str  # in words, such as "MLflow run 0123abcd at mlflow.internal:5000"
    metrics: list[Metric]  # each at its last step
    by_commit: bool  # it does not have the tag of the execution


@dataclass(frozen=True, kw_only=True)
class TrackingServer:
    """A server.

    Args:
        uri: Its address; a user and a password in it are sent, and never shown.
        environ: Where MLflow's credentials are, for this address only.
        experiment: Where the run is; None: in any.
        retries: How often a request is sent again that was not answered.
    """

    uri: str = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)
    experiment: str | None = None
    retries: int = 4

    def find(self, wanted: Wanted) -> Tracked:
        """The run, with its metrics.

        Raises:
            MetricError: There is none, it did not finish, or the server refuses or cannot be reached.
        """
        with Conversation(self.uri, self.environ, self.retries) as server:
            experiments = self._experiments(server)
            looked_for = []
            for tag, value in ((EXECUTION_TAG, wanted.execution), (_COMMIT_TAG, wanted.commit)):
                if value is None:
                    continue
                looked_for.append(f"{tag} = {value}")
                run = _chosen(server.runs(experiments, tag, value), wanted, tag)
                if run is not None:
                    return _tracked(run, host(self.uri), by_commit=tag == _COMMIT_TAG)
        where = f"in the experiment {self.experiment!r} " if self.experiment else ""
        raise MetricError(
            f"{server.name}: no run {where}with the tag {', nor with '.join(looked_for)}",
            hint="MLflow sets them where the training has git and the variable MLFLOW_RUN_CONTEXT that mlci gives it.",
        )

    def _experiments(self, server: Conversation) -> list[str]:
        if self.experiment is None:
            return server.experiments()
        found = server.experiment(self.experiment)
        if found is None:
            raise MetricError(f"{server.name}: it has no experiment {self.experiment!r}")
        return [found]


def _chosen(runs: Iterator[dict[str, Any]], wanted: Wanted, tag: str) -> dict[str, Any] | None:
    """The newest run that no other contains, if any is the wanted one."""
    nested = None
    for run in runs:
        tags = _tags(run)
        if tag == _COMMIT_TAG:
            other = wanted.execution is not None and tags.get(EXECUTION_TAG, wanted.execution) != wanted.execution
            if other or (as_number(_info(run).get("start_time")) or 0) < wanted.since_ms:
                continue
        if _PARENT_TAG not in tags:
            return run
        nested = nested or run
    return nested


def _tracked(run: dict[str, Any], at: str, *, by_commit: bool) -> Tracked:
    info = _info(run)
    run_id, status = str(info.get("run_id")), info.get("status")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", run_id):
        raise MetricError(f"MLflow at {at}: {run_id[:64]!r} is not the id of a run")
    where = f"MLflow run {run_id} at {at}"
    if status != "FINISHED":
        raise MetricError(f"{where}: it is {str(status)[:20]}, not FINISHED")
    found = Found(where)
    for item in _list(mapping(run.get("data", {}), where), "metrics"):
        value = as_number(item.get("value", 0.0))
        if value is None:
            raise MetricError(f"{where}: the metric {str(item.get('key'))[:60]}: expected a number")
        found.add(Metric(name=str(item.get("key")), value=unbounded(value)))
    if not found.all():
        raise MetricError(f"{where}: it has no metric")
    return Tracked(where=where, metrics=found.all(), by_commit=by_commit)


def _info(run: dict[str, Any]) -> dict[str, Any]:
    return mapping(run.get("info", {}), "MLflow: info")


def _tags(run: dict[str, Any]) -> dict[str, str]:
    tags = _list(mapping(run.get("data", {}), "MLflow: data"), "tags")
    return {str(tag.get("key")): str(tag.get("value")) for tag in tags}


def _list(holder: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = holder.get(key, [])
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
