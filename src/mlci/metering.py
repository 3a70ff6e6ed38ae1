"""Meters what the process tree of a run uses, at less than a hundredth of a core."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mlci.core.documents import Resources
from mlci.gpu import Gpus
from mlci.process_memory import peak_resident, proportional, reset_peak
from mlci.process_tree import Key, Process, Tree

if TYPE_CHECKING:
    import resource

_PERIOD_S = 0.2
_FIRST_PERIOD_S = 0.01  # what is over at once is metered as well
_RARE_PERIOD_S = 1.0  # what is costly, or what the driver itself renews no sooner
_COSTS_PER_PAUSE = 300  # each of the three kinds of samples rests so many times as long as it took
_BUSY = 0.02  # of a core: below that a program that waits looks at its clocks and sockets
_BUSY_OVER_S = 1.0
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Usage:
    """What a tree used for a while."""

    cpu_s: float
    peak_memory_bytes: int  # resident


class Meter:
    """Meters a process tree, from a thread of its own, while the block lasts.

    Args:
        root: The pid of the root.
        meter_root: Whether the root itself counts, and not only what it starts.
        tree: The tree of that root, if somebody has it already.
    """

    def __init__(self, root: int, *, meter_root: bool = True, tree: Tree | None = None) -> None:
        self.tree = Tree(root) if tree is None else tree
        self._root, self._meter_root = root, meter_root
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mlci-meter", daemon=True)
        self._cpu = _Cpu(root)
        self._resident = self._peak = self._lap_peak = 0
        self._lap_cpu_s = self._compared_cpu_s = 0.0
        self._peak_pss: int | None = None
        self._gpus = Gpus()
        self._gpu_memory: int | None = None
        self._gpu_utilisation: float | None = None
        self._gpu_samples = 0
        self._inherited = _own_peak_resident()
        self._began = self._sampled = self._active = self._compared = time.monotonic()

    def __enter__(self) -> Self:
        if self._meter_root:
            reset_peak(self._root)
        self.sample()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join()

    @property
    def cpu_s(self) -> float:
        """CPU seconds of the tree so far, user and system."""
        return self._cpu.total_s

    def sample(self) -> None:
        """Look at the whole tree now."""
        with self._lock:
            self._take(self.tree.sample())
            self._sampled = time.monotonic()

    def lap(self) -> Usage:
        """What was used since the last lap; a process that no sample has met yet counts later, or with its parent."""
        with self._lock:
            self._take(self.tree.glance())
            usage = Usage(self._cpu.total_s - self._lap_cpu_s, self._lap_peak)
            self._lap_cpu_s, self._lap_peak = self._cpu.total_s, self._resident
            if self._meter_root:
                reset_peak(self._root)
        return usage

    def last_active(self) -> float:
        """When, on the monotonic clock, the tree last used a noticeable part of a core."""
        if time.monotonic() - self._sampled > _BUSY_OVER_S:
            self.sample()
        return self._active

    def closed(self, usage: resource.struct_rusage) -> None:
        """Take what the system says of the root, for which its owner has waited."""
        with self._lock:
            self._take(self.tree.sample(), root_cpu_s=usage.ru_utime + usage.ru_stime)
            # A child inherits the peak of the process that forked it: only a higher one is its own. Of one that was
            # never seen alive it is at least a bound.
            if self._meter_root and (usage.ru_maxrss > self._inherited or not self._peak):
                self._held(usage.ru_maxrss * _MAXRSS_UNIT)

    def total(self) -> Resources:
        """What was used so far."""
        return Resources(
            cpu_s=self._cpu.total_s,
            peak_memory_bytes=self._peak,
            peak_pss_bytes=self._peak_pss,
            gpu_memory_bytes=self._gpu_memory,
            gpu_utilisation=None if self._gpu_utilisation is None else self._gpu_utilisation / self._gpu_samples,
        )

    def _run(self) -> None:
        start = time.monotonic()
        kinds = [_Paced(self._look, start), _Paced(self._weigh, start + _PERIOD_S)]
        with self._gpus:
            if self._gpus:
                kinds.append(_Paced(self._look_at_gpus, start + _PERIOD_S))
            while not self._closing.wait(max(0.0, min(kind.due for kind in kinds) - time.monotonic())):
                for kind in kinds:
                    if kind.due <= time.monotonic():
                        kind.take()

    def _look(self) -> float:
        if time.monotonic() - self._began >= _PERIOD_S:
            self.sample()
            return _PERIOD_S
        with self._lock:
            self._take(self.tree.glance())
        return _FIRST_PERIOD_S

    def _weigh(self) -> float:
        shares = [proportional(process.pid) for process in self._counted(self.tree.glance())]
        if any(shares):
            self._peak_pss = max(self._peak_pss or 0, sum(share or 0 for share in shares))
        return _RARE_PERIOD_S

    def _look_at_gpus(self) -> float:
        use = self._gpus.used_by({process.pid for process in self._counted(self.tree.glance())})
        self._gpu_samples += 1
        if use:
            self._gpu_memory = max(self._gpu_memory or 0, use.memory_bytes)
            if use.utilisation is not None:
                self._gpu_utilisation = (self._gpu_utilisation or 0.0) + use.utilisation
        return _RARE_PERIOD_S

    def _counted(self, processes: Iterable[Process]) -> list[Process]:
        return [process for process in processes if self._meter_root or process.pid != self._root]

    def _take(self, processes: list[Process], root_cpu_s: float | None = None) -> None:
        if not self._meter_root:
            processes = [it._replace(cpu_s=0.0, resident=0) if it.pid == self._root else it for it in processes]
            root_cpu_s = None
        self._cpu.update(processes, root_cpu_s)
        self._resident = sum(process.resident for process in processes)
        self._held(self._resident)
        if self._meter_root:
            self._held(peak_resident(self._root) or 0)
        now = time.monotonic()
        since, risen = now - self._compared, self._cpu.total_s - self._compared_cpu_s
        busy = risen > _BUSY * max(since, _BUSY_OVER_S)
        if busy:
            self._active = now
        if busy or since >= _BUSY_OVER_S:
            self._compared, self._compared_cpu_s = now, self._cpu.total_s

    def _held(self, resident: int) -> None:
        self._peak, self._lap_peak = max(self._peak, resident), max(self._lap_peak, resident)


@dataclass
class _Paced:
    """Takes a kind of sample so seldom that its share of a core is bounded, whatever one costs."""

    sample: Callable[[], float]  # returns the least pause
    due: float

    def take(self) -> None:
        before = time.thread_time()
        pause = self.sample()
        self.due = time.monotonic() + max(pause, _COSTS_PER_PAUSE * (time.thread_time() - before))


class _Cpu:
    """Adds up the CPU time of a tree whose processes come and go.

    The time of a process that ended is in what its parent has waited for, or in nobody's: then it is owed.
    """

    def __init__(self, root: int) -> None:
        self.total_s = 0.0
        self._root = root
        self._last: dict[int, Process] = {}
        self._owed: dict[Key | None, float] = defaultdict(float)  # by the nearest ancestor that may yet wait for it

    def update(self, processes: Iterable[Process], root_cpu_s: float | None = None) -> None:
        """Take the tree as it is now; `root_cpu_s` is the root's whole, what it waited for included, at its end."""
        now = {process.pid: process for process in processes}
        if self._root not in now and (root := self._last.get(self._root)):
            waited = root.waited_s if root_cpu_s is None else max(root.waited_s, root_cpu_s - root.cpu_s)
            now[root.pid] = root._replace(waited_s=waited)
        for process in self._last.values():
            if _is_in(now, process):
                self._owed[process.key] -= now[process.pid].waited_s - process.waited_s
                continue
            heir = self._last.get(process.parent)
            while heir and not _is_in(now, heir):
                heir = self._last.get(heir.parent)
            self._owed[heir.key if heir else None] += process.cpu_s + process.waited_s
            self._owed[None] += self._owed.pop(process.key, 0.0)
        for key in self._owed:
            self._owed[key] = max(0.0, self._owed[key])
        self._last = now
        self.total_s = sum(self._owed.values()) + sum(process.cpu_s + process.waited_s for process in now.values())


def _is_in(now: dict[int, Process], process: Process) -> bool:
    return process.pid in now and now[process.pid].key == process.key


def _own_peak_resident() -> int:
    """This process's own peak, in the unit of `ru_maxrss`, which itself may hold that of whoever started it."""
    own = peak_resident(os.getpid())
    if own is not None:
        return own // _MAXRSS_UNIT
    if sys.platform == "win32":
        return 0
    import resource  # noqa: PLC0415 - does not exist on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
