"""Rules: which one applies to a metric, and whether a value and its change satisfy it."""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mlci.core.documents import Direction, GateResult, Rule

Policy = Literal["pass", "warn", "fail"]

_PERCENT = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*%\s*$")
_GLOB = re.compile(r"[*?\[]")
# Two values this close, relative to the larger, are the same number written twice: sums in another order differ so.
FLOAT_NOISE = 1e-12


@dataclass(frozen=True, kw_only=True)
class GateSettings:
    """What blocks: `[gate]` of the configuration."""

    mode: Literal["enforce", "report"] = "enforce"
    on_inconclusive: Policy = "warn"
    on_no_baseline: Policy = "warn"
    on_skipped: Policy = "pass"


@dataclass(frozen=True)
class Tolerance:
    """An allowed change: absolute, or a fraction of the baseline's magnitude."""

    amount: float
    relative: bool

    def at(self, baseline: float) -> float | None:
        """The allowed change in the metric's unit; None for a relative one at a baseline of 0 or infinity."""
        if not self.relative:
            return self.amount
        return None if baseline == 0 or math.isinf(baseline) else self.amount * abs(baseline)

    def __str__(self) -> str:
        return f"{self.amount * 100:g}%" if self.relative else f"{self.amount:g}"


def parse_tolerance(given: float | str) -> Tolerance:
    """A tolerance as the configuration writes it.

    Raises:
        ValueError: Neither a number of at least 0 nor a percentage.
    """
    if isinstance(given, str):
        match = _PERCENT.match(given)
        if not match:
            raise ValueError(f'expected a number or a percentage such as "2%", got {given!r}')
        return Tolerance(float(match[1]) / 100, relative=True)
    if not given >= 0 or math.isinf(given):
        raise ValueError(f"expected a tolerance of at least 0, got {given:g}")
    return Tolerance(float(given), relative=False)


def check_rule(rule: Rule) -> None:
    """Refuse a rule that cannot be meant.

    Raises:
        ValueError: One line on what was expected.
    """
    for name in ("max_regression", "max_drop", "max_increase"):
        given = getattr(rule, name)
        if given is not None:
            try:
                parse_tolerance(given)
            except ValueError as error:
                raise ValueError(f"{name.replace('_', '-')}: {error}") from None
    if rule.min is not None and rule.max is not None and rule.min > rule.max:
        raise ValueError(f"min {rule.min:g} is above max {rule.max:g}")


def choose(tiers: Sequence[Sequence[Rule]], name: str, part: str | None = None) -> Rule | None:
    """The one rule for a metric: of the first tier with a match, the exact pattern, else the most literal one.

    Args:
        tiers: Rules; the first tier with a match decides.
        name: The metric's.
        part: The slice's name, which only rules of slices match; None: the whole, which they do not.
    """
    for rules in tiers:
        matching = [rule for rule in rules if _fits(rule.pattern, name) and _is_of(rule, part)]
        if matching:
            return max(matching, key=lambda rule: (*_precision(rule.pattern, name), *_precision(rule.slice, part)))
    return None


def _is_of(rule: Rule, part: str | None) -> bool:
    if rule.slice is None or part is None:
        return rule.slice is part
    return _fits(rule.slice, part)


def _fits(pattern: str, name: str) -> bool:
    return pattern == name or fnmatch.fnmatchcase(name, pattern)


def _precision(pattern: str | None, name: str | None) -> tuple[bool, int, str]:
    return pattern == name, len(_GLOB.sub("", pattern or "")), pattern or ""


def bounds_change(rule: Rule) -> bool:
    """Whether the rule needs a baseline."""
    return any(bound is not None for bound in (rule.max_regression, rule.max_drop, rule.max_increase))


def in_words(rule: Rule, direction: Direction | None) -> str:
    """The rule as the report says it, such as "at most 0.01 lower, at least 0.85"."""
    words = []
    if rule.max_regression is not None:
        worse = {"higher": "lower", "lower": "higher", None: "worse"}[direction]
        words.append(f"at most {parse_tolerance(rule.max_regression)} {worse}")
    if rule.max_drop is not None:
        words.append(f"at most {parse_tolerance(rule.max_drop)} lower")
    if rule.max_increase is not None:
        words.append(f"at most {parse_tolerance(rule.max_increase)} higher")
    if rule.min is not None:
        words.append(f"at least {rule.min:g}")
    if rule.max is not None:
        words.append(f"at most {rule.max:g}")
    if rule.required and not words:
        words.append("required")
    return ", ".join(words)


def same(one: float, other: float) -> bool:
    """Whether two values are one number, floating-point noise aside."""
    return math.isclose(one, other, rel_tol=FLOAT_NOISE, abs_tol=0.0)


def difference(baseline: float, current: float) -> float:
    """The change from one value to the other; 0 between equal infinities."""
    return 0.0 if baseline == current else current - baseline


def judge_value(rule: Rule, value: float) -> list[str]:
    """What `min` and `max` have against a value; needs no baseline."""
    objections = []
    if rule.min is not None and value < rule.min:
        objections.append(f"below the minimum {rule.min:g}")
    if rule.max is not None and value > rule.max:
        objections.append(f"above the maximum {rule.max:g}")
    return objections


def judge_change(
    rule: Rule, direction: Direction | None, baseline: float, current: float
) -> tuple[GateResult, str | None]:
    """Judge a change of point values: it passes while the worsening w is at most the tolerance t.

    Returns:
        The result and, unless it passes, the reason.
    """
    change = difference(baseline, current)
    slack = FLOAT_NOISE * max(abs(baseline), abs(current))
    worsening = {"higher": -change, "lower": change, None: 0.0}[direction]
    bounds = (
        ("max-regression", rule.max_regression, worsening, "worse"),
        ("max-drop", rule.max_drop, -change, "lower"),
        ("max-increase", rule.max_increase, change, "higher"),
    )
    result: tuple[GateResult, str | None] = ("pass", None)
    for name, given, amount, word in bounds:
        if given is None:
            continue
        if name == "max-regression" and direction is None:
            result = ("inconclusive", "its direction is not known: set direction in its rule")
            continue
        tolerance = parse_tolerance(given)
        limit = tolerance.at(baseline)
        if limit is None:
            result = ("inconclusive", f"{tolerance} of a baseline of {baseline:g}: give {name} as a number")
        elif amount > limit + (slack if math.isfinite(slack) else 0.0):
            return "fail", f"{amount:.3g} {word}, at most {tolerance} allowed"
    return result
