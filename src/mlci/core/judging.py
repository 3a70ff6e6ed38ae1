"""Judges changes under their rules, each with what is known of its noise, and all of them as one family."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mlci.core import estimates, statistics
from mlci.core.acceptance import Acceptance
from mlci.core.documents import Direction, GateResult, Metric, Rule, Verdict
from mlci.core.estimates import Evidence
from mlci.core.noise import Noise
from mlci.core.statistics import LEVEL
from mlci.core.threshold import Bound, bounds, bounds_change, difference, judge_change, judge_value, names, same

# What no rule bounds is judged each for itself, so that one metric more changes nothing of another: more strictly.
UNGATED_LEVEL = 0.01


@dataclass(frozen=True, kw_only=True)
class Case:
    """A metric, its baseline and its rule.

    Args:
        rule: None where it is only reported.
        direction: Which way is better, if anything says so.
        before: The baseline's; None where it has none.
        now: The current one.
        noise: Of the change.
        compared: There is a baseline, whether it has this metric or not.
        doubt: Why the two cannot be compared, where that has to stop a verdict.
        accepted: A worsening that the team has accepted on purpose.
    """

    rule: Rule | None
    direction: Direction | None
    before: Metric | None
    now: Metric
    noise: Noise
    compared: bool
    doubt: str | None = None
    accepted: Acceptance | None = None

    @property
    def tested(self) -> Evidence | None:
        """The evidence by which its rule is to be decided; None where no test decides it."""
        decided = self.rule is None or _at_sight(self, self.rule) is not None
        return None if decided else self.noise.evidence


@dataclass(frozen=True, kw_only=True)
class Ruling:
    """What a case comes to."""

    gate: GateResult
    verdict: Verdict
    reason: str | None = None
    interval: tuple[float, float] | None = None
    detectable: float | None = None  # the worsening that would be noticed with 80% power
    accepted: str | None = None  # the reason of an acceptance that mattered


@dataclass(frozen=True)
class _Test:
    """A bound on a case's change, and the p-values on its two sides."""

    case: int
    bound: Bound
    at: float  # where the bound lies among changes
    exceeded: float  # of "the change is within the bound"
    kept: float  # of "the change reaches the bound"


@dataclass(frozen=True)
class _Judged:
    test: _Test
    adjusted: float  # `exceeded` among all that are tested
    share: float  # of the level, which is this test's own


def judge(cases: Sequence[Case]) -> list[Ruling]:
    """Rule on all cases of a comparison.

    The gate fails where it is shown, at 5% one-sided and by Holm's adjustment over all bounds that are tested, that a
    change is worse than allowed; it passes where each change is shown, at 5%, to be within its bounds. Else it is
    inconclusive. Values without noise are compared as they are. Half of the level belongs to slices, if there are any.
    """
    tests = [test for place, case in enumerate(cases) for test in _tests(place, case)]
    shares = statistics.shares([cases[test.case].now.slice is not None for test in tests])
    adjusted = statistics.holm([test.exceeded for test in tests], shares)
    by_case: dict[int, list[_Judged]] = {}
    for test, p_value, share in zip(tests, adjusted, shares, strict=True):
        by_case.setdefault(test.case, []).append(_Judged(test, p_value, share))
    verdicts = _verdicts(cases)
    return [
        _ruling(case, verdict, by_case.get(place, []), len(tests))
        for place, (case, verdict) in enumerate(zip(cases, verdicts, strict=True))
    ]


def _ruling(case: Case, verdict: Verdict, tests: Sequence[_Judged], family: int) -> Ruling:
    evidence = case.noise.evidence
    interval = evidence.interval() if evidence else None
    if case.rule is None:
        return Ruling(gate="none", verdict=verdict, interval=interval, reason=_novelty(case))
    gate, reason = _at_sight(case, case.rule) or _by_tests(case, case.rule, tests, family)
    noticed = min(
        (_noticed(judged.test, evidence, LEVEL * judged.share) for judged in tests if evidence),
        default=None,
    )
    return Ruling(
        gate=gate,
        verdict=verdict,
        reason=reason,
        interval=interval,
        detectable=noticed,
        accepted=_matters(case, case.rule) if gate == "pass" else None,
    )


