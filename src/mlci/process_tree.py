"""The processes under one root: found wherever they went, and ended.

On Linux mlci becomes a child subreaper, so that a process that a run leaves behind, even in a session of its own,
comes back to mlci and is ended with the run. Elsewhere only what was seen in the tree while it ran is ended. Whom the
kernel ended, for want of memory, is told here as well.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

_PR_SET_CHILD_SUBREAPER = 36
_END_S = 5.0  # what is still there after so many seconds of SIGKILL cannot be killed
_GRACE_S = 0.5  # the trackers of multiprocessing and joblib clean up when those are gone whom they track
_STAT_BYTES = 2048

Key: TypeAlias = tuple[int, float]  # pid and start time: a pid alone may be given to another process


class Process(NamedTuple):
    """A process at one moment."""

    pid: int
    started: float
    parent: int
    session: int
    cpu_s: float  # its own
    waited_s: float  # of those of its descendants that have been waited for
    resident: int  # bytes
    alive: bool

    @property
    def key(self) -> Key:
        """What tells it from every other process."""
        return (self.pid, self.started)


class Tree:
    """The processes under one root.

    Args:
        root: Its pid; it need not be a child of this process.
        strangers: Children of the reaper that are not of this tree. In a process that supervises one tree, none.
        reaper: To whom orphans of the tree come; default: this process, after `become_subreaper`. Its other
            children belong to the tree, so it starts nothing else meanwhile.
    """

    def __init__(self, root: int, *, strangers: Collection[Key] = (), reaper: int | None = None) -> None:
        self.root = root
        self._strangers = frozenset(strangers)
        self._reaper = os.getpid() if reaper is None else reaper
        self._lock = threading.Lock()
        found = read(root)
        self._seen: set[Key] = {found.key} if found else set()
        # A session's number is not given away while a process is in it.
        self._session = root if found and found.session == root else None

    def sample(self) -> list[Process]:
        """Every process of the tree, those that ended and were not waited for included; one look at all processes."""
        with self._lock:
            everyone = list(processes())
            below: dict[int, list[Process]] = defaultdict(list)
            for process in everyone:
                below[process.parent].append(process)
            found: dict[int, Process] = {}
            todo = [process for process in everyone if self._is_ours(process)]
            while todo:
                process = todo.pop()
                if process.pid not in found:
                    found[process.pid] = process
                    todo += below[process.pid]
            self._seen = {process.key for process in found.values()}
        for process in found.values():
            if not process.alive and process.parent == os.getpid() and process.pid != self.root:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)
        return list(found.values())

    def glance(self) -> list[Process]:
        """Those of the last sample that are still there; without a look for new ones, so much cheaper."""
        with self._lock:
            known = list(self._seen)
        return [process for key in known if (process := read(key[0])) and process.key == key]

    def end_leftovers(self) -> int:
        """Kill everything but the root that does not soon end by itself; how many there were."""
        deadline = time.monotonic() + _GRACE_S
        while time.monotonic() < deadline and any(item.alive and item.pid != self.root for item in self.sample()):
            time.sleep(0.02)
        return self._end(spare=self.root)

    def kill(self) -> None:
        """Kill everything, the root included."""
        self._end(spare=None)

    def _is_ours(self, process: Process) -> bool:
        return (
            process.key in self._seen
            or process.session == self._session
            or (process.parent == self._reaper and process.key not in self._strangers)
        )

    def _end(self, spare: int | None) -> int:
        ended: set[Key] = set()
        deadline = time.monotonic() + _END_S
        pause = 0.0
        while time.monotonic() < deadline:
            alive = {process.key for process in self.sample() if process.alive and process.pid != spare}
            if not alive:
                break
            for pid, _ in alive:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            # Whoever forks while it is being killed must be outrun; the dying need a moment.
            pause = 0.0 if alive - ended else min(0.05, 2 * pause + 0.001)
            ended |= alive
            time.sleep(pause)
        return len(ended)


def children() -> set[Key]:
    """The children that this process has now."""
    return {process.key for process in processes() if process.parent == os.getpid()}


def become_subreaper() -> None:
    """Have whatever loses its parent below mlci come to mlci; where the system has no such thing, nothing happens."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def oom_kills() -> int:
    """How many processes the kernel has killed for memory in this process's control group; 0 where not known."""
    try:
        file = counting_file(Path("/proc/self/cgroup").read_text(), Path("/proc/self/mountinfo").read_text())
        return counted_kills(Path(file).read_text()) if file else 0
    except (OSError, ValueError):
        return 0


