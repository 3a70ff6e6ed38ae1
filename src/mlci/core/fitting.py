"""Which tolerances, or how many seeds, leave noise so much room that a commit passes against itself."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from mlci.core import unchanged
from mlci.core.documents import Direction, Document, Metric, Rule
from mlci.core.metric import Key, key
from mlci.core.statistics import LEVEL, t_quantile
from mlci.core.unchanged import Gated

PASSING = 0.8  # of comparisons of a commit with itself, at least
MAX_SEEDS = 20  # that are suggested
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How the gate takes the metrics of a run.

    Args:
        run: Its name.
        tiers: Its rules: its own, then those of every run.
        seeds: As configured.
        rules_table: Where its own rules stand, such as "runs.churn.rules".
        seeds_table: Where its seeds stand or belong, such as "runs.churn".
        records: Of its history.
        deterministic: As configured.
        predictions: Whether it keeps predictions of examples.
    """

    run: str
    tiers: Sequence[Sequence[Rule]]
    seeds: tuple[int, ...]
    rules_table: str
    seeds_table: str
    records: int = 0
    deterministic: bool = False
    predictions: bool = False


@dataclass(frozen=True, kw_only=True)
class Item:
    """A metric that was measured several times, and how it is gated."""

    setting: Setting
    metric: Metric
    values: tuple[float, ...]
    rule: Rule | None
    direction: Direction | None
    gated: Gated

    @property
    def key(self) -> tuple[str, Key]:
        """What makes it the same one."""
        return self.setting.run, key(self.metric)


class Remedy(Document, frozen=True):
    """What to write so that noise decides less often: one or the other."""

    metric: str  # that needs it most
    run: str  # which has it
    rule: tuple[str, ...]  # lines of TOML: the rule with more room
    instead: tuple[str, ...] | None  # likewise: what makes the rule right as it is; None: nothing reasonable


@dataclass(frozen=True)
class Target:
    """How rarely chance may decide a single bound, so that a whole gate of `risks` bounds passes 4 times out of 5."""

    risks: int

    @property
    def passing(self) -> float:
        """The share of comparisons that shall pass a bound that is tested: no other kind of test fails too often."""
        return float(PASSING ** (1 / max(self.risks, 1)))

    @property
    def holding(self) -> float:
        """The share of comparisons that shall not fail a bound to which values are held as they are."""
        return float((1 - LEVEL) ** (1 / max(self.risks, 1)))

    def tolerance(self, gated: Gated) -> float:
        """The smallest tolerance on a change that will do, in the metric's unit."""
        between = math.sqrt(2) * gated.deviation
        if gated.judged == "values":
            return between * t_quantile(self.holding, math.inf)
        if gated.judged == "standard errors":
            wide = t_quantile(1 - LEVEL, gated.freedom) * gated.error
            return wide + between * t_quantile(self.passing, math.inf)
        return unchanged.margin(gated.judged, gated.size, self.passing) * gated.deviation

    def away(self, gated: Gated) -> float:
        """How far from the mean `min` and `max` have to be."""
        return t_quantile(self.holding, math.inf) * gated.deviation / math.sqrt(gated.sides)

    def met(self, gated: Gated) -> bool:
        """Whether every bound leaves so much room; a mean that is itself beyond `min` or `max` is no noise."""
        needed = self.tolerance(gated)
        return all(bound.limit >= needed for bound in gated.bounds) and not self.low(gated) and not self.high(gated)

    def low(self, gated: Gated) -> bool:
        """Whether noise may fall below `min`."""
        return gated.low is not None and gated.mean - self.away(gated) < gated.low <= gated.mean

    def high(self, gated: Gated) -> bool:
        """Whether noise may rise above `max`."""
        return gated.high is not None and gated.mean + self.away(gated) > gated.high >= gated.mean


