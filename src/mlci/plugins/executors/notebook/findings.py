"""From what a session saw to a status, a failure that says where, and the cells."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

from mlci.core.documents import Cell, Failure, Location, Resources, Status
from mlci.plugins.executors.interface import Job
from mlci.plugins.executors.notebook import positions, tracebacks
from mlci.plugins.executors.notebook.session import Session
from mlci.process import signal_name

_TIMEOUTS = ("run", "cell", "silence")


def failure_of(
    session: Session,
    lost: str | None,
    *,
    job: Job,
    exit_status: int | None,
    log: str,
    out_of_memory: bool,
    resources: Resources | None,
) -> tuple[Status, Failure | None]:
    """The status and why it is not "succeeded".

    Args:
        session: The execution.
        lost: Why papermill gave up, if not for an exception of the notebook's.
        job: What was executed.
        exit_status: How the kernel's process ended, if it did of its own accord; negative for a signal.
        log: The end of what its process printed past its channels.
        out_of_memory: Whether the system has killed a process for memory meanwhile.
        resources: What the kernel's tree used.
    """
    reason = session.watch.reason
    where = _where(session, job, log)
    if reason in _TIMEOUTS:
        return "timed-out", Failure(kind="timeout", message=session.watch.describe(), **where)
    if reason == "cancelled":
        return "cancelled", Failure(kind="cancelled", message="mlci was told to stop", **where)
    if session.failure is not None:
        return "failed", Failure(kind="exception", message=_message(session), **where)
    if lost is not None:
        if out_of_memory and exit_status == -signal.SIGKILL:
            peak = f" at {resources.peak_memory_bytes / 1024**2:.0f} MiB" if resources else ""
            message = f"the system killed the kernel{peak}: out of memory"
            return "crashed", Failure(kind="out-of-memory", message=message, **where)
        message = "the kernel died while this cell ran" if "DeadKernel" in lost else lost
        return "crashed", Failure(kind="dead-kernel", message=f"{message}{_ended(exit_status)}", **where)
    return "succeeded", None


def cells_of(session: Session) -> tuple[Cell, ...]:
    """Every code cell of the source notebook."""
    found = []
    notebook = session.notebook
    cells = [cell for cell in notebook.cells if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])]
    for position, cell in zip(session.positions, cells, strict=False):
        if cell.cell_type == "code" and position is not None:
            used = session.usage.get(position)
            found.append(
                Cell(
                    index=position,
                    status=cell.metadata.papermill.get("status", "pending"),
                    duration_s=cell.metadata.papermill.get("duration"),
                    cpu_s=round(used.cpu_s, 3) if used else None,
                    peak_memory_bytes=used.peak_memory_bytes if used else None,
                )
            )
    return tuple(found)


def _message(session: Session) -> str:
    name, value, _ = session.failure or ("", "", "")
    if not name:  # kernels of other languages have exit statuses
        return f"the cell failed ({value})"
    lines = tracebacks.plain(f"{name}: {value}").splitlines()
    # IPython's name of a cell's code differs from run to run.
    return re.sub(r" \(\d+\.py, line (\d+)\)$", r" (line \1)", lines[0]) if lines else name


def _where(session: Session, job: Job, log: str) -> dict[str, Any]:
    """Cell, line, traceback and the places for annotations, from the traceback or a dump of the stacks."""
    if session.failure is not None:
        text = tracebacks.plain(session.failure[2])
        line, frames = tracebacks.cell_line(text), tracebacks.frames(text)
    else:
        frames = tracebacks.parse_stack_dump(log)
        line = next((frame.line for frame in frames if frame.file == tracebacks.CELL), None)
        text = log if frames else ""
    home = Path(job.environ.get("HOME") or job.cwd)
    own = tracebacks.own_locations(frames, job.repository, job.cwd, home)
    places = [Location(file=str(path), line=number) for path, number in own[:1]]
    in_notebook = _line_in_notebook(job, session.cell, line or 1)
    if in_notebook is not None:
        places.append(Location(file=str(job.notebook), line=in_notebook))
    return {"file": job.source, "cell": session.cell, "line": line, "traceback": text or None, "at": tuple(places)}


def _line_in_notebook(job: Job, cell: int | None, line: int) -> int | None:
    if job.notebook is None or cell is None:
        return None
    raw = job.notebook.read_text(encoding="utf-8", errors="replace")
    find = positions.line_in_percent_script if job.notebook.suffix == ".py" else positions.line_in_file
    return find(raw, cell, line)


def _ended(exit_status: int | None) -> str:
    if exit_status is None:
        return ""
    if exit_status >= 0:
        return f" (exit status {exit_status})"
    return f" ({signal_name(-exit_status)})"
