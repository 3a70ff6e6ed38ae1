"""What an executor is: a job in, its truthful outcome out, and nothing of its process tree left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mlci.core.documents import Cell, Failure, Outputs, Resources, Status
from mlci.core.redaction import Redactor
from mlci.process import Cancellation

IN_FULL = "outputs-in-full"  # the folder, in `Job.outputs`, with all of what was cut to head and tail


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    """Wall-clock limits in seconds; None: without one."""

    run_s: float | None = None
    cell_s: float | None = None  # notebooks
    silence_s: float | None = None  # neither output nor CPU time of the tree


@dataclass(frozen=True, kw_only=True)
class OutputLimits:
    """How much of what a notebook says is kept in it, or in a log; in bytes of UTF-8."""

    cell: int = 1024 * 1024
    total: int = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Job:
    """One execution, everything resolved: absolute paths, the whole environment, substituted arguments."""

    name: str
    label: str  # how messages call it, such as "churn (seed 1)"
    source: str  # the notebook, script or command as the configuration names it
    cwd: Path
    environ: Mapping[str, str] = field(repr=False)
    outputs: Path  # an existing folder for the executed notebook and the log
    repository: Path  # nothing outside of it is the user's own code
    python: str | None = None  # absolute path of the user's interpreter
    argv: tuple[str, ...] = ()  # scripts and commands
    notebook: Path | None = None  # notebooks
    parameters: Mapping[str, Any] = field(default_factory=dict)  # the seed included, for notebooks
    deadlines: Deadlines = Deadlines()
    limits: OutputLimits = OutputLimits()
    redactor: Redactor = field(default=Redactor(()), repr=False)
    deterministic_seed: int | None = None  # for random, numpy and torch in a notebook's kernel; None: left alone
    kernel_server: Path | None = None  # the socket of a fork server for this very interpreter and environment
    follow: bool = False  # whether progress carries the text of outputs


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a job."""

    status: Status
    duration_s: float
    error: Failure | None = None
    cells: tuple[Cell, ...] = ()
    resources: Resources | None = None
    outputs: Outputs = field(default_factory=Outputs)  # relative to `Job.outputs`
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a job is; `text` is a piece of its output, redacted, or empty."""

    cell: int = 0
    cells: int = 0
    text: str = ""


class Executor(Protocol):
    """Runs jobs of one kind."""

    def execute(
        self,
        job: Job,
        *,
        progress: Callable[[Progress], None],
        cancellation: Cancellation,
        go: Callable[[], None],
    ) -> Outcome:
        """Run `job` to its end, whatever that is; raises only for mlci's own faults.

        Args:
            job: What to run.
            progress: Receives where it is.
            cancellation: Polled; when set the job is stopped.
            go: Blocks until the job's turn has come, or `cancellation` is set. Whatever runs no code of the user, such
                as starting a kernel, may come before it.
        """
        ...
