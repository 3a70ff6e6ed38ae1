"""Tells where a line of a cell stands in the file that people see, so that annotations land on it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\],]', re.DOTALL)
_STRING_OR_COMMENT = re.compile(
    r'"""(?:\\.|(?!""")[^\\])*+"""|'
    + r"'''(?:\\.|(?!''')[^\\])*+'''|"
    + r'"(?:\\.|[^"\\\n])*+"|'
    + r"'(?:\\.|[^'\\\n])*+'|#[^\n]*",
    re.DOTALL,
)
_MARKER = re.compile(r"#\s*(?:%%+\s.*|%%|<codecell>|In\[[0-9 ]*\]:?)\s*")


def line_in_file(raw: str, cell: int, line: int) -> int | None:
    """The line of an `.ipynb` in which a line of a cell is spelled; None if it cannot be told.

    Args:
        raw: The file's text.
        cell: The cell's position among all cells, from 1.
        line: The line within the cell, from 1.
    """
    if cell < 1 or line < 1:
        return None
    seen = 1  # lines of the cell before `text`
    for token in _source(raw, cell):
        try:
            text = json.loads(token[0], strict=False)
        except ValueError:
            return None
        # A line begins in the string that holds its first character.
        if text and seen + text.count("\n") - text.endswith("\n") >= line:
            return raw.count("\n", 0, token.start()) + 1
        seen += text.count("\n")
    return None


def _source(raw: str, cell: int) -> Iterator[re.Match[str]]:
    """The strings that are the source of a cell, as they stand in the file."""
    wanted: list[str | int | None] = ["cells", cell - 1, "source"]
    path: list[str | int | None] = []  # a key or index for each open container; None: the key comes next
    found = False
    for token in _TOKEN.finditer(raw):
        first = token[0][0]
        if first == '"':
            if path and path[-1] is None:
                path[-1] = str(json.loads(token[0], strict=False))
            elif path[:3] == wanted and len(path) <= 4:  # noqa: PLR2004 - the list of lines, if it is one
                found = True
                yield token
        elif first == "{":
            path.append(None)
        elif first == "[":
            path.append(0)
        elif first == ",":
            if path:
                path[-1] = path[-1] + 1 if isinstance(path[-1], int) else None
        elif path:
            path.pop()
        if found and path[:3] != wanted:
            return


def line_in_percent_script(raw: str, cell: int, line: int) -> int | None:
    """The line of a percent script that is a line of a cell, cells being what jupytext makes of it.

    Args:
        raw: The file's text.
        cell: The cell's position among all cells, markdown included, from 1.
        line: The line within the cell, from 1.
    """
    import jupytext  # noqa: PLC0415 - heavy

    try:
        cells = jupytext.reads(raw, fmt="py").cells
    except Exception:  # whatever jupytext and nbformat raise for what is no notebook
        return None
    if not 1 <= cell <= len(cells):
        return None
    source = cells[cell - 1].source.split("\n")
    lines = [each.removesuffix("\r") for each in raw.split("\n")]
    markers = list(_markers(raw))
    before = len(cells) - len(markers)  # what stands above the first marker: code, or a header
    if before < 0 or not 1 <= line <= len(source):
        return None
    if cell > before:
        start = markers[cell - before - 1] + 1
    else:
        above = lines[: markers[0] - 1] if markers else lines
        starts = [at for at in range(len(above)) if above[at : at + len(source)] == source]
        if len(starts) != 1:
            return None
        start = starts[0] + 1
    at = start + line - 1
    # Magics are comments in the script.
    same = at <= len(lines) and lines[at - 1].lstrip("# ").rstrip() == source[line - 1].lstrip("# ").rstrip()
    return at if same else None


def _markers(raw: str) -> Iterator[int]:
    """The lines of the markers that begin cells; none within a string."""
    line = 1
    counted = 0
    for found in _STRING_OR_COMMENT.finditer(raw):
        start = found.start()
        line += raw.count("\n", counted, start)
        counted = start
        if not raw[raw.rfind("\n", 0, start) + 1 : start].strip() and _MARKER.fullmatch(found[0]):
            yield line
