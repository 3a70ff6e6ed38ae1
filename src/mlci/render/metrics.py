"""The tables of metrics: of each the whole, and of its slices the worst few, with the rest counted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from mlci.core.documents import Delta
from mlci.render.allowed import track
from mlci.render.parts import Drawn, Line, Quoted, Table, said
from mlci.render.sparks import BAR_TITLE, Curve, Key, bar, learned
from mlci.render.text import counted, number, pair, places_of, rounded, signed

_THOUSAND, _MILLION = 1e3, 1e6
MOST_SLICES = (5, 20)  # of a metric, of a table
_NO_CURVES: Mapping[Key, Curve] = MappingProxyType({})
_GATES = ("fail", "inconclusive", "no-baseline", "pass", "none")  # from bad to good


@dataclass(frozen=True)
class Figures:
    """The numbers of a delta as text, with the digits that their interval can tell apart."""

    before: str
    now: str
    change: str
    interval: str | None = None


def figures(delta: Delta) -> Figures:
    """What a reader needs of the numbers; what is not there is a dash."""
    if delta.baseline is None or delta.current is None or delta.change is None:
        before, now = ("–" if value is None else number(value) for value in (delta.baseline, delta.current))
        return Figures(before, now, "–")
    places = places_of(delta.interval[1] - delta.interval[0]) if delta.interval else None
    if places is None or delta.interval is None:
        return Figures(*pair(delta.baseline, delta.current), f"{signed(delta.change)}{relative(delta)}")
    first = -math.floor(math.log10(abs(delta.change))) if delta.change and math.isfinite(delta.change) else places
    before, now = (rounded(value, max(places, first)) for value in (delta.baseline, delta.current))
    if before == now and delta.change:
        before, now = pair(delta.baseline, delta.current)
    low, high = (signed(end, places) for end in delta.interval)
    return Figures(before, now, signed(delta.change, places), f"{low} … {high}")


def relative(delta: Delta) -> str:
    """The change in percent of the baseline, such as " (−11.1%)"; nothing where that says nothing."""
    if not delta.baseline or not delta.change or not math.isfinite(delta.change / delta.baseline):
        return ""
    percent = 100 * delta.change / abs(delta.baseline)
    # Three digits of a large number would be written with an exponent.
    return f" ({signed(percent, 0 if _THOUSAND <= abs(percent) < _MILLION else None)}%)"


def named(delta: Delta) -> str:
    """The metric, and the slice of it."""
    return f"{delta.metric} [{delta.slice}]" if delta.slice is not None else delta.metric


def verdict(delta: Delta) -> str:
    """The verdict of a change in the reader's words."""
    if delta.verdict != "inconclusive":
        return delta.verdict
    if delta.direction is None:
        return "changed"
    # What fails by its rule is not waved through by a word.
    return "within noise" if delta.interval and delta.gate != "fail" else "inconclusive"


def badness(delta: Delta) -> tuple[int, bool, float]:
    """Sorts deltas, the worst first: by gate, then what got worse beyond doubt, then by how much worse."""
    change = math.nan if delta.change is None else delta.change
    better = {"higher": change, "lower": -change, None: -abs(change)}[delta.direction]
    doubtful = delta.verdict not in ("regressed", "missing")
    return _GATES.index(delta.gate), doubtful, -math.inf if math.isnan(better) else better


@dataclass(frozen=True)
class _Rest:
    """The slices of a metric that are only counted."""

    run: str
    hidden: list[Delta]


@dataclass(frozen=True)
class _Columns:
    """Which columns a table has besides those that all have."""

    gated: bool
    beside: bool
    noise: bool
    bar: bool
    curves: Mapping[Key, Curve]

    @classmethod
    def of(cls, deltas: Sequence[Delta], curves: Mapping[Key, Curve], *, gated: bool) -> _Columns:
        drawn = {key: curves[key] for key in map(_key, deltas) if key in curves}
        return cls(
            gated=gated,
            beside=any(delta.deployed is not None for delta in deltas),
            noise=any(delta.noise != "none" for delta in deltas),
            bar=gated and any(track(delta) for delta in deltas),
            curves=drawn,
        )


