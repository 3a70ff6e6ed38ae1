from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlci.core.agreement import MAX_MISMATCHES, agree, median_latency, shown, too_slow
from mlci.core.documents import decode, encode
from mlci.core.release import Mismatch, Verification

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def differs(expected: Any, got: Any, tolerance: float = 1e-6) -> bool:
    return agree({"a": expected}, {"a": got}, tolerance=tolerance).differing == 1


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (1, 1.0),
        (0.0, 1e-6),
        (0.5, 0.5 + 9e-7),
        (1_000_000.0, 1_000_000.9),  # relative above 1
        (-1_000_000.0, -1_000_000.9),
        (2**64 - 1, 2**64 - 1),
        (math.nan, math.nan),
        (math.inf, math.inf),
        ("cat", "cat"),
        (True, True),
        (None, None),
        ([0.1, 0.9], [0.1, 0.9000001]),
        ({"p": [1.0], "label": "cat"}, {"label": "cat", "p": [1]}),
        ([], []),
    ],
)
def test_agree__the_same(expected: Any, got: Any) -> None:
    assert not differs(expected, got)


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (0.5, 0.5 + 2e-6),
        (0.0, 1.1e-6),
        (1_000_000.0, 1_000_001.1),
        (math.nan, 0.0),
        (0.0, math.nan),
        (math.inf, 1e308),
        (1.0, math.inf),
        (math.inf, -math.inf),
        ("cat", "Cat"),
        ("1", 1),
        (True, 1),
        (1, True),
        (0.0, None),
        (None, False),
        ([1, 2], [2, 1]),
        ([1], [1, 1]),
        ([1], 1),
        ({"a": 1}, {"a": 1, "b": 1}),
        ({"a": 1}, [1]),
        ([[1.0], [2.0]], [[1.0], [2.1]]),
    ],
)
def test_agree__different(expected: Any, got: Any) -> None:
    assert differs(expected, got)


def test_agree__without_a_tolerance() -> None:
    assert not differs(0.1, 0.1, tolerance=0)
    assert differs(0.1, math.nextafter(0.1, 1), tolerance=0)


def test_agree__missing_and_extra_ids() -> None:
    found = agree({"a": 1, "b": 2}, {"b": 2, "c": 3}, tolerance=0)
    assert (found.compared, found.differing) == (2, 2)
    assert found.mismatches == (
        Mismatch(id="a", expected="1", got="nothing"),
        Mismatch(id="c", expected="nothing", got="3"),
    )


def test_agree__names_where_in_a_value() -> None:
    expected = {"a": {"probabilities": [0.1] * 1000, "label": "cat"}}
    got = {"a": {"probabilities": [0.1] * 999 + [0.2], "label": "cat"}}
    [mismatch] = agree(expected, got, tolerance=0).mismatches
    assert (mismatch.expected, mismatch.got) == (".probabilities[999] = 0.1", ".probabilities[999] = 0.2")


def test_agree__keeps_the_first_and_counts_all() -> None:
    found = agree(dict.fromkeys(map(str, range(100)), 0), dict.fromkeys(map(str, range(100)), 1), tolerance=0)
    assert found.differing == 100
    assert [item.id for item in found.mismatches] == [str(number) for number in range(MAX_MISMATCHES)]


@given(VALUES)
def test_agree__everything_with_itself(value: Any) -> None:
    assert not differs(value, value, tolerance=0)


@given(VALUES, VALUES)
def test_agree__what_differs_can_be_written(one: Any, other: Any) -> None:
    found = agree({"a": one}, {"a": other}, tolerance=1e-6)
    document = Verification(
        model="churn",
        version="v1.0.0",
        digest="0",
        method="load",
        passed=not found.differing,
        compared=1,
        tolerance=1e-6,
        mismatches=found.mismatches,
    )
    assert decode(encode(document), Verification, name="x") == document


def test_shown__is_short_and_whole_text() -> None:
    assert len(shown("x" * 10_000)) == 200
    assert shown("\ud800") == '"?"'
    assert shown({"Größe": 1}) == '{"Größe": 1}'


def test_median_latency__of_those_that_are_known() -> None:
    assert median_latency([0.1, None, 0.3, 0.2]) == 0.2
    assert median_latency([None]) is None


@pytest.mark.parametrize(
    ("lab", "now", "at_most", "reason"),
    [
        (0.1, 0.5, None, None),
        (0.1, 0.2, 2.0, None),
        (0.1, 0.21, 2.0, "a prediction takes 0.21 s, more than 2 times the lab's 0.1 s"),
        (None, 0.1, 2.0, "max-latency is set, and no golden example says how long it took (latency_s)"),
        (0.1, None, 2.0, "max-latency is set, and no prediction says how long it took (latency_s)"),
        (0.0, 0.0, 2.0, None),
    ],
)
def test_too_slow__says_why(lab: float | None, now: float | None, at_most: float | None, reason: str | None) -> None:
    assert too_slow(lab, now, at_most) == reason
