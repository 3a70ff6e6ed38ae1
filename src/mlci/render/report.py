"""What the report says, apart from how it looks: a few lines for everybody, then sections for who wants more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlci.core.documents import Comparison, Delta, Record
from mlci.render import baselines, metrics, points, runs, sparks
from mlci.render.parts import Block, Line, Link, Quoted, Section, Table, said
from mlci.render.text import counted, headline

__all__ = ["Block", "Line", "Link", "Meta", "Quoted", "Report", "Section", "Table", "build", "said"]


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
        most_slices: How many of a metric, and of a table, are shown rather than counted.
        before: The baselines' records, as far as they are at hand: their learning curves are shown beside.
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
    most_slices: tuple[int, int] = metrics.MOST_SLICES
    before: tuple[Record, ...] = ()


def build(comparison: Comparison, records: Sequence[Record], meta: Meta) -> Report:
    """Decide what to say; a pass says it in two lines."""
    problems = points.problems(comparison, records)
    notes = points.notes(comparison)
    clean = comparison.verdict == "pass" and not comparison.blocks and not problems and not notes
    ran = any(record.status != "skipped" for record in records)
    files: Line = (" · ", Link("notebooks and logs", meta.files_url)) if meta.files_url and ran and clean else ()
    where = _where(comparison, records, meta)
    cost: Line = (" · ", *runs.took(records)) if ran else ()
    commit: Line = ("Commit ", Quoted(meta.commit[:7]), ", ") if meta.commit else ()
    profile: Line = (", profile ", Quoted(meta.profile))
    footer: list[Line] = [(*commit, *baselines.line(comparison, records), *profile, *cost, *files)]
    changed = baselines.also_changed(comparison)
    if changed:
        footer.append(changed)
    if not clean and where:
        footer.append(("Executed notebook or log: ", Quoted(where), *_uploaded(meta)))
    if not clean:
        footer.append(("Again on a laptop: ", Quoted(meta.command)))
    if meta.foreign:
        footer.insert(0, ("Code of a fork reported these numbers; mlci compared them again.",))
    return Report(
        mark="pass" if clean else "fail" if comparison.blocks or comparison.verdict == "fail" else "warn",
        headline=headline(comparison, records),
        points=(*problems, *points.accepted(comparison), *notes),
        footer=tuple(footer),
        sections=tuple(section for section in _sections(comparison, records, meta) if section.body),
    )


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
    curves = sparks.curves(records, meta.before)
    yield Section(
        f"Gated metrics ({_sizes(gated)})",
        metrics.tables(gated, gated=True, curves=curves, most_slices=meta.most_slices),
    )
    yield Section(
        f"Other metrics ({_sizes(other)})",
        metrics.tables(other, gated=False, curves=curves, most_slices=meta.most_slices),
    )
    ran = [record for record in records if record.status != "skipped"]
    yield Section(f"Runs ({len(ran)})", runs.table(ran, comparison))
    attempts = tuple(runs.attempts(ran))
    yield Section(f"Earlier attempts ({len(attempts)})", attempts)
    skipped = [record for record in records if record.status == "skipped"]
    yield Section(
        f"Skipped ({len(skipped)})",
        tuple((Quoted(record.name), ": ", said(record.reason or "")) for record in skipped),
    )
    yield Section("Baselines", tuple(baselines.listed(comparison, records, run_url=meta.run_url)))
    changed = [(run, line) for run, ref in comparison.baselines.items() for line in ref.changed]
    yield Section(
        f"Changed since the baseline ({len(changed)})",
        tuple((Quoted(run), ": ", said(line)) for run, line in changed),
    )
    yield Section("Tracebacks", tuple(runs.tracebacks(records)))
    notes = (*((said(note),) for note in comparison.notes), *runs.notes(records))
    yield Section(f"Notes ({len(notes)})", notes)
    measured: Line = ("Measured by ", Link("this workflow run", meta.run_url)) if meta.run_url else ()
    yield Section("Files", (*runs.files(records, meta.workspace), *((measured,) if measured else ())))


def _sizes(deltas: Sequence[Delta]) -> str:
    slices = sum(delta.slice is not None for delta in deltas)
    whole = len(deltas) - slices
    if not slices:
        return str(whole)
    return f"{whole} and {counted(slices, 'slice')}" if whole else counted(slices, "slice")
