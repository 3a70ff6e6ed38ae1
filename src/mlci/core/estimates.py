"""Changes with their errors: from what is known of noise to evidence, its tests, and what it would take to be surer."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import fmean, median, variance
from typing import Literal, Protocol

from mlci.core.statistics import (
    LARGE,
    LEVEL,
    SMALL,
    detectable_errors,
    measurable,
    negligible,
    root,
    t_below,
    t_quantile,
)

Kind = Literal["seeds", "examples", "records"]

MIN_RECORDS = 8  # of a history that tells noise
# The median absolute deviation of a normal distribution times this is its standard deviation.
MAD = 1.4826
_ROUNDS = 50  # of a fixed point that each of them halves the way to
_MAX_MORE: dict[Kind, int] = {"seeds": 1_000, "examples": 10_000_000}


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

    @property
    def parts(self) -> tuple[Part, ...]:
        """Where its error comes from."""

    def parts_at(self, change: float) -> tuple[Part, ...]:
        """The same, if `change` were the truth: of proportions the error depends on it."""

    def above(self, bound: float) -> float:
        """The p-value of "the change is at most `bound`", against its being larger."""

    def below(self, bound: float) -> float:
        """The p-value of "the change is at least `bound`", against its being smaller."""

    def interval(self) -> tuple[float, float]:
        """The two-sided 90% confidence interval of the change."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A change with independent errors: of one, by Student's t; of several, by Howe's combination.

    W. G. Howe, Approximate confidence limits on the mean of X + Y, Journal of the American Statistical Association 69
    (1974): an interval reaches as far as the root of the summed squares of what it would reach by each error alone.
    Satterthwaite's degrees of freedom would give a false alarm in 8% instead of 5%, and in 3% instead of 0.1%, where a
    variance that 2 seeds tell stands beside one that is well known.
    """

    change: float
    parts: tuple[Part, ...]

    @property
    def standard_error(self) -> float:
        """Of the change; above 0."""
        return math.sqrt(sum(part.variance for part in self.parts))

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the standard error; of several parts about so, after Satterthwaite."""
        return _freedom(self.parts)

    def parts_at(self, change: float) -> tuple[Part, ...]:  # noqa: ARG002 - the same, wherever the truth is
        """See `Evidence.parts_at`."""
        return self.parts

    def above(self, bound: float) -> float:
        """See `Evidence.above`."""
        return _p(self.change - bound, self.parts)

    def below(self, bound: float) -> float:
        """See `Evidence.below`."""
        return _p(bound - self.change, self.parts)

    def interval(self) -> tuple[float, float]:
        """See `Evidence.interval`."""
        half = _reach(self.parts, 1 - LEVEL)
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
        return self.parts_at(self.change)

    def parts_at(self, change: float) -> tuple[Part, ...]:
        """See `Evidence.parts_at`."""
        size = self.examples
        spread = self._spread(min(max(change, -1.0), 1.0)) / size
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
            root(lambda bound: self._score(bound) - limit, -1.0, self.change),
            root(lambda bound: self._score(bound) + limit, self.change, 1.0),
        )

    def _p(self, score: float, bound: float) -> float:
        return 1.0 if bound == 0 and not self.won + self.lost else t_below(score, math.inf)

    def _score(self, bound: float) -> float:
        """The difference from `bound`, over its standard error where `bound` were the truth."""
        distance, spread = self.won - self.lost - self.examples * bound, self._spread(bound)
        if spread <= 0:
            return math.copysign(math.inf, distance) if distance else 0.0
        return distance / math.sqrt(spread)

    def _spread(self, bound: float) -> float:
        """The variance of `won - lost`, where `bound` were the truth."""
        n, lost, won = self.examples, self.lost, self.won
        # The likeliest share of examples that only the baseline gets right, if the difference is `bound`.
        linear = lost * (1 - bound) + won * (1 + bound) - 2 * n * bound
        root = math.sqrt(max(linear * linear + 8 * n * lost * bound * (1 - bound), 0.0))
        share = max((linear + root) / (4 * n), -bound, 0.0)
        return n * (2 * share + bound * (1 - bound))


def paired(pairs: Sequence[tuple[float, float]], examples: ExampleNoise | None = None) -> Estimate | None:
    """The change by at least 2 pairs (baseline, current), one a seed; None where all differ by the same."""
    differences = [now - before for before, now in pairs]
    size, spread = len(differences), variance(differences)
    # Beside the values, not the differences: seeds that give the same but for rounding differ by nothing else.
    if negligible(spread, [value for pair in pairs for value in pair]):
        return None
    part = Part(kind="seeds", size=size, variance=spread / size, freedom=size - 1)
    return Estimate(change=fmean(differences), parts=(part, *_of_examples(examples)))


