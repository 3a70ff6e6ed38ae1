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
        matching = [rule for rule in rules if fits(rule.pattern, name) and _is_of(rule, part)]
        if matching:
            return max(matching, key=lambda rule: (*_precision(rule.pattern, name), *_precision(rule.slice, part)))
    return None


def names(rule: Rule) -> bool:
    """Whether a rule is about one metric, by its name, rather than about all that match a pattern."""
    return not _GLOB.search(rule.pattern) and not (rule.slice and _GLOB.search(rule.slice))


def _is_of(rule: Rule, part: str | None) -> bool:
    if rule.slice is None or part is None:
        return rule.slice is part
    return fits(rule.slice, part)


def fits(pattern: str, name: str) -> bool:
    """Whether a pattern is the name, or a glob that it matches."""
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


@dataclass(frozen=True)
class Bound:
    """A bound on the change of a metric, in its unit.

    Args:
        name: The rule's key.
        sign: 1 where it bounds a rise, -1 where a fall.
        limit: How far the change may go that way; at least 0.
        word: What the change is beyond it, such as "lower".
        tolerance: The bound as it was written.
    """

    name: str
    sign: int
    limit: float
    word: str
    tolerance: str

    @property
    def allowed(self) -> str:
        """The bound as it was written; of a share also what that comes to."""
        return f"{self.tolerance} ({self.limit:.3g})" if self.tolerance.endswith("%") else self.tolerance


def bounds(rule: Rule, direction: Direction | None, baseline: float) -> tuple[list[Bound], str | None]:
    """The bounds that a rule sets a change from `baseline`, and why one that it names cannot be applied."""
    found: list[Bound] = []
    objection = None
    worse = {"higher": -1, "lower": 1, None: 0}[direction]
    for name, given, sign, word in (
        ("max-regression", rule.max_regression, worse, "worse"),
        ("max-drop", rule.max_drop, -1, "lower"),
        ("max-increase", rule.max_increase, 1, "higher"),
    ):
        if given is None:
            continue
        tolerance = parse_tolerance(given)
        limit = tolerance.at(baseline)
        if sign == 0:
            objection = "its direction is not known: set direction in its rule"
        elif limit is None:
            objection = f"{tolerance} of a baseline of {baseline:g}: give {name} as a number"
        else:
            found.append(Bound(name, sign, limit, word, str(tolerance)))
    return found, objection


def judge_change(
    rule: Rule, direction: Direction | None, level: float, current: float, *, baseline: float | None = None
) -> tuple[GateResult, str | None]:
    """Judge a change of point values: it passes while the worsening w is at most the tolerance t.

    Args:
        rule: The rule.
        direction: Which way is better.
        level: What the value is held against: the baseline, or a level that was accepted in its place.
        current: The value.
        baseline: What relative tolerances are of, where that is not `level`.

    Returns:
        The result and, unless it passes, the reason.
    """
    found, objection = bounds(rule, direction, level if baseline is None else baseline)
    change = difference(level, current)
    slack = FLOAT_NOISE * max(abs(level), abs(current))
    for bound in found:
        amount = bound.sign * change
        if amount > bound.limit + (slack if math.isfinite(slack) else 0.0):
            word = bound.word if baseline in (None, level) else f"{bound.word} than accepted"
            return "fail", f"{amount:.3g} {word}, at most {bound.allowed} allowed"
    return ("inconclusive", objection) if objection else ("pass", None)
