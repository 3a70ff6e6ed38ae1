"""The report as one HTML file: the words of every other report, and pictures of what they are about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mlci.core.documents import Comparison, Delta, Record
from mlci.render.allowed import track
from mlci.render.metrics import badness, figures, named
from mlci.render.pages import lineage
from mlci.render.pages.notebooks import Notebook
from mlci.render.pages.page import page
from mlci.render.pages.picture import Picture
from mlci.render.parts import Line, Quoted, Section, Table
from mlci.render.report import Meta, build
from mlci.render.sparks import Curve, Key, Points, curves
from mlci.render.text import number, plain

SLICES = (200, 1000)  # of a metric, of a table: here they can be sorted and filtered
PICTURES = 600_000  # bytes of all plots
PICTURE = 250_000  # bytes of one
NOTEBOOKS = 200_000  # characters of all notebooks
_MOST_INTERVALS = 60
_MOST_CURVES = 24
_MOST_POINTS = 100  # of a curve
_MOST_LABEL = 60  # characters
_DIGITS = 5  # of a point
# What pictures follow, and what is folded away: long, and seldom asked for.
_METRICS = ("Gated metrics", "Other metrics")
_FOLDED = ("Other metrics", "Files", "Inputs", "Packages", "Documents", "Earlier attempts")


@dataclass(frozen=True)
class Executed:
    """A run's executed notebook.

    Args:
        run: The run's name.
        path: Where it lies.
        notebook: Its cells, or None.
        missing: Why it is not shown.
    """

    run: str
    path: str
    notebook: Notebook | None = None
    missing: str | None = None


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What the page shows beside the comparison.

    Args:
        before: The baselines' records by run, as far as they are at hand.
        pictures: The plots.
        notebooks: The executed notebooks.
        documents: The sha256 of each document, by its name.
    """

    before: Mapping[str, Record] = field(default_factory=dict)
    pictures: Sequence[Picture] = ()
    notebooks: Sequence[Executed] = ()
    documents: Mapping[str, str] = field(default_factory=dict)


def report(comparison: Comparison, records: Sequence[Record], *, meta: Meta, shown: Shown) -> str:
    """The page.

    Args:
        comparison: What to report.
        records: What was compared.
        meta: What else to say.
        shown: What else to show.
    """
    built = build(comparison, records, meta)
    gated = sorted((delta for delta in comparison.deltas if delta.gate != "none"), key=badness)
    intervals = [interval for delta in gated for interval in _interval(delta)]
    learned = _by_interest(curves(records, shown.before.values()), gated)
    drawn = dict(list(learned.items())[:_MOST_CURVES])
    lines = lineage.sections(comparison, records, shown.before, shown.documents)
    return page(
        title=f"{plain(built.headline)} · mlci report",
        template="report.html.j2",
        context={
            "built": built,
            "meta": meta,
            "name": "mlci" if meta.id == "main" else f"mlci {plain(meta.id)}",
            "undrawn": _undrawn(intervals, gated),
            "intervals": bool(intervals),
            "curves": [_label(key) for key in drawn],
            "curves_left": len(learned) - len(drawn),
            "curve_table": _curve_table(learned),
            "pictures": [picture for picture in shown.pictures if picture.sides],
            "missing": [picture for picture in shown.pictures if picture.missing or not picture.sides],
            "notebooks": shown.notebooks,
            "metrics": [section for section in built.sections if _name(section) in _METRICS],
            "sections": [section for section in built.sections if _name(section) not in _METRICS],
            "lineage": [section for section in lines if section.body],
            "folded": lambda section: _name(section) in _FOLDED,
        },
        data={
            "intervals": intervals[:_MOST_INTERVALS],
            "curves": [{"now": _thinned(curve.now), "before": _thinned(curve.before)} for curve in drawn.values()],
        },
    )


def _name(section: Section) -> str:
    """Its title without the count."""
    return section.title.split(" (")[0]


def _interval(delta: Delta) -> Iterator[dict[str, object]]:
    found = track(delta)
    if found is None:
        return
    numbers = figures(delta)
    words = f"{numbers.change} ({numbers.interval})" if numbers.interval else numbers.change
    yield {
        "label": plain(f"{delta.run} · {named(delta)}", limit=_MOST_LABEL),
        "gate": delta.gate,
        "words": f"{numbers.before} → {numbers.now}, {words}",
        "point": found.point,
        "low": found.low,
        "high": found.high,
        "worst": found.worst,
        "best": found.best,
    }


def _undrawn(intervals: Sequence[object], gated: Sequence[Delta]) -> str:
    """What the plot of intervals leaves out, in words."""
    notes = []
    if len(intervals) > _MOST_INTERVALS:
        notes.append(f"The worst {_MOST_INTERVALS} of {len(intervals)} are drawn.")
    rest = len(gated) - len(intervals)
    if rest:
        notes.append(
            f"{rest} more {'has' if rest == 1 else 'have'} no bound on the change, or no change: see the table."
        )
    return " ".join(notes)


def _by_interest(found: Mapping[Key, Curve], gated: Sequence[Delta]) -> dict[Key, Curve]:
    """The curves of what is gated first, the worst before the others; then the whole before its slices."""
    place = {(delta.run, delta.metric, delta.slice): index for index, delta in enumerate(gated)}
    order = sorted(found, key=lambda key: (place.get(key, len(place)), key[2] is not None))
    return {key: found[key] for key in order}


def _label(key: Key) -> str:
    run, metric, part = key
    return plain(f"{run} · {metric}" + (f" [{part}]" if part is not None else ""), limit=_MOST_LABEL)


def _thinned(points: Points) -> list[tuple[float, float]]:
    last = len(points) - 1
    count = min(len(points), _MOST_POINTS)
    kept = [points[round(index * last / max(count - 1, 1))] for index in range(count)]
    return [(float(f"{step:.{_DIGITS + 5}g}"), float(f"{value:.{_DIGITS}g}")) for step, value in kept]


def _curve_table(learned: Mapping[Key, Curve]) -> Table:
    """The same in numbers, for who cannot see the curves."""
    headers = ("Run", "Metric", "Points", "First", "Lowest", "Highest", "Last", "Last of the baseline")
    return Table(headers, tuple(_curve_row(key, curve) for key, curve in learned.items()))


def _curve_row(key: Key, curve: Curve) -> tuple[Line, ...]:
    values = [value for _, value in curve.now]
    run, metric, part = key
    return (
        (Quoted(run),),
        (Quoted(metric if part is None else f"{metric} [{part}]"),),
        (str(len(values)),),
        *((number(value),) for value in (values[0], min(values), max(values), values[-1])),
        (number(curve.before[-1][1]) if curve.before else "–",),
    )
