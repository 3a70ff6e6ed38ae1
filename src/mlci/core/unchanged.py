"""Comparisons of a commit with itself, by the thousand: what the gate says of a model that nothing has changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlci.core.estimates import MAD
from mlci.core.statistics import LEVEL, holm, shares, t_below, t_quantile
from mlci.core.threshold import FLOAT_NOISE, Bound

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Judged = Literal["seeds", "standard errors", "records", "values"]

PASSES, UNDECIDED, FAILS = range(3)
_MARGIN_DRAWS = 20_000


@dataclass(frozen=True, kw_only=True)
class Gated:
    """A metric as chance moves it, and how the gate takes it.

    Args:
        mean: Of single executions.
        deviation: Of single executions, their standard deviation.
        judged: What the gate knows of its noise; "values": nothing, they are compared as they are.
        size: Seeds a side, or records of the history.
        error: Of the change, where standard errors tell it.
        freedom: Degrees of freedom of the error.
        sliced: Whether it is of a slice.
        bounds: Of the rule, on the change.
        low: The rule's `min`.
        high: The rule's `max`.
        objection: Why the gate cannot decide; it still fails where values are beyond what bounds there are.
    """

    mean: float
    deviation: float
    judged: Judged
    size: int = 1
    error: float = 0.0
    freedom: float = math.inf
    sliced: bool = False
    bounds: tuple[Bound, ...] = ()
    low: float | None = None
    high: float | None = None
    objection: str | None = None

    @property
    def tests(self) -> int:
        """How many bounds are tested; others hold for the values as they are."""
        return 0 if self.judged == "values" or self.objection else len(self.bounds)

    @property
    def risks(self) -> int:
        """How many bounds chance may decide."""
        if self.deviation == 0 and not self.tests:
            return 0
        return len(self.bounds) + (self.low is not None) + (self.high is not None)

    @property
    def sides(self) -> int:
        """How many values a side has."""
        return self.size if self.judged == "seeds" else 1


@dataclass(frozen=True)
class Draws:
    """What both sides of each comparison measured of one metric.

    Args:
        before: (comparisons, seeds), the baseline's.
        now: (comparisons, seeds).
        past: (comparisons, records), the history, the newest last; without columns where it is not asked.
    """

    before: Floats
    now: Floats
    past: Floats


def draw(metric: Gated, count: int, generator: np.random.Generator) -> Draws:
    """`count` comparisons of a commit with itself, of normal noise."""
    if metric.judged == "records":
        past = metric.mean + metric.deviation * generator.standard_normal((count, metric.size))
        before = past[:, -1:]
    else:
        past = np.empty((count, 0))
        before = metric.mean + metric.deviation * generator.standard_normal((count, metric.sides))
    now = metric.mean + metric.deviation * generator.standard_normal((count, metric.sides))
    return Draws(before, now, past)


def decide(metrics: Sequence[Gated], draws: Sequence[Draws]) -> NDArray[np.int64]:
    """What the gate says: `judging.judge`, of all comparisons at once.

    Args:
        metrics: All that a rule gates.
        draws: Of each metric, of one and the same number of comparisons.

    Returns:
        (comparisons, metrics): PASSES, UNDECIDED or FAILS.
    """
    objected = np.column_stack([_objected(*each) for each in zip(metrics, draws, strict=True)])
    said = np.where(objected, FAILS, PASSES)
    tests = [(place, bound) for place, metric in enumerate(metrics) if metric.tests for bound in metric.bounds]
    tested = [metrics[place] for place, _ in tests]
    active = ~objected[:, [place for place, _ in tests]]
    limits = np.array([t_quantile(1 - LEVEL, freedom_of(metric)) for metric in tested])
    scores = [_score(metrics[place], draws[place], bound) for place, bound in tests]
    table = np.column_stack(scores) if tests else np.empty(active.shape)
    failed = _by_holm(table, active & (table > limits), active, tested)
    for column, (place, _) in enumerate(tests):
        _worsen(said, place, failed[:, column], FAILS)
        _worsen(said, place, active[:, column] & (table[:, column] >= -limits[column]), UNDECIDED)
    for place, metric in enumerate(metrics):
        if metric.objection:
            said[:, place] = np.maximum(said[:, place], UNDECIDED)
        for bound in () if metric.tests else metric.bounds:
            _worsen(said, place, _beyond(draws[place], bound), FAILS)
    return said


def freedom_of(metric: Gated) -> float:
    """Degrees of freedom of what the gate knows of the noise of a change."""
    return {"seeds": metric.size - 1, "records": (metric.size - 1) / 2}.get(metric.judged, metric.freedom)


@lru_cache(maxsize=256)
def margin(judged: Literal["seeds", "records"], size: int, share: float) -> float:
    """The tolerance, in standard deviations of single executions, that passes a `share` of changes of nothing.

    The gate passes a change d of standard error s at a tolerance t where d + q s < t, q the quantile of Student's t, so
    it is a quantile of d + q s, here of simulated ones.

    Args:
        judged: What tells the noise.
        size: Seeds a side, or records.
        share: Of comparisons that shall pass.
    """
    generator = np.random.default_rng(size)
    metric = Gated(mean=0.0, deviation=1.0, judged=judged, size=size)
    change, error = _change(metric, draw(metric, _MARGIN_DRAWS, generator))
    return float(np.quantile(change + t_quantile(1 - LEVEL, freedom_of(metric)) * error, share))


def _objected(metric: Gated, draws: Draws) -> Flags:
    """Where `min` or `max` is missed."""
    value = draws.now.mean(axis=1)
    low = -math.inf if metric.low is None else metric.low
    high = math.inf if metric.high is None else metric.high
    return np.asarray((value < low) | (value > high))


def _worsen(said: NDArray[np.int64], place: int, where: Flags, to: int) -> None:
    said[where, place] = np.maximum(said[where, place], to)


def _beyond(draws: Draws, bound: Bound) -> Flags:
    """Where values that are compared as they are differ by more than a bound allows: as `threshold.judge_change`."""
    before, now = draws.before.mean(axis=1), draws.now.mean(axis=1)
    slack = FLOAT_NOISE * np.maximum(np.abs(before), np.abs(now))
    return np.asarray(bound.sign * (now - before) > bound.limit + slack)


def _score(metric: Gated, draws: Draws, bound: Bound) -> Floats:
    """How far a change is beyond a bound, in standard errors."""
    change, error = _change(metric, draws)
    return np.asarray((bound.sign * change - bound.limit) / error)


def _change(metric: Gated, draws: Draws) -> tuple[Floats, Floats]:
    """The changes and their standard errors, as `core.noise` weighs them."""
    change = draws.now.mean(axis=1) - draws.before.mean(axis=1)
    if metric.judged == "seeds":
        error = (draws.now - draws.before).std(axis=1, ddof=1) / math.sqrt(metric.size)
    elif metric.judged == "records":
        error = MAD * np.median(np.abs(np.diff(draws.past, axis=1)), axis=1)
    else:
        error = np.full(len(change), metric.error)
    return change, error


def _by_holm(scores: Floats, exceeded: Flags, active: Flags, tested: Sequence[Gated]) -> Flags:
    """Which tests fail when each comparison's are taken as one family.

    Args:
        scores: (comparisons, tests), in standard errors beyond the bound.
        exceeded: (comparisons, tests), where a test would fail alone: no other can among several.
        active: (comparisons, tests), which are asked.
        tested: The metric of each test.
    """
    failed = np.zeros_like(exceeded)
    for row in np.flatnonzero(exceeded.any(axis=1)):
        asked = np.flatnonzero(active[row]).tolist()
        p_values = [
            t_below(-float(scores[row, test]), freedom_of(tested[test])) if exceeded[row, test] else 1.0
            for test in asked
        ]
        adjusted = holm(p_values, shares([tested[test].sliced for test in asked]))
        failed[row, asked] = np.array(adjusted) < LEVEL
    return failed
