"""A control group of little memory: what outgrows it is killed by the system, and nothing else on the machine is."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlci.process_tree import counting_file


@contextmanager
def memory_group(limit_bytes: int) -> Iterator[Path | None]:
    """A group inside this process's own; None where none can be made. Whoever is in it must be gone at the end."""
    try:
        file = counting_file(Path("/proc/self/cgroup").read_text(), Path("/proc/self/mountinfo").read_text())
    except OSError:
        file = None
    if file is None:
        yield None
        return
    group = Path(file).parent / f"mlci-{uuid.uuid4().hex[:8]}"
    limit = "memory.limit_in_bytes" if file.endswith("oom_control") else "memory.max"
    try:
        group.mkdir()
        (group / limit).write_text(str(limit_bytes))
    except OSError:
        if group.exists():
            group.rmdir()
        yield None
        return
    try:
        yield group
    finally:
        group.rmdir()
