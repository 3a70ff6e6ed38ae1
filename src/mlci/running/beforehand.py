"""Refuses everything that can be wrong before the first execution, and keeps what was found out on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from mlci.config import Run
from mlci.errors import ConfigError, MetricError, UsageError
from mlci.plugins import registry
from mlci.project import Project
from mlci.running import checkpoints, formats, interpreter, jobs
from mlci.running.plan import Plan


@dataclass(frozen=True)
class Prepared:
    """What all executions of a run start from."""

    python: interpreter.Interpreter
    parameters: dict[str, Any]  # those that it receives, without the seed


def prepare(
    project: Project,
    plan: Plan,
    *,
    python: str | None,
    parameters: Mapping[str, Any],
    meanwhile: Callable[[], object] = lambda: None,
) -> dict[str, Prepared]:
    """Check every selected run; what it starts from, by name.

    Args:
        project: The repository.
        plan: What is selected.
        python: The interpreter that the command line asks for.
        parameters: Those of the command line.
        meanwhile: What can be done while the interpreters answer.

    Raises:
        UsageError: A parameter of the command line that nothing can receive.
        ConfigError: One of the configuration, or a seed, that nothing can receive; a metric file that nothing reads;
            a metric of predictions that nobody knows.
        EnvironmentMissingError: No interpreter, or one without a kernel.
    """
    environ = project.invocation.environ
    executed = [run for run in plan.selected if run.kind != "committed"]
    paths = {
        run.name: interpreter.find(project.config.root, asked=python, configured=run.table.python, environ=environ)[0]
        for run in executed
    }
    answers = {path: interpreter.probe(path, environ=environ) for path in dict.fromkeys(paths.values())}
    meanwhile()
    interpreters = {path: answer() for path, answer in answers.items()}
    prepared: dict[str, Prepared] = {}
    for run in plan.selected:
        _check_readers(project, run)
    for run in executed:
        found = interpreters[paths[run.name]]
        if run.kind == "notebook":
            interpreter.require_ipykernel(found, run.name)
        checkpoints.of(project.config, run, None, project.workspace)
        prepared[run.name] = Prepared(found, _receivable(project, run, parameters))
    taken = {name for item in prepared.values() for name in item.parameters}
    for name in parameters:
        if name not in taken and prepared:
            raise UsageError(f"-p {name}: no selected run can receive this parameter")
    return prepared


def _check_readers(project: Project, run: Run) -> None:
    for position, file in enumerate(run.table.metric_files):
        try:
            if file.format:
                registry.plugin_class("readers", file.format)
            elif PurePath(file.path).suffix:
                formats.reader_of(PurePath(file.path))
        except (ConfigError, MetricError) as error:
            key = f"runs.{run.group}.metrics[{position}]"
            raise project.config.error(key, error.message, hint=error.hint) from None
    predictions = run.table.predictions_file
    for position, name in enumerate(predictions.metrics if predictions else ()):
        from mlci.running import predicted  # noqa: PLC0415 - numpy, for runs that have predictions

        try:
            predicted.measure_of(name)
        except MetricError as error:
            key = f"runs.{run.group}.predictions.metrics[{position}]"
            raise project.config.error(key, error.message) from None


def _receivable(project: Project, run: Run, given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters for `run`: those of profile and command line only where it can receive them."""
    received, refused = jobs.receivable(project.config, run, {**run.table.parameters, **given})
    if jobs.SEED in refused and run.table.seeds:
        raise project.config.error(
            f"runs.{run.group}.seeds",
            f"the seed would be ignored: {refused[jobs.SEED]}",
            hint="Seeds that nothing receives would be equal results, read as no noise.",
        )
    for name in run.own_parameters & refused.keys():
        raise project.config.error(f"runs.{run.group}.parameters.{name}", f"it would be ignored: {refused[name]}")
    return received
