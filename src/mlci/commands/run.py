"""`mlci run`: executes the planned runs, each truthfully, and keeps what they leave."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from mlci import git
from mlci.commands.plan import NOT_NAMED, Plan, only_named, plan_for
from mlci.config import DEFAULT_PROFILE, Run
from mlci.core.documents import Failure, Origin, Outputs, RunResult, RunsDocument
from mlci.errors import CancelledError, RunsFailedError, UsageError
from mlci.plugins.executors.command import CommandExecutor
from mlci.plugins.executors.interface import Executor, Job, Outcome
from mlci.plugins.executors.notebook.executor import NotebookExecutor
from mlci.process import Cancellation
from mlci.project import Invocation, Project
from mlci.running import interpreter, jobs, outputs
from mlci.running.display import Display
from mlci.running.inputs import fingerprint
from mlci.workspace import RUNS

METRICS = "metrics.jsonl"
_MAX_TRACEBACK = 20_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line asks of a whole `mlci run`."""

    names: tuple[str, ...] = ()
    profile: str | None = None
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    python: str | None = None
    fail_fast: bool = False
    last_failed: bool = False


def run_all(project: Project, options: Options, display: Display) -> RunsDocument:
    """Execute what the plan selects and write `run.json` after each execution.

    Raises:
        ConfigError: A parameter or seed that nothing can receive.
        EnvironmentMissingError: No interpreter, or one without a kernel.
        CancelledError: mlci was told to stop; what was done is in `run.json`.
    """
    profile = project.profile(options.profile)
    whole = plan_for(project, profile)
    plan = only_named(whole, options.names)
    origin = take_origin(project)
    kept = _kept(project, origin, profile) if options.last_failed else []
    session = _Session(project, options, display, plan, origin, whole, kept)
    session.prepare()
    with Cancellation().listening() as cancellation:
        session.execute(cancellation)
    if cancellation:
        raise CancelledError("stopped; what was done is in .mlci/run.json", hint="Go on with `mlci run --last-failed`.")
    return session.document()


def take_origin(project: Project) -> Origin:
    """Where and when this starts; taken before anything executes."""
    context = project.context
    head = git.head(project.config.root, project.invocation.environ)
    return Origin(
        commit=head.commit,
        dirty=head.dirty,
        branch=head.branch or context.branch,
        event=context.event,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        repository_id=context.repository_id,
        run_id=context.run_id,
        run_attempt=context.run_attempt,
        workflow=context.workflow,
        run_url=context.run_url,
    )


def check_succeeded(document: RunsDocument) -> None:
    """Raise RunsFailedError if a selected run did not succeed."""
    bad = [result for result in document.runs if result.status not in ("succeeded", "skipped")]
    blocked = [result for result in document.runs if result.error and result.error.kind == "needs"]
    if bad or blocked:
        names = ", ".join(f"{_label(result)} ({result.status})" for result in bad)
        raise RunsFailedError(f"{len(bad)} of {len(document.runs)} did not succeed: {names}")


