"""One execution from its job to its result: all that surrounds what the executor does."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import msgspec

from mlci.config import Run
from mlci.core.cost import cost
from mlci.core.documents import Attempt, Origin, RunResult
from mlci.plugins.executors.interface import Job, Outcome
from mlci.project import Project
from mlci.running import checkpoints, jobs, outputs, reuse
from mlci.running.assembly import assembled
from mlci.running.beforehand import Prepared
from mlci.running.inputs import fingerprint
from mlci.running.schedule import Placed
from mlci.running.tracked import with_tracked
from mlci.running.workers import Worker

OBSERVED = "observed.log"


@dataclass
class UnderWay:
    """One execution.

    Args:
        project: The repository.
        placed: Which, and on what.
        run: What it executes.
        prepared: What all executions of the run start from.
        origin: Of the whole `mlci run`.
        reproduction: Parameters of the command line.
        job: For the executor.
        cache: Earlier results, where the run takes them.
    """

    project: Project
    placed: Placed
    run: Run
    prepared: Prepared
    origin: Origin
    reproduction: Mapping[str, Any]
    job: Job
    cache: reuse.Reuse | None
    worker: Worker | None = None
    beside: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False)  # label -> what is in its reach
    _before: outputs.Before = field(default_factory=outputs.Before, init=False)
    _inputs: dict[str, str] = field(default_factory=dict, init=False)
    _key: reuse.Key | None = field(default=None, init=False)
    _start: checkpoints.Start = field(default_factory=checkpoints.Start, init=False)
    _started_at: str = field(default="", init=False)
    _notes: list[str] = field(default_factory=list, init=False)

    @property
    def seed(self) -> int | None:
        """Its seed."""
        return self.placed.execution.seed

    def reused(self) -> RunResult | None:
        """The result of an earlier time, if nothing that it depends on has changed; its files are in their places."""
        self._inputs = fingerprint(self.project.config, self.run)
        if self.cache is None:
            return None
        self._key = reuse.make(
            reuse.Request(
                config=self.project.config,
                run=self.run,
                job=self.job,
                seed=self.seed,
                parameters=self.prepared.parameters,
                environment=self.prepared.python.environment,
                inputs=self._inputs,
            )
        )
        taken = self.cache.take(self._key)
        if isinstance(taken, RunResult):
            return taken
        self._notes.append(f"not reused: {'; '.join(taken.reasons)}")
        return None

    def begin(self) -> None:
        """Its turn has come: whatever it finds is as it is now."""
        self._started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        if self._key is not None:
            self._set_environ(reuse.observe_environ(self.job.environ, self.job.outputs / OBSERVED))
        if self._checkpoint is not None:
            self._start = self._checkpoint.begin(
                self._checkpoint_key, started_at=self._started_at, run_url=self.origin.run_url
            )
            without = {name: value for name, value in self.job.environ.items() if name != checkpoints.RESUME}
            self._set_environ({**without, **({checkpoints.RESUME: "1"} if self._start.attempts else {})})
        self.job.outputs.mkdir(parents=True, exist_ok=True)  # whatever ran before may have removed it
        self._before = outputs.begun(self.run.table, self.run.cwd)

    def meets(self, other: UnderWay) -> None:
        """Both are at work at one time: what lies in reach of both may be either's."""
        for one, another in ((self, other), (other, self)):
            one.beside[another.job.label] = outputs.within_reach(another.run.table, another.run.cwd)

    def ended(self, outcome: Outcome) -> RunResult:
        """Its result: what it left is kept before anything else writes there."""
        project, run, job = self.project, self.run, self.job
        if run.kind == "notebook" and outcome.outputs.notebook is None:
            from mlci.plugins.executors.notebook.recovery import recovered  # noqa: PLC0415 - heavy, and rare

            outcome = recovered(job, outcome)
        collected = outputs.collect(
            run.table,
            cwd=run.cwd,
            repository=project.config.repository,
            before=self._before,
            folder=job.outputs,
            workspace=project.workspace.folder,
            logged=job.outputs / jobs.METRICS,
            notebook=job.outputs / outcome.outputs.notebook if outcome.outputs.notebook else None,
            beside=self.beside,
        )
        if run.table.metric_servers and outcome.status == "succeeded":
            collected = with_tracked(
                collected, run, environ=job.environ, commit=self.origin.commit, started_at=self._started_at
            )
        result = assembled(
            project.config,
            project.workspace,
            run,
            self.seed,
            job=job,
            outcome=outcome,
            collected=collected,
            parameters=self.prepared.parameters,
            reproduction=self.reproduction,
            environment=self.prepared.python.environment,
            inputs=self._inputs,
        )
        price = cost(
            result.resources,
            result.duration_s,
            gpus=run.table.resources.gpu,
            prices=project.config.settings.cost,
        )
        notes = (*self._start.notes, *result.notes, *self._notes, *self._checkpoint_kept(result))
        result = msgspec.structs.replace(result, notes=notes, attempts=self._start.attempts, cost=price)
        return self._kept_for_reuse(result, collected)

    def _checkpoint_kept(self, result: RunResult) -> Sequence[str]:
        if self._checkpoint is None:
            return ()
        if result.status == "succeeded":
            return self._checkpoint.drop()
        attempt = Attempt(
            status=result.status,
            started_at=self._started_at,
            duration_s=result.duration_s,
            run_url=self.origin.run_url,
        )
        return self._checkpoint.keep(self._checkpoint_key, attempt)

    def _kept_for_reuse(self, result: RunResult, collected: outputs.Collected) -> RunResult:
        if self.cache is None or self._key is None:
            return result
        log = self.job.outputs / OBSERVED
        warning = self.cache.keep(self._key, result, log=log, collected=collected)
        log.unlink(missing_ok=True)
        return msgspec.structs.replace(result, notes=(*result.notes, warning)) if warning else result

    @cached_property
    def _checkpoint(self) -> checkpoints.Checkpoint | None:
        return checkpoints.of(self.project.config, self.run, self.seed, self.project.workspace)

    @property
    def _checkpoint_key(self) -> str:
        return checkpoints.key_of(self.run, self.prepared.parameters, self.seed, self._inputs)

    def _set_environ(self, environ: Mapping[str, str]) -> None:
        self.job = dataclasses.replace(self.job, environ=environ)
