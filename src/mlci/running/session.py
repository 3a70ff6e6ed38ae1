"""Executes a plan: what may run beside each other does, and each result is on disk as soon as it is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from mlci.committed import committed_result
from mlci.config import Run
from mlci.config.loading import Kind
from mlci.core.documents import Failure, RunResult
from mlci.plugins.executors.command import CommandExecutor
from mlci.plugins.executors.interface import Executor, Job, Outcome
from mlci.plugins.executors.notebook.servers import Forkable, KernelServers
from mlci.process import Cancellation
from mlci.project import Project
from mlci.running import jobs, machine, reuse
from mlci.running.beforehand import Prepared, prepare
from mlci.running.display import Display
from mlci.running.executions import executions, last_records
from mlci.running.plan import NOT_NAMED, Plan
from mlci.running.results import Results, label, result_of
from mlci.running.schedule import Capacity, Execution, Placed, decide
from mlci.running.underway import UnderWay
from mlci.running.workers import Event, Worker, Workers

_TICK_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line asks of a whole `mlci run`."""

    names: tuple[str, ...] = ()
    profile: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    python: str | None = None
    fail_fast: bool = False
    last_failed: bool = False
    allow_fork_code: bool = False
    jobs: int | Literal["auto"] = 1
    follow: bool = False
    secrets: tuple[str, ...] = ()