def tables(
    deltas: Sequence[Delta],
    *,
    gated: bool,
    curves: Mapping[Key, Curve] = _NO_CURVES,
    most_slices: tuple[int, int] = MOST_SLICES,
) -> tuple[Table, ...]:
    """One table of all of them, or none; with bars where a rule bounds a change, and curves where there are any."""
    if not deltas:
        return ()
    columns = _Columns.of(deltas, curves, gated=gated)
    change = "Change (90% interval)" if any(delta.interval for delta in deltas) else "Change"
    headers = (
        *("Run", "Metric", *(("Deployed",) if columns.beside else ()), "Baseline", "Now"),
        *((("Learning curve",) if columns.curves else ()) + (change,) + (("Noise",) if columns.noise else ())),
        *(("Rule", *((BAR_TITLE,) if columns.bar else ()), "Gate") if gated else ("Verdict",)),
    )
    rows = (
        _rest(item, len(headers), gated=gated) if isinstance(item, _Rest) else _row(item, columns)
        for item in _arranged(deltas, *most_slices)
    )
    return (Table(headers, tuple(rows)),)


def _arranged(deltas: Sequence[Delta], of_metric: int, of_table: int) -> Iterator[Delta | _Rest]:
    """The metrics in their order, each with the worst of its slices after it."""
    groups: dict[tuple[str, str], tuple[list[Delta], list[Delta]]] = {}
    for delta in deltas:
        whole, slices = groups.setdefault((delta.run, delta.metric), ([], []))
        (whole if delta.slice is None else slices).append(delta)
    for _, slices in groups.values():
        slices.sort(key=badness)
    candidates = sorted(
        ((badness(delta), group) for group, (_, slices) in groups.items() for delta in slices[:of_metric]),
        key=lambda item: item[0],
    )
    shown = Counter(group for _, group in candidates[:of_table])
    for group, (whole, slices) in groups.items():
        yield from whole
        yield from slices[: shown[group]]
        if slices[shown[group] :]:
            yield _Rest(group[0], slices[shown[group] :])


def _rest(rest: _Rest, width: int, *, gated: bool) -> tuple[Line, ...]:
    results = Counter(delta.gate if gated else verdict(delta) for delta in sorted(rest.hidden, key=badness))
    more = counted(len(rest.hidden), "more slice")
    if len(results) == 1:
        words = f"and {more}, {'all ' if len(rest.hidden) > 1 else ''}{next(iter(results))}"
    else:
        words = f"and {more}: " + ", ".join(f"{count} {result}" for result, count in results.items())
    return ((Quoted(rest.run),), (words,), *[("",)] * (width - 2))


def _row(delta: Delta, columns: _Columns) -> tuple[Line, ...]:
    shown = figures(delta)
    change = f"{shown.change} ({shown.interval})" if shown.interval else shown.change
    return (
        (Quoted(delta.run),),
        (Quoted(named(delta)), *((" ", Quoted(delta.unit)) if delta.unit else ())),
        *(((number(delta.deployed) if delta.deployed is not None else "–",),) if columns.beside else ()),
        (shown.before,),
        (shown.now,),
        *((_curve(columns.curves.get(_key(delta))),) if columns.curves else ()),
        (f"{change}, {verdict(delta)}",) if columns.gated else (change,),
        *((_noise(delta),) if columns.noise else ()),
        *(_judged(delta, columns) if columns.gated else ((verdict(delta),),)),
    )


def _key(delta: Delta) -> Key:
    return delta.run, delta.metric, delta.slice


def _judged(delta: Delta, columns: _Columns) -> tuple[Line, ...]:
    found = track(delta)
    drawn: Line = (Drawn(bar(found)),) if found else ("–",)
    return ((said(delta.tolerance or "–"),), *((drawn,) if columns.bar else ()), _gate(delta))


def _curve(curve: Curve | None) -> Line:
    if curve is None:
        return ("–",)
    *before, now = map(Drawn, learned(curve))
    return (*((before[0], " → ") if before else ()), now)


def _noise(delta: Delta) -> Line:
    if delta.noise == "none":
        return ("–",)
    return (said(delta.noise), *((f", notices {number(delta.detectable, 2)}",) if delta.detectable else ()))


def _gate(delta: Delta) -> Line:
    if delta.gate == "pass":
        return ("pass, accepted: ", said(delta.accepted)) if delta.accepted else ("pass",)
    return (delta.gate, *((": ", said(delta.reason)) if delta.reason else ()))
