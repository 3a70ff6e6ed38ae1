"""The processes under one root: found wherever they went, metered, and ended.

On Linux mlci becomes a child subreaper, so that a process that a run leaves behind, even in a session of its own,
comes back to mlci and is ended with the run. Elsewhere only what was seen in the tree while it ran is ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

POLL_S = 0.02
MARKER = "MLCI_TREE"  # a variable that tells whose a process is
_PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Tree:
    """The processes under one root: found, metered, and ended."""

    root: int
    marker: str
    meter_root: bool
    peak_memory_bytes: int = 0
    _root_cpu_s: float | None = None
    _cpu: dict[tuple[int, float], float] = field(default_factory=dict)
    _seen: dict[tuple[int, float], psutil.Process] = field(default_factory=dict)
    _before: set[int] = field(default_factory=set)
    _inherited: int = 0

    def __post_init__(self) -> None:
        self._inherited = _own_peak()
        active.add(self.root)
        self._before = {child.pid for child in psutil.Process().children() if child.pid != self.root}
        self.sample()

    @property
    def cpu_s(self) -> float:
        """CPU seconds of the tree, user and system."""
        sampled = sum(seconds for (pid, _), seconds in self._cpu.items() if pid != self.root)
        if not self.meter_root:
            return sampled
        if self._root_cpu_s is None:
            return sum(self._cpu.values())
        # The root's own accounting holds every descendant that was waited for; orphans came to mlci instead.
        return max(self._root_cpu_s, sum(self._cpu.values()))

    def sample(self) -> None:
        """Meter every process of the tree once."""
        memory = 0
        for process in self._members():
            try:
                with process.oneshot():
                    key = (process.pid, process.create_time())
                    times = process.cpu_times()
                    resident = process.memory_info().rss
            except psutil.Error:
                continue
            self._seen[key] = process
            self._cpu[key] = times.user + times.system
            if self.meter_root or process.pid != self.root:
                memory += resident
        self.peak_memory_bytes = max(self.peak_memory_bytes, memory)

    def reap_root(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether the root has ended; takes its resource usage from the operating system when it has."""
        if process.returncode is not None:
            return True
        if not hasattr(os, "wait4"):
            return process.poll() is not None
        try:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        except ChildProcessError:
            process.returncode = 0
            return True
        if pid == 0:
            return False
        process.returncode = os.waitstatus_to_exitcode(status)
        if self.meter_root:
            self._root_cpu_s = usage.ru_utime + usage.ru_stime
            # A child inherits the peak of the process that forked it: only a higher one is its own. Of one that was
            # never seen alive it is at least a bound.
            if usage.ru_maxrss > self._inherited or not self.peak_memory_bytes:
                unit = 1 if sys.platform == "darwin" else 1024
                self.peak_memory_bytes = max(self.peak_memory_bytes, usage.ru_maxrss * unit)
        return True

    def kill_root(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL the root and wait for it."""
        self.sample()
        process.kill()
        while not self.reap_root(process):
            time.sleep(POLL_S)

    def end_leftovers(self) -> int:
        """Kill what outlived the root, wait until it is gone; how many there were."""
        ended: set[tuple[int, float]] = set()
        for _ in range(20):  # a leftover can fork while it is being killed
            alive = [process for process in self._members() if process.pid != self.root and _is_alive(process)]
            if not alive:
                break
            for process in alive:
                with contextlib.suppress(psutil.Error):
                    ended.add((process.pid, process.create_time()))
                    process.kill()
            psutil.wait_procs(alive, timeout=2)
        self._reap_orphans()
        active.discard(self.root)
        return len(ended)

    def _members(self) -> list[psutil.Process]:
        found: dict[int, psutil.Process] = {}
        roots = [*self._seen.values(), *self._orphans()]
        with contextlib.suppress(psutil.Error):
            roots.append(psutil.Process(self.root))
        for process in roots:
            with contextlib.suppress(psutil.Error):
                if process.pid in found or not process.is_running():
                    continue
                found[process.pid] = process
                for child in process.children(recursive=True):
                    found.setdefault(child.pid, child)
        return list(found.values())

    def _orphans(self) -> list[psutil.Process]:
        """Processes that came to mlci because their parent, of this tree, is gone."""
        with starting:  # what another thread starts just now is no orphan of ours
            children = psutil.Process().children()
        return [child for child in children if child.pid != self.root and self._is_ours(child)]

    def _is_ours(self, child: psutil.Process) -> bool:
        if child.pid in self._before or child.pid in active:
            return False
        try:
            if (child.pid, child.create_time()) in self._seen:
                return True
            marker = child.environ().get(MARKER)
            if marker is not None:
                return marker == self.marker
            # A process that dropped its environment: ours if nobody else's tree could have lost it.
            return active == {self.root} and child.name() != "git"
        except psutil.Error:
            return False

    def _reap_orphans(self) -> None:
        for pid, _ in self._seen:
            if pid != self.root:
                with contextlib.suppress(OSError):
                    os.waitpid(pid, os.WNOHANG)


active: set[int] = set()
starting = threading.Lock()  # held from the start of a root until it is known as one


def _own_peak() -> int:
    """Mlci's own peak resident set, in the unit of `ru_maxrss`."""
    if sys.platform == "win32":
        return 0
    import resource  # noqa: PLC0415 - does not exist on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def become_subreaper() -> None:
    """Have whatever loses its parent below mlci come to mlci; where the system has no such thing, nothing happens."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def oom_kills() -> int:
    """How many processes the kernel has killed for memory in mlci's control group (v2); 0 where not known."""
    try:
        group = Path("/proc/self/cgroup").read_text().strip().rpartition("::")[2].lstrip("/")
        events = (Path("/sys/fs/cgroup") / group / "memory.events").read_text()
        return int(dict(line.split() for line in events.splitlines()).get("oom_kill", 0))
    except (OSError, ValueError):
        return 0