@dataclass
class Session:
    """One `mlci run` under way."""

    project: Project
    options: Options
    display: Display
    plan: Plan
    results: Results
    cancellation: Cancellation
    _executors: dict[Kind, Executor] = field(default_factory=dict, init=False)
    _servers: KernelServers = field(default_factory=KernelServers, init=False)
    _cache: reuse.Reuse | None = field(default=None, init=False)
    _threads: int | None = field(default=None, init=False)  # for each of several runs at once
    _prepared: dict[str, Prepared] = field(default_factory=dict, init=False)
    _waiting: dict[Execution, Run] = field(default_factory=dict, init=False)
    _begun: set[str] = field(default_factory=set, init=False)
    _under_way: list[UnderWay] = field(default_factory=list, init=False)
    _ahead: UnderWay | None = field(default=None, init=False)
    _not_ahead: set[Execution] = field(default_factory=set, init=False)  # to prepare it has failed once

    def prepare(self) -> None:
        """Refuse everything that can be wrong before the first execution."""
        options = self.options
        # To import papermill takes as long as an interpreter to answer; not where all may be known already.
        notebooks = any(run.kind == "notebook" and not run.table.reuse for run in self.plan.selected)
        self._prepared = prepare(
            self.project,
            self.plan,
            python=options.python,
            parameters=options.parameters,
            meanwhile=lambda: self._executor("notebook") if notebooks else None,
        )
        context = self.project.context
        if any(run.table.reuse for run in self.plan.selected):
            self._cache = reuse.Reuse.open(
                self.project.invocation.environ,
                root=self.project.config.root,
                workspace=self.project.workspace.folder,
                origin=self.results.origin,
                trusted=context.on_default_branch or not context.in_actions,
            )

    def execute(self) -> None:
        """Run everything that is due."""
        due = [
            (item.run, seed)
            for item in self.plan.items
            if item.selected and item.run.kind != "committed"
            for seed in item.run.table.seeds or (None,)
            if not self.results.succeeded(item.run, seed)
        ]
        self.results.expect(due)
        gpus = machine.gpus(self.project.invocation.environ)
        capacity = machine.capacity(self.options.jobs, len(gpus))
        self._threads = machine.share(min(capacity.jobs, len(due)))
        first = self._forkable(due[0][0], self._job(*due[0])) if due and not due[0][0].table.reuse else None
        if first is not None:
            self._servers.start(first)  # as soon as possible: it takes a while to be ready
        for item in self.plan.items:
            if item.reason and not (item.reason == NOT_NAMED and self.results.has(item.run)):
                self._skip(item.run, item.reason)
            elif item.selected and item.run.kind == "committed":
                result = committed_result(self.project, item.run)
                self.results.keep(result)
                self.display.done(label(result), result)
        alone = capacity.jobs == 1 or len(due) == 1
        records = {} if alone else last_records(self.project, {run.name: run for run, _ in due}.values())
        self._waiting = executions(self.plan, due, records)
        with closing(self.display), closing(self._servers), Workers() as workers:
            changed = True
            while self._waiting or self._under_way:
                if self.cancellation:
                    self._cancel(workers)
                elif changed:
                    self._advance(workers, capacity, gpus)
                self.display.waiting = len(self._waiting)
                self.display.tick()
                events = workers.events(_TICK_S)
                for worker, event in events:
                    self._take(worker, event)
                changed = any(isinstance(event, Outcome) for _, event in events)

    def _advance(self, workers: Workers, capacity: Capacity, gpus: Sequence[str]) -> None:
        """Start what may start now, and prepare what comes next."""
        self._drop_unmet()
        while True:
            decision = decide(list(self._waiting), [item.placed for item in self._under_way], capacity)
            run = [self._begin(workers, placed, [gpus[n] for n in placed.gpus]) for placed in decision.start]
            if all(run):  # else there is room for more
                break
            self._drop_unmet()
        if decision.ahead and not self._ahead and decision.ahead not in self._not_ahead:
            self._ahead = self._made(Placed(decision.ahead))
            self._launch(workers, self._ahead)

    def _job(self, run: Run, seed: int | None, gpus: Sequence[str] = ()) -> Job:
        prepared = self._prepared[run.name]
        return jobs.make(
            run,
            seed=seed,
            parameters=prepared.parameters,
            python=prepared.python.path,
            outputs=self.project.workspace.outputs(run.name, seed),
            environ=self.project.invocation.environ,
            repository=self.project.config.repository,
            gpus=gpus,
            secrets=self.options.secrets,
            follow=self.options.follow or self.project.invocation.actions.enabled,
            threads=self._threads,
        )

    def _made(self, placed: Placed, gpus: Sequence[str] = ()) -> UnderWay:
        run = self._waiting[placed.execution]
        return UnderWay(
            self.project,
            placed,
            run,
            self._prepared[run.name],
            self.results.origin,
            self.options.parameters,
            self._job(run, placed.execution.seed, gpus),
            self._cache if run.table.reuse else None,
        )

    @staticmethod
    def _forkable(run: Run, job: Job) -> Forkable | None:
        return (
            Forkable(job.python, job.environ, job.cwd, run.table.preload)
            if run.kind == "notebook" and job.python
            else None
        )

    def _launch(self, workers: Workers, item: UnderWay) -> Worker:
        """Give it a worker, which waits for its turn."""
        executor = self._executor(item.run.kind)
        kernel = self._forkable(item.run, item.job)
        if kernel is not None:
            self._servers.start(kernel)
            server = self._servers.address(kernel, given_up=lambda: bool(self.cancellation))
            item.job = dataclasses.replace(item.job, kernel_server=server)
            for pid in self._servers.pids:
                workers.spare(pid)
        item.worker = workers.start(executor, item.job)
        return item.worker

    def _begin(self, workers: Workers, placed: Placed, gpus: Sequence[str]) -> bool:
        """Its turn has come; whether it runs, and its result is not known from an earlier time."""
        if self._ahead and self._ahead.placed.execution == placed.execution:
            item, self._ahead = self._ahead, None
        else:
            item = self._made(placed, gpus)
        del self._waiting[placed.execution]
        self._begun.add(item.run.name)
        for other in self._under_way:
            item.meets(other)
        known = item.reused()
        if known is not None:
            self._known(item, known)
            return False
        item.begin()
        worker = item.worker or self._launch(workers, item)
        self._under_way.append(item)
        self.display.start(item.job.label)
        worker.go()
        return True

    def _take(self, worker: Worker, event: Event) -> None:
        item = next((item for item in self._under_way if item.worker is worker), None)
        if item is None:
            if self._ahead and self._ahead.worker is worker and isinstance(event, Outcome):
                self._not_ahead.add(self._ahead.placed.execution)  # so it will start, and fail, in its turn
                self._ahead = None
        elif isinstance(event, Outcome):
            self._end(item, event)
        else:
            self.display.progress(item.job.label, event)

    def _end(self, item: UnderWay, outcome: Outcome) -> None:
        self._under_way.remove(item)
        try:
            result = item.ended(outcome)
        except OSError as error:  # a full disk, or a run that has removed mlci's own folder
            failure = Failure(kind="internal", message=f"what it left cannot be kept: {error.strerror or error}")
            result = result_of(item.run, "crashed", seed=item.seed, error=failure)
        kernel = self._forkable(item.run, item.job)
        refusal = self._servers.refusal(kernel) if kernel else None
        if refusal:
            result = msgspec.structs.replace(result, notes=(*result.notes, refusal))
        self._known(item, result)

    def _known(self, item: UnderWay, result: RunResult) -> None:
        self.results.keep(result)
        self.display.done(item.job.label, result)
        if self.options.fail_fast and result.status != "succeeded":
            for other in {waiting.name: waiting for waiting in self._waiting.values()}.values():
                if other.name not in self._begun:
                    self._drop(other, f"--fail-fast, and {item.run.name} did not succeed")

    def _cancel(self, workers: Workers) -> None:
        """Stop what runs; what never started is cancelled as well."""
        workers.stop()
        error = Failure(kind="cancelled", message="never started")
        cancelled = [result_of(run, "cancelled", seed=item.seed, error=error) for item, run in self._waiting.items()]
        if cancelled:
            self._waiting.clear()
            self.results.keep(*cancelled)

    def _drop_unmet(self) -> None:
        """Skip what needs a run that has ended and did not succeed."""
        while True:
            unfinished = {item.name for item in self._waiting} | {item.run.name for item in self._under_way}
            for execution, run in self._waiting.items():
                reason = None if execution.needs & unfinished else self.results.unmet(run)
                if reason:
                    self._drop(run, reason, Failure(kind="needs", message=reason))
                    break
            else:
                return

    def _drop(self, run: Run, reason: str, error: Failure | None = None) -> None:
        for execution in [item for item in self._waiting if item.name == run.name]:
            del self._waiting[execution]
            if self._ahead and self._ahead.placed.execution == execution:
                if self._ahead.worker is not None:
                    self._ahead.worker.stop()
                self._ahead = None
        self._skip(run, reason, error)

    def _executor(self, kind: Kind) -> Executor:
        """What executes runs of a kind; imported here, once, and not in every worker."""
        if kind not in self._executors:
            if kind == "notebook":
                from mlci.plugins.executors.notebook.executor import NotebookExecutor  # noqa: PLC0415 - heavy

                self._executors[kind] = NotebookExecutor()
            else:
                self._executors[kind] = CommandExecutor()
        return self._executors[kind]

    def _skip(self, run: Run, reason: str, error: Failure | None = None) -> None:
        result = result_of(run, "skipped", reason=reason, error=error)
        self.results.keep(result)
        self.display.done(label(result), result)
