"""What everybody must see, a line each: runs that failed, rules that were not kept, what was accepted as worse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlci.core.documents import Comparison, Delta, Record
from mlci.render import runs
from mlci.render.metrics import badness, figures, named, relative
from mlci.render.parts import Line, Quoted, said
from mlci.render.text import number, parts, without_metrics

_MAX_PROBLEMS = 4  # the rest is counted there and listed below
_MAX_ACCEPTED = 2
_MAX_NOTES = 3


def problems(comparison: Comparison, records: Sequence[Record]) -> list[Line]:
    """What keeps the result from being a plain pass, the worst first."""
    return _limited(
        [*_failed_runs(records), *_gates(comparison), *_nothing(comparison, records)], _MAX_PROBLEMS, "more"
    )


def accepted(comparison: Comparison) -> list[Line]:
    """What got worse on purpose: whoever reviews the change must see it, though it passes."""
    found = [delta for delta in comparison.deltas if delta.accepted and delta.gate == "pass"]
    return _limited(
        [_point(delta, ("accepted: ", said(delta.accepted or ""))) for delta in found], _MAX_ACCEPTED, "more accepted"
    )


def notes(comparison: Comparison) -> list[Line]:
    """What makes the answer less than it seems, such as a rule that no metric fits."""
    return _limited([("note: ", said(note)) for note in comparison.notes], _MAX_NOTES, "more notes")


def _limited(points: list[Line], most: int, more: str) -> list[Line]:
    if len(points) <= most:
        return points
    return [*points[: most - 1], (f"and {len(points) - most + 1} {more}, below",)]


def _failed_runs(records: Sequence[Record]) -> Iterator[Line]:
    for record in records:
        if record.status in ("succeeded", "skipped") and not record.error:
            continue
        message = record.error.message if record.error else record.reason or record.status
        yield (Quoted(record.name), f" {record.status}", *runs.place(record), ": ", Quoted(message))


def _gates(comparison: Comparison) -> Iterator[Line]:
    """Metrics one by one, slices of a metric as one."""
    for gate in ("fail", "inconclusive"):
        groups: dict[tuple[str, str, bool], list[Delta]] = {}
        for delta in comparison.deltas:
            if delta.gate == gate:
                groups.setdefault((delta.run, delta.metric, delta.slice is not None), []).append(delta)
        for found in groups.values():
            worst = min(found, key=badness)
            yield _several(found, worst) if len(found) > 1 and worst.slice is not None else _point(worst, _why(worst))
    missing = [delta for delta in comparison.deltas if delta.gate == "no-baseline"]
    if missing:
        yield (f"{parts(missing)} without a baseline to compare with",)


def _nothing(comparison: Comparison, records: Sequence[Record]) -> Iterator[Line]:
    """What to do for a first number; who only executes notebooks, and wants none, is told until that passes."""
    if comparison.verdict != "pass" and without_metrics(comparison, records):
        yield (
            *("nothing to compare: name the file of the metrics in ", Quoted("metrics"), " of the run, or "),
            *("call ", Quoted("log_metric"), " of ", Quoted("mlci_log"), " in its code"),
        )


def _why(delta: Delta) -> Line:
    word = () if delta.gate == "fail" else (f"{delta.gate}: ",)
    return (*word, said(delta.reason or delta.gate))


def _point(delta: Delta, why: Line) -> Line:
    return (Quoted(delta.run), " ", Quoted(named(delta)), *_numbers(delta), ": ", *why)


def _several(found: Sequence[Delta], worst: Delta) -> Line:
    what = f" fails in {len(found)} slices" if worst.gate == "fail" else f" is {worst.gate} in {len(found)} slices"
    return (
        *(Quoted(worst.run), " ", Quoted(worst.metric), f"{what}, the worst "),
        *(Quoted(worst.slice or ""), *_numbers(worst), ": ", said(worst.reason or worst.gate)),
    )


def _numbers(delta: Delta) -> Line:
    """The values and how sure their change is, as far as the reason does not say it."""
    if delta.baseline is None or delta.current is None:
        return () if delta.current is None else (f" = {number(delta.current)}",)
    shown = figures(delta)
    told = delta.gate == "fail" or not shown.interval
    change = relative(delta).strip(" ()") if told else f"change {shown.interval}"
    noise: Line = ("noise not known",) if delta.noise == "none" else (said(delta.noise.removeprefix("none, ")),)
    return (f" {shown.before} → {shown.now} (", *((f"{change}, ",) if change else ()), *noise, ")")
