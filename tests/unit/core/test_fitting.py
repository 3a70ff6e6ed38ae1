from __future__ import annotations

import math
import tomllib
from typing import Any

import pytest

from mlci.core.documents import Metric, Rule
from mlci.core.fitting import Item, Remedy, Setting, Target, more_seeds, remedies, rounded_up
from mlci.core.threshold import bounds
from mlci.core.unchanged import Gated, Judged

ONE = Target(1)


def item(
    rule: Rule,
    *,
    name: str = "accuracy",
    run: str = "churn",
    own: bool = False,
    seeds: tuple[int, ...] = (),
    part: str | None = None,
    mean: float = 0.9,
    **given: Any,
) -> Item:
    judged: Judged = "seeds" if len(seeds) > 1 else "values"
    fields = {"judged": judged, "size": max(len(seeds), 1), "deviation": 0.01, "low": rule.min, "high": rule.max}
    return Item(
        setting=Setting(
            run=run,
            tiers=((rule,), ()) if own else ((), (rule,)),
            seeds=seeds,
            rules_table=f"runs.{run}.rules",
            seeds_table=f"runs.{run}",
        ),
        metric=Metric(name=name, value=mean, slice=part),
        values=(mean, mean),
        rule=rule,
        direction="higher",
        gated=Gated(mean=mean, bounds=tuple(bounds(rule, "higher", mean)[0]), **(fields | given)),
    )


def remedy(*items: Item, target: Target = ONE) -> Remedy:
    [found] = remedies(items, target)
    return found


TIGHT = Rule(pattern="accuracy", max_regression=0.01)
NEEDED = 1.6448536269514722 * math.sqrt(2) * 0.01  # of single values: fails once in twenty


@pytest.mark.parametrize(
    ("configured", "count", "expected"),
    [((0, 1, 2), 5, (0, 1, 2, 3, 4)), ((42, 1), 4, (42, 1, 0, 2)), ((0, 1, 2), 2, (0, 1)), ((), 3, (0, 1, 2))],
)
def test_more_seeds__are_the_configured_ones_continued(
    configured: tuple[int, ...], count: int, expected: tuple[int, ...]
) -> None:
    assert more_seeds(configured, count) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(0.02326, 0.024), (0.024, 0.024), (12.01, 13), (99.5, 100), (3e-7, 3e-7), (0.0996, 0.1)]
)
def test_rounded_up__to_two_digits(value: float, expected: float) -> None:
    assert rounded_up(value) == expected


def test_target__tolerance_of_single_values_is_the_normal_quantile() -> None:
    assert ONE.tolerance(item(TIGHT).gated) == pytest.approx(NEEDED)


def test_target__the_more_can_go_wrong_the_more_room_each_needs() -> None:
    gated = item(TIGHT, seeds=(0, 1, 2)).gated
    needed = [Target(risks).tolerance(gated) for risks in (1, 2, 10, 50)]
    assert needed == sorted(needed)
    assert needed[0] < needed[-1]


def test_target__standard_errors_need_room_without_any_noise() -> None:
    gated = item(TIGHT, judged="standard errors", error=0.02, deviation=0.0).gated
    assert ONE.tolerance(gated) == pytest.approx(1.6448536269514722 * 0.02)


def test_remedies__none_where_there_is_room() -> None:
    roomy = Rule(pattern="accuracy", max_regression=NEEDED, min=0.8)
    assert list(remedies([item(roomy)], ONE)) == []


def test_remedies__a_wider_tolerance_or_seeds() -> None:
    found = remedy(item(TIGHT))
    assert found.rule == ("[metrics.accuracy]", "max-regression = 0.024")
    assert found.instead is not None
    assert found.instead[0] == "[runs.churn]"
    assert found.instead[1].startswith("seeds = [0, 1, 2, ")


def test_remedies__more_seeds_than_there_are() -> None:
    found = remedy(item(TIGHT, seeds=(7, 3)))
    assert found.instead is not None
    seeds = tomllib.loads("\n".join(found.instead))["runs"]["churn"]["seeds"]
    assert seeds[:4] == [7, 3, 0, 1]
    enough = item(TIGHT, seeds=tuple(seeds)).gated
    assert ONE.met(enough)
    assert not ONE.met(item(TIGHT, seeds=tuple(seeds[:-1])).gated)


def test_remedies__no_seeds_where_no_reasonable_number_would_do() -> None:
    assert remedy(item(Rule(pattern="accuracy", max_regression=0.0001))).instead is None


def test_remedies__a_percentage_stays_one() -> None:
    found = remedy(item(Rule(pattern="accuracy", max_regression="1%"), mean=-0.5))
    assert found.rule[1] == 'max-regression = "4.7%"'


@pytest.mark.parametrize(
    ("rule", "own", "table"),
    [
        (Rule(pattern="*acc", max_drop=0.01), False, '[metrics."*acc"]'),
        (Rule(pattern="val/acc", max_drop=0.01), True, '[runs.churn.rules."val/acc"]'),
        (Rule(pattern='a"b', max_drop=0.01), False, '[metrics."a\\"b"]'),
        (Rule(pattern="acc", slice="country=*", max_drop=0.01), False, '[metrics.acc.slices."country=*"]'),
    ],
)
def test_remedies__name_the_table_of_the_rule(rule: Rule, own: bool, table: str) -> None:
    found = remedy(item(rule, own=own, part="country=NO" if rule.slice else None))
    assert found.rule == (table, "max-drop = 0.024")
    tomllib.loads("\n".join(found.rule))


def test_remedies__one_rule_has_room_for_all_its_metrics_and_runs() -> None:
    rule = Rule(pattern="*", max_regression=0.05)
    items = [
        item(rule, name="a", deviation=0.03),
        item(rule, name="b", run="other", deviation=0.04),
        item(rule, name="c", deviation=0.0),
    ]
    found = remedy(*items)
    assert (found.metric, found.run) == ("b", "other")
    assert found.rule == ('[metrics."*"]', f"max-regression = {rounded_up(4 * NEEDED):g}")
    assert found.instead is not None
    assert set(tomllib.loads("\n".join(found.instead))["runs"]) == {"churn", "other"}


def test_remedies__both_bounds_where_both_are_tight() -> None:
    found = remedy(item(Rule(pattern="accuracy", max_drop=0.01, max_increase=0.02)))
    assert found.rule[1:] == ("max-drop = 0.024", "max-increase = 0.024")


def test_remedies__a_minimum_that_noise_reaches_is_lowered() -> None:
    found = remedy(item(Rule(pattern="accuracy", min=0.89), mean=0.9))
    assert found.rule == ("[metrics.accuracy]", "min = 0.88")


def test_remedies__a_maximum_that_noise_reaches_is_raised() -> None:
    found = remedy(item(Rule(pattern="accuracy", max=0.91), mean=0.9))
    assert found.rule == ("[metrics.accuracy]", "max = 0.92")


def test_remedies__none_for_a_mean_that_misses_its_minimum() -> None:
    assert list(remedies([item(Rule(pattern="accuracy", min=0.95), mean=0.9)], ONE)) == []


def test_remedies__standard_errors_of_what_repeats_exactly_are_no_noise() -> None:
    found = remedy(item(TIGHT, judged="standard errors", error=0.02, deviation=0.0))
    assert found.instead == ("[runs.churn]", "deterministic = true")
