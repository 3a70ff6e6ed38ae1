from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from fakes.comparisons import delta
from mlci.core.documents import Delta, Rule
from mlci.core.threshold import in_words
from mlci.render.allowed import Track, track


def moved(change: float, tolerance: str = "at most 0.5 lower", **fields: Any) -> Delta:
    """A change from a baseline of 10."""
    return delta("m", 10.0, 10.0 + change, **{"tolerance": tolerance, "interval": None} | fields)


def drawn(change: float, tolerance: str = "at most 0.5 lower", **fields: Any) -> Track:
    found = track(moved(change, tolerance, **fields))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("change", "tolerance", "direction", "expected"),
    [
        pytest.param(-0.25, "at most 0.5 lower", "higher", (-0.5, -1.0, None), id="half of what is allowed"),
        pytest.param(0.25, "at most 0.5 higher", "lower", (-0.5, -1.0, None), id="lower is better"),
        pytest.param(0.25, "at most 0.5 higher", None, (-0.5, -1.0, None), id="only a rise is bounded"),
        pytest.param(-1.0, "at most 5% lower", "higher", (-2.0, -1.0, None), id="a share of the baseline"),
        pytest.param(0.5, "at most 1 lower, at most 2 higher", None, (0.5, -1.0, 2.0), id="both sides"),
        pytest.param(0.5, "at most 1 lower, at most 2 higher", "lower", (-0.25, -1.0, 0.5), id="both, turned"),
        pytest.param(-1.0, "at most 2 lower, at most 0.5 lower, at least 3", "higher", (-2.0, -1.0, None), id="two"),
        pytest.param(-0.25, "at most 0 lower", "higher", (-1.0, 0.0, None), id="nothing is allowed"),
        pytest.param(0.0, "at most 0 lower", "higher", (0.0, 0.0, None), id="nothing is allowed and nothing changed"),
        pytest.param(-1e-06, "at most 1e-05 lower", "higher", (-0.1, -1.0, None), id="small"),
    ],
)
def test_track__what_is_worse_lies_to_the_left_in_units_of_what_is_allowed(
    change: float, tolerance: str, direction: str | None, expected: tuple[float, float, float | None]
) -> None:
    found = drawn(change, tolerance, direction=direction)
    assert (found.point, found.worst, found.best) == pytest.approx(expected)
    assert (found.low, found.high) == (None, None)


@pytest.mark.parametrize(("direction", "ends"), [("higher", (-0.5, 1.0)), ("lower", (-1.0, 0.5))])
def test_track__the_interval_goes_with_it(direction: str, ends: tuple[float, float]) -> None:
    tolerance = "at most 0.5 lower" if direction == "higher" else "at most 0.5 higher"
    found = drawn(0.1, tolerance, direction=direction, interval=(-0.25, 0.5))
    assert (found.low, found.high) == ends


@pytest.mark.parametrize(
    "rule",
    [
        Rule(pattern="m", max_regression=0.125),
        Rule(pattern="m", max_regression="2.5%"),
        Rule(pattern="m", max_drop=1e-7),
        Rule(pattern="m", max_drop=0, min=3),
    ],
)
def test_track__reads_the_words_of_every_bound(rule: Rule) -> None:
    assert drawn(-1.0, in_words(rule, "higher")).worst is not None


@pytest.mark.parametrize(
    "fields",
    [
        {"tolerance": None},
        {"tolerance": "at least 0.85, at most 3"},
        {"tolerance": "at most 0.5 worse"},
        {"tolerance": "at most 1..5 lower"},
        {"tolerance": "at most 9e999 lower"},
        {"change": None},
        {"change": math.nan},
        {"change": -math.inf},
    ],
)
def test_track__of_what_has_no_bound_or_is_no_number(fields: dict[str, Any]) -> None:
    assert track(msgspec.structs.replace(moved(-0.1), **fields)) is None


def test_track__what_no_axis_holds_is_cut() -> None:
    found = drawn(-1e308, "at most 1e-300 lower", interval=(-1e308, 1e308))
    assert (found.point, found.low, found.high) == (-1e9, -1e9, 1e9)
    assert drawn(-0.1, interval=(-math.inf, 0.0)).low is None