def counting_file(cgroup: str, mountinfo: str) -> str | None:
    """The file in which a control group counts those kills.

    Args:
        cgroup: The text of /proc/self/cgroup, which names the groups.
        mountinfo: The text of /proc/self/mountinfo, which says where their trees are mounted.
    """
    groups: dict[str, str] = {}
    for line in cgroup.splitlines():
        _, controllers, path = line.split(":", 2)
        groups |= dict.fromkeys(controllers.split(","), path)
    # Under version 1 memory has a tree of its own; version 2 has one for all, without a name.
    version_1 = "memory" in groups
    group = groups.get("memory" if version_1 else "")
    if group is None:
        return None
    for line in mountinfo.splitlines():
        mounted, _, about = line.partition(" - ")
        root, place = mounted.split()[3:5]
        kind, _, options = about.split(" ")[:3]
        if version_1 and kind == "cgroup" and "memory" in options.split(","):
            name = "memory.oom_control"
        elif not version_1 and kind == "cgroup2":
            name = "memory.events"
        else:
            continue
        # In a container the mount may show no more than the container's own part of the tree.
        below = group.removeprefix(root.rstrip("/"))
        return f"{place}{below.rstrip('/')}/{name}"
    return None


def counted_kills(text: str) -> int:
    """The number that such a file gives."""
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill ")), 0)


if sys.platform == "linux":
    _TICK_S = 1 / os.sysconf("SC_CLK_TCK")
    _PAGE = os.sysconf("SC_PAGE_SIZE")

    def processes() -> Iterator[Process]:
        """All processes. Reading /proc directly takes a tenth of the time of psutil's objects."""
        for name in os.listdir("/proc"):  # noqa: PTH208 - names are wanted, not paths
            if name.isdigit() and (process := read(int(name))):
                yield process

    def read(pid: int) -> Process | None:
        """The process of that number, if there is one."""
        try:
            file = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
            try:
                data = os.read(file, _STAT_BYTES)
            finally:
                os.close(file)
        except OSError:
            return None
        # The name, in parentheses, may hold anything; proc(5) numbers the fields from 3 on after it.
        field = data[data.rindex(b")") + 2 :].split()
        return Process(
            pid=pid,
            started=int(field[19]) * _TICK_S,
            parent=int(field[1]),
            session=int(field[3]),
            cpu_s=(int(field[11]) + int(field[12])) * _TICK_S,
            waited_s=(int(field[13]) + int(field[14])) * _TICK_S,
            resident=int(field[21]) * _PAGE,
            alive=field[0] not in b"ZX",
        )

else:
    import psutil

    def processes() -> Iterator[Process]:
        """All processes."""
        for pid in psutil.pids():
            if process := read(pid):
                yield process

    def read(pid: int) -> Process | None:
        """The process of that number, if there is one; of another user's only what may be seen."""
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                about = process.as_dict(["ppid", "create_time", "cpu_times", "memory_info", "status"])
                session = os.getsid(pid)
        except (psutil.Error, OSError):
            return None
        times, memory = about["cpu_times"], about["memory_info"]
        return Process(
            pid=pid,
            started=about["create_time"],
            parent=about["ppid"],
            session=session,
            cpu_s=times.user + times.system if times else 0.0,
            waited_s=0.0,
            resident=memory.rss if memory else 0,
            alive=about["status"] != psutil.STATUS_ZOMBIE,
        )
