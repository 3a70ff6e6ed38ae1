"""Cuts cells into statements, each with its comments, its place in the notebook and what it binds."""

from __future__ import annotations

import ast
import dataclasses
import io
import tokenize
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from mlci.exporting.findings import Findings
from mlci.exporting.magics import Translated, translate
from mlci.exporting.names import Uses, uses
from mlci.exporting.reading import Cell

_FLAGS = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


@dataclass(eq=False)
class Statement:
    """One statement at the top of a cell; compared by identity."""

    cell: Cell
    line: int  # of the cell
    code: str  # from column 0, without the comments above it
    node: ast.stmt
    comments: str = ""  # whole lines above it
    guarded: bool = False  # it may never be reached though the notebook goes on
    apart: bool = False  # an empty line stands above it
    ours: bool = False  # no cell says it: it chooses a backend without a display
    uses: Uses = field(default_factory=Uses)

    def changed(self, code: str) -> Statement:
        """The same statement in other words."""
        [node] = parsed(code).body
        return dataclasses.replace(self, code=code, node=node, uses=uses(node))


@dataclass(eq=False)
class Block:
    """A cell as statements."""

    cell: Cell
    statements: list[Statement]
    captured: bool = False
    interactive: bool = False
    trailing: str = ""  # comments below the last statement


def parsed(text: str) -> ast.Module:
    """The syntax tree of a cell, in which `await` may stand anywhere.

    Raises:
        SyntaxError: It is no Python.
    """
    tree = compile(text, "cell", "exec", _FLAGS, dont_inherit=True)
    assert isinstance(tree, ast.Module)  # noqa: S101 - of these flags
    return tree


def blocks(cells: Iterable[Cell], findings: Findings, *, allow: bool) -> Iterator[Block]:
    """The code cells as blocks of statements; what is no Python is refused."""
    code = [cell for cell in cells if cell.code]
    known = _names_of(code)
    for cell in code:
        translated = translate(cell, known, findings, allow=allow)
        try:
            tree = parsed(translated.text)
        except (SyntaxError, ValueError) as error:
            at = getattr(error, "lineno", None) or 1
            line = translated.lines[min(at, len(translated.lines)) - 1] if translated.lines else 1
            said = getattr(error, "msg", str(error))
            source = (cell.source.split("\n") or [""])[line - 1]
            remedy = "Correct the cell, or tag it skip-export."
            findings.refuse(cell.number, line, source.strip() or "this cell", f"no Python: {said}", remedy)
            continue
        except (RecursionError, MemoryError):
            findings.refuse(cell.number, 1, "this cell", "too deeply nested", "Simplify it.")
            continue
        yield _block(cell, translated, tree)


def _block(cell: Cell, translated: Translated, tree: ast.Module) -> Block:
    lines = translated.text.split("\n")
    guarded = "raises-exception" in cell.tags
    found: list[Statement] = []
    at = 1  # the first line that no statement has taken
    for place, node in enumerate(tree.body):
        first = min([node.lineno, *(item.lineno for item in getattr(node, "decorator_list", []))])
        last = node.end_lineno or first
        shares = [
            other
            for other in (tree.body[place - 1] if place else None, *tree.body[place + 1 : place + 2])
            if other is not None and not (other.end_lineno or 0) < first and not other.lineno > last
        ]
        comments = "\n".join(lines[at - 1 : first - 1]).strip("\n") if first > at else ""
        if shares or ";" in lines[last - 1][_column(lines[last - 1], node.end_col_offset or 0) :].partition("#")[0]:
            text = ast.get_source_segment(translated.text, node) or ""
        else:
            text = "\n".join(lines[first - 1 : last]).rstrip()
        [own] = parsed(text).body  # its positions are those in its own text
        apart = bool(found) and first > at and not all(line.strip() for line in lines[at - 1 : first - 1])
        line = translated.lines[first - 1]
        found.append(Statement(cell, line, text, own, _only_comments(comments), guarded, apart, uses=uses(own)))
        at = max(at, last + 1)
    return Block(
        cell, found, translated.captured, translated.interactive, _only_comments("\n".join(lines[at - 1 :]).strip("\n"))
    )


def _column(line: str, offset: int) -> int:
    """The position of a byte of UTF-8."""
    return len(line.encode()[:offset].decode(errors="ignore"))


def _only_comments(text: str) -> str:
    return "\n".join(line.strip() if line.strip().startswith("#") else "" for line in text.split("\n")).strip("\n")


def _names_of(cells: Iterable[Cell]) -> set[str]:
    """Every name that some cell binds, as far as its Python can be read: what shell lines can fill in."""
    found: set[str] = set()
    for cell in cells:
        silent = Findings()
        text = translate(cell, (), silent, allow=True).text
        try:
            tree = parsed(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in tree.body:
            found |= uses(node).binds
    return found


def indented(code: str, by: str = "    ") -> str:
    """The code further in, but for what stands within strings.

    Raises:
        ValueError: It would not mean the same there.
    """
    inside = _inside_strings(code)
    lines = code.split("\n")
    moved = "\n".join(
        line if number in inside or not line.strip() else by + line for number, line in enumerate(lines, 1)
    )
    if ast.dump(_body(f"if 1:\n{moved}")) != ast.dump(_body(f"if 1:\n pass\n{code}", 1)):
        raise ValueError("it cannot be indented")
    return moved


def _body(text: str, start: int = 0) -> ast.Module:
    tree = parsed(text)
    first = tree.body[0]
    assert isinstance(first, ast.If)  # noqa: S101 - as written above
    return ast.Module(tree.body[1:] if start else first.body, [])


def _inside_strings(code: str) -> Collection[int]:
    """The lines that begin within a string."""
    found: set[int] = set()
    opened: list[int] = []
    for token in tokenize.generate_tokens(io.StringIO(code + "\n").readline):
        name = tokenize.tok_name[token.type]
        if name == "STRING":
            found.update(range(token.start[0] + 1, token.end[0] + 1))
        elif name in ("FSTRING_START", "TSTRING_START"):
            opened.append(token.start[0])
        elif name in ("FSTRING_END", "TSTRING_END"):
            found.update(range(opened.pop() + 1, token.end[0] + 1))
    return found
