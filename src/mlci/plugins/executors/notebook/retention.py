"""Keeps the head and the tail of a cell's outputs, so that memory stays within the limit whatever is printed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nbformat.notebooknode import NotebookNode

_BLOCK = 4 * 1024  # smaller texts are gathered: a million lines are no million objects
_WORTH_CUTTING = 64 * 1024
_LINE = 1024  # a cut is moved to the end of a line that is no longer


@dataclass(eq=False)
class Text:
    """A piece of a stream."""

    name: str
    parts: list[str]
    size: int


@dataclass(eq=False)
class Rich:
    """Any other output; its node is gone once it was dropped."""

    node: Any
    size: int
    display_id: str | None = None
    in_head: bool = False

    @property
    def is_error(self) -> bool:
        """Whether it is a traceback, of which the last is kept whatever the limit."""
        return self.node is not None and bool(self.node["output_type"] == "error")


Piece = Text | Rich


class HeadAndTail:
    """Pieces in their order: all of them within the limit, else its first half and its last."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.dropped = 0  # bytes
        self._head: list[Piece] = []
        self._tail: deque[Piece] = deque()
        self._error: Rich | None = None  # one that lies where pieces were dropped
        self._head_size = 0
        self._tail_size = 0
        self._head_is_full = False

    @property
    def size(self) -> int:
        """Bytes kept."""
        return self._head_size + self._tail_size + (self._error.size if self._error else 0)

    @property
    def overflows(self) -> bool:
        """Whether `trim` has something to do."""
        return self._excess > 0

    @property
    def _excess(self) -> int:
        return self._head_size + self._tail_size - self.limit

    def add(self, piece: Piece) -> None:
        """Append a piece; the limit is kept by `trim`."""
        room = max(0, self.limit // 2 - self._head_size)
        if not self._head_is_full and piece.size > room:
            self._head_is_full = True
            if isinstance(piece, Text):
                first, rest = split("".join(piece.parts), room, back=True)
                size = byte_length(first)
                if first:
                    self._append_to_head(Text(piece.name, [first], size))
                piece = Text(piece.name, [rest], piece.size - size)
        if self._head_is_full:
            _append(self._tail, piece)
            self._tail_size += piece.size
        else:
            self._append_to_head(piece)

    def _append_to_head(self, piece: Piece) -> None:
        if isinstance(piece, Rich):
            piece.in_head = True
        _append(self._head, piece)
        self._head_size += piece.size

    def trim(self) -> Iterator[Piece]:
        """Drop what lies between head and tail; the pieces that are gone."""
        while self._tail and self._excess > 0:
            first = self._tail[0]
            if isinstance(first, Text) and first.size > self._excess:
                if self._excess > _WORTH_CUTTING:
                    gone, rest = split("".join(first.parts), self._excess, back=False)
                    first.parts = [rest]
                    size = byte_length(gone)
                    first.size -= size
                    self._tail_size -= size
                    self.dropped += size
                return
            self._tail.popleft()
            self._tail_size -= first.size
            lost: Piece | None = first
            if isinstance(first, Rich) and first.is_error:
                lost, self._error = self._error, first
            if lost is not None:
                self.dropped += lost.size
                yield lost

    def resize(self, piece: Rich, size: int) -> None:
        """A piece has changed."""
        change = size - piece.size
        piece.size = size
        if piece.in_head:
            self._head_size += change
        elif piece is not self._error:
            self._tail_size += change

    def pieces(self) -> list[Piece]:
        """What is kept."""
        return [*self._head, *([self._error] if self._error else []), *self._tail]

    def release(self) -> None:
        """Forget the pieces, not their size."""
        self._head, self._tail = [], deque()

    def rendered(self, more: Text | None, where: str) -> list[Any]:
        """The nodes of a notebook; `more` comes last, `where` says where all of it is if something was dropped."""
        tail: list[Piece] = [*self._tail, *([more] if more else [])]
        dropped = self.dropped
        if self._excess > 0 and tail and isinstance(tail[0], Text):
            gone, rest = split("".join(tail[0].parts), self._excess, back=False)
            tail[0] = Text(tail[0].name, [rest], 0)
            dropped += byte_length(gone)
        if not dropped:
            return _nodes([*self._head, *tail])
        last = self._head[-1] if self._head else None
        following = [*([self._error] if self._error else []), *tail]
        near = [piece.name for piece in (last, *following[:1]) if isinstance(piece, Text)]
        name = near[0] if near else "stderr"
        breaks = isinstance(last, Text) and not last.parts[-1].endswith("\n")
        mark = "\n" * breaks + f"[... {human(dropped)} left out here: {where} ...]\n"
        return _nodes([*self._head, Text(name, [mark], 0), *following])


def _append(pieces: list[Piece] | deque[Piece], piece: Piece) -> None:
    last = pieces[-1] if pieces else None
    if isinstance(piece, Text) and isinstance(last, Text) and last.name == piece.name and last.size < _BLOCK:
        last.parts += piece.parts
        last.size += piece.size
        if last.size >= _BLOCK:
            last.parts = ["".join(last.parts)]
    else:
        pieces.append(piece)


def _nodes(pieces: list[Piece]) -> list[Any]:
    nodes: list[Any] = []
    stream: list[str] = []
    name: str | None = None
    for piece in [*pieces, None]:
        if name is not None and not (isinstance(piece, Text) and piece.name == name):
            nodes.append(NotebookNode(output_type="stream", name=name, text="".join(stream)))
            name = None
        if isinstance(piece, Text):
            if name is None:
                name, stream = piece.name, []
            stream += piece.parts
        elif piece is not None:
            nodes.append(piece.node)
    return nodes


def byte_length(text: str) -> int:
    """The length in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def split(text: str, size: int, *, back: bool) -> tuple[str, str]:
    """`text` cut at about `size` bytes: never within a character, and where a line ends if one does near by.

    Args:
        text: What to cut.
        size: Where.
        back: Whether the line's end must lie before the cut, or after it.
    """
    at = size if text.isascii() else len(text.encode()[:size].decode("utf-8", "ignore"))
    line_end = text.rfind("\n", max(0, at - _LINE), at) if back else text.find("\n", at, at + _LINE)
    if 0 <= line_end < len(text) - 1:
        at = line_end + 1
    return text[:at], text[at:]


def human(size: int) -> str:
    """A size in bytes, such as "1.5 MiB"."""
    steps = min(3, max(0, size.bit_length() - 1) // 10)
    return f"{size / 1024**steps:.1f} {'KMG'[steps - 1]}iB" if steps else f"{size} byte{'s' * (size != 1)}"
