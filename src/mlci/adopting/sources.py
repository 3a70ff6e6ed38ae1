"""Notebooks and scripts as code in cells, read as text that nobody vouches for: nothing is executed or imported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from mlci.adopting.listing import MAX_READ, Listing
from mlci.core import strict_json
from mlci.errors import DocumentError

MAX_CODE = 512 * 1024  # of all cells together
_MAX_NAME = 64
_MARKER = re.compile(r"^# %%(.*)$", re.MULTILINE)
_TAGGED = re.compile(r"""tags\s{0,5}=\s{0,5}\[[^\]]{0,200}["']parameters["']""")
_FEW = 2  # markers that make a script a notebook


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file that could be a run."""

    path: str
    kind: Literal["notebook", "script"]
    cells: tuple[str, ...] = ()  # of code; a script is one
    tagged: int | None = None  # which of them has the tag `parameters`
    language: str = "python"
    kernel: str | None = None
    python: str | None = None  # the version that executed it last, such as "3.11"
    problem: str | None = None  # why there are no cells

    @property
    def code(self) -> str:
        """All of it."""
        return "\n".join(self.cells)


def read(listing: Listing, path: str) -> Source:
    """The file at `path`, an .ipynb or a .py; one that cannot be read has a problem in place of cells."""
    if path.endswith(".ipynb"):
        return _notebook(listing, path)
    text = listing.text(path)
    if text is None:
        return Source(path=path, kind="script", problem="too large to look into, or unreadable")
    if len(_MARKER.findall(text)) >= _FEW and "__main__" not in text and "argparse" not in text:
        return _percent(path, text)
    return Source(path=path, kind="script", cells=(text,))


def _percent(path: str, text: str) -> Source:
    pieces = _MARKER.split(text)
    found = [(marker, body) for marker, body in zip(pieces[1::2], pieces[2::2], strict=True) if "[m" not in marker]
    tagged = next((place for place, (marker, _) in enumerate(found, start=1) if _TAGGED.search(marker)), None)
    head = "\n".join(line for line in pieces[0].splitlines() if not line.startswith("#"))
    return Source(path=path, kind="notebook", cells=(head, *(body for _, body in found)), tagged=tagged)


def _notebook(listing: Listing, path: str) -> Source:
    data = listing.data(path, MAX_READ)
    if data is None:
        problem = f"larger than {MAX_READ // 1024**2} MiB, or unreadable"
        return Source(path=path, kind="notebook", problem=problem)
    try:
        tree = strict_json.loads(data, name=PurePosixPath(path).name, allow_nan=True)
    except DocumentError as error:
        return Source(path=path, kind="notebook", problem=error.message)
    cells = list(_cells(tree))
    if not isinstance(tree, dict) or not isinstance(tree.get("cells"), list):
        return Source(path=path, kind="notebook", problem="no notebook of format 4: it has no list of cells")
    about = _mapping(tree.get("metadata"))
    kernel, language = _mapping(about.get("kernelspec")), _mapping(about.get("language_info"))
    spoken = _word(kernel.get("language")) or _word(language.get("name")) or "python"
    version = re.match(r"3\.\d{1,2}(?=\.|$)", _word(language.get("version")) or "")
    return Source(
        path=path,
        kind="notebook",
        cells=tuple(text for text, _ in cells),
        tagged=next((place for place, (_, tags) in enumerate(cells) if "parameters" in tags), None),
        language="python" if spoken.lower() == "ipython" else spoken.lower(),
        kernel=_word(kernel.get("name")),
        python=version[0] if version else None,
    )


def _cells(tree: object) -> Iterator[tuple[str, list[Any]]]:
    """Text and tags of each cell of code, until there is more than anybody writes."""
    cells = _mapping(tree).get("cells")
    left = MAX_CODE
    for cell in map(_mapping, cells if isinstance(cells, list) else ()):
        source = cell.get("source")
        text = "".join(map(str, source)) if isinstance(source, list) else source
        if cell.get("cell_type") != "code" or not isinstance(text, str):
            continue
        left -= len(text)
        if left < 0:
            return
        tags = _mapping(cell.get("metadata")).get("tags")
        yield text, tags if isinstance(tags, list) else []


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _MAX_NAME and value.isprintable() else None
