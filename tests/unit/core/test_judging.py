from __future__ import annotations

import math
from statistics import fmean
from typing import Any

import pytest

from mlci.core.acceptance import Acceptance
from mlci.core.documents import Direction, Metric, Rule
from mlci.core.estimates import ExampleNoise
from mlci.core.judging import Case, Ruling, judge
from mlci.core.noise import noise

WITHIN = Rule(pattern="accuracy", max_regression=0.02)
RELATIVE = Rule(pattern="accuracy", max_regression="2%")
BEFORE = (0.90, 0.88, 0.92, 0.91, 0.89)


def metric(*samples: float, **fields: Any) -> Metric:
    """One value is one of a run without seeds."""
    seeds = {"samples": samples, "seeds": tuple(range(len(samples)))} if len(samples) > 1 else {}
    value = fmean(samples) if all(map(math.isfinite, samples)) else math.nan
    return Metric(name="accuracy", value=value, **seeds | fields)


def worse_by(amount: float, *, spread: float = 0.004) -> Metric:
    """Seeds, each by about `amount` below those of `BEFORE`."""
    turns = (1, -1, 0.5, 0, -0.5)
    return metric(*(value - amount + spread * turn for value, turn in zip(BEFORE, turns, strict=True)))


def dropping(least: int) -> Rule:
    return Rule(pattern="accuracy", max_drop=0.1, min_n=least)


def case(
    before: Metric | None,
    now: Metric,
    rule: Rule | None = WITHIN,
    *,
    direction: Direction | None = "higher",
    examples: ExampleNoise | None = None,
    deterministic: bool = False,
    **fields: Any,
) -> Case:
    known = noise(before or now, now, examples=examples, deterministic=deterministic)
    return Case(
        **{"rule": rule, "direction": direction, "before": before, "now": now, "noise": known, "compared": True}
        | fields
    )


def only(given: Case) -> Ruling:
    [ruling] = judge([given])
    return ruling


@pytest.mark.parametrize(
    ("now", "verdict", "gate", "reason"),
    [
        (0.91, "improved", "pass", None),
        (0.90, "unchanged", "pass", None),
        (0.89, "regressed", "pass", None),
        (0.90 - 0.02, "regressed", "pass", None),
        (0.87, "regressed", "fail", "0.03 worse, at most 0.02 allowed"),
    ],
)
def test_judge__values_without_noise_are_compared_as_they_are(
    now: float, verdict: str, gate: str, reason: str | None
) -> None:
    ruling = only(case(metric(0.90), metric(now)))
    assert (ruling.verdict, ruling.gate, ruling.reason) == (verdict, gate, reason)
    assert (ruling.interval, ruling.detectable) == (None, None)


@pytest.mark.parametrize(
    ("amount", "spread", "verdict", "gate", "reason"),
    [
        (0.00, 0.004, "unchanged", "pass", None),
        (-0.01, 0.004, "improved", "pass", None),
        (0.01, 0.004, "regressed", "pass", None),
        (0.019, 0.004, "regressed", "inconclusive", "0.019 worse, but noise may hide more than the 0.02 allowed"),
        (0.022, 0.004, "regressed", "inconclusive", "0.022 worse, at most 0.02 allowed, but that may be noise"),
        (0.05, 0.004, "regressed", "fail", "0.05 worse, at most 0.02 allowed (90% interval 0.047 to 0.053)"),
        (-0.01, 0.1, "inconclusive", "inconclusive", "not worse, but noise may hide more than the 0.02 allowed"),
        (0.05, 0.1, "inconclusive", "inconclusive", "0.05 worse, at most 0.02 allowed, but that may be noise"),
    ],
)
def test_judge__three_answers_of_a_test(
    amount: float, spread: float, verdict: str, gate: str, reason: str | None
) -> None:
    ruling = only(case(metric(*BEFORE), worse_by(amount, spread=spread)))
    assert (ruling.verdict, ruling.gate) == (verdict, gate)
    assert (ruling.reason or "").startswith(reason or "")
    assert (ruling.reason is None) == (reason is None)
    assert ruling.interval is not None
    assert ruling.interval[0] < -amount < ruling.interval[1]


