"""Runs scripts and commands as plain processes, so that they keep their argv, their pools and their `__main__`."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlci import process
from mlci.core.documents import Failure, Outputs, Resources, Status
from mlci.plugins.executors.interface import Job, Outcome, Progress

LOG = "log.txt"
_TAIL = 64 * 1024
_FRAME = re.compile(r'^  File "(?P<file>[^"]+)", line (?P<line>\d+)', re.MULTILINE)


@dataclass(frozen=True)
class CommandExecutor:
    """Executes jobs that are a program and its arguments."""

    def execute(self, job: Job, *, progress: Callable[[Progress], None], cancellation: process.Cancellation) -> Outcome:
        """Run the program to its end, its output in `log.txt`."""
        tail = bytearray()
        with (job.outputs / LOG).open("wb") as log:

            def keep(chunk: bytes) -> None:
                log.write(chunk)
                log.flush()
                tail.extend(chunk)
                del tail[:-_TAIL]
                progress(Progress(text=chunk.decode("utf-8", "replace")))

            try:
                ended = process.supervise(
                    job.argv,
                    cwd=job.cwd,
                    environ=job.environ,
                    on_output=keep,
                    timeout_s=job.timeout_s,
                    cancellation=cancellation,
                )
            except OSError as error:
                message = f"cannot start {job.argv[0]!r}: {error.strerror}"
                return Outcome(
                    status="failed",
                    duration_s=0.0,
                    error=Failure(kind="environment", message=message),
                    outputs=Outputs(log=LOG),
                )
        status, failure = _judge(job, ended, bytes(tail).decode("utf-8", "replace"))
        warnings = (f"{ended.leftovers} process(es) outlived the run and were ended",) if ended.leftovers else ()
        return Outcome(
            status=status,
            duration_s=ended.duration_s,
            error=failure,
            resources=Resources(cpu_s=ended.cpu_s, peak_memory_bytes=ended.peak_memory_bytes),
            outputs=Outputs(log=LOG if tail else None),
            warnings=warnings,
        )


def _judge(job: Job, ended: process.Exit, tail: str) -> tuple[Status, Failure | None]:
    lines = [line for line in tail.splitlines() if line.strip()]
    shown = "\n".join(lines[-40:]) or None
    file, line = _own_frame(tail, job.cwd)
    if ended.cancelled:
        return "cancelled", Failure(kind="cancelled", message="mlci was told to stop", traceback=shown)
    if ended.timed_out:
        message = f"still running after {job.timeout_s:g} s"
        return "timed-out", Failure(kind="timeout", message=message, file=file, line=line, traceback=shown)
    if ended.returncode < 0:
        name = _signal_name(-ended.returncode)
        if ended.out_of_memory:
            return "crashed", Failure(
                kind="out-of-memory", message=f"killed by the system: out of memory ({name})", traceback=shown
            )
        return "crashed", Failure(kind="signal", message=f"ended by {name}", traceback=shown)
    if ended.returncode > 0:
        status = f"exit status {ended.returncode}"
        last = lines[-1].strip() if lines else None
        # An exception says enough; any other last words may, with the status, say why.
        message = last if last and file else f"{status}: {last}" if last else status
        return "failed", Failure(kind="exit-code", message=message, file=file, line=line, traceback=shown)
    return "succeeded", None


def _own_frame(tail: str, cwd: Path) -> tuple[str | None, int | None]:
    """The innermost frame of a Python traceback that lies in the user's own files."""
    start = tail.rfind("Traceback (most recent call last):")
    if start < 0:
        return None, None
    for match in reversed(list(_FRAME.finditer(tail, start))):
        file = Path(match["file"])
        path = file if file.is_absolute() else cwd / file
        if path.is_file() and "site-packages" not in path.parts and "lib" not in path.parts:
            return path.as_posix(), int(match["line"])
    return None, None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
