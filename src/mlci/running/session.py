"""Executes a plan, one run and seed after the other, and keeps `run.json` whole after each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import msgspec

from mlci.config import DEFAULT_PROFILE, Run
from mlci.core.documents import Failure, Origin, Outputs, RunResult, RunsDocument
from mlci.errors import ConfigError, MetricError, UsageError
from mlci.plugins import registry
from mlci.plugins.executors.command import CommandExecutor
from mlci.plugins.executors.interface import Executor, Job, Outcome
from mlci.plugins.executors.notebook.executor import NotebookExecutor
from mlci.process import Cancellation
from mlci.project import Project
from mlci.running import interpreter, jobs, outputs
from mlci.running.display import Display
from mlci.running.inputs import fingerprint
from mlci.running.plan import NOT_NAMED, Plan
from mlci.workspace import RUNS

METRICS = "metrics.jsonl"
_MAX_TRACEBACK = 20_000


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


@dataclass
class Session:
    """One `mlci run` under way."""

    project: Project
    options: Options
    display: Display
    plan: Plan
    origin: Origin
    planned: tuple[str, ...]  # what the whole plan selects, on whichever machine
    results: list[RunResult]
    _python: dict[str, interpreter.Interpreter] = field(default_factory=dict, init=False)
    _given: dict[str, dict[str, Any]] = field(default_factory=dict, init=False)
    _executors: dict[str, Executor] = field(default_factory=dict, init=False)

    def prepare(self) -> None:
        """Refuse everything that can be wrong before the first execution."""
        taken: set[str] = set()
        for run in self.plan.selected:
            self._interpreter(run)
            self._check_readers(run)
            self._given[run.name] = self._receivable(run)
            taken |= self._given[run.name].keys()
        for name in self.options.parameters:
            if name not in taken and self.plan.selected:
                raise UsageError(f"-p {name}: no selected run can receive this parameter")
        self._executors = {
            "notebook": NotebookExecutor(dict(self.project.invocation.environ)),
            "script": CommandExecutor(),
            "command": CommandExecutor(),
        }

    def execute(self, cancellation: Cancellation) -> None:
        """Run everything; the document on disk is whole after each execution, and before the first."""
        self._expect_all()
        stopped: str | None = None
        for item in self.plan.items:
            if item.reason == NOT_NAMED and self._has(item.run):
                continue
            reason = item.reason or stopped or self._unmet(item.run)
            if reason:
                needs = reason.startswith("needs ") and item.selected
                error = Failure(kind="needs", message=reason) if needs else None
                self._keep(_result(item.run, "skipped", reason=reason, error=error))
                continue
            for seed in item.run.table.seeds or (None,):
                if self._succeeded_before(item.run, seed):
                    continue
                result = (
                    _result(
                        item.run,
                        "cancelled",
                        seed=seed,
                        error=Failure(kind="cancelled", message="never started"),
                    )
                    if cancellation
                    else self._one(item.run, seed, cancellation)
                )
                self._keep(result)
                if self.options.fail_fast and result.status != "succeeded":
                    stopped = f"--fail-fast, and {item.run.name} did not succeed"

    def _expect_all(self) -> None:
        """Write down every execution that is due as lost: so it stays where mlci itself is killed before its end."""
        error = Failure(kind="lost", message="mlci itself was ended before this had finished")
        due = [
            _result(item.run, "crashed", seed=seed, error=error)
            for item in self.plan.items
            if item.selected
            for seed in item.run.table.seeds or (None,)
            if not self._succeeded_before(item.run, seed)
        ]
        renewed = {(result.name, result.seed) for result in due}
        self.results = [old for old in self.results if (old.name, old.seed) not in renewed] + due
        self.project.workspace.write(RUNS, self.document())

    def document(self) -> RunsDocument:
        """`run.json` as it is now."""
        return RunsDocument(
            origin=self.origin, planned=self.planned, runs=tuple(self.results), profile=self.plan.profile
        )

    def _one(self, run: Run, seed: int | None, cancellation: Cancellation) -> RunResult:
        project, python = self.project, self._interpreter(run)
        folder = project.workspace.outputs(run.name, seed)
        logged = folder / METRICS
        job = jobs.make(
            run,
            seed=seed,
            parameters=self._given[run.name],
            python=python.path,
            outputs=folder,
            logged=logged,
            environ=project.invocation.environ,
        )
        before = outputs.snapshot(run.cwd, outputs.declared(run.table))
        inputs = fingerprint(project.config, run)
        with self.display.running(job.label) as progress:
            outcome = self._executors[run.kind].execute(job, progress=progress, cancellation=cancellation)
            collected = outputs.collect(
                run.table,
                cwd=run.cwd,
                repository=project.config.repository,
                before=before,
                folder=folder,
                workspace=project.workspace.folder,
                logged=logged,
                notebook=folder / outcome.outputs.notebook if outcome.outputs.notebook else None,
            )
            result = self._assembled(run, seed, job, outcome, collected, python, inputs)
            for warning in outcome.warnings:
                self.display.note(f"{job.label}: {warning}")
            self.display.done(job.label, result)
        return result

    def _assembled(
        self,
        run: Run,
        seed: int | None,
        job: Job,
        outcome: Outcome,
        collected: outputs.Collected,
        python: interpreter.Interpreter,
        inputs: dict[str, str],
    ) -> RunResult:
        status, error = outcome.status, outcome.error
        if status == "succeeded" and collected.problems:
            messages = "; ".join(problem.message for problem in collected.problems)
            status, error = "failed", msgspec.structs.replace(collected.problems[0], message=messages)
        relative = job.outputs.relative_to(self.project.workspace.folder).as_posix()
        return _result(
            run,
            status,
            seed=seed,
            command=jobs.reproduction(
                run, profile=self.plan.profile, default_profile=DEFAULT_PROFILE, given=self.options.parameters
            ),
            parameters=dict(self._given[run.name]),
            duration_s=round(outcome.duration_s, 3),
            resources=outcome.resources,
            cells=outcome.cells,
            error=self._shortened(error),
            metrics=collected.metrics,
            artifacts=collected.artifacts,
            outputs=Outputs(
                notebook=f"{relative}/{outcome.outputs.notebook}" if outcome.outputs.notebook else None,
                log=f"{relative}/{outcome.outputs.log}" if outcome.outputs.log else None,
                plots=collected.plots,
            ),
            environment=python.environment,
            inputs=inputs,
        )

    def _shortened(self, error: Failure | None) -> Failure | None:
        if error is None:
            return None
        file = error.file
        if file and Path(file).is_relative_to(self.project.config.root):
            file = Path(file).relative_to(self.project.config.root).as_posix()
        traceback = error.traceback[-_MAX_TRACEBACK:] if error.traceback else None
        return msgspec.structs.replace(error, file=file, traceback=traceback)

    def _keep(self, result: RunResult) -> None:
        def replaced(old: RunResult) -> bool:
            if old.name != result.name:
                return False
            either_skipped = "skipped" in (old.status, result.status)
            return either_skipped or old.seed == result.seed

        place = next((i for i, old in enumerate(self.results) if replaced(old)), len(self.results))
        kept = [old for old in self.results if not replaced(old)]
        self.results = [*kept[:place], result, *kept[place:]]
        self.project.workspace.write(RUNS, self.document())
        if result.status == "skipped":
            self.display.done(label(result), result)

    def _check_readers(self, run: Run) -> None:
        for position, file in enumerate(run.table.metric_files):
            try:
                if file.format:
                    registry.plugin_class("readers", file.format)
                elif PurePath(file.path).suffix:
                    outputs.reader_of(PurePath(file.path))
            except (ConfigError, MetricError) as error:
                key = f"runs.{run.group}.metrics[{position}]"
                raise self.project.config.error(key, error.message, hint=error.hint) from None

    def _interpreter(self, run: Run) -> interpreter.Interpreter:
        environ = self.project.invocation.environ
        path, _ = interpreter.find(
            self.project.config.root, asked=self.options.python, configured=run.table.python, environ=environ
        )
        if path not in self._python:
            self._python[path] = interpreter.probe(path, environ=environ)
        if run.kind == "notebook":
            interpreter.require_ipykernel(self._python[path], run.name)
        return self._python[path]

    def _receivable(self, run: Run) -> dict[str, Any]:
        """The parameters for `run`: those of profile and command line only where it can receive them."""
        offered = {**run.table.parameters, **self.options.parameters}
        received, refused = jobs.receivable(self.project.config, run, offered)
        if jobs.SEED in refused and run.table.seeds:
            raise self.project.config.error(
                f"runs.{run.group}.seeds",
                f"the seed would be ignored: {refused[jobs.SEED]}",
                hint="Seeds that nothing receives would be equal results, read as no noise.",
            )
        for name in run.own_parameters & refused.keys():
            raise self.project.config.error(
                f"runs.{run.group}.parameters.{name}", f"it would be ignored: {refused[name]}"
            )
        return received

    def _unmet(self, run: Run) -> str | None:
        for item in self.plan.items:
            if item.run.group in run.table.needs:
                mine = [result for result in self.results if result.name == item.run.name]
                if not mine or any(result.status != "succeeded" for result in mine):
                    return f"needs {item.run.name}, which did not succeed"
        return None

    def _has(self, run: Run) -> bool:
        return any(result.name == run.name for result in self.results)

    def _succeeded_before(self, run: Run, seed: int | None) -> bool:
        return any(
            (result.name, result.seed, result.status) == (run.name, seed, "succeeded") for result in self.results
        )


def _result(run: Run, status: Any, **values: Any) -> RunResult:  # noqa: ANN401 - RunResult's own fields
    return RunResult(name=run.name, profile=run.profile, status=status, **values)


def label(result: RunResult) -> str:
    """How messages call an execution."""
    return result.name if result.seed is None else f"{result.name} (seed {result.seed})"
