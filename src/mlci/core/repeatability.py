"""How noisy metrics are when the same commit is run again, and what the configured gate makes of that."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean, stdev

import numpy as np
from numpy.typing import NDArray

from mlci.core import estimates, statistics, unchanged
from mlci.core.documents import Direction, Document, Metric, Rule, RunResult
from mlci.core.estimates import MIN_RECORDS, Estimate, Part
from mlci.core.fitting import PASSING, Item, Remedy, Setting, Target, remedies
from mlci.core.metric import Key, infer_direction, key
from mlci.core.statistics import LEVEL, POWER, SHOWN, chi_square_quantile, t_quantile
from mlci.core.threshold import bounds, choose, in_words
from mlci.core.unchanged import FAILS, PASSES, UNDECIDED, Gated, Judged

DRAWS = 10_000  # comparisons that are simulated
_LEAST_DRAWS = 2_000
_MAX_CELLS = 2_000_000  # comparisons times metrics
_PAIR = 2


class Chances(Document, frozen=True):
    """The shares of comparisons of a commit with itself that pass, stay undecided, and fail."""

    passes: float
    undecided: float
    fails: float


class MetricNoise(Document, frozen=True):
    """What repeating tells of one metric."""

    metric: str
    slice: str | None
    values: tuple[float, ...]
    mean: float
    deviation: float  # standard deviation from execution to execution; 0: the same each time
    interval: tuple[float, float]  # 90%, of the deviation
    rule: str | None  # in words
    judged: Judged  # what the gate knows of its noise
    chances: Chances | None = None  # None: no rule
    detectable: float | None = None  # the smallest worsening that the gate notices four times out of five
    fits: float | None = None  # the smallest tolerance that leaves its noise room
    objection: str | None = None  # why its rule can decide nothing


class RunNoise(Document, frozen=True):
    """What was executed of a run, and how the gate takes it."""

    run: str
    table: str  # of the configuration, where its seeds stand or belong
    executions: int  # that succeeded
    seeds: tuple[int, ...]  # of these
    configured: int  # seeds a side of the gate
    records: int  # of its history
    deterministic: bool
    predictions: bool
    metrics: tuple[MetricNoise, ...]

    @property
    def exact(self) -> bool:
        """Whether all that matters is the same each time: what has a rule, or all where nothing has."""
        relevant = [metric for metric in self.metrics if metric.rule] or self.metrics
        return bool(relevant) and all(metric.deviation == 0 for metric in relevant)


class NoiseReport(Document, frozen=True):
    """What `mlci noise` has found out."""

    runs: tuple[RunNoise, ...]
    chances: Chances | None  # of the gate as a whole; None: it gates nothing
    draws: int  # comparisons that were simulated: a share p of them is known to sqrt(p (1 - p) / draws)
    remedies: tuple[Remedy, ...] = ()


def assess(runs: Iterable[tuple[Setting, Sequence[RunResult]]]) -> NoiseReport:
    """What executions of one commit tell of its metrics and of the gate.

    Comparisons of the commit with itself are simulated, with normal noise of the measured deviation in each metric
    independently, and judged as the gate judges; always the same ones, so that the answer can be had again.

    Args:
        runs: The gate's view of each, and its executions that succeeded.
    """
    measured = [(setting, results, list(_items(setting, results))) for setting, results in runs]
    gated = [item for _, _, items in measured for item in items if item.rule]
    draws = max(_LEAST_DRAWS, min(DRAWS, _MAX_CELLS // max(len(gated), 1)))
    said = _simulated([item.gated for item in gated], draws)
    chances = {item.key: _chances(said[:, place]) for place, item in enumerate(gated)}
    whole = _chances(said.max(axis=1)) if gated else None
    tested = [item for item in gated for _ in range(item.gated.tests)]
    shares = statistics.shares([item.gated.sliced for item in tested])
    share = {item.key: part for item, part in zip(tested, shares, strict=True)}
    target = Target(sum(item.gated.risks for item in gated))
    good = whole is None or (whole.passes >= PASSING and whole.fails <= LEVEL)
    return NoiseReport(
        runs=tuple(
            RunNoise(
                run=setting.run,
                table=setting.seeds_table,
                executions=len(results),
                seeds=tuple(result.seed for result in results if result.seed is not None),
                configured=len(setting.seeds),
                records=setting.records,
                deterministic=setting.deterministic,
                predictions=setting.predictions,
                metrics=tuple(_found(item, chances.get(item.key), share.get(item.key, 1.0), target) for item in items),
            )
            for setting, results, items in measured
        ),
        chances=whole,
        draws=draws,
        remedies=() if good else tuple(remedies(gated, target)),
    )


def deviation_interval(deviation: float, freedom: int) -> tuple[float, float]:
    """The two-sided 90% interval of a normal distribution's standard deviation, by the chi-square distribution."""
    tail = (1 - SHOWN) / 2
    low, high = (deviation * math.sqrt(freedom / chi_square_quantile(share, freedom)) for share in (1 - tail, tail))
    return low, high