def test_judge__says_what_would_tell() -> None:
    reason = only(case(metric(*BEFORE), worse_by(0.019))).reason
    assert reason is not None
    assert reason.endswith("; about 24 more seeds would tell")
    assert str(only(case(metric(*BEFORE), worse_by(0.01715))).reason).endswith("; one more seed would tell")


def test_judge__says_how_many_examples_would_tell() -> None:
    examples = ExampleNoise(examples=500, change=-0.01, standard_error=0.01, discordant=(15, 10))
    reason = only(case(metric(0.90), metric(0.89), examples=examples, deterministic=True)).reason
    assert reason == "0.01 worse, but noise may hide more than the 0.02 allowed; about 940 more examples would tell"


def test_judge__of_two_errors_neither_of_which_alone_tells_both_have_to_shrink() -> None:
    examples = ExampleNoise(examples=500, change=-0.018, standard_error=0.01)
    reason = only(case(metric(*BEFORE), worse_by(0.018, spread=0.02), examples=examples)).reason
    assert str(reason).endswith("; it takes more seeds and more examples to tell")


def test_judge__a_share_of_the_baseline_is_also_said_in_the_metrics_unit() -> None:
    reason = only(case(metric(*BEFORE), worse_by(0.05), RELATIVE)).reason
    assert str(reason).startswith("0.05 worse, at most 2% (0.018) allowed")
    assert only(case(metric(0.9), metric(0.8), RELATIVE)).reason == "0.1 worse, at most 2% (0.018) allowed"


def test_judge__a_history_cannot_be_had_more_of() -> None:
    before, now = metric(0.90), metric(0.91)
    known = noise(before, now, history=[0.90, 0.95, 0.89, 0.97, 0.92, 0.99, 0.91, 0.90])
    reason = only(case(before, now, noise=known)).reason
    assert reason == "not worse, but noise may hide more than the 0.02 allowed; several seeds would tell more"


def test_judge__lower_is_better() -> None:
    rule = Rule(pattern="loss", max_regression=0.02)
    ruling = only(case(worse_by(0.05), metric(*BEFORE), rule, direction="lower"))
    assert (ruling.verdict, ruling.gate) == ("regressed", "fail")
    assert str(ruling.reason).startswith("0.05 worse")


@pytest.mark.parametrize(
    ("rule", "gate", "word"),
    [
        (Rule(pattern="*", max_drop=0.02), "fail", "lower"),
        (Rule(pattern="*", max_increase=0.02), "pass", None),
        (Rule(pattern="*", max_drop=0.1, max_increase=0.1), "pass", None),
        (Rule(pattern="*", max_drop=0.02, max_increase=0.1), "fail", "lower"),
    ],
)
def test_judge__bounds_on_either_side_of_a_metric_of_unknown_direction(rule: Rule, gate: str, word: str | None) -> None:
    ruling = only(case(metric(*BEFORE), worse_by(0.05), rule, direction=None))
    assert (ruling.gate, ruling.verdict in ("inconclusive", "unchanged")) == (gate, True)
    assert word is None or word in str(ruling.reason)


def test_judge__holm_takes_back_what_one_test_alone_would_have_failed() -> None:
    failing = case(metric(*BEFORE), worse_by(0.0245))
    others = [case(metric(*BEFORE), worse_by(0.0)) for _ in range(19)]
    assert only(failing).gate == "fail"
    first, *rest = judge([failing, *others])
    assert (first.gate, {ruling.gate for ruling in rest}) == ("inconclusive", {"pass"})
    assert first.reason == (
        "0.0245 worse, at most 0.02 allowed, but that may be noise: p = 0.017, as one of 20 tests 0.33 (Holm)"
    )


@pytest.mark.parametrize(
    "other",
    [
        case(metric(*BEFORE), worse_by(0.3), None),  # without a rule
        case(metric(0.9), metric(0.1)),  # without noise
        case(metric(*BEFORE), worse_by(0.3), Rule(pattern="*", min=0.1)),  # by its value alone
        case(None, worse_by(0.3)),  # new
    ],
)
def test_judge__what_has_no_test_adds_nothing_to_the_family(other: Case) -> None:
    mine = case(metric(*BEFORE), worse_by(0.0245))
    assert judge([mine, *[other] * 20])[0] == only(mine)


