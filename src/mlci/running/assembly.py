"""Puts a result together: what the executor says, what the run left, and neither with a secret in it."""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mlci.config import DEFAULT_PROFILE, Config, Run
from mlci.core.documents import Environment, Failure, Location, Outputs, RunResult
from mlci.core.redaction import Redactor
from mlci.plugins.executors.interface import Job, Outcome
from mlci.running import jobs
from mlci.running.outputs import Collected
from mlci.running.results import result_of
from mlci.workspace import Workspace

_MAX_TRACEBACK = 20_000


def assembled(
    config: Config,
    workspace: Workspace,
    run: Run,
    seed: int | None,
    *,
    job: Job,
    outcome: Outcome,
    collected: Collected,
    parameters: Mapping[str, Any],
    reproduction: Mapping[str, Any],
    environment: Environment,
    inputs: dict[str, str],
) -> RunResult:
    """The result of one execution.

    Args:
        config: Paths are said relative to it.
        workspace: What stored paths are relative to.
        run: What was run.
        seed: With which seed.
        job: What the executor was given.
        outcome: What it made of it.
        collected: What the run left behind.
        parameters: Those that the run received.
        reproduction: Those of the command line, which say how to do it again.
        environment: What the code ran on.
        inputs: The fingerprint of what it read.
    """
    status, error = outcome.status, outcome.error
    if status == "succeeded" and collected.problems:
        messages = "; ".join(problem.message for problem in collected.problems)
        status, error = "failed", msgspec.structs.replace(collected.problems[0], message=messages)
    given = job.redactor.value(dict(reproduction))
    relative = job.outputs.relative_to(workspace.folder).as_posix()
    kept = outcome.outputs
    return result_of(
        run,
        status,
        seed=seed,
        command=jobs.reproduction(run, profile=run.profile, default_profile=DEFAULT_PROFILE, given=given),
        parameters=job.redactor.value(dict(parameters)),
        duration_s=round(outcome.duration_s, 3),
        resources=outcome.resources,
        cells=outcome.cells,
        error=_told(config, error, job.redactor) if error else None,
        metrics=collected.metrics,
        artifacts=collected.artifacts,
        predictions=collected.predictions and msgspec.structs.replace(collected.predictions, seed=seed),
        deterministic=run.table.deterministic,
        outputs=Outputs(
            notebook=f"{relative}/{kept.notebook}" if kept.notebook else None,
            log=f"{relative}/{kept.log}" if kept.log else None,
            plots=collected.plots,
            spilled=tuple(f"{relative}/{path}" for path in kept.spilled),
        ),
        environment=environment,
        inputs=inputs,
        notes=tuple(map(job.redactor.text, (*outcome.notes, *collected.notes))),
    )


def _told(config: Config, error: Failure, redactor: Redactor) -> Failure:
    """The error without secrets, shortened, its files relative to the configuration."""
    return msgspec.structs.replace(
        error,
        message=redactor.text(error.message),
        file=_shown(config, error.file) if error.file else None,
        traceback=redactor.text(error.traceback)[-_MAX_TRACEBACK:] if error.traceback else None,
        at=tuple(Location(file=_shown(config, place.file), line=place.line) for place in error.at),
    )


def _shown(config: Config, file: str) -> str:
    """An absolute path in the repository as it lies there."""
    if Path(file).is_absolute() and Path(file).is_relative_to(config.repository):
        return Path(os.path.relpath(file, config.root)).as_posix()
    return file
