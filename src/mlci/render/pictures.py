"""Charts of a comparison as PNG: how gated metrics changed against what is allowed, and how they were learned."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import blended_transform_factory

from mlci.core.documents import Delta
from mlci.render.allowed import Track, track
from mlci.render.exhibition import Drawing
from mlci.render.metrics import badness, figures, named
from mlci.render.sparks import Curve, Key, Points
from mlci.render.text import counted, number, plain

_WIDTH = 760  # pixels of CSS: what a comment is wide
_PX = 1 / 100  # inches
_DPI = 200  # two dots a pixel
_SIZE = 12 * 72 * _PX  # points of 12 pixels
_ROW, _HEAD, _FOOT = 30, 34, 34  # pixels
_LEFT, _RIGHT = 0.25, 0.58  # of the width: where the intervals are
_NAME, _GATE, _FIGURES = _LEFT - 0.012, _RIGHT + 0.02, _RIGHT + 0.135  # and where names end, the rest begins
_MOST_ROWS = 14
_MOST_CURVES = 6
_ABREAST = 3
_PANEL = 168  # pixels
_SAID = 6  # metrics in an alternative text
_MAX_NAME = 28  # characters
_FURTHEST, _NEAREST = (-4.0, 3.0), (-1.7, 0.9)  # the axis shows at most, and at least
_LARGEST = 1e30  # what is larger fits no axis


@dataclass(frozen=True)
class Theme:
    """Colours, each with a contrast of at least 4.5 (lines: 3) to the ground."""

    ground: str
    text: str
    muted: str
    line: str
    zone: str
    gates: Mapping[str, str]
    now: str


LIGHT = Theme(
    ground="#ffffff",
    text="#1f2328",
    muted="#59636e",
    line="#818b98",
    zone="#ffebe9",
    gates={"fail": "#cf222e", "inconclusive": "#9a6700", "pass": "#1a7f37"},
    now="#0969da",
)
DARK = Theme(
    ground="#0d1117",
    text="#f0f6fc",
    muted="#9198a1",
    line="#656c76",
    zone="#3c1618",
    gates={"fail": "#ff7b72", "inconclusive": "#d29922", "pass": "#3fb950"},
    now="#4493f8",
)
_WORDS = {"fail": "fails", "inconclusive": "undecided", "pass": "passes"}
_MARKS = {"fail": "X", "inconclusive": "D", "pass": "o"}  # not by colour alone


def charts(deltas: Sequence[Delta], curves: Mapping[Key, Curve]) -> tuple[Drawing, ...]:
    """The charts that there is something to draw for; equal input gives equal bytes.

    Args:
        deltas: Of a comparison.
        curves: Learning curves.
    """
    gated = sorted((delta for delta in deltas if delta.gate in _WORDS), key=badness)
    tracks = [(delta, found) for delta in gated if (found := track(delta))]
    learned = [
        (delta, curve)
        for delta in gated
        if (curve := _drawable(curves.get((delta.run, delta.metric, delta.slice)))) and delta.slice is None
    ]
    return (*_intervals(tracks), *_learning(learned))


def _intervals(tracks: Sequence[tuple[Delta, Track]]) -> Iterator[Drawing]:
    if not tracks:
        return
    shown, more = tracks[:_MOST_ROWS], len(tracks) - _MOST_ROWS
    told = [
        f"{_said(delta)} changed by {_change(delta)}, {delta.tolerance}: {_WORDS[delta.gate]}"
        for delta, _ in tracks[:_SAID]
    ]
    rest = [f"and {len(tracks) - _SAID} more"] if len(tracks) > _SAID else []
    head = f"How far {counted(len(tracks), 'gated metric')} changed against what is allowed, the worst first"
    with _clean():
        light, dark = (_png(_interval_chart(shown, max(more, 0), theme)) for theme in (LIGHT, DARK))
    yield Drawing(light, f"{head}: {'; '.join([*told, *rest])}.", _WIDTH, dark)


def _learning(learned: Sequence[tuple[Delta, Curve]]) -> Iterator[Drawing]:
    if not learned:
        return
    shown, more = learned[:_MOST_CURVES], len(learned) - _MOST_CURVES
    told = [
        f"{_said(delta)} ends at {number(curve.now[-1][1])}"
        + (f", the baseline’s at {number(curve.before[-1][1])}" if curve.before else "")
        for delta, curve in shown
    ]
    with _clean():
        light, dark = (_png(_curve_chart(shown, max(more, 0), theme)) for theme in (LIGHT, DARK))
    yield Drawing(light, f"Learning curves: {'; '.join(told)}.", _WIDTH, dark)


def _interval_chart(tracks: Sequence[tuple[Delta, Track]], more: int, theme: Theme) -> Figure:
    height = _HEAD + _ROW * len(tracks) + _FOOT
    figure = Figure(figsize=(_WIDTH * _PX, height * _PX), facecolor=theme.ground)
    box = (_LEFT, _FOOT / height, _RIGHT - _LEFT, _ROW * len(tracks) / height)
    axes = figure.add_axes(box, facecolor=theme.ground)
    low, high = _span([found for _, found in tracks])
    axes.set_xlim(low, high)
    axes.set_ylim(len(tracks) - 0.5, -0.5)
    several = len({delta.run for delta, _ in tracks}) > 1
    for row, (delta, found) in enumerate(tracks):
        _draw_row(axes, row, found, delta.gate, theme)
        name = named(delta) if not several else f"{delta.run} · {named(delta)}"
        _write(axes, _NAME, row, plain(name, limit=_MAX_NAME), theme.text, ha="right")
        _write(axes, _GATE, row, _WORDS[delta.gate], theme.gates[delta.gate], weight="bold")
        _write(axes, _FIGURES, row, _change(delta), theme.muted)
    axes.axvline(0, color=theme.line, linewidth=1, zorder=1)
    axes.set_yticks([])
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
    for place, words, side in ((-1.0, "allowed", "right"), (0.0, "baseline", "left")):
        _label(axes, (place, -0.5), words, theme, ha=side, va="bottom")
    for place, words, side in ((low, "← worse", "left"), (high, "better →", "right")):
        _label(axes, (place, len(tracks) - 0.5), words, theme, ha=side, va="top")
    _count(figure, more, theme)
    return figure


def _draw_row(axes: Axes, row: int, found: Track, gate: str, theme: Theme) -> None:
    low, high = axes.get_xlim()
    for bound, edge in ((found.worst, low), (found.best, high)):
        if bound is not None and low < bound < high:
            axes.broken_barh([(min(bound, edge), abs(bound - edge))], (row - 0.5, 1), facecolor=theme.zone, zorder=0)
            axes.plot([bound, bound], [row - 0.5, row + 0.5], color=theme.gates["fail"], linewidth=1.2, zorder=1)
    colour, inside = theme.gates[gate], min(max(found.point, low), high)
    if found.low is not None and found.high is not None:
        ends = [min(max(end, low), high) for end in (found.low, found.high)]
        axes.plot(ends, [row, row], color=colour, linewidth=2.2, solid_capstyle="butt", zorder=2)
        for end, shown in zip((found.low, found.high), ends, strict=True):
            if end == shown:
                axes.plot([end, end], [row - 0.16, row + 0.16], color=colour, linewidth=2.2, zorder=2)
    beyond = "<" if found.point < low else ">" if found.point > high else None
    hollow = gate == "inconclusive" and not beyond
    axes.plot(
        [inside], [row], marker=beyond or _MARKS[gate], markersize=6.5, color=colour, clip_on=False, zorder=3,
        markerfacecolor=theme.ground if hollow else colour, markeredgewidth=1.6 if hollow else 0.6,
        markeredgecolor=colour,
    )  # fmt: skip


def _span(tracks: Sequence[Track]) -> tuple[float, float]:
    """What the axis shows: allowed and baseline always, intervals as far as they do not squeeze those together."""
    lows = [found.point if found.low is None else found.low for found in tracks]
    highs = [found.point if found.high is None else found.high for found in tracks]
    bounds = [found.best for found in tracks if found.best is not None]
    low = max(_FURTHEST[0], min(_NEAREST[0], *(value - 0.2 for value in lows)))
    high = min(_FURTHEST[1], max(_NEAREST[1], *(value + 0.2 for value in [*highs, *bounds])))
    return low, high


def _curve_chart(learned: Sequence[tuple[Delta, Curve]], more: int, theme: Theme) -> Figure:
    columns = min(len(learned), _ABREAST)
    rows = -(-len(learned) // columns)
    height = _HEAD + _PANEL * rows + (_FOOT if more else 0)
    figure = Figure(figsize=(_WIDTH * _PX, height * _PX), facecolor=theme.ground)
    grid = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(
        left=0.07, right=0.98, wspace=0.3, hspace=0.62,
        top=1 - (_HEAD + 22) / height, bottom=(24 + (_FOOT if more else 0)) / height,
    )  # fmt: skip
    several = len({delta.run for delta, _ in learned}) > 1
    for axes in grid.flat[len(learned) :]:
        axes.set_visible(False)
    for axes, (delta, curve) in zip(grid.flat, learned, strict=False):
        name = named(delta) if not several else f"{delta.run} · {named(delta)}"
        axes.set_title(plain(name, limit=_MAX_NAME), loc="left", fontsize=_SIZE, color=theme.text, parse_math=False)
        for points, colour, style, width in (
            (curve.before, theme.muted, (0, (3, 1.5)), 1.4),
            (curve.now, theme.now, "-", 1.8),
        ):
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, linestyle=style, linewidth=width)
                axes.plot(*points[-1], marker="o", markersize=3.5, color=colour, clip_on=False)
        _plain_axes(axes, theme)
    label: dict[str, Any] = {"fontsize": _SIZE, "va": "top", "ha": "left"}
    top = 1 - 8 / height
    figure.text(0.07, top, "— now", color=theme.now, **label)
    if any(curve.before for _, curve in learned):
        figure.text(0.15, top, "--- baseline", color=theme.muted, **label)
    _count(figure, more, theme)
    return figure


def _plain_axes(axes: Axes, theme: Theme) -> None:
    axes.set_facecolor(theme.ground)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(theme.line)
    axes.tick_params(colors=theme.muted, labelsize=_SIZE * 0.85, color=theme.line, length=3)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(3))


def _drawable(curve: Curve | None) -> Curve | None:
    """The curve as far as an axis can hold it, in the order of its steps; None where nothing is left."""
    if curve is None:
        return None
    now, before = _within(curve.now), _within(curve.before)
    return Curve(now, before) if now else None


def _within(points: Points) -> Points:
    kept = sorted(point for point in points if all(abs(value) < _LARGEST for value in point))
    return tuple(kept) if len(kept) > 1 else ()


def _said(delta: Delta) -> str:
    return f"{plain(named(delta), limit=60)} of {plain(delta.run, limit=60)}"


def _change(delta: Delta) -> str:
    shown = figures(delta)
    return f"{shown.change} ({shown.interval})" if shown.interval else shown.change


def _write(axes: Axes, x: float, row: int, words: str, colour: str, **how: Any) -> None:  # noqa: ANN401 - of Text
    """Words beside a row, at a share of the figure's width; a dollar in them is a dollar."""
    place = blended_transform_factory(axes.figure.transFigure, axes.transData)
    axes.text(
        x, row, words, color=colour, fontsize=_SIZE, va="center_baseline", parse_math=False, transform=place, **how
    )


def _label(axes: Axes, place: tuple[float, float], words: str, theme: Theme, **how: Any) -> None:  # noqa: ANN401 - of Text
    """What the axis means, a little outside of it."""
    down = 5 if how["va"] == "bottom" else -5
    axes.annotate(
        words, place, (0, down), textcoords="offset points", color=theme.muted, fontsize=_SIZE, annotation_clip=False,
        **how,
    )  # fmt: skip


def _count(figure: Figure, more: int, theme: Theme) -> None:
    if more:
        figure.text(0.01, 0.02, f"and {more} more", color=theme.muted, fontsize=_SIZE, va="bottom")


@contextmanager
def _clean() -> Iterator[None]:
    """The library as it comes, whatever configuration it found; a glyph that its font lacks is no more than a box."""
    defaults = {key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith("backend")}
    with warnings.catch_warnings(), mpl.rc_context():
        warnings.simplefilter("ignore")
        mpl.rcParams.update(defaults)
        yield


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(
        buffer, format="png", dpi=_DPI, facecolor=figure.get_facecolor(), metadata={"Software": None}
    )
    return buffer.getvalue()
