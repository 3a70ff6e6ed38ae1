"""Decides which executions may run beside each other on this machine, and which one is worth preparing ahead."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_GLOB = re.compile(r"[*?\[]")
_ROUNDING = 1e-9  # ten tenths of a GPU are one


@dataclass(frozen=True, kw_only=True)
class Execution:
    """A run and a seed, with all that matters for when it may run."""

    name: str
    seed: int | None = None
    needs: frozenset[str] = frozenset()  # names of runs all of whose executions come first
    cpus: float = 1
    memory_bytes: int = 0  # 0: not known
    gpus: float = 0  # a fraction shares one
    exclusive: bool = False
    expected_s: float | None = None
    writes: tuple[str, ...] = ()  # absolute paths, globs among them
    preparable: bool = False  # whether anything of it can be done before its turn


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What the machine has for all executions together."""

    jobs: int = 1  # how many at once
    cpus: float = 1
    memory_bytes: int | None = None  # None: not known, so not limited
    gpus: int = 0


@dataclass(frozen=True)
class Placed:
    """An execution that runs, or now may, and the GPUs that are its own, counted from 0."""

    execution: Execution
    gpus: tuple[int, ...] = ()


@dataclass(frozen=True)
class Decision:
    """What is to be done now."""

    start: tuple[Placed, ...]
    ahead: Execution | None  # likely to come next, so what needs no turn can be done for it


def decide(waiting: Sequence[Execution], running: Sequence[Placed], capacity: Capacity) -> Decision:
    """Say which of `waiting`, in the order of the plan, start beside `running`: those that take longest first.

    One whose duration is not known may be the longest of all. One that asks for more than there is runs alone.
    """
    ordered = sorted(waiting, key=lambda item: -math.inf if item.expected_s is None else -item.expected_s)
    unfinished = {item.name for item in waiting} | {item.execution.name for item in running}
    ready = [item for item in ordered if not item.needs & unfinished]
    taken = list(running)
    for execution in ready:
        placed = _place(execution, taken, capacity)
        if placed:
            taken.append(placed)
    start = tuple(taken[len(running) :])
    if any(_alone(item.execution, capacity) for item in taken):
        return Decision(start, None)
    started = [item.execution for item in start]
    # Whatever still waits for something that waits itself is further away.
    blocking = {item.name for item in waiting if item not in started}
    soon = [*ready, *(item for item in ordered if item not in ready and not item.needs & blocking)]
    return Decision(start, next((item for item in soon if item.preparable and item not in started), None))


def overlap(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether a path can match a pattern of both: said too often rather than too seldom."""
    fixed = [(_GLOB.split(pattern)[0], bool(_GLOB.search(pattern))) for pattern in other]
    return any(
        _may_meet(_GLOB.split(pattern)[0], bool(_GLOB.search(pattern)), prefix, is_glob)
        for pattern in one
        for prefix, is_glob in fixed
    )


def _may_meet(one: str, one_is_glob: bool, other: str, other_is_glob: bool) -> bool:
    same = one == other
    return same or (one_is_glob and other.startswith(one)) or (other_is_glob and one.startswith(other))


def _alone(execution: Execution, capacity: Capacity) -> bool:
    return (
        execution.exclusive
        or execution.cpus > capacity.cpus
        or execution.gpus > capacity.gpus
        or (capacity.memory_bytes is not None and execution.memory_bytes > capacity.memory_bytes)
    )


def _place(execution: Execution, running: Sequence[Placed], capacity: Capacity) -> Placed | None:
    """The execution with its GPUs, if it fits beside `running`."""
    if _alone(execution, capacity):
        wanted = min(math.ceil(execution.gpus), capacity.gpus)
        return None if running else Placed(execution, tuple(range(wanted)))
    others = [item.execution for item in running]
    if (
        len(others) >= capacity.jobs
        or any(_alone(other, capacity) for other in others)
        or sum(other.cpus for other in others) + execution.cpus > capacity.cpus + _ROUNDING
        or any(overlap(execution.writes, other.writes) for other in others)
    ):
        return None
    memory = sum(other.memory_bytes for other in others) + execution.memory_bytes
    if capacity.memory_bytes is not None and memory > capacity.memory_bytes:
        return None
    gpus = _gpus(execution.gpus, running, capacity)
    return None if gpus is None else Placed(execution, gpus)


def _gpus(wanted: float, running: Sequence[Placed], capacity: Capacity) -> tuple[int, ...] | None:
    """Whole GPUs that nobody has, or one with a share left; None: there are not enough."""
    if not wanted:
        return ()
    left = [1.0] * capacity.gpus
    for item in running:
        for number in item.gpus:
            left[number] -= min(1.0, item.execution.gpus)
    if wanted < 1:
        # The fullest that still has room: whole ones stay whole for who needs them.
        sharing = [number for number in range(capacity.gpus) if left[number] + _ROUNDING >= wanted]
        return (min(sharing, key=lambda number: left[number]),) if sharing else None
    whole = [number for number in range(capacity.gpus) if left[number] > 1 - _ROUNDING]
    count = math.ceil(wanted)
    return tuple(whole[:count]) if len(whole) >= count else None