def _noticed(test: _Test, evidence: Evidence, level: float) -> float:
    """The worsening that would be noticed with 80% power."""
    sign = test.bound.sign
    return sign * test.at + estimates.detectable(evidence, level=level, bound=test.at, sign=sign)


def _novelty(case: Case) -> str | None:
    return "the baseline does not have it" if case.compared and case.before is None else None


def _at_sight(case: Case, rule: Rule) -> tuple[GateResult, str | None] | None:
    """What is decided without a test; None where one decides."""
    now, before = case.now, case.before
    if math.isnan(now.value):
        return "fail", "it is NaN"
    objections = judge_value(rule, now.value)
    if objections:
        return "fail", "; ".join(objections)
    size = max(len(now.samples) or 1, now.n or 0)
    if rule.min_n is not None and size < rule.min_n:
        # Of slices that only match a pattern some are always small.
        small: GateResult = "none" if rule.slice is not None and not names(rule) else "inconclusive"
        return small, f"{size:,} of at least {rule.min_n:,} seeds or examples"
    if not bounds_change(rule):
        return "pass", None
    if before is None:
        return "no-baseline", _novelty(case) or "there is no baseline"
    if math.isnan(before.value):
        return "no-baseline", "the baseline is NaN"
    if case.doubt:
        return "inconclusive", f"not comparable: {case.doubt}"
    if case.noise.evidence is not None and bounds(rule, case.direction, before.value)[0]:
        return None
    level = case.accepted.value if case.accepted else before.value
    return judge_change(rule, case.direction, level, now.value, baseline=before.value)


def _tests(place: int, case: Case) -> list[_Test]:
    evidence = case.tested
    if evidence is None or case.rule is None or case.before is None:
        return []
    # Against an accepted level the change is as much smaller as that is away from the baseline.
    shift = case.accepted.value - case.before.value if case.accepted else 0.0
    found = []
    for bound in bounds(case.rule, case.direction, case.before.value)[0]:
        limit = bound.sign * bound.limit + shift
        above, below = evidence.above(limit), evidence.below(limit)
        exceeded, kept = (above, below) if bound.sign > 0 else (below, above)
        since = replace(bound, word=f"{bound.word} than accepted") if case.accepted else bound
        found.append(_Test(place, since, limit, exceeded, kept))
    return found


def _by_tests(case: Case, rule: Rule, tests: Sequence[_Judged], family: int) -> tuple[GateResult, str | None]:
    evidence, before = case.noise.evidence, case.before
    assert evidence is not None and before is not None  # noqa: S101, PT018 - else it was decided at sight
    failed = [judged for judged in tests if judged.adjusted < LEVEL]
    if failed:
        return "fail", _exceeded(failed[0].test, evidence)
    undecided = [judged for judged in tests if judged.test.kept >= LEVEL]
    if not undecided:
        _, objection = bounds(rule, case.direction, before.value)
        return ("inconclusive", objection) if objection else ("pass", None)
    test, adjusted = undecided[0].test, undecided[0].adjusted
    said = _undecided(test, evidence)
    if test.exceeded < LEVEL:
        return "inconclusive", f"{said}: p = {test.exceeded:.2g}, as one of {family} tests {adjusted:.2g} (Holm)"
    return "inconclusive", f"{said}{_settled_by(test, evidence)}"


def _since(test: _Test, change: float) -> float:
    """How far a change goes the bad way, from the level that the bound is about: the baseline's or an accepted one."""
    return test.bound.sign * change - (test.bound.sign * test.at - test.bound.limit)


