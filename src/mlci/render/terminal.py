"""The report on a terminal: the same words as the Markdown, without mark-up."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from mlci.core.documents import Comparison, Record
from mlci.render.report import Block, Line, Link, Meta, Quoted, Section, Table, build
from mlci.render.text import plain, printable

_COLOURS = {"pass": "\x1b[32m", "fail": "\x1b[31m", "warn": "\x1b[33m"}
_BOLD, _RESET = "\x1b[1m", "\x1b[0m"


def report(comparison: Comparison, records: Sequence[Record], *, meta: Meta, colour: bool) -> str:
    """The report as plain text, with colours if the reader can show them."""
    built = build(comparison, records, meta)
    name = "mlci" if meta.id == "main" else f"mlci {plain(meta.id)}"
    head = f"{name}: {built.headline}"
    lines = [f"{_BOLD}{_COLOURS[built.mark]}{head}{_RESET}" if colour else head]
    lines += [f"- {_inline(point)}" for point in built.points]
    lines += [_inline(line) for line in built.footer]
    return "\n".join(
        [*lines, *(text for section in built.sections for text in ("", *_section(section, colour=colour)))]
    )


def _inline(line: Line) -> str:
    return "".join(map(_part, line))


def _part(part: str | Quoted | Link) -> str:
    if isinstance(part, Link):
        return f"{part.text} ({plain(part.url)})"
    return plain(part.text) if isinstance(part, Quoted) else part


def _section(section: Section, *, colour: bool) -> list[str]:
    lines = [f"{_BOLD}{section.title}{_RESET}" if colour else section.title]
    for item in section.body:
        if isinstance(item, Table):
            rows = [[_inline(cell) for cell in row] for row in item.rows]
            table = tabulate(rows, headers=item.headers, tablefmt="simple", disable_numparse=True)
            lines += [f"  {row}".rstrip() for row in table.splitlines()]
        elif isinstance(item, Block):
            lines += [
                f"  {_inline(item.caption)}",
                *(f"    {row}" for row in printable(item.text).splitlines()),
            ]
        else:
            lines.append(f"  {_inline(item)}")
    return lines
