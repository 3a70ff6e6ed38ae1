"""What Linux tells about the memory of a process, beyond what it holds just now."""

from __future__ import annotations

import contextlib
import os

_RESET_PEAK = b"5"


def peak_resident(pid: int) -> int | None:
    """The most bytes that the process held since its start, or since `reset_peak`; None where that is not known."""
    return _bytes_of(f"/proc/{pid}/status", b"VmHWM:")


def reset_peak(pid: int) -> None:
    """Have `peak_resident` begin anew; where this process may not do that, nothing happens."""
    with contextlib.suppress(OSError):
        file = os.open(f"/proc/{pid}/clear_refs", os.O_WRONLY)
        try:
            os.write(file, _RESET_PEAK)
        finally:
            os.close(file)


def proportional(pid: int) -> int | None:
    """What the process holds now, its share of what others hold as well; the kernel walks all its pages for this."""
    return _bytes_of(f"/proc/{pid}/smaps_rollup", b"Pss:")


def _bytes_of(path: str, label: bytes) -> int | None:
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            data = os.read(file, 8192)
        finally:
            os.close(file)
        return int(data.partition(b"\n" + label)[2].split(None, 1)[0]) * 1024
    except (OSError, IndexError):
        return None
