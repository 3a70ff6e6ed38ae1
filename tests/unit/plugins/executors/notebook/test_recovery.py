"""What a killed worker had written is an outcome, as far as it came."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import pytest

from mlci.core.documents import Failure, Outputs
from mlci.core.redaction import Redactor
from mlci.plugins.executors.interface import Job, Outcome
from mlci.plugins.executors.notebook.journal import Journal
from mlci.plugins.executors.notebook.recovery import recovered
from mlci.plugins.executors.notebook.writing import write_atomically

LOST = Outcome(status="crashed", duration_s=3.0, error=Failure(kind="lost", message="killed"))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(
        name="a",
        label="a",
        source="a.ipynb",
        cwd=tmp_path,
        environ={},
        outputs=tmp_path,
        repository=tmp_path,
        redactor=Redactor(("hush-hush",)),
    )


def begin(folder: Path) -> Journal:
    """The notebook as it is written before its first cell: parameters injected, words, three cells of code."""
    injected = nbformat.v4.new_code_cell("x = 'hush-hush'", metadata={"tags": ["injected-parameters"]})
    cells = [injected, nbformat.v4.new_markdown_cell("# Words"), *map(nbformat.v4.new_code_cell, "abc")]
    write_atomically(nbformat.v4.new_notebook(cells=cells), str(folder / "executed.ipynb"), Redactor(()))
    return Journal(folder / "journal.jsonl")


def tell(journal: Journal, cell: int, event: str, **about: Any) -> None:
    journal.append({"event": event, "cell": cell, "at": datetime.now(UTC).isoformat(), **about})


def test_recovered__cells_and_their_outputs_as_far_as_they_came(job: Job) -> None:
    journal = begin(job.outputs)
    said = [{"output_type": "stream", "name": "stdout", "text": "done\n"}]
    for cell in (1, 2):
        tell(journal, cell, "start")
        tell(journal, cell, "end", status="completed")
    tell(journal, 3, "start")
    tell(journal, 3, "end", status="completed", outputs=said, execution_count=2)
    tell(journal, 4, "start")
    journal.close()
    found = recovered(job, LOST)
    assert (found.status, found.error, found.duration_s) == (LOST.status, LOST.error, LOST.duration_s)
    # Positions are those of the source notebook, which has no cell of papermill's.
    assert [(cell.index, cell.status) for cell in found.cells] == [(2, "completed"), (3, "failed"), (4, "pending")]
    assert found.cells[0].duration_s is not None
    assert found.outputs == Outputs(notebook="executed.ipynb")
    node = nbformat.read(job.outputs / "executed.ipynb", as_version=4)
    nbformat.validate(node)
    assert node.cells[2].outputs == said
    assert (node.metadata.papermill.status, node.metadata.papermill.exception) == ("crashed", True)
    assert not (job.outputs / "journal.jsonl").exists()
    assert "hush" not in (job.outputs / "executed.ipynb").read_text()


def test_recovered__log_and_what_lies_beside(job: Job) -> None:
    begin(job.outputs).close()
    (job.outputs / "log.txt").write_text("said\n")
    (job.outputs / "outputs-in-full").mkdir()
    for name in ("cell-0002.txt", "cell-0001.jsonl"):
        (job.outputs / "outputs-in-full" / name).touch()
    assert recovered(job, LOST).outputs == Outputs(
        notebook="executed.ipynb",
        log="log.txt",
        spilled=("outputs-in-full/cell-0001.jsonl", "outputs-in-full/cell-0002.txt"),
    )


def test_recovered__nothing_where_it_never_came_to_a_notebook(job: Job) -> None:
    begin(job.outputs).close()
    (job.outputs / "executed.ipynb").unlink()
    assert recovered(job, LOST) is LOST


def test_recovered__the_notebook_as_it_is_where_its_end_was_written(job: Job) -> None:
    begin(job.outputs).discard()
    assert recovered(job, LOST).outputs.notebook == "executed.ipynb"
