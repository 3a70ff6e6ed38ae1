"""Writes a notebook whole or not at all, and without secrets; and says what the files of an execution are called."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import nbformat

from mlci.core.redaction import Redactor

NOTEBOOK = "executed.ipynb"
JOURNAL = "journal.jsonl"


def write_atomically(notebook: Any, path: str, redactor: Redactor) -> None:  # noqa: ANN401 - papermill and nbformat publish no types
    """Write a notebook, without its secrets, beside `path`; then move it there."""
    target = Path(path)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".ipynb")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(redactor.json_text(nbformat.versions[4].writes_json(notebook)))
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
