"""Shows what is running: one live line on a terminal, a group a run in CI, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from mlci.actions import Actions
from mlci.core.documents import RunResult
from mlci.plugins.executors.interface import Progress
from mlci.render.text import duration, plain

_REFRESH_S = 0.2
_WIDTH = 78


@dataclass
class Display:
    """The running commentary of `mlci run`, on stderr."""

    stream: TextIO
    actions: Actions
    live: bool  # a terminal that can rewrite its last line
    _drawn: float = field(default=0.0, init=False)
    _began: float = field(default=0.0, init=False)

    @contextmanager
    def running(self, label: str) -> Iterator[Callable[[Progress], None]]:
        """While one execution runs; the value takes its progress."""
        self._began = time.monotonic()
        with self.actions.group(label):
            if not self.live:
                self._line(f"{label}: running")
            yield lambda progress: self._progress(label, progress)
        if self.live:
            self._draw("")

    def done(self, label: str, result: RunResult) -> None:
        """One line on how it ended, and its error."""
        took = duration(result.duration_s)
        reason = f" ({plain(result.reason)})" if result.reason else ""
        self._line(f"{label}: {result.status}{reason}" + (f" in {took}" if result.duration_s else ""))
        if result.error:
            where = f"cell {result.error.cell}: " if result.error.cell else ""
            self._line(f"  {where}{plain(result.error.message)}")

    def note(self, line: str) -> None:
        """A line beside the runs."""
        self._line(plain(line))

    def _progress(self, label: str, progress: Progress) -> None:
        now = time.monotonic()
        if self.live and now - self._drawn >= _REFRESH_S:
            self._drawn = now
            last = plain((progress.text.strip().splitlines() or [""])[-1])
            where = f"cell {progress.cell}/{progress.cells}" if progress.cells else last
            self._draw(f"{label}: {duration(now - self._began)} {where}"[:_WIDTH])

    def _draw(self, text: str) -> None:
        self.stream.write(f"\r{text:<{_WIDTH}}\r" if not text else f"\r{text:<{_WIDTH}}")
        self.stream.flush()

    def _line(self, text: str) -> None:
        if self.live:
            self._draw("")
        with self.actions.inert():
            self.stream.write(f"{text}\n")
            self.stream.flush()
