from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from fakes.comparisons import measured
from mlci.core.documents import Metric, Record
from mlci.render.allowed import Track
from mlci.render.sparks import Curve, bar, curves, learned, sparkline


def track(point: float, low: float | None = None, high: float | None = None, **bounds: Any) -> Track:
    return Track(point=point, low=low, high=high, **{"worst": -1.0, "best": None} | bounds)


def trained(*values: float, name: str = "train", **fields: Any) -> Record:
    """A record whose accuracy has been so."""
    series = tuple((float(step), value) for step, value in enumerate(values))
    metric = msgspec.structs.replace(Metric(name="accuracy", value=0.9, series=series), **fields)
    return msgspec.structs.replace(measured(name), metrics=(metric,))


@pytest.mark.parametrize(
    ("values", "curve"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([0.9, 0.9], "▄▄"),
        ([0.5], "▄"),
        ([1.0, math.nan, 2.0, -math.inf], "▁?█?"),
        ([math.nan], "?"),
        ([-1.7e308, 1.7e308], "▁█"),
        ([], ""),
    ],
)
def test_sparkline__spans_the_least_and_the_greatest(values: list[float], curve: str) -> None:
    assert sparkline(values) == curve


def test_sparkline__two_on_one_scale() -> None:
    assert sparkline([0, 1], beside=[7]) == "▁▂"


@pytest.mark.parametrize(
    ("drawn", "found"),
    [
        ("░░░░┃···●····", track(0)),
        ("░░░░┃·├─●─┤··", track(0.1, -0.4, 0.6)),
        ("░░●░┃···0····", track(-1.5)),
        ("├─●┤┃···0····", track(-1.6, -2.0, -1.2)),
        ("────●───┼──┤·", track(-1.1, -5, 0.8)),
        ("●───╂───┼──┤·", track(-2.0, -5, 0.8)),
        ("◀░░░┃···0····", track(-3.1, -4, -2.8)),
        ("◀─┤░┃···0····", track(-3.1, -4, -1.5)),
        ("░░░░┃···0···▶", track(5, 4, 6)),
        ("░░░░┃···┼●─┤┃", track(0.3, 0, 0.8, best=1.0)),
        ("········0·●·┃", track(0.5, worst=None, best=1.0)),
        ("░░░░┃···●····", track(0, best=2.0)),
        ("░░░░░░░░┃··●·", track(0.7, worst=0.0)),
    ],
)
def test_bar__bound_and_baseline_stand_in_the_same_place(drawn: str, found: Track) -> None:
    assert bar(found) == drawn


def test_bar__cannot_break_a_cell_or_a_line() -> None:
    for point in (-1e9, -1.0, 0.0, 1e9):
        for ends in ((None, None), (-1e9, 1e9), (-1e9, -1e8), (1e8, 1e9)):
            drawn = bar(track(point, *ends))
            assert len(drawn) == 13
            assert not set(drawn) & set(" |`<&\n")


def test_curves__each_beside_its_baseline() -> None:
    now = [trained(1, 2, 3), trained(5, 6, name="other")]
    found = curves(now, [trained(1, 2), trained(0, 1, name="gone")])
    assert found["train", "accuracy", None] == Curve(((0, 1), (1, 2), (2, 3)), ((0, 1), (1, 2)))
    assert found["other", "accuracy", None] == Curve(((0, 5), (1, 6)))
    assert len(found) == 2


def test_curves__are_named_as_deltas_name_them() -> None:
    assert list(curves([trained(1, 2, split="test", slice="country=DE")], [])) == [
        ("train", "accuracy (test)", "country=DE")
    ]


@pytest.mark.parametrize("values", [(), (1.0,), (1.0, math.nan), (math.inf, -math.inf, math.nan)])
def test_curves__take_two_numbers(values: tuple[float, ...]) -> None:
    assert curves([trained(*values)], []) == {}


def test_learned__is_short_keeps_its_ends_and_shares_the_scale() -> None:
    long = tuple((float(step), float(step)) for step in range(200))
    assert learned(Curve(long)) == ("▁▂▃▃▄▅▆▆▇█",)
    assert learned(Curve(((0, 0), (1, 7)), ((0, 3), (1, 4)))) == ("▄▅", "▁█")
