"""The report as GitHub Markdown, in which nobody else's words can be more than words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tabulate import tabulate

from mlci.core.documents import Comparison, Record
from mlci.render.parts import Drawn
from mlci.render.report import Block, Line, Link, Meta, Quoted, Report, Section, Table, build
from mlci.render.text import plain, printable

_MARKS = {"pass": "✅", "fail": "❌", "warn": "⚠️"}
_URL = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&*+,;=%-]+")
_TICKS = re.compile(r"`+")
# Words that mean only themselves in Markdown: no mark-up, no mention, no reference, no address to link.
_HARMLESS = re.compile(r"(?!.*www\.)(?:[^\W_]|[ .,;()%+−→–'=-]|:(?!\w|/))*")


def report(comparison: Comparison, records: Sequence[Record], *, meta: Meta) -> str:
    """The Markdown of `.mlci/report.md`, of the job summary and of the comment.

    Args:
        comparison: What to report.
        records: What was compared.
        meta: What else to say.
    """
    built = build(comparison, records, meta)
    return "\n\n".join([fold(built, meta), *map(section, built.sections)]) + "\n"


def inline(line: Line) -> str:
    """A line with other people's words in code spans."""
    return "".join(map(_part, line))


def link(text: str, url: str) -> str:
    """A link, or only its text where the URL holds what could end it early."""
    return f"[{text}]({url})" if _URL.fullmatch(url) else text


def code(text: str) -> str:
    """A code span that holds `text` whole, whatever back-ticks are in it."""
    text = plain(text)
    longest = max(map(len, _TICKS.findall(text)), default=0)
    ticks = "`" * (longest + 1)
    pad = " " if not text or text[0] == "`" or text[-1] == "`" else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def fence(text: str) -> str:
    """A code block that holds `text` whole."""
    text = printable(text)
    longest = max(map(len, _TICKS.findall(text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}text\n{text}\n{ticks}"


def _part(part: str | Quoted | Link) -> str:
    if isinstance(part, Link):
        return link(part.text, part.url)
    if isinstance(part, Drawn):
        # A code span, which screen readers do not spell out.
        return f'<code aria-hidden="true">{part.text}</code>'
    return _quoted(part) if isinstance(part, Quoted) else part


def _quoted(part: Quoted) -> str:
    text = plain(part.text)
    return text if part.prose and _HARMLESS.fullmatch(text) else code(text)


def fold(built: Report, meta: Meta) -> str:
    """What everybody reads: the verdict, what got worse, where to look."""
    name = "mlci" if meta.id == "main" else f"mlci {code(meta.id)}"
    lines = [f"### {_MARKS[built.mark]} {name}: {built.headline}"]
    lines += [f"- {inline(point)}" for point in built.points]
    # A blank line ends the list; two blanks at the end of a line keep the footer's lines apart.
    footer = "  \n".join(inline(line) for line in built.footer)
    return "\n".join([*lines, *([""] if built.points else []), footer])


def section(section: Section) -> str:
    """One part, folded away."""
    blocks: list[str] = []
    bullets: list[str] = []
    for item in section.body:
        if isinstance(item, Table):
            blocks.append(_table(item))
        elif isinstance(item, Block):
            blocks += [inline(item.caption), fence(item.text)]
        else:
            bullets.append(f"- {inline(item)}")
    body = "\n\n".join([*blocks, *(["\n".join(bullets)] if bullets else [])])
    return f"<details><summary>{section.title}</summary>\n\n{body}\n\n</details>"


def _table(table: Table) -> str:
    rows = [[_cell(cell) for cell in row] for row in table.rows]
    return tabulate(rows, headers=table.headers, tablefmt="github", disable_numparse=True)


def _cell(parts: Iterable[str | Quoted | Link]) -> str:
    # In a cell a bar ends the cell even within code, unless a backslash stands before it.
    return inline(tuple(parts)).replace("|", "\\|")
