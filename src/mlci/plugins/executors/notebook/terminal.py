"""Shows text as a terminal does: what a carriage return or a backspace goes back over is overpart."""

from __future__ import annotations

import re

_REWRITES = re.compile(r"[\r\b]")
_PARTS = re.compile(r"[\n\r\b]|\x1b\[[0-?]*[ -/]*[@-~]|\x1b|[^\n\r\b\x1b]+")
_ERASE = re.compile(r"\x1b\[([012]?)K")
_LONGEST_LINE = 64 * 1024  # columns
_LONGEST_STYLE = 256


class Terminal:
    """One line of a terminal: finished ones are handed out, the last can still be rewritten.

    Colours stay with the characters that they precede. A line of more than 64 Ki columns is handed out in pieces that
    cannot be rewritten, so that memory stays that of one line.
    """

    def __init__(self) -> None:
        self._cells: list[str] = []  # one a column
        self._column = 0
        self._style = ""  # escape sequences before the next character

    def feed(self, text: str) -> str:
        """Write `text`; what is finished by now."""
        if self._column == len(self._cells) and not self._style and not _REWRITES.search(text):
            lines, newline, last = text.rpartition("\n")
            finished = [self.take(), lines, newline] if newline else []
        else:
            finished, last = [], text
        for part in _PARTS.findall(last):
            if part == "\n":
                finished += self.take(), part
            elif part == "\r":
                self._end_style()
                self._column = 0
            elif part == "\b":
                self._end_style()
                self._column = max(0, self._column - 1)
            elif erase := _ERASE.fullmatch(part):
                self._erase(erase[1])
            elif part[0] == "\x1b":
                self._style += part
                finished += [self.take()] if len(self._style) > _LONGEST_STYLE else []
            else:
                finished += self._write(part)
        return "".join(finished)

    def peek(self) -> str:
        """The line as it stands."""
        return "".join(self._cells) + self._style

    def take(self) -> str:
        """The line as it stands, which then is finished."""
        line = self.peek()
        self._cells, self._column, self._style = [], 0, ""
        return line

    def _write(self, text: str) -> list[str]:
        if self._column + len(text) > _LONGEST_LINE:
            return [self.take(), text]
        cells = list(text)
        cells[0] = self._style + cells[0]
        self._style = ""
        self._cells[self._column : self._column + len(cells)] = cells
        self._column += len(cells)
        return []

    def _erase(self, what: str) -> None:
        if what in ("", "0", "2"):
            del self._cells[self._column :]
        if what in ("1", "2"):
            self._cells[: self._column] = " " * min(self._column, len(self._cells))

    def _end_style(self) -> None:
        """Going back: what changed the colour belongs to what was part last."""
        if self._column and self._style:
            self._cells[self._column - 1] += self._style
            self._style = ""
