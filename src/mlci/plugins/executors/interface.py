"""What an executor is: a job in, its truthful outcome out, and nothing of its process tree left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mlci.core.documents import Cell, Failure, Outputs, Resources, Status
from mlci.process import Cancellation


@dataclass(frozen=True, kw_only=True)
class Job:
    """One execution, everything resolved: absolute paths, the whole environment, substituted arguments."""

    name: str
    label: str  # how messages call it, such as "churn (seed 1)"
    source: str  # the notebook, script or command as the configuration names it
    cwd: Path
    environ: Mapping[str, str] = field(repr=False)
    outputs: Path  # an existing folder for the executed notebook and the log
    python: str | None = None  # absolute path of the user's interpreter
    argv: tuple[str, ...] = ()  # scripts and commands
    notebook: Path | None = None  # notebooks
    parameters: Mapping[str, Any] = field(default_factory=dict)  # the seed included, for notebooks
    timeout_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a job."""

    status: Status
    duration_s: float
    error: Failure | None = None
    cells: tuple[Cell, ...] = ()
    resources: Resources | None = None
    outputs: Outputs = field(default_factory=Outputs)  # relative to `Job.outputs`
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a job is; `text` is a piece of its output, or empty."""

    cell: int = 0
    cells: int = 0
    text: str = ""


class Executor(Protocol):
    """Runs jobs of one kind."""

    def execute(self, job: Job, *, progress: Callable[[Progress], None], cancellation: Cancellation) -> Outcome:
        """Run `job` to its end, whatever that is; raises only for mlci's own faults."""
        ...
