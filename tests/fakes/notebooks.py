"""Notebooks from short texts: cells between lines of `# %%`, with raw magics, as people type them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat

_CELL = re.compile(r"^# %%(?: \[(markdown)\])?((?: [\w-]+)*)$", re.MULTILINE)
CORPUS = Path(__file__).parents[1] / "fixtures/export"


def notebook_of(text: str) -> str:
    """The .ipynb of a text; words behind `# %%` are tags."""
    cells: list[Any] = []
    parts = _CELL.split(text.strip("\n"))[1:]
    for kind, tags, source in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        plain = source.strip("\n")
        made = nbformat.v4.new_markdown_cell(plain) if kind else nbformat.v4.new_code_cell(plain)
        made["id"] = f"cell-{len(cells) + 1}"
        if tags.split():
            made["metadata"]["tags"] = tags.split()
        cells.append(made)
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return str(nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=metadata)))


def corpus() -> list[str]:
    """The names of the real-shaped notebooks."""
    return sorted(path.stem for path in CORPUS.glob("*.txt"))


def from_corpus(name: str) -> str:
    """One of them as an .ipynb."""
    return notebook_of((CORPUS / f"{name}.txt").read_text(encoding="utf-8"))
