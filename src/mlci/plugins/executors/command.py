"""Runs scripts and commands as plain processes, so that they keep their argv, their pools and their `__main__`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlci import process
from mlci.core.documents import Failure, Location, Outputs, Status
from mlci.plugins.executors.interface import Job, Outcome, Progress
from mlci.plugins.executors.log import Log
from mlci.plugins.executors.notebook import tracebacks

_SHOWN_LINES = 40
_TRACEBACK = "Traceback (most recent call last):"
_SYNTAX_ERROR = re.compile(r"^(?:Syntax|Indentation|Tab)Error: ", re.MULTILINE)  # of the script: it has no such line


@dataclass(frozen=True)
class CommandExecutor:
    """Executes jobs that are a program and its arguments."""

    def execute(
        self,
        job: Job,
        *,
        progress: Callable[[Progress], None],
        cancellation: process.Cancellation,
        go: Callable[[], None],
    ) -> Outcome:
        """Run the program to its end, its output in `log.txt`."""
        go()
        if cancellation:
            never = Failure(kind="cancelled", message="never started")
            return Outcome(status="cancelled", duration_s=0.0, error=never)
        with Log(job) as log:

            def keep(chunk: bytes) -> None:
                text = log.write(chunk)
                if text and job.follow:
                    progress(Progress(text=text))

            try:
                ended = process.supervise(
                    job.argv,
                    cwd=job.cwd,
                    environ=job.environ,
                    on_output=keep,
                    timeout_s=job.deadlines.run_s,
                    silence_s=job.deadlines.silence_s,
                    cancellation=cancellation,
                )
            except OSError as error:
                message = f"cannot start {job.argv[0]!r}: {error.strerror}"
                return Outcome(status="failed", duration_s=0.0, error=Failure(kind="environment", message=message))
            name = log.close()
        status, failure = _judge(job, ended, log.tail)
        notes = (f"{ended.leftovers} process(es) outlived the run and were ended",) if ended.leftovers else ()
        return Outcome(
            status=status,
            duration_s=ended.duration_s,
            error=failure,
            resources=ended.resources,
            outputs=Outputs(log=name, spilled=log.spilled),
            notes=notes,
        )


def _judge(job: Job, ended: process.Exit, tail: str) -> tuple[Status, Failure | None]:
    lines = [line for line in tail.splitlines() if line.strip()]
    at = _own_frames(tail, job)
    file, line = (at[0].file, at[0].line) if at else (None, None)

    def failure(kind: str, message: str) -> Failure:
        shown = "\n".join(lines[-_SHOWN_LINES:]) or None
        return Failure(kind=kind, message=message, file=file, line=line, traceback=shown, at=at)

    if ended.cancelled:
        return "cancelled", failure("cancelled", "mlci was told to stop")
    if ended.timed_out == "run":
        return "timed-out", failure("timeout", f"still running after {job.deadlines.run_s:g} s")
    if ended.timed_out == "silence":
        message = f"silent for {job.deadlines.silence_s:g} s: no output and no CPU use"
        return "timed-out", failure("timeout", message)
    if ended.out_of_memory:
        peak = f"{ended.resources.peak_memory_bytes / 1024**2:.0f} MiB"
        return "crashed", failure("out-of-memory", f"killed by the system at {peak}: out of memory")
    if ended.returncode < 0:
        return "crashed", failure("signal", f"ended by {process.signal_name(-ended.returncode)}")
    if ended.returncode > 0:
        exit_status = f"exit status {ended.returncode}"
        last = lines[-1].strip() if lines else None
        # An exception says enough; any other last words may, with the status, say why.
        if last and at:
            return "failed", failure("exit-code", _exception(tail) or last)
        return "failed", failure("exit-code", f"{exit_status}: {last}" if last else exit_status)
    return "succeeded", None


def _own_frames(tail: str, job: Job) -> tuple[Location, ...]:
    """The innermost frame in the user's own files: of a dump of the stacks, else of the last traceback."""
    frames = tracebacks.parse_stack_dump(tail)
    if not frames and (_TRACEBACK in tail or _SYNTAX_ERROR.search(tail)):
        frames = tracebacks.frames(tail[max(0, tail.rfind(_TRACEBACK)) :])
    own = tracebacks.own_locations(frames, job.repository, job.cwd, Path.home())
    return tuple(Location(file=path.as_posix(), line=line) for path, line in own[:1])


def _exception(tail: str) -> str | None:
    """The first line of the exception that ends the last traceback; below its frames nothing else is not indented."""
    lines = tail[tail.rindex(_TRACEBACK) :].splitlines()[1:] if _TRACEBACK in tail else []
    return next((line for line in lines if line[:1].strip()), None)
