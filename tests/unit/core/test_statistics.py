from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from mlci.core.statistics import chi_square_quantile, constant, holm, measurable, shares


@pytest.mark.parametrize(
    "p_values", [[0.01], [0.01, 0.04, 0.03], [0.04, 0.04, 0.001, 0.9], [1.0, 1.0], [0.0, 0.5], [0.02] * 7]
)
def test_holm__as_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]), rel=1e-9)


def test_holm__none() -> None:
    assert holm([]) == []


@pytest.mark.parametrize("p_values", [[0.01, 0.04, 0.03, 0.2], [0.001, 0.9, 0.02, 0.03]])
def test_holm__with_shares_as_by_the_closed_procedure(p_values: list[float]) -> None:
    shares = [0.25, 0.25, 0.1, 0.4]

    def whole(chosen: Sequence[int]) -> float:
        """The p-value of an intersection, by Bonferroni's weighted test."""
        return min(p_values[place] * sum(shares[each] for each in chosen) / shares[place] for place in chosen)

    families = [[place for place in range(4) if bits >> place & 1] for bits in range(1, 16)]
    closed = [min(1.0, max(whole(chosen) for chosen in families if place in chosen)) for place in range(4)]
    assert holm(p_values, shares) == pytest.approx(closed, rel=1e-9)


@pytest.mark.parametrize(
    ("values", "said"),
    [([], True), ([1e74, -1e74], True), ([1e75], False), ([math.nan], False), ([0.1, -math.inf], False)],
)
def test_measurable__finite_and_not_enormous(values: list[float], said: bool) -> None:
    assert measurable(values) is said


@pytest.mark.parametrize(
    ("values", "said"),
    [([], True), ([3.0], True), ([0.3, 0.1 + 0.2], True), ([0.3, 0.3 + 1e-9], False), ([0.0, 1e-90], True)],
)
def test_constant__but_for_rounding(values: list[float], said: bool) -> None:
    assert constant(values) is said


@pytest.mark.parametrize("freedom", [1, 2, 5, 40])
@pytest.mark.parametrize("probability", [0.05, 0.5, 0.95])
def test_chi_square_quantile__as_scipy(probability: float, freedom: int) -> None:
    assert chi_square_quantile(probability, freedom) == pytest.approx(stats.chi2.ppf(probability, freedom), rel=1e-9)


@pytest.mark.parametrize(
    ("slices", "given"),
    [
        ([], []),
        ([False, False], [0.5, 0.5]),
        ([True], [1.0]),
        ([False, True, True], [0.5, 0.25, 0.25]),
    ],
)
def test_shares__slices_have_half_where_there_are_others(slices: list[bool], given: list[float]) -> None:
    assert shares(slices) == given
