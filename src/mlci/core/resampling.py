"""What the examples say of a change: both sides predicted the same ones, so that each example is its own comparison."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mlci.core.estimates import ExampleNoise
from mlci.core.prediction_estimates import Estimate
from mlci.core.prediction_metrics import Measure
from mlci.core.predictions import Floats, Predictions
from mlci.errors import MetricError

REPLICATES = 500  # of a bootstrap: they tell a standard error to 3%
_LEAST = 2  # examples


class IncomparableError(ValueError):
    """The examples of two sides are not the same, or too few; for the caller to say in a note."""


@dataclass(frozen=True)
class Paired:
    """Predictions of the same examples by the baseline and by now, a file a seed on each side.

    Args:
        before: Of the baseline, by seed; None is the seed of a run without seeds.
        now: Of this run.

    Raises:
        IncomparableError: Ids or labels differ between any two of the files; with counts.
    """

    before: Mapping[int | None, Predictions]
    now: Mapping[int | None, Predictions]
    _parts: dict[str, Paired] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        (first, reference), *others = self._named()
        for name, other in others:
            _check(first, reference, name, other)

    def part(self, slice_name: str) -> Paired:
        """The same of the examples of one slice.

        Raises:
            IncomparableError: It is not on all sides, or not of the same examples.
        """
        if slice_name not in self._parts:
            self._parts[slice_name] = self._taken(slice_name)
        return self._parts[slice_name]

    def all(self) -> list[Predictions]:
        """Every file, the baseline's first."""
        return [*self.before.values(), *self.now.values()]

    @cached_property
    def seed(self) -> int:
        """Where a bootstrap starts: at the examples, so that both sides in either order give the same answer."""
        return zlib.crc32("\0".join(self.all()[0].ids).encode("utf-8", "surrogatepass"))

    def _taken(self, slice_name: str) -> Paired:
        before, now = (
            {seed: part for seed, item in side.items() if (part := item.part(slice_name)) is not None}
            for side in (self.before, self.now)
        )
        if len(before) < len(self.before) or len(now) < len(self.now):
            raise IncomparableError("it is not a slice on both sides")
        return Paired(before, now)

    def _named(self) -> list[tuple[str, Predictions]]:
        """The files and how a person would call their place."""
        many = len(self.before) + len(self.now) > 2  # noqa: PLR2004 - one a side
        return [
            (f"{side} (seed {seed})" if many else side, item)
            for side, files in (("in the baseline", self.before), ("now", self.now))
            for seed, item in files.items()
        ]


def example_noise(pair: Paired, measure: Measure) -> ExampleNoise:
    """The change of a metric, and its error over the choice of examples, which both sides share.

    Of several seeds a side it is the difference of the means over seeds. The error of a metric with influences is that
    of the mean of their paired differences: exact where the metric is a mean over examples, DeLong's for areas under
    the curve, to the first order for ratios such as F1. Else it is that of a paired bootstrap over examples (Efron and
    Tibshirani, An Introduction to the Bootstrap, 1993, chapter 8).

    Args:
        pair: The predictions, or those of a slice: `pair.part("country=DE")`.
        measure: The metric.

    Raises:
        IncomparableError: Too few examples to tell, or the metric is not defined for them.
        MetricError: The predictions have not what the metric takes.
    """
    before = [measure.estimate(item) for item in pair.before.values()]
    now = [measure.estimate(item) for item in pair.now.values()]
    undefined = next((item for item in [*before, *now] if not math.isfinite(item.value)), None)
    if undefined is not None:
        raise IncomparableError(undefined.reason or "its value is not finite")
    count = len(pair.all()[0])
    if count < _LEAST:
        raise IncomparableError("one example tells nothing")
    influences = [_mean_influence(side) for side in (before, now)]
    if influences[0] is not None and influences[1] is not None:
        difference = influences[1] - influences[0]
        error = math.sqrt(float(difference @ difference) / (count * (count - 1)))
    else:
        error = _bootstrap(pair, measure, count)
    if not math.isfinite(error):
        raise IncomparableError("too few examples count for it")
    return ExampleNoise(
        examples=count,
        change=_mean(now) - _mean(before),
        standard_error=error,
        discordant=_discordant(pair) if measure.right_or_wrong else None,
    )


def _check(first: str, reference: Predictions, name: str, other: Predictions) -> None:
    if reference.ids != other.ids:
        one, two = set(reference.ids), set(other.ids)
        raise IncomparableError(f"{len(one - two):,} ids only {first}, {len(two - one):,} only {name}")
    place = {text: position for position, text in enumerate(reference.classes)}
    known = np.array([place.get(text, -1) for text in other.classes], dtype=np.int64)
    differing = int(np.count_nonzero(known[other.labels] != reference.labels))
    if differing:
        raise IncomparableError(f"{differing:,} of {len(other):,} ids have one label {first} and another {name}")


def _mean(estimates: Sequence[Estimate]) -> float:
    return math.fsum(item.value for item in estimates) / len(estimates)


def _mean_influence(estimates: Sequence[Estimate]) -> Floats | None:
    found = [item.influence for item in estimates if item.influence is not None]
    if len(found) < len(estimates):
        return None
    mean: Floats = np.mean(found, axis=0)
    return mean


def _bootstrap(pair: Paired, measure: Measure, count: int) -> float:
    """The spread of the change over resamples of the examples; those for which it is undefined do not count."""
    random = np.random.default_rng([pair.seed, count])
    changes = []
    for _ in range(REPLICATES):
        drawn = random.integers(count, size=count)
        try:
            before, now = (
                _mean([measure.estimate(item.take(drawn)) for item in side.values()])
                for side in (pair.before, pair.now)
            )
        except MetricError:
            continue
        changes.append(now - before)
    known = np.array(changes)[np.isfinite(changes)]
    return float(np.std(known, ddof=1)) if len(known) > REPLICATES / 2 else math.nan


def _discordant(pair: Paired) -> tuple[int, int] | None:
    """Which examples one side alone gets right, where each side has predicted once."""
    if len(pair.before) != 1 or len(pair.now) != 1:
        return None
    before, now = (np.asarray(item.labels == item.predictions) for item in pair.all())
    return int(np.count_nonzero(before & ~now)), int(np.count_nonzero(now & ~before))