@dataclasses.dataclass
class _Session:
    """One `mlci run` under way."""

    project: Project
    options: Options
    display: Display
    plan: Plan
    origin: Origin
    whole: Plan
    results: list[RunResult]

    def prepare(self) -> None:
        """Everything that can be wrong before the first execution."""
        self._python: dict[str, interpreter.Interpreter] = {}
        self._given: dict[str, dict[str, Any]] = {}
        taken: set[str] = set()
        for run in self.plan.selected:
            self._interpreter(run)
            self._given[run.name] = self._receivable(run)
            taken |= self._given[run.name].keys()
        for name in self.options.parameters:
            if name not in taken and self.plan.selected:
                raise UsageError(f"-p {name}: no selected run can receive this parameter")
        self._executors: dict[str, Executor] = {
            "notebook": NotebookExecutor(dict(self.project.invocation.environ)),
            "script": CommandExecutor(),
            "command": CommandExecutor(),
        }

    def execute(self, cancellation: Cancellation) -> None:
        """Run everything; the document on disk is whole after each execution."""
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
                    _result(item.run, "cancelled", seed=seed, error=Failure(kind="cancelled", message="never started"))
                    if cancellation
                    else self._one(item.run, seed, cancellation)
                )
                self._keep(result)
                if self.options.fail_fast and result.status != "succeeded":
                    stopped = f"--fail-fast, and {item.run.name} did not succeed"

    def document(self) -> RunsDocument:
        """`run.json` as it is now."""
        planned = tuple(run.name for run in self.whole.selected)
        return RunsDocument(origin=self.origin, planned=planned, runs=tuple(self.results))

    def _one(self, run: Run, seed: int | None, cancellation: Cancellation) -> RunResult:
        project, python = self.project, self._interpreter(run)
        folder = project.workspace.outputs(run.name, seed)
        logged = folder / METRICS
        job = jobs.make(
            project.config,
            run,
            seed=seed,
            parameters=self._given[run.name],
            python=python.path,
            outputs=folder,
            logged=logged,
            environ=project.invocation.environ,
        )
        before = outputs.snapshot(run.cwd, outputs.declared(run.table))
        inputs = fingerprint(project.config.root, run)
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
        self.results = [
            old
            for old in self.results
            if (old.name, old.seed) != (result.name, result.seed) and not (old.name == result.name and old.status == "skipped")
        ]
        self.results.append(result)
        self.project.workspace.write(RUNS, self.document())
        if result.status == "skipped":
            self.display.done(_label(result), result)

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
        names = [*offered, *([jobs.SEED] if run.table.seeds else [])]
        refused = jobs.unreceived(self.project.config, run, names)
        if jobs.SEED in refused and run.table.seeds:
            raise self.project.config.error(
                f"runs.{run.group}.seeds",
                f"the seed would be ignored: {refused[jobs.SEED]}",
                hint="Seeds that nothing receives would be equal results, read as no noise.",
            )
        for name in run.own_parameters & refused.keys():
            raise self.project.config.error(f"runs.{run.group}.parameters.{name}", f"it would be ignored: {refused[name]}")
        return {name: value for name, value in offered.items() if name not in refused}

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
        return any((result.name, result.seed, result.status) == (run.name, seed, "succeeded") for result in self.results)


def _kept(project: Project, origin: Origin, profile: str) -> list[RunResult]:
    """What a `--last-failed` keeps: the results of the last `run.json`, if they are of this commit and profile."""
    document, _ = project.workspace.runs()
    if document.origin.commit != origin.commit or any(result.profile != profile for result in document.runs):
        raise UsageError(
            "--last-failed: .mlci/run.json is of another commit or profile, so its results cannot stand beside new ones",
            hint="Run without --last-failed.",
        )
    return list(document.runs)


def _result(run: Run, status: Any, **values: Any) -> RunResult:  # noqa: ANN401 - RunResult's own fields
    return RunResult(name=run.name, profile=run.profile, status=status, **values)


def _label(result: RunResult) -> str:
    return result.name if result.seed is None else f"{result.name} (seed {result.seed})"


def parameters_of(_ctx: click.Context, _option: click.Parameter, given: Sequence[str]) -> dict[str, Any]:
    """Parse repeated `-p name=value`."""
    parsed: dict[str, Any] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name.isidentifier():
            raise click.BadParameter(f"expected name=value, got {item!r}")
        parsed[name] = jobs.typed(value)
    return parsed


def display_for(invocation: Invocation) -> Display:
    """The commentary on stderr; a live line only on a terminal outside CI."""
    return Display(sys.stderr, invocation.actions, live=sys.stderr.isatty() and "CI" not in invocation.environ)


@click.command("run")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("-p", "parameters", multiple=True, callback=parameters_of, metavar="NAME=VALUE", help="A parameter, typed as papermill types it.")
@click.option("--profile", envvar="MLCI_PROFILE", help="The profile; default: the event's.")
@click.option("--python", envvar="MLCI_PYTHON", help="The interpreter of the runs, or its environment's folder.")
@click.option("--fail-fast", is_flag=True, help="Start nothing more after a run that did not succeed.")
@click.option("--last-failed", is_flag=True, help="Keep the good results of the last time and run the rest again.")
@click.pass_obj
def command(invocation: Invocation, names: tuple[str, ...], parameters: dict[str, Any], **options: Any) -> None:  # noqa: ANN401
    """Run notebooks, scripts and commands.

    Each in the user's own interpreter. What happened is in .mlci/run.json, executed notebooks and logs under
    .mlci/outputs. Exits 4 if a selected run did not succeed.

    \b
    Examples:
      mlci run
      mlci run churn -p trees=500 --profile smoke
      mlci run --last-failed
    """
    project = Project.open(invocation)
    document = run_all(project, Options(names=names, parameters=parameters, **options), display_for(invocation))
    check_succeeded(document)

