"""A metric's values by step, however many there are, in a few kilobytes."""

from __future__ import annotations

from array import array

from mlci.core.metric import MAX_SERIES, thinned

_KEPT = 10 * MAX_SERIES


class Series:
    """Takes values as a training writes them; past 2,000 every other one is let go, the last one never."""

    def __init__(self) -> None:
        self._steps = array("d")
        self._values = array("d")
        self._stride = 1
        self._count = 0
        self._last = (0.0, 0.0)

    def add(self, step: float, value: float) -> None:
        """Take one more.

        A step that falls back drops what lay at it and beyond: a training that restarts from a checkpoint goes over
        them once more.
        """
        while self._steps and self._steps[-1] >= step:
            self._steps.pop()
            self._values.pop()
        if self._count % self._stride == 0:
            self._steps.append(step)
            self._values.append(value)
        self._count += 1
        self._last = (step, value)
        if len(self._steps) > _KEPT:
            del self._steps[1::2], self._values[1::2]
            self._stride *= 2

    @property
    def value(self) -> float:
        """What was taken last."""
        return self._last[1]

    def points(self) -> tuple[tuple[float, float], ...]:
        """At most 200 of the points, the first and the last among them."""
        points = list(zip(self._steps, self._values, strict=True))
        if self._steps and self._steps[-1] != self._last[0]:
            points.append(self._last)
        return thinned(points)
