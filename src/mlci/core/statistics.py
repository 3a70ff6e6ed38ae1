"""How sure a change is: estimates with their errors, tests of them, and what it would take to be surer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import fmean, median, variance
from typing import Literal, Protocol

Kind = Literal["seeds", "examples", "records"]

LEVEL = 0.05  # of every test
POWER = 0.8  # with which `detectable` would be noticed
SHOWN = 0.9  # the confidence of intervals: both of its one-sided ends have the level of a test
MIN_RECORDS = 8  # of a history that tells noise
_MAX_MORE: dict[Kind, int] = {"seeds": 1_000, "examples": 10_000_000}
_NORMAL_FROM = 1e6  # degrees of freedom
_STEPS = 80  # of a bisection: to the last bit of a double
# The median absolute deviation of a normal distribution times this is its standard deviation.
_MAD = 1.4826


@dataclass(frozen=True, kw_only=True)
class ExampleNoise:
    """What the examples say of a change of a metric, whatever training adds.

    Args:
        examples: How many, common to both sides.
        change: Of the metric on them, current - baseline, the mean over seeds.
        standard_error: Of `change` over the choice of examples, which both sides share; 0 where no example differs.
        discordant: Where one prediction a side is right or wrong: how many only the baseline, and only the current one,
            gets right.
    """

    examples: int
    change: float
    standard_error: float
    discordant: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Part:
    """One independent source of the error of a change.

    Args:
        kind: What there would have to be more of.
        size: How many there are, of the smaller side.
        variance: What it adds to the variance of the change.
        freedom: Degrees of freedom of `variance` itself; infinite where it is known.
    """

    kind: Kind
    size: int
    variance: float
    freedom: float


class Evidence(Protocol):
    """A change that is known up to an error."""

    @property
    def change(self) -> float:
        """The best guess: current - baseline."""
        ...

    @property
    def parts(self) -> tuple[Part, ...]:
        """Where its error comes from."""
        ...

    def above(self, bound: float) -> float:
        """The p-value of "the change is at most `bound`", against its being larger."""
        ...

    def below(self, bound: float) -> float:
        """The p-value of "the change is at least `bound`", against its being smaller."""
        ...

    def interval(self) -> tuple[float, float]:
        """The two-sided 90% confidence interval of the change."""
        ...


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A change with independent errors, as Student's t with the degrees of freedom of Satterthwaite (1946).

    F. E. Satterthwaite, An approximate distribution of estimates of variance components, Biometrics Bulletin 2 (1946).
    Of two samples it is B. L. Welch's test (Biometrika 34, 1947), of pairs Student's.
    """

    change: float
    parts: tuple[Part, ...]

    @property
    def standard_error(self) -> float:
        """Of the change; above 0."""
        return _error(self.parts)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the standard error."""
        return _freedom(self.parts)

    def above(self, bound: float) -> float:
        """See `Evidence.above`."""
        return t_below((bound - self.change) / self.standard_error, self.freedom)

    def below(self, bound: float) -> float:
        """See `Evidence.below`."""
        return t_below((self.change - bound) / self.standard_error, self.freedom)

    def interval(self) -> tuple[float, float]:
        """See `Evidence.interval`."""
        half = t_quantile(1 - LEVEL, self.freedom) * self.standard_error
        return self.change - half, self.change + half


@dataclass(frozen=True, kw_only=True)
class PairedProportions:
    """The difference of two proportions of the same examples, by Tango's score test and interval.

    T. Tango, Equivalence test and confidence interval for the difference in proportions for the paired-sample design,
    Statistics in Medicine 17 (1998). At a bound of 0 it is McNemar's test without continuity correction. Without a
    discordant pair it says of 0 that there is no evidence against it (p = 1), and still bounds how far off it can be.

    Args:
        examples: How many.
        lost: How many only the baseline gets right.
        won: How many only the current one gets right.
    """

    examples: int
    lost: int
    won: int

    @property
    def change(self) -> float:
        """The difference of the proportions."""
        return (self.won - self.lost) / self.examples

    @property
    def parts(self) -> tuple[Part, ...]:
        """The examples alone."""
        spread = (self.won + self.lost) / self.examples - self.change**2
        size = self.examples
        return (Part(kind="examples", size=size, variance=max(spread, 1 / size) / size, freedom=math.inf),)

    def above(self, bound: float) -> float:
        """See `Evidence.above`."""
        return self._p(-self._score(bound), bound)

    def below(self, bound: float) -> float:
        """See `Evidence.below`."""
        return self._p(self._score(bound), bound)

    def interval(self) -> tuple[float, float]:
        """See `Evidence.interval`."""
        limit = t_quantile(1 - LEVEL, math.inf)
        # The score falls as the bound rises.
        return (
            _root(lambda bound: self._score(bound) - limit, -1.0, self.change),
            _root(lambda bound: self._score(bound) + limit, self.change, 1.0),
        )

    def _p(self, score: float, bound: float) -> float:
        return 1.0 if bound == 0 and not self.won + self.lost else t_below(score, math.inf)

    def _score(self, bound: float) -> float:
        """The difference from `bound`, over its standard error where `bound` were the truth."""
        n, lost, won = self.examples, self.lost, self.won
        distance = won - lost - n * bound
        # The likeliest share of examples that only the baseline gets right, if the difference is `bound`.
        linear = lost * (1 - bound) + won * (1 + bound) - 2 * n * bound
        root = math.sqrt(max(linear * linear + 8 * n * lost * bound * (1 - bound), 0.0))
        share = max((linear + root) / (4 * n), -bound, 0.0)
        spread = n * (2 * share + bound * (1 - bound))
        if spread <= 0:
            return math.copysign(math.inf, distance) if distance else 0.0
        return distance / math.sqrt(spread)


def paired(differences: Sequence[float], examples: ExampleNoise | None = None) -> Estimate | None:
    """The change by the differences of at least 2 pairs, one a seed; None where they do not differ from each other."""
    size, spread = len(differences), variance(differences)
    if _negligible(spread, differences):
        return None
    part = Part(kind="seeds", size=size, variance=spread / size, freedom=size - 1)
    return Estimate(change=fmean(differences), parts=(part, *_of_examples(examples)))


def unpaired(before: Sequence[float], now: Sequence[float], examples: ExampleNoise | None = None) -> Estimate | None:
    """The change between two samples of at least 2; None where neither varies."""
    spreads = [(0.0 if _negligible(variance(side), side) else variance(side), len(side)) for side in (before, now)]
    if not any(spread for spread, _ in spreads):
        return None
    shares = [(spread / size, size) for spread, size in spreads]
    total = sum(share for share, _ in shares)
    freedom = total**2 / sum(share**2 / (size - 1) for share, size in shares)
    part = Part(kind="seeds", size=min(len(before), len(now)), variance=total, freedom=freedom)
    return Estimate(change=fmean(now) - fmean(before), parts=(part, *_of_examples(examples)))


def one_against_several(
    before: Sequence[float], now: Sequence[float], examples: ExampleNoise | None = None
) -> Estimate | None:
    """The change where one side is a single value: is it what the other side would give once more?

    The prediction interval of a normal sample, as in J. R. Crawford and D. C. Howell, Comparing an individual's test
    score against norms derived from small samples, The Clinical Neuropsychologist 12 (1998): it takes the spread of the
    several for that of the one. None where the several do not vary.
    """
    several = before if len(before) > 1 else now
    size, spread = len(several), variance(several)
    if _negligible(spread, several):
        return None
    part = Part(kind="seeds", size=1, variance=spread * (1 + 1 / size), freedom=size - 1)
    return Estimate(change=fmean(now) - fmean(before), parts=(part, *_of_examples(examples)))


def by_examples(noise: ExampleNoise) -> Evidence | None:
    """The change by the examples alone, which carry no training noise; None where no example can differ."""
    if noise.discordant is not None:
        lost, won = noise.discordant
        return PairedProportions(examples=noise.examples, lost=lost, won=won)
    parts = _of_examples(noise)
    return Estimate(change=noise.change, parts=parts) if parts else None


def by_standard_errors(
    change: float, before: tuple[float, int | None], now: tuple[float, int | None]
) -> Estimate | None:
    """The change by a (standard error, n) of each side, as if the two were independent; None without an error."""
    sides = [(error, size) for error, size in (before, now)]
    if not all(error > 0 and math.isfinite(error) for error, _ in sides):
        return None
    parts = tuple(
        Part(kind="examples", size=size, variance=error**2, freedom=size - 1)
        if size is not None and size > 1
        else Part(kind="records", size=1, variance=error**2, freedom=math.inf)
        for error, size in sides
    )
    return Estimate(change=change, parts=parts)


def by_history(change: float, values: Sequence[float]) -> Estimate | None:
    """The change among the successive differences of at least 8 values of the main branch, in their order.

    Differences of neighbours stay small where a branch drifts or its noise is correlated, which the spread of levels
    takes for stability lost (J. von Neumann et al., The mean square successive difference, Annals of Mathematical
    Statistics 12, 1941). Their scale is 1.4826 times the median magnitude, so that a few real changes among them do not
    widen it. (K - 1)/2 degrees of freedom hold the level for K of 8 to 50 (benchmarks/judgement.py). None where more
    than half of the values are as the one before: there is no noise to be seen.
    """
    if len(values) < MIN_RECORDS or not all(map(math.isfinite, values)):
        return None
    steps = [abs(one - other) for one, other in zip(values[1:], values, strict=False)]
    scale = _MAD * median(steps)
    if _negligible(scale**2, values):
        return None
    part = Part(kind="records", size=len(values), variance=scale**2, freedom=(len(values) - 1) / 2)
    return Estimate(change=change, parts=(part,))


def two_sided(evidence: Evidence) -> float:
    """The p-value of "there is no change"."""
    return min(1.0, 2 * min(evidence.above(0.0), evidence.below(0.0)))


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
        reached = max(reached, min(1.0, p_values[place] * left / given[place]))
        adjusted[place] = reached
        left = max(left - given[place], given[place])
    return adjusted


def detectable(evidence: Evidence, *, level: float = LEVEL) -> float:
    """How far beyond a bound a change must be so that a one-sided test at `level` rejects it with 80% power.

    By the noncentral t distribution (J. Cohen, Statistical Power Analysis, 1988, ch. 2).
    """
    return _error(evidence.parts) * _detectable_errors(_freedom(evidence.parts), level)


def more(evidence: Evidence, gap: float, kind: Kind) -> int | None:
    """How many more of `kind` a side would settle a test, should the change stay `gap` away from its bound.

    Returns:
        The smallest number; None where no reasonable number would, or nothing of that kind is at hand.
    """
    if not gap > 0 or kind not in _MAX_MORE or all(part.kind != kind for part in evidence.parts):
        return None

    def settles(extra: int) -> bool:
        parts = tuple(_grown(part, extra) if part.kind == kind else part for part in evidence.parts)
        return gap > t_quantile(1 - LEVEL, _freedom(parts)) * _error(parts)

    high = 1
    while not settles(high):
        high *= 2
        if high > _MAX_MORE[kind]:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if settles(middle) else (middle, high)
    return high


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


def constant(values: Sequence[float]) -> bool:
    """Whether values are one number, floating-point noise aside."""
    return len(values) < 2 or _negligible(variance(values), values)  # noqa: PLR2004 - one value is itself


@lru_cache(maxsize=1024)
def _detectable_errors(freedom: float, level: float) -> float:
    """`detectable` in standard errors."""
    from scipy import special  # noqa: PLC0415 - heavy, and only where there is noise

    limit = t_quantile(1 - level, freedom)
    if freedom >= _NORMAL_FROM:
        return limit + t_quantile(POWER, math.inf)
    return _root(lambda shift: float(special.nctdtr(freedom, shift, limit)) - (1 - POWER), 0.0, 20 * limit + 20)


def _of_examples(noise: ExampleNoise | None) -> tuple[Part, ...]:
    if noise is None or not noise.standard_error > 0:
        return ()
    spread, size = noise.standard_error**2, noise.examples
    return (Part(kind="examples", size=size, variance=spread, freedom=max(size - 1, 1)),)


def _error(parts: Sequence[Part]) -> float:
    return math.sqrt(sum(part.variance for part in parts))


def _freedom(parts: Sequence[Part]) -> float:
    whole = sum(part.variance for part in parts)
    uncertain = sum((part.variance / whole) ** 2 / part.freedom for part in parts)
    return 1 / uncertain if uncertain else math.inf


def _grown(part: Part, extra: int) -> Part:
    """The part with `extra` more a side, of the same spread."""
    size = part.size + extra
    per_unit = (part.freedom + 1) / part.size
    return replace(part, size=size, variance=part.variance * part.size / size, freedom=part.freedom + extra * per_unit)


def _negligible(spread: float, values: Sequence[float]) -> bool:
    """Whether a variance is what rounding makes of equal numbers."""
    return math.sqrt(spread) <= 1e-12 * max(map(abs, values), default=0.0)


def _root(function: _Function, low: float, high: float) -> float:
    """Where a monotonically falling function is 0, between `low` and `high`."""
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if function(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


class _Function(Protocol):
    def __call__(self, value: float, /) -> float: ...
