"""A notebook is written whole or not at all, and without secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from mlci.core.redaction import Redactor
from mlci.plugins.executors.notebook.writing import write_atomically

SECRET = 'a "secret" of\ntwo lines \\ €'


def notebook(source: str = "1") -> Any:
    cell = nbformat.v4.new_code_cell(source, outputs=[nbformat.v4.new_output("stream", text=source)])
    return nbformat.v4.new_notebook(cells=[cell], metadata={"papermill": {"parameters": {"given": source}}})


def test_write_atomically__what_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    write_atomically(notebook("first"), str(path), Redactor(()))
    write_atomically(notebook("print('ü')"), str(path), Redactor(()))
    node = nbformat.read(path, as_version=4)
    nbformat.validate(node)
    assert node.cells[0].source == "print('ü')"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_write_atomically__hides_secrets_wherever_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    write_atomically(notebook(f"before {SECRET} after"), str(path), Redactor((SECRET,)))
    node = nbformat.read(path, as_version=4)
    nbformat.validate(node)
    assert not any(word in path.read_text() for word in ("secret", "two lines"))
    # A notebook keeps text line by line, and so it is hidden.
    assert node.cells[0].source == node.cells[0].outputs[0].text == "before ***\n*** after"
    assert node.metadata.papermill.parameters.given == "before *** after"


def test_write_atomically__what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text("what was there")
    broken = notebook()
    broken.metadata["broken"] = object()
    with pytest.raises(TypeError):
        write_atomically(broken, str(path), Redactor(()))
    assert path.read_text() == "what was there"
    assert list(tmp_path.iterdir()) == [path]
