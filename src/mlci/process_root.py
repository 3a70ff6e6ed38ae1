"""The root of a supervised process tree: what it says is handed on, its end is noticed, it is asked to stop."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from mlci.metering import Meter

_POLL_S = 0.02  # where the end of a process cannot be waited for together with its output
_LAST_S = 5.0  # for what was killed to go, and for its last words to be read
_CHUNK = 65536


@dataclass(frozen=True)
class StopStep:
    """One step of ending a tree politely: send `signal` to its process group, wait up to `grace_s`."""

    signal: signal.Signals
    grace_s: float


# SIGINT first, so that Python shows where it was; at SIGABRT its fault handler, if enabled, dumps all threads' stacks.
AT_DEADLINE = (StopStep(signal.SIGINT, 2.0), StopStep(signal.SIGABRT, 1.0))
AT_CANCELLATION = (StopStep(signal.SIGINT, 2.0), StopStep(signal.SIGTERM, 1.0))


class Root:
    """The root of a supervised tree; within the block its output is handed on, in the caller's thread.

    Args:
        process: The root, a child of this process, its output a pipe.
        meter: The meter of its tree.
        on_output: Receives the output, in chunks.
    """

    def __init__(self, process: subprocess.Popen[bytes], meter: Meter, on_output: Callable[[bytes], None]) -> None:
        assert process.stdout is not None  # noqa: S101 - opened as a pipe
        self.last_output = time.monotonic()
        self._process, self._meter, self._on_output = process, meter, on_output
        self._stdout = process.stdout
        self._open = True
        self._poll = select.poll()
        self._poll.register(self._stdout, select.POLLIN)
        self._alarm: int | None = None
        # Where there is no such descriptor, or where the kernel refuses it, the root is asked again and again.
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                self._alarm = os.pidfd_open(process.pid)
                self._poll.register(self._alarm, select.POLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stdout.close()
        if self._alarm is not None:
            os.close(self._alarm)

    def ended(self, within_s: float) -> bool:
        """Wait up to `within_s` for the root to end, handing on its output."""
        deadline = time.monotonic() + within_s
        while not self._reap():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._listen(left if self._alarm is not None else min(left, _POLL_S))
        return True

    def stop(self, steps: Sequence[StopStep]) -> None:
        """Take the steps until the root has ended; after the last one everything is killed."""
        for step in steps:
            if step.signal == signal.SIGABRT:
                self._forbid_core_dumps()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, step.signal)
            if self.ended(within_s=step.grace_s):
                return
        self._meter.tree.kill()
        self.ended(within_s=_LAST_S)

    def finish(self) -> int:
        """End what there still is of the tree and read what it has said; how many processes outlived the root."""
        if self._process.returncode is None:
            self._meter.tree.kill()
            if not self.ended(within_s=_LAST_S):
                self._process.returncode = -signal.SIGKILL  # it stays in the kernel until that lets go of it
        leftovers = self._meter.tree.end_leftovers()
        deadline = time.monotonic() + _LAST_S
        while self._open and (left := deadline - time.monotonic()) > 0:
            self._listen(left)
        return leftovers

    def _listen(self, within_s: float) -> None:
        for descriptor, _ in self._poll.poll(within_s * 1000):
            if descriptor == self._alarm:
                self._poll.unregister(descriptor)
            elif chunk := os.read(descriptor, _CHUNK):
                self.last_output = time.monotonic()
                self._on_output(chunk)
            else:
                self._poll.unregister(descriptor)
                self._open = False

    def _reap(self) -> bool:
        if self._process.returncode is None:
            pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
            if pid:
                self._process.returncode = os.waitstatus_to_exitcode(status)
                self._meter.closed(usage)
        return self._process.returncode is not None

    def _forbid_core_dumps(self) -> None:
        """A dump of a large process takes longer than its grace, and nobody asked for the file."""
        if sys.platform == "linux":
            import resource  # noqa: PLC0415 - does not exist on Windows

            for process in self._meter.tree.glance():
                with contextlib.suppress(OSError):
                    resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
