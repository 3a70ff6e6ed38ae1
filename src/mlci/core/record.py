"""Folds executions, of one machine or several, into one record a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mlci.core.cost import add
from mlci.core.documents import (
    STATUSES,
    Artifact,
    Failure,
    Origin,
    Outputs,
    PredictionsFile,
    Record,
    Resources,
    RunResult,
    RunsDocument,
)
from mlci.core.metric import combine_seeds
from mlci.errors import DocumentError

_Slot = tuple[str, int | None]
_Attempt = tuple[RunResult, Origin]


def fold(documents: Sequence[RunsDocument], *, complete: bool = True) -> tuple[tuple[Record, ...], tuple[str, ...]]:
    """One record a run: the worst status of its seeds, the metrics of those that succeeded.

    Of the same run and seed twice the later attempt wins. A run that a plan selected and no document holds is a
    failure: its machine died, or its results were not brought here.

    Args:
        documents: The `run.json` of each machine.
        complete: They are all there are; otherwise a run that was not named on this machine is skipped, not lost.

    Returns:
        The records in the order in which runs first appear, and notes for the user.

    Raises:
        DocumentError: None given, or they are of different commits.
    """
    if not documents:
        raise DocumentError("no run.json to record")
    commits = {document.origin.commit for document in documents}
    if len(commits) > 1:
        raise DocumentError(f"the workspaces are of different commits: {', '.join(sorted(map(str, commits)))}")
    notes: list[str] = []
    slots: dict[_Slot, _Attempt] = {}
    skipped: dict[str, _Attempt] = {}
    for document in documents:
        for result in document.runs:
            attempt = (result, document.origin)
            if result.status == "skipped":
                skipped.setdefault(result.name, attempt)
                continue
            slot = (result.name, result.seed)
            if slot in slots:
                notes.append(f"{_label(result)}: found twice, the later attempt counts")
                attempt = max(slots[slot], attempt, key=_age)
            slots[slot] = attempt
    planned = {name for document in documents for name in document.planned}
    names = dict.fromkeys([result.name for document in documents for result in document.runs] + sorted(planned))
    profile = documents[0].profile
    records = []
    for name in names:
        mine = [attempt for (run, _), attempt in slots.items() if run == name]
        if mine:
            records.append(_fold_run(mine))
        elif name in planned and (name not in skipped or (complete and not _blocked(skipped[name]))):
            records.append(_lost(name, profile, documents[0].origin))
            notes.append(f"{name}: planned, but no workspace holds its result")
        else:
            records.append(_skipped(*skipped[name]))
    return tuple(records), tuple(notes)


def plots(record: Record) -> tuple[Artifact, ...]:
    """Every picture that a run declared, seed by seed."""
    return tuple(plot for outputs in record.outputs for plot in outputs.plots)


def kept_beside(record: Record) -> tuple[Artifact | PredictionsFile, ...]:
    """What a record names by its digest and a store may hold: predictions, then plots."""
    return (*record.predictions, *plots(record))


def _blocked(attempt: _Attempt) -> bool:
    """Whether a planned run was left out by its own machine for a reason that stands, such as an unmet need."""
    return attempt[0].error is not None


def _fold_run(attempts: Sequence[_Attempt]) -> Record:
    results = [result for result, _ in attempts]
    worst = max(results, key=lambda result: STATUSES.index(result.status))
    good = [(result.seed, result.metrics) for result in results if result.status == "succeeded"]
    first = results[0]
    earlier = [attempt for result in results for attempt in result.attempts]
    return Record(
        name=first.name,
        profile=first.profile,
        origin=max(attempts, key=_age)[1],
        status=worst.status,
        error=worst.error,
        command=worst.command,
        parameters=first.parameters,
        seeds=tuple(result.seed for result in results if result.seed is not None),
        metrics=combine_seeds(good),
        artifacts=first.artifacts,
        predictions=tuple(
            result.predictions for result in results if result.predictions and result.status == "succeeded"
        ),
        deterministic=all(result.deterministic for result in results),
        elsewhere=first.elsewhere,
        outputs=tuple(result.outputs for result in sorted(results, key=lambda result: result is not worst)),
        duration_s=round(sum(result.duration_s for result in results), 3),
        resources=_resources(results),
        environment=first.environment,
        inputs=first.inputs,
        reused=all(result.reused for result in results),
        notes=_notes(results),
        attempts=tuple(sorted(earlier, key=lambda attempt: attempt.started_at)),
        cost=add(result.cost for result in results),
    )


def _resources(results: Sequence[RunResult]) -> Resources | None:
    """CPU time summed, peaks the highest, utilisation the mean over the time that each seed took."""
    metered = [(result.resources, result.duration_s) for result in results if result.resources]
    if not metered:
        return None
    used = [item for item, _ in metered]
    busy = [(item.gpu_utilisation, took) for item, took in metered if item.gpu_utilisation is not None]
    whole = sum(took for _, took in busy)
    return Resources(
        cpu_s=round(sum(item.cpu_s for item in used), 3),
        peak_memory_bytes=max(item.peak_memory_bytes for item in used),
        peak_pss_bytes=_highest(item.peak_pss_bytes for item in used),
        gpu_memory_bytes=_highest(item.gpu_memory_bytes for item in used),
        gpu_utilisation=round(sum(share * took for share, took in busy) / whole, 4) if whole else None,
    )


def _highest(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _notes(results: Sequence[RunResult]) -> tuple[str, ...]:
    """Each note once, with its seeds where not all of them say it."""
    said: dict[str, list[int | None]] = {}
    for result in results:
        for note in dict.fromkeys(result.notes):
            said.setdefault(note, []).append(result.seed)
    return tuple(
        note if len(seeds) == len(results) else f"seed {', '.join(map(str, seeds))}: {note}"
        for note, seeds in said.items()
    )


def _skipped(result: RunResult, origin: Origin) -> Record:
    return Record(
        name=result.name,
        profile=result.profile,
        origin=origin,
        status="skipped",
        reason=result.reason,
        error=result.error,
    )


def _lost(name: str, profile: str, origin: Origin) -> Record:
    return Record(
        name=name,
        profile=profile,
        origin=origin,
        status="crashed",
        error=Failure(kind="lost", message="the machine that was to run it left no result"),
        outputs=(Outputs(),),
    )


def _age(attempt: _Attempt) -> tuple[int, int, str]:
    origin = attempt[1]
    run_id = int(origin.run_id) if origin.run_id and origin.run_id.isdecimal() else 0
    return run_id, origin.run_attempt or 0, origin.created_at


def _label(result: RunResult) -> str:
    return result.name if result.seed is None else f"{result.name} (seed {result.seed})"
