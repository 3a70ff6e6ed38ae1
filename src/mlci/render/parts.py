"""What a report is made of: lines, tables and blocks, in which other people's words are marked as theirs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quoted:
    """Somebody else's words; every renderer makes them inert.

    Args:
        text: What they say.
        prose: It reads as a sentence, unlike a name, a path or a command.
    """

    text: str
    prose: bool = False


@dataclass(frozen=True)
class Drawn(Quoted):
    """A picture of characters, mlci's own; what it shows stands beside it in numbers."""


@dataclass(frozen=True)
class Link:
    """A link of mlci's own; the URL comes from the forge or the runner, or can be nothing but a workflow run's."""

    text: str
    url: str


Line = tuple[str | Quoted | Link, ...]


def said(text: str) -> Quoted:
    """A sentence of somebody else's, such as a reason."""
    return Quoted(text, prose=True)


@dataclass(frozen=True)
class Table:
    """Rows under headers."""

    headers: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]


@dataclass(frozen=True)
class Block:
    """Text of many lines, such as a traceback."""

    caption: Line
    text: str


@dataclass(frozen=True)
class Section:
    """One part below the fold."""

    title: str
    body: tuple[Line | Table | Block, ...]
