"""Pictures of characters: a curve as blocks, and a change between its bounds as a bar."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mlci.core.documents import Record
from mlci.render.allowed import Track

BLOCKS = "▁▂▃▄▅▆▇█"
BAR_TITLE = "worse ┃ allowed"

_POINTS = 10  # blocks of a learning curve
# A bar's cells: the baseline and the bound stand in the same place in every row, so that a table shows them as lines.
_ZERO, _STEP = 8, 0.25
_LAST = 12

Key = tuple[str, str, str | None]  # run, metric as deltas call it, slice
Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Curve:
    """How a metric went while it was trained: steps and values.

    Args:
        now: Of this run.
        before: Of the baseline; empty where it has none.
    """

    now: Points
    before: Points = ()


def curves(records: Iterable[Record], before: Iterable[Record]) -> dict[Key, Curve]:
    """The learning curves of `records`, with those of their baselines.

    Args:
        records: What was measured now.
        before: The baselines' records, as far as they are at hand.
    """
    old = dict(_series(before))
    return {key: Curve(points, old.get(key, ())) for key, points in _series(records)}


def _series(records: Iterable[Record]) -> Iterator[tuple[Key, Points]]:
    for record in records:
        for metric in record.metrics:
            points = tuple(point for point in metric.series if all(map(math.isfinite, point)))
            if len(points) > 1:
                name = f"{metric.name} ({metric.split})" if metric.split else metric.name
                yield (record.name, name, metric.slice), points


def sparkline(values: Sequence[float], *, beside: Sequence[float] = ()) -> str:
    """A block a value, as high as it lies between the least and the greatest; "?" for what is no finite number.

    Args:
        values: What to draw.
        beside: What is drawn on the same scale elsewhere.
    """
    finite = [value for value in (*values, *beside) if math.isfinite(value)]
    # Halves: the distance of two floats can be more than a float holds.
    low, high = (min(finite) / 2, max(finite) / 2) if finite else (0.0, 0.0)
    top = len(BLOCKS) - 1

    def block(value: float) -> str:
        if not math.isfinite(value):
            return "?"
        return BLOCKS[round(top * ((value / 2 - low) / (high - low)))] if high > low else BLOCKS[top // 2]

    return "".join(map(block, values))


def learned(curve: Curve) -> tuple[str, ...]:
    """A learning curve as a sparkline; before it, on the same scale, the baseline's if there is one."""
    before, now = _few(curve.before), _few(curve.now)
    drawn = (sparkline(before, beside=now), sparkline(now, beside=before))
    return drawn if before else drawn[1:]


def _few(points: Points) -> list[float]:
    """A few of the values, evenly spread, the first and the last among them."""
    last = len(points) - 1
    count = min(len(points), _POINTS)
    return [points[round(index * last / max(count - 1, 1))][1] for index in range(count)]


def bar(found: Track) -> str:
    """A change between its bounds, such as `░░░░┃·├─●─┤··`.

    `●` is the change in its interval `├─┤`, `┃` is what is allowed, `0` the baseline; where the interval covers these
    they are `╂` and `┼`. What lies further out is an arrow.
    """
    cells = ["·"] * (_LAST + 1)
    worst, best = (None if end is None else _cell(end) for end in (found.worst, found.best))
    cells[_ZERO] = "0"
    if worst is not None and worst >= 0:
        cells[: worst + 1] = "░" * worst + "┃"
    if best is not None and best <= _LAST:
        cells[best:] = "┃" + "░" * (_LAST - best)
    if found.low is not None and found.high is not None:
        low, high = _cell(found.low), _cell(found.high)
        crossed = {"0": "┼", "┃": "╂"}
        for cell in range(max(low, 0), min(high, _LAST) + 1):
            end = {low: "├", high: "┤"}.get(cell, "─")
            cells[cell] = crossed.get(cells[cell], end)
    point = _cell(found.point)
    cells[max(0, min(point, _LAST))] = "◀" if point < 0 else "▶" if point > _LAST else "●"
    return "".join(cells)


def _cell(value: float) -> int:
    """Where it belongs, which may be beyond either end."""
    return _ZERO + round(value / _STEP)
