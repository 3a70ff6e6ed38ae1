from __future__ import annotations

import math
from typing import Any

import pytest

from mlci.core.documents import Direction, Rule
from mlci.core.threshold import check_rule, choose, in_words, judge_change, judge_value, parse_tolerance


def rule(pattern: str = "*", **fields: Any) -> Rule:
    return Rule(pattern=pattern, **fields)


@pytest.mark.parametrize(
    ("given", "baseline", "limit"),
    [(0.01, 5.0, 0.01), (0, 5.0, 0), ("2%", 5.0, 0.1), ("2%", -5.0, 0.1), (" 2.5 % ", 100.0, 2.5), ("2%", 0.0, None)],
)
def test_parse_tolerance(given: float | str, baseline: float, limit: float | None) -> None:
    assert parse_tolerance(given).at(baseline) == (None if limit is None else pytest.approx(limit))


@pytest.mark.parametrize("given", [-0.1, math.inf, math.nan, "2", "-2%", "two %", "", "%"])
def test_parse_tolerance__what_is_none(given: float | str) -> None:
    with pytest.raises(ValueError, match="expected a"):
        parse_tolerance(given)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"max_regression": "x"}, "max-regression: expected a number or a percentage"),
        ({"max_drop": -1.0}, "max-drop: expected a tolerance of at least 0"),
        ({"max_increase": math.nan}, "max-increase: expected"),
        ({"min": 1.0, "max": 0.5}, "min 1 is above max 0.5"),
    ],
)
def test_check_rule__what_cannot_be_meant(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_rule(rule(**fields))


@pytest.mark.parametrize(
    ("patterns", "name", "chosen"),
    [
        (["*", "*accuracy", "test.accuracy"], "test.accuracy", "test.accuracy"),
        (["*", "*accuracy"], "test.accuracy", "*accuracy"),
        (["*a*", "*acc*"], "accuracy", "*acc*"),
        (["?ccuracy", "*"], "accuracy", "?ccuracy"),
        (["Accuracy"], "accuracy", None),
        (["accuracy"], "accuracy@5", None),
        (["[a]", "*"], "[a]", "[a]"),
    ],
)
def test_choose__exact_then_the_most_literal(patterns: list[str], name: str, chosen: str | None) -> None:
    for order in (patterns, patterns[::-1]):
        found = choose([[rule(pattern) for pattern in order]], name)
        assert (found.pattern if found else None) == chosen


def test_choose__the_first_tier_with_a_match_decides() -> None:
    found = choose([[rule("*", min=1.0)], [rule("accuracy", min=2.0)]], "accuracy")
    assert found is not None
    assert found.min == 1.0


@pytest.mark.parametrize(
    ("fields", "direction", "baseline", "current", "result"),
    [
        pytest.param({"max_regression": 0.01}, "higher", 0.9, 0.895, "pass", id="within"),
        pytest.param({"max_regression": 0.01}, "higher", 0.9, 0.85, "fail", id="beyond"),
        pytest.param({"max_regression": 0.01}, "higher", 0.9, 0.99, "pass", id="better"),
        pytest.param({"max_regression": 0.01}, "lower", 0.9, 0.99, "fail", id="higher is worse"),
        pytest.param({"max_regression": 0.01}, "lower", 0.9, 0.5, "pass", id="lower is better"),
        pytest.param({"max_regression": 0.1}, "higher", 0.3, 0.2, "pass", id="at the tolerance, float noise aside"),
        pytest.param({"max_regression": 0}, "higher", 0.1 + 0.2, 0.3, "pass", id="equal, float noise aside"),
        pytest.param({"max_regression": 0}, "higher", 0.3, 0.2999, "fail", id="no tolerance"),
        pytest.param({"max_regression": "10%"}, "higher", 100.0, 91.0, "pass", id="percent within"),
        pytest.param({"max_regression": "10%"}, "higher", 100.0, 89.0, "fail", id="percent beyond"),
        pytest.param({"max_regression": "10%"}, "lower", -100.0, -89.0, "fail", id="percent of a negative baseline"),
        pytest.param({"max_regression": "10%"}, "higher", 0.0, -1.0, "inconclusive", id="percent of 0"),
        pytest.param({"max_regression": 0.1}, None, 1.0, 0.0, "inconclusive", id="direction not known"),
        pytest.param({"max_drop": 0.1}, "lower", 1.0, 0.5, "fail", id="a fall, though lower is better"),
        pytest.param({"max_drop": 0.1}, None, 1.0, 2.0, "pass", id="max-drop lets rise"),
        pytest.param({"max_increase": 0.1}, None, 1.0, 1.2, "fail", id="a rise"),
        pytest.param(
            {"max_increase": 0.1, "max_regression": 1}, None, 1.0, 1.2, "fail", id="a failure beats not knowing"
        ),
        pytest.param({"max_regression": 0.01}, "higher", 0.9, -math.inf, "fail", id="to minus infinity"),
        pytest.param({"max_regression": "1%"}, "higher", math.inf, 5.0, "inconclusive", id="percent of infinity"),
        pytest.param({"max_regression": 1}, "higher", math.inf, 5.0, "fail", id="from infinity"),
        pytest.param({"max_regression": 1}, "lower", math.inf, math.inf, "pass", id="infinity twice"),
    ],
)
def test_judge_change(
    fields: dict[str, Any], direction: Direction | None, baseline: float, current: float, result: str
) -> None:
    found, reason = judge_change(rule(**fields), direction, baseline, current)
    assert found == result
    assert (reason is None) == (result == "pass")


def test_judge_value__bounds_are_inclusive() -> None:
    bounded = rule(min=0.5, max=0.9)
    assert judge_value(bounded, 0.5) == judge_value(bounded, 0.9) == []
    assert judge_value(bounded, 0.49) == ["below the minimum 0.5"]
    assert judge_value(bounded, 0.91) == ["above the maximum 0.9"]


@pytest.mark.parametrize(
    ("fields", "direction", "words"),
    [
        ({"max_regression": 0.01}, "higher", "at most 0.01 lower"),
        ({"max_regression": "2%"}, "lower", "at most 2% higher"),
        ({"max_regression": 0.01}, None, "at most 0.01 worse"),
        ({"max_drop": 1.0, "max_increase": "5%"}, None, "at most 1 lower, at most 5% higher"),
        ({"min": 0.5, "max": 1.0}, None, "at least 0.5, at most 1"),
        ({"required": True}, None, "required"),
        ({}, None, ""),
    ],
)
def test_in_words(fields: dict[str, Any], direction: Direction | None, words: str) -> None:
    assert in_words(rule(**fields), direction) == words
