"""What this machine has for runs: cores, memory that is free, GPUs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from mlci.running.schedule import Capacity

_PROC = Path("/proc")
_GROUPS = Path("/sys/fs/cgroup")
_DEVICES = Path("/dev")


def capacity(jobs: int | Literal["auto"], gpus: int) -> Capacity:
    """What runs may take of this machine, so many at once; "auto": as many as there are cores."""
    count = cores() if jobs == "auto" else jobs
    return Capacity(jobs=count, cpus=max(count, cores()), memory_bytes=available_memory(), gpus=gpus)


def share(jobs: int) -> int | None:
    """The cores for each of so many runs at once; None where one has them all."""
    return max(1, cores() // jobs) if jobs > 1 else None


def cores() -> int:
    """How many cores mlci may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory(proc: Path = _PROC, groups: Path = _GROUPS) -> int | None:
    """The bytes that can still be had: of the machine, and of each control group that mlci is in; None: not known."""
    found = [*_free(proc), *_left(proc, groups)]
    return max(0, min(found)) if found else None


def gpus(environ: Mapping[str, str], devices: Path = _DEVICES) -> tuple[str, ...]:
    """The GPUs that runs may see, as CUDA_VISIBLE_DEVICES calls them."""
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = (name.strip() for name in visible.split(","))
        return tuple(name for name in names if name and not name.startswith("-"))
    # CUDA counts those that it sees, whatever their devices are called.
    return tuple(str(number) for number, _ in enumerate(devices.glob("nvidia[0-9]*")))


def _free(proc: Path) -> Iterator[int]:
    try:
        lines = (proc / "meminfo").read_text(encoding="ascii").splitlines()
        yield next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return


def _left(proc: Path, groups: Path) -> Iterator[int]:
    """What each control group (v2), from mlci's own upwards, leaves of its limit; file caches give way."""
    try:
        path = (proc / "self/cgroup").read_text(encoding="utf-8").strip().rpartition("::")[2].lstrip("/")
    except OSError:
        return
    own = groups / path
    for group in (own, *(parent for parent in own.parents if parent.is_relative_to(groups))):
        try:
            limit = int((group / "memory.max").read_text(encoding="ascii"))
            used = int((group / "memory.current").read_text(encoding="ascii"))
            stat = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
            yield limit - used + int(stat.get("inactive_file", 0))
        except (OSError, ValueError):  # no such file at the root; "max": without a limit
            continue
