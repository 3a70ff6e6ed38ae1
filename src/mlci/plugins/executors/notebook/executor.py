"""Runs a notebook job in a worker process and turns what the worker says, or its silence, into an outcome."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mlci import process
from mlci.core.documents import Cell, Failure, Outputs, Resources
from mlci.plugins.executors.interface import Job, Outcome, Progress
from mlci.plugins.executors.notebook.worker import RECORD_SEPARATOR

NOTEBOOK = "executed.ipynb"
LOG = "log.txt"
_HARD_GRACE_S = 15.0
_STOP = (process.StopStep(signal.SIGTERM, 5.0),)


@dataclass(frozen=True)
class NotebookExecutor:
    """Executes jobs that are notebooks or percent scripts.

    Args:
        environ: mlci's own environment, for the worker; the kernel gets the job's.
    """

    environ: dict[str, str]

    def execute(self, job: Job, *, progress: Callable[[Progress], None], cancellation: process.Cancellation) -> Outcome:
        """Run the notebook to its end; the executed copy is `executed.ipynb`, what the kernel said aside `log.txt`."""
        events = _Events(job.outputs / LOG, progress)
        ended = process.supervise(
            [sys.executable, "-I", "-m", "mlci.plugins.executors.notebook.worker"],
            cwd=job.outputs,
            environ=process.child_environ(self.environ),
            on_output=events.feed,
            # The worker keeps the deadline; this one is for a worker that does not.
            timeout_s=job.timeout_s + _HARD_GRACE_S if job.timeout_s is not None else None,
            cancellation=cancellation,
            stop=_STOP,
            meter_root=False,
            stdin=_request(job),
        )
        said = events.outcome or _silence(ended)
        error = _failure(said.get("error"), job, out_of_memory=ended.out_of_memory)
        written = (job.outputs / NOTEBOOK).is_file()
        return Outcome(
            status=said["status"],
            duration_s=ended.duration_s,
            error=error,
            cells=tuple(msgspec.convert(said["cells"], list[Cell])),
            resources=Resources(cpu_s=ended.cpu_s, peak_memory_bytes=ended.peak_memory_bytes),
            outputs=Outputs(notebook=NOTEBOOK if written else None, log=LOG if _kept(events.log) else None),
            warnings=(f"{ended.leftovers} process(es) outlived the kernel and were ended",) if ended.leftovers else (),
        )


def _request(job: Job) -> bytes:
    return json.dumps(
        {
            "notebook": str(job.notebook),
            "source": job.source,
            "output": str(job.outputs / NOTEBOOK),
            "log": str(job.outputs / LOG),
            "cwd": str(job.cwd),
            "python": job.python,
            "environ": dict(job.environ),
            "parameters": dict(job.parameters),
            "timeout_s": job.timeout_s,
        }
    ).encode()


class _Events:
    """Splits the worker's output into events and everything else, which goes to the log."""

    def __init__(self, log: Path, progress: Callable[[Progress], None]) -> None:
        self.log = log
        self.outcome: dict[str, Any] | None = None
        self._progress = progress
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            text = line.decode("utf-8", "replace")
            if not text.startswith(RECORD_SEPARATOR):
                with self.log.open("a", encoding="utf-8") as file:
                    file.write(text + "\n")
                continue
            event = json.loads(text[1:])
            if "outcome" in event:
                self.outcome = event["outcome"]
            else:
                self._progress(Progress(cell=event["cell"], cells=event["cells"]))


def _kept(log: Path) -> bool:
    """Whether the log says anything; an empty one is removed."""
    if log.exists() and not log.stat().st_size:
        log.unlink()
    return log.exists()


def _silence(ended: process.Exit) -> dict[str, Any]:
    """The outcome of a worker that ended without a word."""
    if ended.cancelled:
        return {
            "status": "cancelled",
            "cells": [],
            "error": {"kind": "cancelled", "message": "mlci was told to stop"},
        }
    if ended.timed_out:
        return {
            "status": "timed-out",
            "cells": [],
            "error": {"kind": "timeout", "message": "the deadline passed"},
        }
    message = f"the notebook's worker ended with status {ended.returncode}; see {LOG}"
    return {"status": "crashed", "cells": [], "error": {"kind": "dead-kernel", "message": message}}


def _failure(error: dict[str, Any] | None, job: Job, *, out_of_memory: bool) -> Failure | None:
    if error is None:
        return None
    failure = msgspec.convert({"file": job.source, **error}, Failure)
    if failure.kind == "timeout":
        return msgspec.structs.replace(failure, message=f"still running after {job.timeout_s:g} s")
    if failure.kind == "dead-kernel" and out_of_memory:
        return msgspec.structs.replace(
            failure, kind="out-of-memory", message="the system killed the kernel: out of memory"
        )
    return failure
