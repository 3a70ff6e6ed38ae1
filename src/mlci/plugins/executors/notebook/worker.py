"""The process that runs one notebook: papermill's state is global, so each notebook gets an interpreter of its own.

Reads a job as JSON from stdin; writes events to stdout as JSON text sequences (RFC 7464), the last one the outcome.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

RECORD_SEPARATOR = "\x1e"
_INTERRUPT_GRACE_S = 2.0


def main() -> None:
    """Run the job on stdin."""
    job = json.load(sys.stdin)
    stopper = _Stopper()
    signal.signal(signal.SIGTERM, lambda *_: stopper.stop("cancelled"))
    if job["timeout_s"] is not None:
        timer = threading.Timer(job["timeout_s"], stopper.stop, args=("timed-out",))
        timer.daemon = True
        timer.start()
    _emit(outcome=_execute(job, stopper))


def _emit(**event: Any) -> None:  # noqa: ANN401 - any JSON value
    print(RECORD_SEPARATOR + json.dumps(event), flush=True)


class _Stopper:
    """Ends the kernel early: an interrupt first, so that the traceback shows where it was, then a kill."""

    def __init__(self) -> None:
        self.status: str | None = None
        self.session: Any = None
        self._pid: int | None = None

    def started(self, pid: int) -> None:
        self._pid = pid
        if self.status:
            self._signal(signal.SIGKILL)

    def stop(self, status: str) -> None:
        if self.status is None:
            self.status = status
            if self.session is not None:
                self.session.stopping = True
            self._signal(signal.SIGINT)
            killer = threading.Timer(_INTERRUPT_GRACE_S, self._signal, args=(signal.SIGKILL,))
            killer.daemon = True
            killer.start()

    def _signal(self, number: int) -> None:
        if self._pid is not None:
            try:
                os.kill(self._pid, number)
            except ProcessLookupError:
                return


def _execute(job: dict[str, Any], stopper: _Stopper) -> dict[str, Any]:
    import papermill  # noqa: PLC0415 - after the handlers: its import takes a second
    from papermill.exceptions import PapermillExecutionError  # noqa: PLC0415
    from papermill.execute import remove_error_markers  # noqa: PLC0415

    from mlci.plugins.executors.notebook import kernels  # noqa: PLC0415
    from mlci.plugins.executors.notebook.engine import Session, write_atomically  # noqa: PLC0415
    from mlci.plugins.executors.notebook.sources import load  # noqa: PLC0415

    notebook = load(Path(job["notebook"]))
    try:
        kernel, language = kernels.kernel_for(notebook.metadata, job["python"])
    except kernels.NoSuchKernel as error:
        return _failed("failed", "environment", f"the kernel {error.name!r} of this notebook is not installed")
    with (
        tempfile.TemporaryDirectory(prefix="mlci-") as folder,
        Path(job["log"]).open("ab") as log,
    ):
        source = Path(folder) / "input.ipynb"
        write_atomically(notebook, str(source))
        session = Session(
            on_cell=lambda cell, cells: _emit(cell=cell, cells=cells),
            source_cells=len(notebook.cells),
            kernel_log=log,
            kernel_environ=job["environ"],
            started=stopper.started,
        )
        stopper.session = session
        session.stopping = stopper.status is not None
        lost: str | None = None
        try:
            papermill.execute_notebook(
                str(source),
                job["output"],
                parameters=job["parameters"],
                engine_name="mlci",
                kernel_name=kernel,
                language=language,
                progress_bar=False,
                km=kernels.manager_for(kernel, job["python"], folder),
                resources={"metadata": {"path": job["cwd"]}},
                session=session,
            )
        except PapermillExecutionError:
            pass  # the session knows, and knows better: an expected exception is none
        except Exception as error:
            lost = f"{type(error).__name__}: {error}".splitlines()[0]
    outcome = _outcome(session, stopper, lost)
    if session.notebook is not None:
        if outcome["status"] == "succeeded":
            session.notebook.cells = remove_error_markers(session.notebook).cells
        metadata = session.notebook.metadata.papermill
        metadata["status"] = outcome["status"]
        metadata["exception"] = True if outcome["status"] != "succeeded" else None
        metadata["input_path"] = job["source"]
        write_atomically(session.notebook, job["output"])
    return outcome


def _outcome(session: Any, stopper: _Stopper, lost: str | None) -> dict[str, Any]:  # noqa: ANN401 - papermill and nbformat publish no types
    cells = _cells(session)
    failure = session.failure
    where = {"cell": session.cell} if failure is None else failure
    if stopper.status == "timed-out":
        return {
            "status": "timed-out",
            "cells": cells,
            "error": {**where, "kind": "timeout", "message": "the deadline passed"},
        }
    if stopper.status == "cancelled":
        return {
            "status": "cancelled",
            "cells": cells,
            "error": {**where, "kind": "cancelled", "message": "mlci was told to stop"},
        }
    if failure is not None:
        return {"status": "failed", "cells": cells, "error": failure}
    if lost is not None:
        if session.cell is None:
            message = f"the kernel did not start: {lost}"
        else:
            message = "the kernel died while this cell ran" if "DeadKernel" in lost else lost
        return {
            "status": "crashed",
            "cells": cells,
            "error": {"kind": "dead-kernel", "message": message, "cell": session.cell},
        }
    return {"status": "succeeded", "cells": cells, "error": None}


def _cells(session: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - papermill and nbformat publish no types
    if session.notebook is None:
        return []
    sources = [
        cell for cell in session.notebook.cells if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])
    ]
    return [
        {
            "index": position,
            "status": cell.metadata.papermill.get("status", "pending"),
            "duration_s": cell.metadata.papermill.get("duration"),
        }
        for position, cell in zip(session.positions, sources, strict=False)
        if cell.cell_type == "code" and position is not None
    ]


def _failed(status: str, kind: str, message: str) -> dict[str, Any]:
    return {"status": status, "cells": [], "error": {"kind": kind, "message": message}}


if __name__ == "__main__":
    main()
