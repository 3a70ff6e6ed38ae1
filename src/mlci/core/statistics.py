"""Distributions and tests that judgements are made of; the one home of scipy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from statistics import variance

from mlci.core.threshold import FLOAT_NOISE

LEVEL = 0.05  # of every test
POWER = 0.8  # with which what is called detectable would be noticed
SHOWN = 0.9  # the confidence of intervals: both of its one-sided ends have the level of a test
SMALL, LARGE = 1e-75, 1e75  # beyond, the square of a variance is 0 or infinite
_NORMAL_FROM = 1e6  # degrees of freedom
_STEPS, _DIGITS = 80, 1e-13  # of a bisection: the most there are, and a relative width that is narrow enough


def holm(p_values: Sequence[float], shares: Sequence[float] | None = None) -> list[float]:
    """The p-values, adjusted so that among all of them a true hypothesis is rejected at most as often as at one.

    S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6 (1979), with
    weights as there.

    Args:
        p_values: Of the hypotheses.
        shares: Of the level, one each, that sum to 1; by default they are equal.
    """
    given = shares or [1 / max(len(p_values), 1)] * len(p_values)
    adjusted = [0.0] * len(p_values)
    reached, left = 0.0, 1.0
    for place in sorted(range(len(p_values)), key=lambda place: p_values[place] / given[place]):
        reached = max(reached, min(1.0, p_values[place] * max(left / given[place], 1.0)))
        adjusted[place] = reached
        left -= given[place]
    return adjusted


def shares(slices: Sequence[bool]) -> list[float]:
    """The share of the level of each test, by whether it is of a slice.

    Slices have half of the level in all, where there are others too: they are many, and would use it up.
    """
    count = sum(slices)
    whole = 0.5 if 0 < count < len(slices) else 1.0
    return [whole / (count if part else len(slices) - count) for part in slices]


def t_below(value: float, freedom: float) -> float:
    """The probability that Student's t is at most `value`; the normal distribution's for very many degrees."""
    from scipy import special  # noqa: PLC0415 - heavy, and only where there is noise

    return float(special.ndtr(value) if freedom >= _NORMAL_FROM else special.stdtr(freedom, value))


def t_quantile(probability: float, freedom: float) -> float:
    """The quantile of Student's t; the normal distribution's for very many degrees."""
    from scipy import special  # noqa: PLC0415 - heavy, and only where there is noise

    if freedom >= _NORMAL_FROM:
        return float(special.ndtri(probability))
    return float(special.stdtrit(freedom, probability))


def chi_square_quantile(probability: float, freedom: float) -> float:
    """The quantile of the chi-square distribution."""
    from scipy import special  # noqa: PLC0415 - heavy, and only where there is noise

    return float(special.chdtri(freedom, 1 - probability))


@lru_cache(maxsize=1024)
def detectable_errors(freedom: float, level: float) -> float:
    """`detectable` in standard errors."""
    from scipy import special  # noqa: PLC0415 - heavy, and only where there is noise

    limit = t_quantile(1 - level, freedom)
    if freedom >= _NORMAL_FROM:
        return limit + t_quantile(POWER, math.inf)
    return root(lambda shift: float(special.nctdtr(freedom, shift, limit)) - (1 - POWER), 0.0, 20 * limit + 20)


def measurable(values: Sequence[float]) -> bool:
    """Whether values are finite, and no larger than can be reckoned with: beyond, a model has come to nothing."""
    return all(abs(value) < LARGE for value in values)


def constant(values: Sequence[float]) -> bool:
    """Whether values are one number, floating-point noise aside."""
    return len(values) < 2 or negligible(variance(values), values)  # noqa: PLR2004 - one value is itself


def negligible(spread: float, values: Sequence[float]) -> bool:
    """Whether a variance is what rounding makes of equal numbers."""
    return math.sqrt(spread) <= max(SMALL, FLOAT_NOISE * max(map(abs, values), default=0.0))


def root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a monotonically falling function is 0, between `low` and `high`."""
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) > 0 else (low, middle)
        if high - low <= _DIGITS * abs(high):
            break
    return (low + high) / 2
