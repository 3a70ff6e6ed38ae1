"""Pictures as a notebook makes them: without a display, and with every figure closed at the end of its cell."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Sequence
from itertools import pairwise

from mlci.exporting.rewriting import Scene, scopes
from mlci.exporting.statements import Block, Statement, parsed

_PICTURES = frozenset(
    [
        "matplotlib",
        "pylab",
        "seaborn",
        "plotnine",
        "mpl_toolkits",
        "yellowbrick",
        "shap",
        "missingno",
        "wordcloud",
        "scikitplot",
    ]
)
_DRAWN_BY = frozenset({"pandas", "sklearn"})  # which import matplotlib when they draw
_DRAWING = re.compile(
    r"plot|(^|_)hist(_|2d|ogram|$)|(^|_)fig|^axe?s?$|show|draw|^sns$|^plt$|^shap$|display|curve|heatmap|chart|matrix",
    re.IGNORECASE,
)


def without_display(found: Sequence[Block]) -> None:
    """Choose a backend that needs no display, before anything imports pyplot."""
    everything = [statement for block in found for statement in block.statements]
    imports = [(item, roots) for item in everything if (roots := imported_roots(item.node))]
    first = next((item for item, roots in imports if roots & _PICTURES), None)
    if first is None and any(_draws(item) for item in everything):
        first = next((item for item, roots in imports if roots & _DRAWN_BY), None)
    if first is None:
        return
    for block in found:
        if first in block.statements:
            at = block.statements.index(first)
            template = Statement(
                first.cell, first.line, "pass", parsed("pass").body[0], first.comments, first.guarded, ours=True
            )
            own = [template.changed("import matplotlib"), template.changed('matplotlib.use("Agg")')]
            own[1].comments = first.comments = ""
            block.statements[at:at] = own


def closings(found: Sequence[Block], scene: Scene) -> dict[int, str]:
    """What closes the figures of a cell, by its number: the notebook does so once it has shown them.

    After the last cell that draws there is nothing left to be disturbed by them.
    """
    everything = [statement for block in found for statement in block.statements]
    if scene.interactive or not any(item.ours for item in everything):
        return {}
    drawing: set[str] = set()
    for item in everything:
        node = item.node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and any(
            _draws(Statement(item.cell, item.line, "", inner), drawing) for inner in node.body
        ):
            drawing.add(node.name)
    cells = [block for block in found if any(_draws(item, drawing) for item in block.statements if not item.ours)]
    name = min(scene.pyplot, default="_mlci_pyplot")
    return {
        block.cell.number: f'{name}.close("all")'
        for block, _ in pairwise(cells)
        if not block.statements[-1].code.endswith('.close("all")')
    }


def _draws(statement: Statement, drawing: Collection[str] = ()) -> bool:
    """Whether a statement may leave a figure open; `drawing` are functions of the notebook that do."""
    if isinstance(statement.node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return False
    names = [child.id for child in ast.walk(statement.node) if isinstance(child, ast.Name)]
    attributes = [child.attr for child in ast.walk(statement.node) if isinstance(child, ast.Attribute)]
    return any(name in drawing or _DRAWING.search(name) for name in (*names, *attributes))


def imported_roots(node: ast.stmt) -> set[str]:
    """The packages that a statement imports, within it too."""
    found: set[str] = set()
    for child in scopes(node):
        if isinstance(child, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in child.names}
        elif isinstance(child, ast.ImportFrom) and child.module:
            found.add(child.module.partition(".")[0])
    return found
