"""Decides when a kernel must stop, and how: an interrupt, so that a traceback shows where it was; stacks; a kill."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mlci.plugins.executors.interface import Deadlines
from mlci.plugins.executors.notebook.kernel import Kernel

_INTERRUPT_GRACE_S, _DUMP_GRACE_S = 2.0, 1.0
_TICK_S = 0.2


@dataclass
class Watch:
    """Over one kernel.

    Args:
        deadlines: Of the run, a cell, and silence.
        cancelled: Whether mlci itself was told to stop.
        last_active: When the process tree last used CPU time, by the monotonic clock.
    """

    deadlines: Deadlines = field(default_factory=Deadlines)
    cancelled: Callable[[], bool] = lambda: False
    last_active: Callable[[], float] = lambda: 0.0
    reason: str | None = field(default=None, init=False)  # run, cell, silence or cancelled, once it must stop
    killed: bool = field(default=False, init=False)
    _began: float = field(default_factory=time.monotonic, init=False)
    _cell_began: float = field(default_factory=time.monotonic, init=False)
    _heard: float = field(default_factory=time.monotonic, init=False)
    _next_step_at: float = field(default=0.0, init=False)
    _steps: list[tuple[Callable[[Kernel], None], float]] = field(default_factory=list, init=False)

    def begin(self) -> None:
        """The run begins now."""
        self._began = self._heard = time.monotonic()

    def begin_cell(self) -> None:
        """A cell begins now."""
        self._cell_began = self._heard = time.monotonic()

    def heard(self) -> float:
        """The kernel has said something; the time by the monotonic clock."""
        self._heard = time.monotonic()
        return self._heard

    @property
    def stopping(self) -> bool:
        """Whether no further cell may start."""
        if self.reason is None:
            self._judge(time.monotonic())
        return self.reason is not None

    @property
    def pause(self) -> float:
        """Seconds until the next look."""
        limits = [limit for limit in (self.deadlines.run_s, self.deadlines.cell_s) if limit is not None]
        return min([_TICK_S, *limits])

    def look(self, kernel: Kernel) -> None:
        """Do what is due."""
        now = time.monotonic()
        if self.reason is None:
            self._judge(now)
        if self._steps and now >= self._next_step_at:
            step, grace_s = self._steps.pop(0)
            step(kernel)
            self._next_step_at = now + grace_s

    def describe(self) -> str:
        """Why it was stopped, in words."""
        limits = {
            "run": f"still running after {self.deadlines.run_s:g} s" if self.deadlines.run_s is not None else "",
            "cell": f"the cell was still running after {self.deadlines.cell_s:g} s"
            if self.deadlines.cell_s is not None
            else "",
            "silence": f"silent for {self.deadlines.silence_s:g} s: no output and no CPU use"
            if self.deadlines.silence_s is not None
            else "",
            "cancelled": "mlci was told to stop",
        }
        return limits[self.reason or "cancelled"]

    def _judge(self, now: float) -> None:
        limits = self.deadlines
        if self.cancelled():
            self.reason = "cancelled"
        elif limits.run_s is not None and now - self._began >= limits.run_s:
            self.reason = "run"
        elif limits.cell_s is not None and now - self._cell_began >= limits.cell_s:
            self.reason = "cell"
        elif limits.silence_s is not None and now - max(self._heard, self.last_active()) >= limits.silence_s:
            self.reason = "silence"
        if self.reason is not None:
            dump = [] if self.reason == "cancelled" else [(_dump_stacks, _DUMP_GRACE_S)]
            self._steps = [(Kernel.interrupt, _INTERRUPT_GRACE_S), *dump, (self._kill, 0.0)]

    def _kill(self, kernel: Kernel) -> None:
        self.killed = True
        kernel.kill()


def _dump_stacks(kernel: Kernel) -> None:
    kernel.send_signal(signal.SIGABRT)