def more_seeds(configured: Sequence[int], count: int) -> tuple[int, ...]:
    """`count` different seeds: those that are configured, then the smallest others."""
    others = (seed for seed in itertools.count() if seed not in configured)
    return tuple(itertools.islice(itertools.chain(configured, others), count))


def rounded_up(value: float) -> float:
    """The next number of two digits, of one above 0."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / unit) * unit:.2g}")


def remedies(items: Sequence[Item], target: Target) -> Iterator[Remedy]:
    """One for each table of rules that leaves too little room for one of its metrics."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        if item.gated.objection is None and not target.met(item.gated):
            groups.setdefault(_rule_table(item), []).append(item)
    for table, unmet in groups.items():
        worst = max(unmet, key=lambda item: target.tolerance(item.gated))
        yield Remedy(
            metric=worst.metric.name,
            run=worst.setting.run,
            rule=(f"[{table}]", *_bounds(unmet, target), *_levels(unmet, target)),
            instead=_instead(unmet, target),
        )


def _bounds(items: Sequence[Item], target: Target) -> Iterator[str]:
    """The bounds on a change that have to be wider."""
    for name in ("max-regression", "max-drop", "max-increase"):
        tight = [
            (target.tolerance(item.gated), abs(item.gated.mean), bound.tolerance.endswith("%"))
            for item in items
            for bound in item.gated.bounds
            if bound.name == name and bound.limit < target.tolerance(item.gated)
        ]
        if not tight:
            continue
        if tight[0][2]:
            yield f'{name} = "{rounded_up(max(100 * needed / mean for needed, mean, _ in tight)):g}%"'
        else:
            yield f"{name} = {rounded_up(max(needed for needed, _, _ in tight)):g}"


def _levels(items: Sequence[Item], target: Target) -> Iterator[str]:
    """The bounds on a value that have to be further away."""
    low = [item.gated for item in items if target.low(item.gated)]
    high = [item.gated for item in items if target.high(item.gated)]
    if low:
        yield f"min = {min(_whole(gated.mean - target.away(gated), gated.deviation, math.floor) for gated in low):.12g}"
    if high:
        yield f"max = {max(_whole(gated.mean + target.away(gated), gated.deviation, math.ceil) for gated in high):.12g}"


def _instead(items: Sequence[Item], target: Target) -> tuple[str, ...] | None:
    """By run, what makes its rules right as they are."""
    lines: list[str] = []
    for run in dict.fromkeys(item.setting.run for item in items):
        mine = [item for item in items if item.setting.run == run]
        setting = mine[0].setting
        line = _exact(mine) or _seeds(mine, target)
        if line is None:
            return None
        lines += [f"[{setting.seeds_table}]", line]
    return tuple(lines)


def _exact(items: Sequence[Item]) -> str | None:
    """Standard errors are no noise of a run that gives the same each time."""
    return None if any(item.gated.deviation for item in items) else "deterministic = true"


def _seeds(items: Sequence[Item], target: Target) -> str | None:
    configured = items[0].setting.seeds
    for count in range(max(len(configured), 1) + 1, MAX_SEEDS + 1):
        if all(target.met(replace(item.gated, judged="seeds", size=count)) for item in items):
            return f"seeds = {list(more_seeds(configured, count))}"
    return None


def _rule_table(item: Item) -> str:
    """The table of a metric's rule, as TOML names it."""
    rule = item.rule
    assert rule is not None  # noqa: S101 - only what has a rule can be short of room
    table = item.setting.rules_table if rule in item.setting.tiers[0] else "metrics"
    part = "" if rule.slice is None else f".slices.{_quoted(rule.slice)}"
    return f"{table}.{_quoted(rule.pattern)}{part}"


def _quoted(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _whole(value: float, deviation: float, towards: _Rounding) -> float:
    """The next number with no more decimal places than the first digit of the noise has."""
    places = -math.floor(math.log10(deviation))
    return towards(value * 10.0**places) / 10.0**places


class _Rounding(Protocol):
    def __call__(self, value: float, /) -> int: ...
