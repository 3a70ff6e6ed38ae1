from __future__ import annotations

import math
from itertools import pairwise

import pytest

from mlci.core.metric import thinned
from mlci.plugins.readers.series import Series


def series(*points: tuple[float, float]) -> Series:
    made = Series()
    for step, value in points:
        made.add(step, value)
    return made


@pytest.mark.parametrize("count", [1, 2, 200, 201, 2_000])
def test_points__a_few_thousand_are_thinned_as_everywhere(count: int) -> None:
    points = [(float(step), step / 2) for step in range(count)]
    assert series(*points).points() == thinned(points)


@pytest.mark.parametrize("count", [2_001, 4_002, 100_000])
def test_points__of_many_the_first_and_the_last_stay(count: int) -> None:
    points = [(float(step), step / 2) for step in range(count)]
    kept = series(*points).points()
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert 150 < len(kept) <= 200
    assert set(kept) <= set(points)
    gaps = [after[0] - before[0] for before, after in pairwise(kept[:-1])]
    assert max(gaps) < 2 * count / 150


def test_points__a_step_that_falls_back_drops_what_lay_beyond() -> None:
    made = series((0, 1.0), (5, 2.0), (10, 3.0), (5, 4.0))
    assert made.points() == ((0, 1.0), (5, 4.0))
    assert made.value == 4.0


def test_value__the_last_one_however_bad() -> None:
    assert math.isnan(series((0, 1.0), (1, math.nan)).value)