def _exceeded(test: _Test, evidence: Evidence) -> str:
    low, high = sorted(_since(test, end) for end in evidence.interval())
    amount, bound = _since(test, evidence.change), test.bound
    return f"{amount:.3g} {bound.word}, at most {bound.allowed} allowed (90% interval {low:.3g} to {high:.3g})"


def _undecided(test: _Test, evidence: Evidence) -> str:
    amount, bound = _since(test, evidence.change), test.bound
    if amount > bound.limit:
        return f"{amount:.3g} {bound.word}, at most {bound.allowed} allowed, but that may be noise"
    moved = f"{amount:.3g} {bound.word}" if amount > 0 else f"not {bound.word}"
    return f"{moved}, but noise may hide more than the {bound.allowed} allowed"


def _settled_by(test: _Test, evidence: Evidence) -> str:
    kinds: tuple[Literal["seeds", "examples"], ...] = ("seeds", "examples")
    needed = [(kind, estimates.more(evidence, test.at, kind)) for kind in kinds]
    said = [
        f"one more {kind[:-1]}" if count == 1 else f"about {_rounded(count):,} more {kind}"
        for kind, count in needed
        if count is not None
    ]
    if said:
        return f"; {' or '.join(said)} would tell"
    if {part.kind for part in evidence.parts} >= set(kinds):
        return "; it takes more seeds and more examples to tell"
    if all(part.kind == "records" for part in evidence.parts):
        return "; several seeds would tell more"
    return ""


def _rounded(count: int) -> int:
    """With two significant digits: it is an estimate."""
    scale = int("1".ljust(max(len(str(count)) - 1, 1), "0"))
    return math.ceil(count / scale) * scale


def _matters(case: Case, rule: Rule) -> str | None:
    """The acceptance's reason, if the change would not have passed by its value without."""
    if case.accepted is None or case.before is None:
        return None
    plain, _ = judge_change(rule, case.direction, case.before.value, case.now.value)
    return case.accepted.reason if plain != "pass" else None


def _verdicts(cases: Sequence[Case]) -> list[Verdict]:
    """Of each change alone: two-sided, and adjusted among those that a rule bounds."""
    p_values = {
        place: estimates.two_sided(case.noise.evidence)
        for place, case in enumerate(cases)
        if case.noise.evidence is not None
    }
    gated = [place for place in p_values if (rule := cases[place].rule) is not None and bounds_change(rule)]
    significant = {place for place, p_value in p_values.items() if place not in gated and p_value < UNGATED_LEVEL}
    shares = statistics.shares([cases[place].now.slice is not None for place in gated])
    adjusted = statistics.holm([p_values[place] for place in gated], shares)
    significant |= {place for place, p_value in zip(gated, adjusted, strict=True) if p_value < LEVEL}
    return [_verdict(case, significant=place in significant) for place, case in enumerate(cases)]


def _verdict(case: Case, *, significant: bool) -> Verdict:
    before, now = case.before, case.now.value
    if before is None:
        return "new"
    if math.isnan(now) or math.isnan(before.value):
        return "inconclusive"
    evidence = case.noise.evidence
    if evidence is None and same(before.value, now):
        return "unchanged"
    if case.direction is None or (evidence is not None and not significant):
        return "unchanged" if evidence is not None and _within_bounds(case, evidence) else "inconclusive"
    change = evidence.change if evidence is not None else difference(before.value, now)
    return "improved" if (change > 0) == (case.direction == "higher") else "regressed"


def _within_bounds(case: Case, evidence: Evidence) -> bool:
    """Whether the whole interval is no further off, in either direction, than the rule allows for the bad one."""
    if case.rule is None or case.before is None:
        return False
    applicable, _ = bounds(case.rule, case.direction, case.before.value)
    reach = max(map(abs, evidence.interval()))
    return bool(applicable) and reach <= min(bound.limit for bound in applicable)
