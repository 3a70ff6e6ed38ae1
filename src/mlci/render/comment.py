"""The report cut to what one comment holds: the verdict always, sections while there is room, the marker last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from mlci.core.documents import Comparison, Record
from mlci.core.marker import Marker
from mlci.render import markdown
from mlci.render.exhibition import TITLE as PICTURES
from mlci.render.report import Meta, Section, Table, build
from mlci.render.text import counted

LIMIT = 65_536  # characters of a comment on GitHub
CHECK_LIMIT = 65_535  # bytes of a check run's summary
_RESERVE = 1_000  # for what is said of sections left out
_SHORTEST_ROW = 20  # characters
# In the order in which room is given; what is not named here comes after, in the report's order.
_PRIORITY = ("Gated metrics", "Runs", "Tracebacks", "Changed since the baseline", PICTURES, "Other metrics", "Skipped")

_Fitted = tuple[str | None, bool]  # what fits, and whether that is all


def comment(
    comparison: Comparison,
    records: Sequence[Record],
    *,
    meta: Meta,
    marker: Marker | None,
    limit: int = LIMIT,
    pictures: str | None = None,
) -> str:
    """The Markdown of a comment of at most `limit` characters, as GitHub counts them (UTF-16 units).

    Sections that do not fit are shortened where they are tables and left out where not, the less important first; a
    line says which, and links to the workflow run. Every fence and `<details>` that is opened is closed.

    Args:
        comparison: What to report.
        records: What was compared.
        meta: What else to say.
        marker: Who says it; the last line.
        limit: How long it may be.
        pictures: The section of pictures, or what stands in its place.
    """
    built = build(comparison, records, meta)
    head = markdown.fold(built, meta)
    last = f"\n\n{marker}\n" if marker else "\n"
    room = limit - _length(head) - _length(last) - _RESERVE
    offered: dict[str, Callable[[int], _Fitted]] = {PICTURES: partial(_whole, pictures)} if pictures else {}
    offered |= {section.title: partial(_fitting, section) for section in built.sections}
    kept: dict[str, str] = {}
    left_out: list[str] = []
    for title in sorted(offered, key=_rank):
        text, complete = offered[title](room - 2)
        if text is not None:
            kept[title] = text
            room -= _length(text) + 2
        if not complete:
            left_out.append(title if text is None else f"part of {title}")
    shown = [kept[title] for title in offered if title in kept]
    note = [_left_out(left_out, meta)] if left_out else []
    return "\n\n".join([head, *shown, *note]) + last


def nothing_measured(reason: str, *, meta: Meta, marker: Marker) -> str:
    """The Markdown of a comment where a run left no record to report."""
    where = f" See {markdown.link('the workflow run', meta.run_url)}." if meta.run_url else ""
    name = "mlci" if meta.id == "main" else f"mlci {markdown.code(meta.id)}"
    return f"### ❌ {name}: nothing was measured\n\n{markdown.code(reason)}{where}\n\n{marker}\n"


def _whole(text: str, room: int) -> _Fitted:
    return (text, True) if _length(text) <= room else (None, False)


def _fitting(section: Section, room: int) -> _Fitted:
    """As much of a section as fits, and whether that is all of it."""
    text = markdown.section(section)
    if _length(text) <= room:
        return text, True
    tables = [item for item in section.body if isinstance(item, Table)]
    if len(tables) != len(section.body) or len(tables) != 1:
        return None, False
    low, high = 0, min(len(tables[0].rows), max(0, room) // _SHORTEST_ROW)
    while low < high:  # the most rows that fit
        middle = (low + high + 1) // 2
        if _length(markdown.section(_first_rows(section, tables[0], middle))) <= room:
            low = middle
        else:
            high = middle - 1
    return (markdown.section(_first_rows(section, tables[0], low)), False) if low else (None, False)


def _first_rows(section: Section, table: Table, count: int) -> Section:
    more = counted(len(table.rows) - count, "more row")
    return Section(section.title, (replace(table, rows=table.rows[:count]), (f"and {more}",)))


def _left_out(titles: Sequence[str], meta: Meta) -> str:
    where = markdown.link("the workflow run's summary", meta.run_url) if meta.run_url else "the report in `.mlci/`"
    return f"Left out for length: {', '.join(titles)}. All of it is in {where}."


def _rank(title: str) -> int:
    return next((rank for rank, name in enumerate(_PRIORITY) if title.startswith(name)), len(_PRIORITY))


def _length(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
