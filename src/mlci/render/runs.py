"""What the report says of executions rather than of metrics: how long, how much, where it failed, what was left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlci.core.cost import add
from mlci.core.documents import Attempt, BaselineRef, Comparison, Cost, Record
from mlci.render.parts import Block, Line, Quoted, Table, said
from mlci.render.text import counted, duration, number, size

_MAX_TRACEBACK_LINES = 40
_CENT = 0.01
_NO_GPU: tuple[Line, ...] = (("–",), ("–",))


def place(record: Record) -> Line:
    """Where a run failed, such as " in train.ipynb, cell 3, line 2 (src/features.py, line 12)"."""
    error = record.error
    if error is None:
        return ()
    innermost = error.at[0] if error.at else None
    if error.file is None:
        return (" in ", Quoted(innermost.file), f", line {innermost.line}") if innermost else ()
    cell = f", cell {error.cell}" if error.cell else ""
    line = f", line {error.line}" if error.line else ""
    deeper: Line = ()
    if innermost and innermost.file != error.file:
        deeper = (" (", Quoted(innermost.file), f", line {innermost.line})")
    return (" in ", Quoted(error.file), f"{cell}{line}", *deeper)


def took(records: Sequence[Record]) -> Line:
    """What all of it took: wall time; and CPU time, memory and money where they were metered and priced."""
    ran = [record for record in records if record.status != "skipped" and not record.reused and not record.elsewhere]
    reused = sum(record.reused for record in records)
    elsewhere = sum(record.elsewhere is not None for record in records)
    parts = [f"took {duration(sum(record.duration_s for record in ran))}"] if ran else []
    used = [record.resources for record in ran if record.resources]
    if used:
        parts.append(f"CPU {duration(sum(item.cpu_s for item in used))}")
        parts.append(f"peak {size(max(item.peak_memory_bytes for item in used))}")
    if reused:
        parts.append(f"{counted(reused, 'run')} reused")
    if elsewhere:
        parts.append(f"{elsewhere} of {counted(len(records), 'run')} not run here")
    whole = add(record.cost for record in ran)
    return (", ".join(parts), *((", cost ", *money(whole)) if whole else ()))


def money(cost: Cost) -> Line:
    """An amount to the cent, or to two digits where it is less than one."""
    small = abs(cost.amount) < _CENT
    return (number(cost.amount, 2) if small else f"{cost.amount:.2f}", " ", said(cost.currency))


def table(records: Sequence[Record], comparison: Comparison) -> tuple[Table, ...]:
    """One row a run; columns for GPU and cost where a run has any."""
    if not records:
        return ()
    gpu = any(_gpu(record) != _NO_GPU for record in records)
    cost = any(record.cost for record in records)
    more = (*(("GPU memory", "GPU use") if gpu else ()), *(("Cost",) if cost else ()))
    rows = tuple(
        (
            *_row(record, comparison.baselines.get(record.name)),
            *(_gpu(record) if gpu else ()),
            *((money(record.cost) if record.cost else ("–",),) if cost else ()),
        )
        for record in records
    )
    return (Table(("Run", "Status", "Seeds", "Duration", "CPU", "Peak memory", *more), rows),)


def _row(record: Record, baseline: BaselineRef | None) -> tuple[Line, ...]:
    used = record.resources
    before = duration(baseline.duration_s) if baseline and baseline.duration_s is not None else None
    memory = size(baseline.peak_memory_bytes) if baseline and baseline.peak_memory_bytes else None
    return (
        (Quoted(record.name),),
        ("not run here" if record.elsewhere else _status(record),),
        (str(len(record.seeds) or "–"),),
        ("–" if record.elsewhere else _was(duration(record.duration_s), before),),
        (duration(used.cpu_s) if used else "–",),
        (_was(size(used.peak_memory_bytes) if used else "–", memory),),
    )


def _status(record: Record) -> str:
    return f"{record.status}{', reused' if record.reused else ''}{_attempt(record)}"


def _gpu(record: Record) -> tuple[Line, ...]:
    used = record.resources
    memory = size(used.gpu_memory_bytes) if used and used.gpu_memory_bytes is not None else "–"
    busy = f"{used.gpu_utilisation:.0%}" if used and used.gpu_utilisation is not None else "–"
    return ((memory,), (busy,))


def _attempt(record: Record) -> str:
    """Which attempt it is; of several seeds, of which each has its own, how many came before."""
    count = len(record.attempts)
    if not count:
        return ""
    which = counted(count, "earlier attempt") if len(record.seeds) > 1 else f"{_ordinal(count + 1)} attempt"
    return f", {which}, went on from a checkpoint"


def _ordinal(count: int) -> str:
    last = "th" if count % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th")
    return f"{count}{last}"


def _was(now: str, before: str | None) -> str:
    return f"{now} (was {before})" if before else now


def attempts(records: Sequence[Record]) -> Iterator[Line]:
    """Every attempt before the one that is reported."""
    for record in records:
        for attempt in record.attempts:
            yield (Quoted(record.name), ": ", *_described(attempt))


def _described(attempt: Attempt) -> Line:
    after = f" after {duration(attempt.duration_s)}" if attempt.duration_s else ""
    where: Line = (", in ", Quoted(attempt.run_url)) if attempt.run_url else ()
    return (f"{attempt.status}{after}, started ", Quoted(attempt.started_at), *where)


def notes(records: Sequence[Record]) -> Iterator[Line]:
    """What else a reader should know of how the runs went."""
    for record in records:
        if record.elsewhere:
            yield (Quoted(record.name), ": not run here: ", said(record.elsewhere))
        for note in record.notes:
            yield (Quoted(record.name), ": ", said(note))


def tracebacks(records: Sequence[Record]) -> Iterator[Block]:
    """The ends of the tracebacks."""
    for record in records:
        if record.error and record.error.traceback:
            lines = record.error.traceback.rstrip().splitlines()
            cut = ["…"] if len(lines) > _MAX_TRACEBACK_LINES else []
            yield Block((Quoted(record.name), *place(record)), "\n".join([*cut, *lines[-_MAX_TRACEBACK_LINES:]]))


def files(records: Sequence[Record], workspace: str) -> Iterator[Line]:
    """What mlci keeps of the runs, and what they made."""
    for record in records:
        for outputs in record.outputs:
            kept = [outputs.notebook, outputs.log, *(plot.stored for plot in outputs.plots)]
            for path in filter(None, kept):
                yield (Quoted(record.name), ": ", Quoted(f"{workspace}/{path}"))
            for path in outputs.spilled:
                yield (Quoted(record.name), ": ", Quoted(f"{workspace}/{path}"), ", an output in full")
        for artifact in record.artifacts:
            yield (
                Quoted(record.name),
                ": ",
                Quoted(artifact.path),
                f", {size(artifact.size)}, sha256 {artifact.sha256[:12]}",
            )
