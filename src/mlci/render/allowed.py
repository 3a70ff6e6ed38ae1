"""How far a change may go, as numbers that can be drawn: a comparison keeps its rules in words."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from mlci.core.documents import Delta

# What core's `in_words` says of a bound on a change; a `min` or `max` is about the value, and is drawn nowhere.
_BOUND = re.compile(r"at most (\d[\d.e+-]{0,20})(%?) (lower|higher)", re.ASCII)


@dataclass(frozen=True)
class Track:
    """A gated change on an axis of its own: what is worse lies to the left, 0 is the baseline, 1 what is allowed.

    Args:
        point: The change.
        low: The left end of its interval; None where that is not known.
        high: The right end.
        worst: How far to the left it may go; None: as far as it likes.
        best: How far to the right.
    """

    point: float
    low: float | None
    high: float | None
    worst: float | None
    best: float | None


def track(delta: Delta) -> Track | None:
    """Where a change lies between its bounds; None where it has none, or is no number."""
    down, up = _bounds(delta)
    change = delta.change
    if change is None or not math.isfinite(change) or (down is None and up is None):
        return None
    ends = delta.interval if delta.interval and all(map(math.isfinite, delta.interval)) else None
    turned = delta.direction == "lower" or (delta.direction is None and down is None)
    left, right = (up, down) if turned else (down, up)
    # Where nothing is allowed the change itself is the measure.
    allowed = (right if left is None else left) or max(map(abs, (change, *(ends or ())))) or 1.0
    unit = -allowed if turned else allowed
    low, high = sorted(_scaled(end, unit) for end in ends) if ends else (None, None)
    return Track(
        point=_scaled(change, unit),
        low=low,
        high=high,
        worst=None if left is None else _scaled(-left, allowed),
        best=None if right is None else _scaled(right, allowed),
    )


def _scaled(value: float, unit: float) -> float:
    return max(-1e9, min(1e9, value / unit)) + 0.0  # never minus zero, and nothing that overflows a drawing


def _bounds(delta: Delta) -> tuple[float | None, float | None]:
    """The largest fall and the largest rise that the rule allows."""
    found: dict[str, list[float]] = {"lower": [], "higher": []}
    for amount, percent, way in _BOUND.findall(delta.tolerance or ""):
        share = abs(delta.baseline or 0.0) / 100 if percent else 1.0
        try:
            limit = float(amount) * share
        except ValueError:
            continue
        if math.isfinite(limit):
            found[way].append(limit)
    return min(found["lower"], default=None), min(found["higher"], default=None)
