"""What the report says, apart from how it looks: a few lines for everybody, then sections for who wants more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlci.core.documents import Comparison, Delta, Record
from mlci.render import runs
from mlci.render.parts import Block, Line, Link, Quoted, Section, Table, said
from mlci.render.text import counted, headline, number, pair, signed

__all__ = ["Block", "Line", "Link", "Meta", "Quoted", "Report", "Section", "Table", "build", "said"]

_MAX_POINTS = 4  # problems above the fold; the rest is counted there and listed below


@dataclass(frozen=True)
class Report:
    """The whole report."""

    mark: str  # pass | fail | warn
    headline: str
    points: tuple[Line, ...]
    footer: tuple[Line, ...]
    sections: tuple[Section, ...]


@dataclass(frozen=True, kw_only=True)
class Meta:
    """What a report says beside the numbers.

    Args:
        id: The configuration's.
        commit: What was measured.
        profile: Under which profile.
        run_url: The page of the workflow run.
        command: Does it again on a laptop.
        workspace: The folder that paths of outputs are relative to.
        uploaded: Whether it was on a runner, so that people find it in the workflow's artifact.
        files_url: The page of that artifact.
        foreign: Whether code of a fork, which nobody has reviewed, reported the numbers.
    """

    id: str = "main"
    commit: str | None = None
    profile: str = "default"
    run_url: str | None = None
    command: str = "mlci ci"
    workspace: str = ".mlci"
    uploaded: bool = False
    files_url: str | None = None
    foreign: bool = False


def build(comparison: Comparison, records: Sequence[Record], meta: Meta) -> Report:
    """Decide what to say; a pass says it in two lines."""
    points = [*_failed_runs(records), *_gate_points(comparison)]
    if len(points) > _MAX_POINTS:
        points = [*points[: _MAX_POINTS - 1], (f"and {len(points) - _MAX_POINTS + 1} more, below",)]
    baseline = _baseline_line(comparison, meta)
    clean = comparison.verdict == "pass" and not comparison.blocks and not points
    ran = any(record.status != "skipped" for record in records)
    files: Line = (" · ", Link("notebooks and logs", meta.files_url)) if meta.files_url and ran and clean else ()
    where = _where(comparison, records, meta)
    cost: Line = (" · ", *runs.took(records)) if ran else ()
    footer: list[Line] = [(*baseline, *cost, *files)]
    if not clean and where:
        footer.append(("Executed notebook or log: ", Quoted(where), *_uploaded(meta)))
    if not clean:
        footer.append(("Again on a laptop: ", Quoted(meta.command)))
    if meta.foreign:
        footer.insert(0, ("Code of a fork reported these numbers; mlci compared them again.",))
    return Report(
        mark="pass" if clean else "fail" if comparison.blocks or comparison.verdict == "fail" else "warn",
        headline=headline(comparison, records),
        points=tuple(points),
        footer=tuple(footer),
        sections=tuple(section for section in _sections(comparison, records, meta) if section.body),
    )


def _failed_runs(records: Sequence[Record]) -> Iterator[Line]:
    for record in records:
        if record.status in ("succeeded", "skipped") and not record.error:
            continue
        yield (Quoted(record.name), f" {record.status}", *runs.place(record), ": ", Quoted(_message(record)))


def _message(record: Record) -> str:
    return record.error.message if record.error else record.reason or record.status


def _gate_points(comparison: Comparison) -> Iterator[Line]:
    order = {"fail": 0, "inconclusive": 1, "no-baseline": 2}
    seen = sorted((delta for delta in comparison.deltas if delta.gate in order), key=lambda delta: order[delta.gate])
    missing = [delta for delta in seen if delta.gate == "no-baseline"]
    for delta in seen:
        if delta.gate != "no-baseline":
            yield _point(delta)
    if missing:
        yield (f"{counted(len(missing), 'gated metric')} without a baseline to compare with",)


def _point(delta: Delta) -> Line:
    if delta.baseline is None or delta.current is None:
        value = () if delta.current is None else (f" = {number(delta.current)}",)
        return (
            Quoted(delta.run),
            " ",
            Quoted(_named(delta)),
            *value,
            ": ",
            said(delta.reason or delta.gate),
        )
    before, now = pair(delta.baseline, delta.current)
    change = "" if delta.change is None else f", {signed(delta.change)}{_relative(delta)}"
    reason = delta.reason or delta.gate
    word = "" if delta.gate == "fail" else f"{delta.gate}: "
    return (
        Quoted(delta.run),
        " ",
        Quoted(_named(delta)),
        f" {before} → {now}{change}: ",
        word,
        said(reason),
        f" (noise: {delta.noise})" if delta.noise != "none" else " (one run: noise not known)",
    )


def _relative(delta: Delta) -> str:
    if not delta.baseline or delta.change is None:
        return ""
    return f" ({signed(100 * delta.change / abs(delta.baseline))}%)"


def _named(delta: Delta) -> str:
    return f"{delta.metric} [{delta.slice}]" if delta.slice else delta.metric


def _baseline_line(comparison: Comparison, meta: Meta) -> Line:
    found = {(ref.commit, ref.distance) for ref in comparison.baselines.values() if ref.commit}
    missing = [(run, ref) for run, ref in comparison.baselines.items() if not ref.commit]
    commit: Line = ("Commit ", Quoted(meta.commit[:7]), ", ") if meta.commit else ()
    profile: Line = (", profile ", Quoted(meta.profile))
    if not found:
        reason = next((ref.reason for _, ref in missing if ref.reason), None)
        return (*commit, "no baseline", *((": ", said(reason)) if reason else ()), *profile)
    if len(found) > 1:
        return (*commit, f"baselines of {len(found)} commits, see below", *profile)
    sha, distance = next(iter(found))
    without = f"; {counted(len(missing), 'run')} without" if missing else ""
    return (*commit, "baseline ", Quoted((sha or "")[:7]), f" ({_distance(distance)}{without})", *profile)


def _distance(distance: int | None) -> str:
    return "the merge base" if not distance else f"{counted(distance, 'commit')} before the merge base"


def _where(comparison: Comparison, records: Sequence[Record], meta: Meta) -> str | None:
    """What to open first: of a run that failed, else of one that got worse, else of any."""
    worse = {delta.run for delta in comparison.deltas if delta.gate == "fail"}
    failed = [record for record in records if record.status not in ("succeeded", "skipped")]
    for record in [*failed, *(record for record in records if record.name in worse), *records]:
        for outputs in record.outputs:
            if outputs.notebook or outputs.log:
                return f"{meta.workspace}/{outputs.notebook or outputs.log}"
    return None


def _uploaded(meta: Meta) -> Line:
    if meta.files_url:
        return (", in ", Link("the workflow run's artifact", meta.files_url))
    return (", in the workflow's artifact if it uploads one",) if meta.uploaded else ()


def _sections(comparison: Comparison, records: Sequence[Record], meta: Meta) -> Iterator[Section]:
    gated = [delta for delta in comparison.deltas if delta.gate != "none"]
    other = [delta for delta in comparison.deltas if delta.gate == "none"]
    yield Section(f"Gated metrics ({len(gated)})", _metrics(gated, gated=True))
    yield Section(f"Other metrics ({len(other)})", _metrics(other, gated=False))
    ran = [record for record in records if record.status != "skipped"]
    yield Section(f"Runs ({len(ran)})", runs.table(ran, comparison))
    attempts = tuple(runs.attempts(ran))
    yield Section(f"Earlier attempts ({len(attempts)})", attempts)
    skipped = [record for record in records if record.status == "skipped"]
    yield Section(
        f"Skipped ({len(skipped)})",
        tuple((Quoted(record.name), ": ", said(record.reason or "")) for record in skipped),
    )
    yield Section("Baselines", tuple(_baselines(comparison)))
    changed = [(run, line) for run, ref in comparison.baselines.items() for line in ref.changed]
    yield Section(
        f"Changed since the baseline ({len(changed)})",
        tuple((Quoted(run), ": ", said(line)) for run, line in changed),
    )
    yield Section("Tracebacks", tuple(runs.tracebacks(records)))
    notes = tuple(runs.notes(records))
    yield Section(f"Notes ({len(notes)})", notes)
    measured: Line = ("Measured by ", Link("this workflow run", meta.run_url)) if meta.run_url else ()
    yield Section("Files", (*runs.files(records, meta.workspace), *((measured,) if measured else ())))


def _metrics(deltas: Sequence[Delta], *, gated: bool) -> tuple[Table, ...]:
    if not deltas:
        return ()
    beside = any(delta.deployed is not None for delta in deltas)
    rows = tuple(_row(delta, gated=gated, beside=beside) for delta in deltas)
    last = ("Rule", "Gate") if gated else ("Verdict",)
    deployed = ("Deployed",) if beside else ()
    return (Table(("Run", "Metric", *deployed, "Baseline", "Now", "Change", *last), rows),)


def _row(delta: Delta, *, gated: bool, beside: bool) -> tuple[Line, ...]:
    if delta.baseline is not None and delta.current is not None:
        before, now = pair(delta.baseline, delta.current)
    else:
        before, now = ("–" if value is None else number(value) for value in (delta.baseline, delta.current))
    unit: Line = (" ", Quoted(delta.unit)) if delta.unit else ()
    change = f"{signed(delta.change)}{_relative(delta)}" if delta.change else "–"
    verdict: Line = (_verdict(delta),)
    reason: Line = (": ", said(delta.reason)) if delta.reason and delta.gate != "pass" else ()
    last = ((delta.tolerance or "–",), (delta.gate, *reason)) if gated else (verdict,)
    metric: Line = (Quoted(_named(delta)), *unit)
    return (
        (Quoted(delta.run),),
        metric,
        *(((number(delta.deployed) if delta.deployed is not None else "–",),) if beside else ()),
        (before,),
        (now,),
        (change, ", ", *verdict) if gated else (change,),
        *last,
    )


def _verdict(delta: Delta) -> str:
    if delta.verdict == "inconclusive" and delta.direction is None:
        return "changed"
    return delta.verdict


def _baselines(comparison: Comparison) -> Iterator[Line]:
    for run, ref in comparison.baselines.items():
        if ref.commit is None:
            yield (Quoted(run), ": none: ", said(ref.reason or "not known"))
            continue
        when: Line = (", measured ", Quoted(ref.created_at)) if ref.created_at else ()
        note: Line = ("; ", said(ref.reason)) if ref.reason else ()
        beside: Line = ("; deployed is ", Quoted(ref.deployed)) if ref.deployed else ()
        yield (Quoted(run), ": ", Quoted(ref.commit[:12]), f", {_distance(ref.distance)}", *when, *note, *beside)
