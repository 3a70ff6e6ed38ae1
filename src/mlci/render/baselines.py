"""What the report says of the baselines: which, how far and how old, and what else differs from them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mlci.core.documents import BaselineRef, Comparison, Record
from mlci.render.parts import Line, Link, Quoted, said
from mlci.render.text import age, counted, plain

_MAX_CHANGES = 2  # in one line; all of them are below the fold
_MAX_CHANGE = 80  # characters
# A record's word for where it was measured is a link only where it can be nothing but a workflow run.
_RUN = re.compile(
    r"(https://[A-Za-z0-9.-]+(?::\d{1,5})?/[A-Za-z0-9._-]+/[A-Za-z0-9._-]+/actions/runs/)\d{1,20}", re.ASCII
)


def line(comparison: Comparison, records: Sequence[Record]) -> Line:
    """The baseline that all have in common, or what there is in its stead."""
    refs = comparison.baselines
    found = {(ref.commit, ref.distance): (run, ref) for run, ref in refs.items() if ref.commit}
    missing = [ref for ref in refs.values() if not ref.commit]
    if not found:
        reason = next((ref.reason for ref in missing if ref.reason), None)
        return ("no baseline", *((": ", said(reason)) if reason else ()))
    if len(found) > 1:
        return (f"baselines of {len(found)} commits, see below",)
    run, ref = next(iter(found.values()))
    old = _age(ref, run, records)
    without = f"; {counted(len(missing), 'run')} without" if missing else ""
    return ("baseline ", Quoted((ref.commit or "")[:7]), f" ({_distance(ref)}{f', {old}' if old else ''}{without})")


def listed(comparison: Comparison, records: Sequence[Record], *, run_url: str | None) -> Iterator[Line]:
    """A line a run.

    Args:
        comparison: What was compared.
        records: The current records.
        run_url: The page of this workflow run, if any: only runs of its repository are linked then.
    """
    for run, ref in comparison.baselines.items():
        if ref.commit is None:
            yield (Quoted(run), ": none: ", said(ref.reason or "not known"))
            continue
        old = _age(ref, run, records)
        yield (
            *(Quoted(run), ": ", Quoted(ref.commit[:12]), f", {_distance(ref)}"),
            *((", measured ", Quoted(ref.created_at), f" ({old})" if old else "") if ref.created_at else ()),
            *_link(ref.run_url, run_url),
            *(("; ", said(ref.reason)) if ref.reason else ()),
            *(("; deployed is ", Quoted(ref.deployed)) if ref.deployed else ()),
        )


def also_changed(comparison: Comparison) -> Line | None:
    """What else a change of a metric may come from, where one needs to be explained."""
    moved = {
        delta.run
        for delta in comparison.deltas
        if delta.gate in ("fail", "inconclusive") or delta.verdict in ("improved", "regressed")
    }
    changes = list(
        dict.fromkeys(change for run, ref in comparison.baselines.items() if run in moved for change in ref.doubts)
    )
    if not changes:
        return None
    shown: list[str | Quoted] = []
    for change in changes[:_MAX_CHANGES]:
        shown += [", ", said(plain(change, limit=_MAX_CHANGE))]
    rest = len(changes) - _MAX_CHANGES
    return ("Also changed since the baseline: ", *shown[1:], f", {rest} more" if rest > 0 else "")


def _distance(ref: BaselineRef) -> str:
    return f"{counted(ref.distance, 'commit')} before the merge base" if ref.distance else "the merge base"


def _age(ref: BaselineRef, run: str, records: Sequence[Record]) -> str | None:
    now = next((record.origin.created_at for record in records if record.name == run), None)
    passed = age(ref.created_at, now) if ref.created_at and now else None
    return f"{passed} old" if passed else None


def _link(url: str | None, run_url: str | None) -> Line:
    match = _RUN.fullmatch(url or "")
    if url is None or match is None or not (run_url or url).startswith(match[1]):
        return ()
    return (", by ", Link("its workflow run", url))