def unpaired(before: Sequence[float], now: Sequence[float], examples: ExampleNoise | None = None) -> Estimate | None:
    """The change between two samples of at least 2; None where neither varies."""
    spreads = [(0.0 if negligible(variance(side), side) else variance(side), len(side)) for side in (before, now)]
    if not any(spread for spread, _ in spreads):
        return None
    parts = _of_two(
        Part(kind="seeds", size=size, variance=spread / size, freedom=size - 1) for spread, size in spreads if spread
    )
    return Estimate(change=fmean(now) - fmean(before), parts=(*parts, *_of_examples(examples)))


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
    if negligible(spread, several):
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
    if not all(SMALL < error < LARGE for error, _ in (before, now)):
        return None
    parts = _of_two(
        Part(kind="examples", size=size, variance=error**2, freedom=size - 1)
        if size is not None and size > 1
        else Part(kind="records", size=1, variance=error**2, freedom=math.inf)
        for error, size in (before, now)
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
    if len(values) < MIN_RECORDS or not measurable(values):
        return None
    steps = [abs(one - other) for one, other in zip(values[1:], values, strict=False)]
    scale = MAD * median(steps)
    if negligible(scale**2, values):
        return None
    part = Part(kind="records", size=len(values), variance=scale**2, freedom=(len(values) - 1) / 2)
    return Estimate(change=change, parts=(part,))


def two_sided(evidence: Evidence) -> float:
    """The p-value of "there is no change"."""
    return min(1.0, 2 * min(evidence.above(0.0), evidence.below(0.0)))


def detectable(evidence: Evidence, *, level: float = LEVEL, bound: float = 0.0, sign: int = 1) -> float:
    """How far beyond a bound a change must be so that a one-sided test at `level` rejects it with 80% power.

    By the noncentral t distribution (J. Cohen, Statistical Power Analysis, 1988, ch. 2); of several errors, and of
    proportions, whose error grows with the change, about so.

    Args:
        evidence: What is known of the error.
        level: Of the test.
        bound: Of the change.
        sign: On which side of the bound: 1 above, -1 below.
    """
    far = 0.0
    for _ in range(_ROUNDS):
        before = far
        far = _combined(evidence.parts_at(bound + sign * far), lambda freedom: detectable_errors(freedom, level))
        if math.isclose(far, before):
            break
    return far


def more(evidence: Evidence, bound: float, kind: Kind) -> int | None:
    """How many more of `kind` a side would settle the test of `bound`, should the change stay as it is.

    Returns:
        The smallest number; None where no reasonable number would, or nothing of that kind is at hand.
    """
    gap, parts_there = abs(evidence.change - bound), evidence.parts_at(bound)
    if not gap > 0 or kind not in _MAX_MORE or all(part.kind != kind for part in parts_there):
        return None

    def settles(extra: int) -> bool:
        parts = tuple(_grown(part, extra) if part.kind == kind else part for part in parts_there)
        return gap > _reach(parts, 1 - LEVEL)

    most = _MAX_MORE[kind]
    needed = bisect_left(range(most + 1), True, lo=1, key=settles)
    return needed if needed <= most else None


def _of_two(samples: Iterable[Part]) -> tuple[Part, ...]:
    """The error of B. L. Welch's test (Biometrika 34, 1947); where a sample is more than twice the other, that of each.

    For there Welch's gives up to half as many false alarms again, if the smaller is of 2 or 3.
    """
    parts = sorted(samples, key=lambda part: part.size)
    if parts[-1].size > 2 * parts[0].size:
        return tuple(parts)
    return (replace(parts[0], variance=sum(part.variance for part in parts), freedom=_freedom(parts)),)


def _freedom(parts: Sequence[Part]) -> float:
    whole = sum(part.variance for part in parts)
    uncertain = sum((part.variance / whole) ** 2 / part.freedom for part in parts)
    return 1 / uncertain if uncertain else math.inf


def _of_examples(noise: ExampleNoise | None) -> tuple[Part, ...]:
    if noise is None or noise.standard_error <= SMALL:
        return ()
    spread, size = noise.standard_error**2, noise.examples
    return (Part(kind="examples", size=size, variance=spread, freedom=max(size - 1, 1)),)


def _combined(parts: Sequence[Part], errors: Callable[[float], float]) -> float:
    """A distance for all parts together, of so many standard errors for each alone, by its degrees of freedom."""
    return math.sqrt(sum(part.variance * errors(part.freedom) ** 2 for part in parts))


def _reach(parts: Sequence[Part], probability: float) -> float:
    """How far an error goes at most with a probability of at least a half."""
    return _combined(parts, lambda freedom: t_quantile(probability, freedom))


@lru_cache(maxsize=1024)
def _p(distance: float, parts: tuple[Part, ...]) -> float:
    """The probability of an error that goes as far as `distance`."""
    if distance < 0:
        return 1 - _p(-distance, parts)
    errors = distance / math.sqrt(sum(part.variance for part in parts))
    # Where there is one degree of freedom only, that is the answer; else it lies between those of the extremes.
    low, high = sorted(t_below(-errors, pick(part.freedom for part in parts)) for pick in (min, max))
    return high if low == high else root(lambda p: _reach(parts, p) - distance, low, high)


def _grown(part: Part, extra: int) -> Part:
    """The part with `extra` more a side, of the same spread."""
    size = part.size + extra
    per_unit = (part.freedom + 1) / part.size
    return replace(part, size=size, variance=part.variance * part.size / size, freedom=part.freedom + extra * per_unit)
