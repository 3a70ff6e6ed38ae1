"""What is left of a notebook whose worker was killed: its last written state and the journal of what came after."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mlci.core.documents import Cell, Outputs
from mlci.plugins.executors.interface import Job, Outcome
from mlci.plugins.executors.log import LOG
from mlci.plugins.executors.notebook.journal import recover
from mlci.plugins.executors.notebook.session import INJECTED
from mlci.plugins.executors.notebook.writing import JOURNAL, NOTEBOOK, write_atomically


def recovered(job: Job, outcome: Outcome) -> Outcome:
    """`outcome` with the notebook as far as it came, if it came to anything."""
    notebook = recover(job.outputs / JOURNAL, job.outputs / NOTEBOOK)
    if notebook is None:
        return outcome
    notebook.metadata.papermill["status"] = outcome.status
    notebook.metadata.papermill["exception"] = True
    write_atomically(notebook, str(job.outputs / NOTEBOOK), job.redactor)
    (job.outputs / JOURNAL).unlink(missing_ok=True)
    log = LOG if (job.outputs / LOG).exists() else None
    return replace(outcome, cells=_cells(notebook), outputs=Outputs(notebook=NOTEBOOK, log=log))


def _cells(notebook: Any) -> tuple[Cell, ...]:  # noqa: ANN401 - nbformat publishes no types
    own = [cell for cell in notebook.cells if INJECTED not in cell.metadata.get("tags", [])]
    return tuple(
        Cell(
            index=position,
            status=cell.metadata.papermill.get("status", "pending"),
            duration_s=cell.metadata.papermill.get("duration"),
        )
        for position, cell in enumerate(own, start=1)
        if cell.cell_type == "code"
    )