def _simulated(gated: Sequence[Gated], draws: int) -> NDArray[np.int64]:
    generator = np.random.default_rng(0)
    if not gated:
        return np.empty((draws, 0), dtype=np.int64)
    return unchanged.decide(gated, [unchanged.draw(each, draws, generator) for each in gated])


def _items(setting: Setting, results: Sequence[RunResult]) -> Iterator[Item]:
    found: dict[Key, list[Metric]] = {}
    for result in results:
        for metric in result.metrics:
            found.setdefault(key(metric), []).append(metric)
    for metrics in found.values():
        if len(metrics) < _PAIR:
            continue
        first = metrics[0]
        values = tuple(metric.value for metric in metrics)
        finite = statistics.measurable(values)
        deviation = (0.0 if statistics.constant(values) else stdev(values)) if finite else math.nan
        rule = choose(setting.tiers, first.name, first.slice)
        direction = (rule.direction if rule else None) or first.direction or infer_direction(first.name)
        mean = fmean(values) if finite else math.nan
        yield Item(
            setting=setting,
            metric=first,
            values=values,
            rule=rule,
            direction=direction,
            gated=_gated(setting, metrics, rule, direction, mean, deviation),
        )


def _gated(
    setting: Setting,
    metrics: Sequence[Metric],
    rule: Rule | None,
    direction: Direction | None,
    mean: float,
    deviation: float,
) -> Gated:
    """How the gate takes a metric: as `noise.noise` does, but for what examples add."""
    seeds = len(setting.seeds)
    error, freedom = _standard_error(metrics)
    judged: Judged = "values"
    if seeds >= _PAIR:
        judged = "seeds" if deviation else "values"
    elif not setting.deterministic:
        past = math.sqrt(2) * deviation if setting.records >= MIN_RECORDS else 0.0
        judged = "standard errors" if error > 0 and error >= past else "records" if past > 0 else "values"
    low, high = (rule.min, rule.max) if rule else (None, None)
    found, objection = bounds(rule, direction, mean) if rule else ([], None)
    if not math.isfinite(mean):
        low, high, found, objection = None, None, [], "it was not always a finite number"
    elif rule and rule.min_n is not None and max(seeds or 1, metrics[0].n or 0) < rule.min_n:
        found, objection = [], f"there are fewer than {rule.min_n:,} seeds or examples"
    return Gated(
        mean=mean,
        deviation=deviation,
        judged=judged,
        size={"seeds": seeds, "records": setting.records}.get(judged, 1),
        error=error,
        freedom=freedom,
        sliced=metrics[0].slice is not None,
        bounds=tuple(found),
        low=low,
        high=high,
        objection=objection,
    )


def _standard_error(metrics: Sequence[Metric]) -> tuple[float, float]:
    """Of a change between two executions, by what they say of themselves, and its degrees of freedom; 0: nothing."""
    errors = [metric.standard_error for metric in metrics if metric.standard_error is not None]
    if len(errors) < len(metrics) or not all(map(math.isfinite, errors)):
        return 0.0, math.inf
    side = fmean(errors), metrics[0].n
    estimate = estimates.by_standard_errors(0.0, side, side)
    # Of two equal errors together there are as many as of one: see `estimates.Estimate`.
    return (estimate.standard_error, estimate.parts[0].freedom) if estimate else (0.0, math.inf)


def _chances(said: NDArray[np.int64]) -> Chances:
    passes, undecided, fails = (float((said == each).mean()) for each in (PASSES, UNDECIDED, FAILS))
    return Chances(passes=passes, undecided=undecided, fails=fails)


def _found(item: Item, chances: Chances | None, share: float, target: Target) -> MetricNoise:
    metric, gated = item.metric, item.gated
    finite = math.isfinite(gated.deviation)
    noticed = [bound.limit + _noticed(gated, LEVEL * share) for bound in gated.bounds] if finite else []
    return MetricNoise(
        metric=f"{metric.name} ({metric.split})" if metric.split else metric.name,
        slice=metric.slice,
        values=item.values,
        mean=gated.mean,
        deviation=gated.deviation,
        interval=deviation_interval(gated.deviation, len(item.values) - 1),
        rule=in_words(item.rule, item.direction) or None if item.rule else None,
        judged=gated.judged,
        chances=chances,
        detectable=min(noticed, default=None),
        fits=target.tolerance(gated) if finite else None,
        objection=gated.objection,
    )


def _noticed(gated: Gated, level: float) -> float:
    """How far beyond a bound the gate notices a change four times out of five."""
    between = math.sqrt(2) * gated.deviation
    by_chance = between * t_quantile(POWER, math.inf)
    if gated.judged == "values":
        return by_chance
    if gated.judged == "standard errors":
        return t_quantile(1 - level, gated.freedom) * gated.error + by_chance
    freedom = unchanged.freedom_of(gated)
    part = Part(kind=gated.judged, size=gated.size, variance=between**2 / gated.sides, freedom=freedom)
    return estimates.detectable(Estimate(change=0.0, parts=(part,)), level=level)
