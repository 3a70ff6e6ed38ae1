"""Reads the code of a run, without what does not matter to its result: outputs, ids, Markdown, metadata."""

from __future__ import annotations

import json
import os.path
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from mlci.config import Config, Run
from mlci.running.inputs import sha256

_TAGS = ("parameters", "raises-exception", "skip-execution")
_NOTEBOOK = 4  # the format whose cells are read here


@dataclass(frozen=True)
class Piece:
    """A piece of code, as a person would call it."""

    name: str
    text: str  # what its digest is of
    source: str  # Python, for as far as one can tell, to look for imports in


def pieces(config: Config, run: Run, argv: tuple[str, ...]) -> list[Piece]:
    """The code that `run` starts with: the cells of its notebook, its script, or the files that its command names."""
    if run.kind == "notebook":
        return _cells(_notebook(run.path)) if run.path else []
    files = [run.path] if run.path else [run.cwd / word for word in named(run, argv)]
    return [_file(path, config) for path in files if path.resolve().is_relative_to(config.repository)]


def named(run: Run, argv: tuple[str, ...]) -> list[str]:
    """The files, relative to the working directory, that a command names, by path or as `-m MODULE`."""
    modules = [name.replace(".", "/") for option, name in pairwise(argv) if option == "-m"]
    words = [
        *argv,
        *(file for name in modules for file in (f"{name}.py", f"{name}/__main__.py", f"{name}/__init__.py")),
    ]
    # Words are anything, and too long a name is an error to pathlib.
    return [word for word in dict.fromkeys(words) if word[:1] != "/" and os.path.isfile(run.cwd / word)]  # noqa: PTH113


def _file(path: Path, config: Config) -> Piece:
    text = path.read_text(encoding="utf-8", errors="replace") if path.suffix == ".py" else ""
    return Piece(f"file {Path(os.path.relpath(path, config.root)).as_posix()}", sha256(path), text)


def _notebook(path: Path) -> Any:  # noqa: ANN401 - a notebook is any JSON
    if path.suffix == ".ipynb":
        try:
            # nbformat takes a third of a second to import, and all that is wanted are the cells.
            read = json.loads(path.read_bytes())
            if read["nbformat"] == _NOTEBOOK and isinstance(read["cells"], list):
                return read
        except (ValueError, KeyError, TypeError, RecursionError):
            pass  # the reader below says what is wrong with it
    from mlci.plugins.executors.notebook import sources  # noqa: PLC0415 - heavy

    return sources.load(path)


def _cells(notebook: Any) -> list[Piece]:  # noqa: ANN401 - a notebook is any JSON
    language = _table(_table(notebook, "metadata"), "kernelspec").get("language", "python")
    found = [Piece("language", str(language), "")]
    cells = notebook.get("cells")
    code = [cell for cell in cells if isinstance(cell, dict) and cell.get("cell_type") == "code"]
    for number, cell in enumerate(code, 1):
        source = cell.get("source", "")
        source = source if isinstance(source, str) else "".join(map(str, source))
        carried = _table(cell, "metadata").get("tags") or ()
        tags = [tag for tag in _TAGS if tag in carried]
        found.append(Piece(f"code cell {number}", json.dumps([source, tags]), _python(source)))
    return found


def _table(value: Any, key: str) -> dict[str, Any]:  # noqa: ANN401 - a notebook is any JSON
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _python(source: str) -> str:
    """The cell with lines that only IPython understands taken out."""
    lines = source.split("\n")
    if lines[0].startswith("%%"):
        lines = lines[1:]
    return "\n".join("pass" if line.lstrip().startswith(("%", "!", "?")) else line for line in lines)
