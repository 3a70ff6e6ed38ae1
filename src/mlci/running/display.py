"""Shows what is running: one live line on a terminal, a group a run in CI, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TextIO

from mlci.actions import Actions
from mlci.core.documents import RunResult
from mlci.plugins.executors.interface import Progress
from mlci.render.text import duration, plain
from mlci.running.excerpt import Excerpt
from mlci.running.spoken import Spoken

_REFRESH_S = 0.2
_WIDTH = 78
_MAX_GROUP = 2_000_000  # characters of one run that are kept until it ends


@dataclass
class _Watched:
    """One execution that runs."""

    began: float
    where: str = ""
    spoken: Spoken = field(default_factory=Spoken)
    head: list[str] = field(default_factory=list)  # of what is printed when it ends
    rest: Excerpt[str] = field(default_factory=lambda: Excerpt(_MAX_GROUP))


@dataclass
class Display:
    """The running commentary of `mlci run`.

    Args:
        stream: Where it goes.
        actions: Whether it goes to a runner, and how.
        live: Whether that is a terminal that can rewrite its last line.
        parallel: Whether several executions can run at once.
        follow: Whether what they print is shown; on a runner it always is.
    """

    stream: TextIO
    actions: Actions
    live: bool
    parallel: bool = False
    follow: bool = False
    waiting: int = field(default=0, init=False)  # executions whose turn has not come
    _watched: dict[str, _Watched] = field(default_factory=dict, init=False)
    _group: ExitStack = field(default_factory=ExitStack, init=False)
    _drawn: float = field(default=0.0, init=False)

    def start(self, label: str) -> None:
        """An execution begins."""
        self._watched[label] = _Watched(time.monotonic())
        if not self.parallel:
            self._group.enter_context(self.actions.group(label))
            self._group.enter_context(self.actions.inert())
        if not self.live:
            self._lines([f"{label}: running"])

    def progress(self, label: str, progress: Progress) -> None:
        """Where it is, and what it has printed since."""
        watched = self._watched[label]
        lines = list(watched.spoken.feed(progress))
        if self.follow or self.actions.enabled:
            self._tell(label, watched, lines)
        watched.where = f"cell {progress.cell}/{progress.cells}" if progress.cells else plain(watched.spoken.last)

    def tick(self) -> None:
        """Draw the live line anew, if it is time."""
        now = time.monotonic()
        if self.live and self._watched and now - self._drawn >= _REFRESH_S:
            self._drawn = now
            self._draw(self._summary(now))

    def close(self) -> None:
        """Whatever has happened, what comes next stands in no group."""
        self._group.close()
        if self.live:
            self._draw("")

    def done(self, label: str, result: RunResult) -> None:
        """How it ended, and its error; or that it was never begun."""
        watched = self._watched.pop(label, None)
        if watched and (self.follow or self.actions.enabled):
            self._tell(label, watched, watched.spoken.end())
        took = f" in {duration(result.duration_s)}" if result.duration_s else ""
        reason = f" ({plain(result.reason)})" if result.reason else ""
        lines = [*(f"{label}: {plain(note)}" for note in result.notes), f"{label}: {result.status}{reason}{took}"]
        if result.error and result.error.message != result.reason:
            where = f"cell {result.error.cell}: " if result.error.cell else ""
            lines.append(f"  {where}{plain(result.error.message)}")
        if watched and self._grouped:
            with self.actions.group(label), self.actions.inert():
                omitted = watched.rest.omitted_count
                said = [f"[... {omitted} lines left out here ...]"] if omitted else []
                self._lines([*watched.head, *said, *watched.rest.tail, *lines])
        else:
            self._lines(lines)
        self._group.close()

    @property
    def _grouped(self) -> bool:
        """Whether what a run says is printed when it has ended, for others say something meanwhile."""
        return self.parallel and self.actions.enabled

    def _tell(self, label: str, watched: _Watched, lines: Iterable[str]) -> None:
        if self._grouped:
            watched.head += [line for line in lines if watched.rest.add(line, len(line) + 1)]
        else:
            self._lines([f"{label} | {line}" for line in lines] if self.parallel else list(lines))

    def _summary(self, now: float) -> str:
        waiting = [f"{self.waiting} waiting"] if self.waiting else []
        each = [f"{label} {watched.where}".strip() for label, watched in self._watched.items()]
        if len(each) > 1:
            return f"{len(each)} running: {', '.join([*each, *waiting])}"
        [(label, watched)] = self._watched.items()
        return ", ".join([f"{label}: {duration(now - watched.began)} {watched.where}".strip(), *waiting])

    def _draw(self, text: str) -> None:
        line = f"{text[:_WIDTH]:<{_WIDTH}}"
        self.stream.write(f"\r{line}" if text else f"\r{line}\r")
        self.stream.flush()

    def _lines(self, lines: list[str]) -> None:
        if not lines:
            return
        if self.live:
            self._draw("")
        with self.actions.inert():
            self.stream.write("".join(f"{line}\n" for line in lines))
            self.stream.flush()
