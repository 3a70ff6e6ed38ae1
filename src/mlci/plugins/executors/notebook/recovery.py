"""What is left of a notebook whose worker was killed: its last written state and the journal of what came after."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat

from mlci.core.documents import Cell, Outputs
from mlci.plugins.executors.interface import IN_FULL, Job, Outcome
from mlci.plugins.executors.log import LOG
from mlci.plugins.executors.notebook.journal import recover
from mlci.plugins.executors.notebook.session import INJECTED
from mlci.plugins.executors.notebook.writing import JOURNAL, NOTEBOOK, write_atomically


def recovered(job: Job, outcome: Outcome) -> Outcome:
    """`outcome` with the notebook as far as it came, if it came to anything."""
    notebook = recover(job.outputs / JOURNAL, job.outputs / NOTEBOOK) or _written(job.outputs / NOTEBOOK)
    if notebook is None:
        return outcome
    notebook.metadata.setdefault("papermill", {}).update(status=outcome.status, exception=True)
    write_atomically(notebook, str(job.outputs / NOTEBOOK), job.redactor)
    (job.outputs / JOURNAL).unlink(missing_ok=True)
    log = LOG if (job.outputs / LOG).exists() else None
    spilled = tuple(f"{IN_FULL}/{path.name}" for path in sorted((job.outputs / IN_FULL).glob("*")))
    return replace(outcome, cells=_cells(notebook), outputs=Outputs(notebook=NOTEBOOK, log=log, spilled=spilled))


def _written(path: Path) -> Any:  # noqa: ANN401 - nbformat publishes no types
    """The notebook as it was written last, where the journal is gone: that is its end."""
    try:
        return nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    except (OSError, ValueError, nbformat.ValidationError):
        return None


def _cells(notebook: Any) -> tuple[Cell, ...]:  # noqa: ANN401 - nbformat publishes no types
    own = [cell for cell in notebook.cells if INJECTED not in cell.metadata.get("tags", [])]
    return tuple(
        Cell(
            index=position,
            status=cell.metadata.get("papermill", {}).get("status", "pending"),
            duration_s=cell.metadata.get("papermill", {}).get("duration"),
        )
        for position, cell in enumerate(own, start=1)
        if cell.cell_type == "code"
    )