def test_judge__slices_have_half_of_the_level_and_leave_the_other_to_the_whole() -> None:
    mine = case(metric(*BEFORE), worse_by(0.0255))
    slices = [
        case(metric(*BEFORE), worse_by(0.0)),
        *[case(metric(*BEFORE), metric(*worse_by(0.0).samples, slice=f"country={n}")) for n in range(40)],
    ]
    assert only(mine).gate == "fail"
    assert judge([mine, *slices[1:]])[0].gate == "fail"
    assert judge([mine, *[slices[0]] * 40])[0].gate == "inconclusive"


def test_judge__the_detectable_worsening_is_at_the_level_of_the_family() -> None:
    alone = only(case(metric(*BEFORE), worse_by(0.0))).detectable
    among = judge([case(metric(*BEFORE), worse_by(0.0))] * 10)[0].detectable
    assert alone is not None
    assert among is not None
    assert 0.02 < alone < among
    assert only(case(metric(*BEFORE), worse_by(0.0), None)).detectable is None


@pytest.mark.parametrize(
    ("before", "now", "rule", "gate", "verdict", "reason"),
    [
        (metric(*BEFORE), metric(math.nan), WITHIN, "fail", "inconclusive", "it is NaN"),
        (metric(*BEFORE), metric(0.9, math.nan), WITHIN, "fail", "inconclusive", "it is NaN"),
        (metric(math.nan), metric(*BEFORE), WITHIN, "no-baseline", "inconclusive", "the baseline is NaN"),
        (None, metric(*BEFORE), WITHIN, "no-baseline", "new", "the baseline does not have it"),
        (metric(0.9), Metric(name="accuracy", value=-math.inf), WITHIN, "fail", "regressed", "inf worse"),
        (metric(0.9), Metric(name="accuracy", value=1e200), WITHIN, "pass", "improved", None),
        (metric(0.0), metric(0.1), RELATIVE, "inconclusive", "improved", "2% of a baseline of 0"),
        (metric(0.1, -0.1), metric(0.1, 0.05), RELATIVE, "inconclusive", "inconclusive", "2% of a baseline of 0: give"),
        (metric(*BEFORE), worse_by(0.3), dropping(6), "inconclusive", "regressed", "5 of at least 6"),
        (metric(*BEFORE), worse_by(0.3), dropping(5), "fail", "regressed", "0.3 lower"),
        (metric(0.9), metric(0.1, n=49), dropping(50), "inconclusive", "regressed", "49 of at least 50"),
        (metric(0.9), metric(0.1, n=50), dropping(50), "fail", "regressed", "0.8 lower"),
        (metric(0.9), metric(0.1), Rule(pattern="*", min=0.2, min_n=50), "fail", "regressed", "below the minimum 0.2"),
        (metric(*BEFORE), metric(*BEFORE), WITHIN, "pass", "unchanged", None),
        (metric(1.0, 1.0), metric(1.0, 1.0), WITHIN, "pass", "unchanged", None),
        (metric(0.9, 0.9), metric(0.8, 0.8), WITHIN, "fail", "regressed", "0.1 worse"),
        (metric(*BEFORE), worse_by(0.3), Rule(pattern="*", required=True), "pass", "regressed", None),
        (metric(*BEFORE), worse_by(0.3), None, "none", "regressed", None),
    ],
)  # fmt: skip
def test_judge__degenerate_cases_and_what_needs_no_test(
    before: Metric | None, now: Metric, rule: Rule | None, gate: str, verdict: str, reason: str | None
) -> None:
    ruling = only(case(before, now, rule))
    assert (ruling.gate, ruling.verdict) == (gate, verdict)
    assert (reason is None) == (ruling.reason is None)
    assert (ruling.reason or "").startswith(reason or "")


def test_judge__no_baseline_at_all() -> None:
    assert only(case(None, metric(0.9), compared=False)).reason == "there is no baseline"


def test_judge__no_direction_and_nothing_that_asks_for_none() -> None:
    ruling = only(case(metric(*BEFORE), worse_by(0.3), direction=None))
    assert (ruling.gate, ruling.verdict) == ("inconclusive", "inconclusive")
    assert ruling.reason == "its direction is not known: set direction in its rule"


