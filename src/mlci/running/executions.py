"""Turns runs and seeds into what the schedule decides about, with what the last record tells of time and memory."""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Mapping

from mlci.config import Run, size
from mlci.core.documents import Record
from mlci.errors import MlciError
from mlci.project import Project
from mlci.running import outputs
from mlci.running.plan import Plan
from mlci.running.schedule import Execution


def executions(
    plan: Plan, due: Iterable[tuple[Run, int | None]], records: Mapping[str, Record]
) -> dict[Execution, Run]:
    """Every execution that is due, in the order of the plan, and its run.

    Args:
        plan: Where runs that others need are found.
        due: Runs and seeds.
        records: The last record of a run, by name, where there is one.
    """
    return {_execution(plan, run, seed, records.get(run.name)): run for run, seed in due}


def last_records(project: Project, runs: Iterable[Run]) -> dict[str, Record]:
    """The baselines' records by run; nothing of those that cannot be had now, for they only help to guess."""
    found: dict[str, Record] = {}
    try:
        for run in runs:
            record = project.baseline(run.name, run.profile).record
            if record is not None:
                found[run.name] = record
    except MlciError:
        pass
    return found


def _execution(plan: Plan, run: Run, seed: int | None, record: Record | None) -> Execution:
    wanted = run.table.resources
    peak = record.resources.peak_memory_bytes if record and record.resources else 0
    return Execution(
        name=run.name,
        seed=seed,
        needs=frozenset(item.run.name for item in plan.items if item.run.group in run.table.needs),
        cpus=wanted.cpus,
        memory_bytes=size(wanted.memory) if wanted.memory else peak,
        gpus=wanted.gpu,
        exclusive=wanted.exclusive,
        expected_s=record.duration_s / max(1, len(record.seeds)) if record and record.duration_s else None,
        writes=tuple(_absolute(run, pattern) for pattern in _written(run)),
        # A process cannot be given its GPUs, or anything else that its turn brings, once it has started.
        preparable=run.kind == "notebook" and not (wanted.gpu or run.table.reuse or run.table.checkpoint),
    )


def _written(run: Run) -> list[str]:
    checkpoint = [f"{run.table.checkpoint}/*"] if run.table.checkpoint else []
    return [*outputs.declared(run.table, run.cwd), *checkpoint]


def _absolute(run: Run, pattern: str) -> str:
    return os.path.normpath(run.cwd / pattern)
