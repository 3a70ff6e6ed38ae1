"""What an execution prints, as harmless whole lines for somebody who watches: head and tail of each cell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mlci.plugins.executors.interface import Progress
from mlci.render.text import printable, size
from mlci.running.excerpt import Excerpt

_CELL_SIZE, _CELL_LINES = 20_000, 200
_LOG_SIZE = 4_000_000  # of a script or command, whose lines are the only sign of life
_MAX_LINE = 4_000
_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")  # to a terminal, such as a colour


@dataclass
class Spoken:
    """Turns the progress of one execution into lines."""

    last: str = field(default="", init=False)  # what a reader has seen last, be it a progress bar that still moves
    _cell: int = field(default=0, init=False)
    _partial: str = field(default="", init=False)
    _excerpt: Excerpt[str] = field(default_factory=lambda: Excerpt(_LOG_SIZE), init=False)

    def feed(self, progress: Progress) -> Iterator[str]:
        """The lines that can be shown now."""
        if progress.cell != self._cell:
            yield from self.end()
            self._cell = progress.cell
            self._excerpt = Excerpt(_CELL_SIZE, _CELL_LINES)
            yield f"cell {progress.cell}/{progress.cells}"
        *lines, partial = (self._partial + progress.text).split("\n")
        for line in lines:
            yield from self._shown(line)
        if "\r" in partial[:-1]:  # a progress bar is one line that is written over and over
            self.last = harmless(_last_state(partial))
            partial = _last_state(partial) + "\r" * partial.endswith("\r")
        self._partial = partial[-_MAX_LINE:]

    def end(self) -> Iterator[str]:
        """What was held back."""
        if self._partial:
            yield from self._shown(self._partial)
            self._partial = ""
        if self._excerpt.omitted_count:
            where = "the executed notebook has them" if self._cell else "the log has them"
            omitted = f"{self._excerpt.omitted_count} lines, {size(self._excerpt.omitted)}"
            yield f"[... {omitted} left out here: {where} ...]"
        yield from self._excerpt.tail
        self._excerpt.tail.clear()

    def _shown(self, line: str) -> Iterator[str]:
        text = harmless(_last_state(line))
        self.last = text if text.strip() else self.last
        if self._excerpt.add(text, len(text) + 1):
            yield text


def harmless(line: str) -> str:
    """A line without commands to a terminal or a runner; its indentation stays."""
    # The runner takes ##[...] for a command anywhere in a line.
    text = printable(_ESCAPE.sub("", line)).replace("##[", "## [")
    return text if len(text) <= _MAX_LINE else f"{text[: _MAX_LINE - 1]}…"


def _last_state(line: str) -> str:
    """What is seen of a line whose beginning was written over."""
    return line.rstrip("\r").rpartition("\r")[2]
