"""Reads a notebook or percent script as cells, and refuses what is none of Python."""

from __future__ import annotations

import hashlib
import re
import warnings
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from mlci.errors import UsageError
from mlci.exporting.findings import Findings

_MAX_BYTES = 256 * 1024 * 1024  # outputs included
_MAX_CODE = 4 * 1024 * 1024
_SKIP = frozenset({"skip-export", "export-skip", "skip-execution"})  # papermill executes none of the last


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell."""

    number: int  # from 1, Markdown cells included
    code: bool
    source: str
    tags: frozenset[str] = frozenset()

    @property
    def is_parameters(self) -> bool:
        """Whether papermill takes its values for parameters."""
        return bool(self.tags & {"parameters", "injected-parameters"})


@dataclass(frozen=True, kw_only=True)
class Notebook:
    """A notebook of Python, without what it has put out."""

    name: str
    sha256: str
    cells: tuple[Cell, ...]


def read(path: Path, findings: Findings) -> Notebook:
    """The notebook at `path`.

    Raises:
        UsageError: It is none, is too large, or is not of Python.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UsageError(f"{path.name}: larger than {_MAX_BYTES:,} bytes", hint="Clear its outputs first.")
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path.name}: cannot be read: {error.strerror}") from None
    from mlci.plugins.executors.notebook import sources  # noqa: PLC0415 - nbformat and jupytext are heavy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old notebooks, whose cells have no ids
        node = sources.load(path)
    _check_language(path.name, node.metadata)
    cells = tuple(_cells(node.cells, findings))
    if sum(len(cell.source) for cell in cells) > _MAX_CODE:
        raise UsageError(f"{path.name}: its cells are larger than {_MAX_CODE:,} characters")
    if not any(cell.code and cell.source.strip() for cell in cells):
        raise UsageError(f"{path.name}: no cell of it holds code", hint="There is nothing to export.")
    _note_order(node.cells, findings)
    return Notebook(name=path.name, sha256=hashlib.sha256(content).hexdigest(), cells=cells)


def _check_language(name: str, metadata: Any) -> None:  # noqa: ANN401 - nbformat publishes no types
    spec, info = metadata.get("kernelspec") or {}, metadata.get("language_info") or {}
    language = str(spec.get("language") or info.get("name") or "")
    if not language and re.match(r"(ir|julia|scala|bash|javascript|sos)\b", str(spec.get("name") or "").lower()):
        language = str(spec["name"])
    if language and language.lower() not in ("python", "ipython", "python3"):
        raise UsageError(f"{name}: a notebook of {language[:40]}", hint="Only notebooks of Python can be exported.")


def _cells(nodes: Any, findings: Findings) -> list[Cell]:  # noqa: ANN401 - nbformat publishes no types
    found = []
    for number, node in enumerate(nodes, 1):
        kind, source = node.get("cell_type"), str(node.get("source", "")).replace("\r\n", "\n")
        tags = frozenset(map(str, node.get("metadata", {}).get("tags", ())))
        if tags & _SKIP and kind == "code":
            findings.drop(number, 1, source, f"tagged {next(iter(sorted(tags & _SKIP)))}")
        elif kind in ("code", "markdown") and source.strip() and not tags & _SKIP:
            found.append(Cell(number=number, code=kind == "code", source=source, tags=tags))
    return found


def _note_order(nodes: Any, findings: Findings) -> None:  # noqa: ANN401 - nbformat publishes no types
    counts = [node.get("execution_count") for node in nodes if node.get("cell_type") == "code"]
    done = [count for count in counts if isinstance(count, int)]
    if any(later < earlier for earlier, later in pairwise(done)):
        findings.notes.append("its cells were last executed in another order than they stand in; the script keeps this")
