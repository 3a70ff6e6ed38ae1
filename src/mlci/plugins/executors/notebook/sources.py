"""Reads notebooks and percent scripts, and tells which parameters their code can receive."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mlci.errors import UsageError

_PARAMETERS = "parameters"


def load(path: Path) -> Any:  # noqa: ANN401 - nbformat publishes no types
    """The notebook at `path`, an .ipynb or a percent script, as an nbformat 4 node.

    Raises:
        UsageError: It is neither.
    """
    try:
        if path.suffix == ".py":
            import jupytext  # noqa: PLC0415 - heavy

            return jupytext.read(path)
        import nbformat  # noqa: PLC0415 - likewise

        return nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    except Exception as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"{path.name}: not a notebook: {first[:200]}") from None


def refused(cells: Iterable[Any], names: Iterable[str]) -> dict[str, str]:
    """Of `names`, those that the notebook's code would not receive, each with the reason.

    A parameter is received if the cell tagged `parameters` assigns it, or if code reads it before assigning it anew:
    papermill injects its cell after the tagged one, or on top, and a later assignment would silently win.
    """
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    tagged = next((i for i, cell in enumerate(code) if _PARAMETERS in cell["metadata"].get("tags", [])), None)
    declared = _stores(_parse(code[tagged]["source"])) if tagged is not None else set()
    after = [_parse(cell["source"]) for cell in code[(tagged + 1 if tagged is not None else 0) :]]
    reasons: dict[str, str] = {}
    for name in names:
        first = next((use for tree in after for use in [_first_use(tree, name)] if use), None)
        if first == "store":
            reasons[name] = f"a cell after the parameters assigns {name!r} again, so the value given would be lost"
        elif first is None:
            where = "after its parameters cell" if name in declared else "in the notebook"
            reasons[name] = f"no code {where} reads {name!r}"
    return reasons


def _parse(source: str) -> ast.Module | None:
    """The cell's syntax tree, magics and shell lines blanked; None for what is not Python."""
    lines = ["pass" if line.lstrip().startswith(("%", "!", "?")) else line for line in source.splitlines()]
    try:
        return ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError):
        return None


def _stores(tree: ast.Module | None) -> set[str]:
    return {
        node.id
        for node in (ast.walk(tree) if tree else ())
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _first_use(tree: ast.Module | None, name: str) -> str | None:
    if tree is None:
        return "load"  # cannot be read: the benefit of the doubt
    for statement in tree.body:
        uses = [node for node in ast.walk(statement) if isinstance(node, ast.Name) and node.id == name]
        if any(isinstance(node.ctx, ast.Load) for node in uses) or _in_string(statement, name):
            return "load"
        if uses:
            return "store"
    return None


def _in_string(statement: ast.stmt, name: str) -> bool:
    """Whether a string names the parameter, as `globals()["seed"]` and shell interpolation do."""
    return any(isinstance(node, ast.Constant) and node.value == name for node in ast.walk(statement))