@pytest.mark.parametrize(
    ("amount", "spread", "gate", "reason"),
    [
        (0.01, 0.004, "inconclusive", "its direction is not known"),
        (0.3, 0.004, "fail", "0.3 lower, at most 0.1 allowed"),
        (0.12, 0.1, "inconclusive", "0.12 lower, at most 0.1 allowed, but that may be noise"),
    ],
)
def test_judge__of_two_bounds_one_that_cannot_be_applied(amount: float, spread: float, gate: str, reason: str) -> None:
    rule = Rule(pattern="*", max_regression=0.02, max_drop=0.1)
    ruling = only(case(metric(*BEFORE), worse_by(amount, spread=spread), rule, direction=None))
    assert ruling.gate == gate
    assert str(ruling.reason).startswith(reason)


@pytest.mark.parametrize("amount", [0.0, 0.3])
def test_judge__doubt_decides_no_bound_on_a_change(amount: float) -> None:
    doubtful = case(metric(*BEFORE), worse_by(amount), doubt="python 3.11 → 3.12")
    ruling = only(doubtful)
    assert (ruling.gate, ruling.reason) == ("inconclusive", "not comparable: python 3.11 → 3.12")
    valued = only(case(metric(*BEFORE), worse_by(amount), Rule(pattern="*", min=0.7), doubt="python 3.11 → 3.12"))
    assert valued.gate == ("fail" if amount else "pass")


def accepted(value: float) -> Acceptance:
    return Acceptance(
        run="train",
        profile="full",
        metric="accuracy",
        baseline=0.9,
        value=value,
        reason="a smaller model",
        date="2024-05-01",
    )


@pytest.mark.parametrize(
    ("now", "gate", "said"),
    [
        (worse_by(0.05), "pass", "a smaller model"),
        (worse_by(0.09), "fail", None),
        (worse_by(0.0), "pass", None),  # not worse after all: it did not matter
        (metric(0.85), "pass", "a smaller model"),
        (metric(0.82), "fail", None),
    ],
)
def test_judge__a_worsening_that_was_accepted(now: Metric, gate: str, said: str | None) -> None:
    before = metric(*BEFORE) if now.samples else metric(0.9)
    ruling = only(case(before, now, accepted=accepted(0.85)))
    assert (ruling.gate, ruling.accepted) == (gate, said)
    assert only(case(before, now)).verdict == ruling.verdict
    if gate == "fail":
        assert " worse than accepted, at most 0.02 allowed" in str(ruling.reason)


def test_judge__what_is_said_of_an_accepted_worsening_is_since_the_accepted_level() -> None:
    ruling = only(case(metric(*BEFORE), worse_by(0.09), accepted=accepted(0.85)))
    assert str(ruling.reason).startswith("0.04 worse than accepted")
    undecided = only(case(metric(*BEFORE), worse_by(0.069), accepted=accepted(0.85)))
    assert str(undecided.reason).startswith("0.019 worse than accepted")
    plain = only(case(metric(*BEFORE), worse_by(0.019)))
    assert str(undecided.reason).split(";")[1] == str(plain.reason).split(";")[1]
    assert undecided.detectable == pytest.approx((plain.detectable or 0) + 0.05)


@pytest.mark.parametrize(
    ("amount", "rule", "verdict"),
    [
        # Without a rule each at 1%, so that one more changes nothing; under one at 5%, adjusted.
        (0.0045, None, "inconclusive"),
        (0.0045, WITHIN, "regressed"),
        (0.007, None, "regressed"),
        # The whole interval within the tolerance on both sides.
        (0.001, WITHIN, "unchanged"),
        (0.001, Rule(pattern="*", max_regression=0.001), "inconclusive"),
        (0.001, None, "inconclusive"),
    ],
)
def test_judge__a_verdict_is_of_the_change_alone(amount: float, rule: Rule | None, verdict: str) -> None:
    assert only(case(metric(*BEFORE), worse_by(amount), rule)).verdict == verdict


@pytest.mark.parametrize("tolerance", [0.0, 0.01])
def test_judge__a_deterministic_run_that_answers_every_example_as_before_passes(tolerance: float) -> None:
    none = ExampleNoise(examples=100, change=0.0, standard_error=0.0, discordant=(0, 0))
    rule = Rule(pattern="*", max_regression=tolerance)
    ruling = only(case(metric(0.9), metric(0.9), rule, examples=none, deterministic=True))
    assert (ruling.gate, ruling.verdict) == ("pass", "unchanged")
