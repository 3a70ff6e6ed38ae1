from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.power import TTestPower

from mlci.core import estimates
from mlci.core.estimates import (
    Estimate,
    ExampleNoise,
    Kind,
    PairedProportions,
    Part,
    by_examples,
    by_history,
    by_standard_errors,
    detectable,
    more,
    one_against_several,
    paired,
    two_sided,
    unpaired,
)

BOUNDS = [-0.03, -0.01, 0.0, 0.02]


PAIRS = [
    [(0.90, 0.91), (0.88, 0.86)],
    [(0.90, 0.89), (0.88, 0.85), (0.93, 0.935)],
    [(1e6 + 3, 1e6 + 1), (1e6 - 2, 1e6 - 1), (1e6, 1e6 - 4), (1e6 + 1, 1e6 + 2)],
    [(0.0, 0.0), (0.0, 1e-6), (0.0, 3e-6)],
]


SAMPLES = [
    ([0.90, 0.88], [0.91, 0.86]),
    ([0.90, 0.88, 0.93], [0.89, 0.89, 0.80]),
    ([0.5, 0.4, 0.6, 0.5, 0.55], [0.51, 0.49, 0.5, 0.53, 0.5]),
    ([0.90, 0.88, 0.93], [0.89, 0.89, 0.80, 0.84, 0.86]),
    ([0.90, 0.88, 0.93, 0.94], [0.89, 0.80]),
]


TABLES = [(40, 1, 0), (40, 5, 0), (40, 3, 9), (1_000, 12, 4), (1_000, 0, 7), (20, 10, 10), (5, 5, 0)]


def close(value: Any) -> object:
    return pytest.approx(value, rel=1e-9, abs=1e-15)


def part(variance: float, freedom: float, *, kind: Kind = "seeds", size: int = 3) -> Part:
    return Part(kind=kind, size=size, variance=variance, freedom=freedom)


def known(estimate: Estimate | None) -> Estimate:
    assert estimate is not None
    return estimate


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("pairs", PAIRS)
def test_paired__as_scipy(pairs: list[tuple[float, float]], bound: float) -> None:
    before, now = np.array(pairs).T
    estimate = known(paired(pairs))
    ours = [estimate.above(bound), estimate.below(bound)]
    theirs = [stats.ttest_1samp(now - before, bound, alternative=side).pvalue for side in ("greater", "less")]
    assert ours == close(theirs)
    assert two_sided(estimate) == close(stats.ttest_rel(now, before).pvalue)
    assert estimate.interval() == close(tuple(stats.ttest_rel(now, before).confidence_interval(0.9)))


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize(("before", "now"), SAMPLES)
def test_unpaired__of_like_sizes_as_scipys_welch(before: list[float], now: list[float], bound: float) -> None:
    estimate = known(unpaired(before, now))
    shifted = [value - bound for value in now]
    ours = [estimate.above(bound), estimate.below(bound)]
    theirs = [
        stats.ttest_ind(shifted, before, equal_var=False, alternative=side).pvalue for side in ("greater", "less")
    ]
    assert ours == close(theirs)
    whole = stats.ttest_ind(now, before, equal_var=False)
    assert estimate.interval() == close(tuple(whole.confidence_interval(0.9)))
    assert estimate.freedom == close(whole.df)


def test_unpaired__of_unlike_sizes_reaches_as_far_as_both_errors_do_together() -> None:
    before, now = [0.90, 0.88], [0.91, 0.86, 0.90, 0.93, 0.91]
    estimate = known(unpaired(before, now))
    reach = math.hypot(*(stats.t.ppf(0.95, len(side) - 1) * stats.sem(side) for side in (before, now)))
    assert estimate.interval() == close((estimate.change - reach, estimate.change + reach))


@pytest.mark.parametrize("several", [[0.90, 0.88], [0.90, 0.88, 0.93, 0.9]])
@pytest.mark.parametrize("bound", BOUNDS)
def test_one_against_several__is_the_prediction_interval(several: list[float], bound: float) -> None:
    size = len(several)
    error = np.std(several, ddof=1) * math.sqrt(1 + 1 / size)
    change = 0.85 - np.mean(several)
    estimate = known(one_against_several(several, [0.85]))
    assert estimate.above(bound) == close(stats.t.sf((change - bound) / error, size - 1))
    half = stats.t.ppf(0.95, size - 1) * error
    assert estimate.interval() == close((change - half, change + half))
    assert known(one_against_several([0.85], several)).change == close(-change)


def test_one_against_several__agrees_with_a_new_variable_in_a_regression() -> None:
    several, one = [0.90, 0.88, 0.93, 0.9], 0.85
    pooled = stats.ttest_ind_from_stats(one, 0.0, 1, np.mean(several), np.std(several, ddof=1), len(several))
    assert two_sided(known(one_against_several(several, [one]))) == close(pooled.pvalue)


@pytest.mark.parametrize(
    ("size", "freedom"), [((500, 500), 998.0), ((None, None), math.inf), ((1, 1), math.inf), ((30, 30), 58.0)]
)
def test_by_standard_errors__of_sides_alike(size: tuple[int | None, int | None], freedom: float) -> None:
    estimate = known(by_standard_errors(-0.02, (0.01, size[0]), (0.01, size[1])))
    assert estimate.standard_error == close(math.hypot(0.01, 0.01))
    assert estimate.below(0.0) == close(float(stats.t.cdf(-0.02 / math.hypot(0.01, 0.01), freedom)))


def test_by_standard_errors__as_a_test_of_two_samples() -> None:
    estimate = known(by_standard_errors(0.9 - 0.8, (0.3 / math.sqrt(40), 40), (0.2 / math.sqrt(40), 40)))
    theirs = stats.ttest_ind_from_stats(0.9, 0.2, 40, 0.8, 0.3, 40, equal_var=False)
    assert two_sided(estimate) == close(theirs.pvalue)


@pytest.mark.parametrize("error", [0.0, -0.1, math.nan, math.inf, 1e-200, 1e200])
def test_by_standard_errors__an_error_that_is_none(error: float) -> None:
    assert by_standard_errors(0.1, (error, 100), (0.1, 100)) is None
    assert by_standard_errors(0.1, (0.1, 100), (error, 100)) is None


@pytest.mark.parametrize("bound", [-0.2, -0.01, 0.0, 0.01, 0.3])
def test_by_history__as_computed_by_hand(bound: float) -> None:
    values = [0.90, 0.91, 0.89, 0.90, 0.70, 0.92, 0.90, 0.91, 0.90]
    scale = 1.4826 * np.median(np.abs(np.diff(values)))
    estimate = known(by_history(-0.03, values))
    assert estimate.standard_error == close(scale)
    assert estimate.above(bound) == close(float(stats.t.sf((-0.03 - bound) / scale, 4.0)))


@pytest.mark.parametrize(
    "values",
    [[0.1 * n for n in range(7)], [0.9] * 20, [0.9] * 6 + [0.8, 0.7, 0.7], [math.nan] + [0.1 * n for n in range(9)]],
)
def test_by_history__too_short_constant_or_not_finite(values: list[float]) -> None:
    assert by_history(0.1, values) is None


def test_by_history__a_few_real_changes_do_not_widen_it() -> None:
    noise = [0.01 * (-1) ** n * (1 + n / 10) for n in range(20)]
    shifted = [value + (1.0 if place >= 10 else 0.0) for place, value in enumerate(noise)]
    assert known(by_history(0.1, shifted)).standard_error < 1.2 * known(by_history(0.1, noise)).standard_error


@pytest.mark.parametrize(("examples", "lost", "won"), TABLES)
def test_paired_proportions__at_a_bound_of_0_is_mcnemars(examples: int, lost: int, won: int) -> None:
    evidence = PairedProportions(examples=examples, lost=lost, won=won)
    theirs = mcnemar([[examples - lost - won, lost], [won, 0]], exact=False, correction=False)
    assert two_sided(evidence) == close(theirs.pvalue)
    score = (won - lost) / math.sqrt(won + lost)
    assert (evidence.above(0), evidence.below(0)) == close((stats.norm.sf(score), stats.norm.cdf(score)))


@pytest.mark.parametrize("bound", [-0.6, -0.05, -0.01, 0.01, 0.2])
@pytest.mark.parametrize(("examples", "lost", "won"), [*TABLES, (40, 0, 0)])
def test_paired_proportions__takes_the_likeliest_share(examples: int, lost: int, won: int, bound: float) -> None:
    def unlikelihood(share: float) -> float:
        """Of a share that only the baseline gets right, where the difference is `bound`."""
        cells = (lost, won, examples - lost - won), (share, share + bound, 1 - bound - 2 * share)
        return -sum(count * math.log(max(each, 1e-300)) for count, each in zip(*cells, strict=True) if count)

    low, high = max(0.0, -bound), (1 - bound) / 2
    likeliest = optimize.minimize_scalar(unlikelihood, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
    spread = examples * (2 * likeliest + bound - bound**2)
    score = (won - lost - examples * bound) / math.sqrt(spread)
    assert PairedProportions(examples=examples, lost=lost, won=won)._score(bound) == pytest.approx(score, rel=2e-4)


@pytest.mark.parametrize(("examples", "lost", "won"), [*TABLES, (40, 0, 0)])
def test_paired_proportions__the_interval_ends_where_the_test_does(examples: int, lost: int, won: int) -> None:
    evidence = PairedProportions(examples=examples, lost=lost, won=won)
    low, high = evidence.interval()
    assert -1 <= low <= evidence.change <= high <= 1
    if low > -1 + 1e-9:
        assert evidence.above(low) == pytest.approx(0.05, abs=1e-9)
    if high < 1 - 1e-9:
        assert evidence.below(high) == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize(
    ("examples", "lost", "won", "interval"),
    [
        (21, 7, 1, (-0.517, -0.026)),  # Fagerland, Lydersen and Laake, Statistics in Medicine 33 (2014), table II
        (86, 8, 16, (-0.020, 0.207)),  # Agresti and Min, Statistics in Medicine 24 (2005)
    ],
)
def test_paired_proportions__intervals_of_95_percent_as_published(
    examples: int, lost: int, won: int, interval: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates, "LEVEL", 0.025)
    ours = PairedProportions(examples=examples, lost=lost, won=won).interval()
    assert ours == pytest.approx(interval, abs=5e-4)


@pytest.mark.parametrize("bound", [-0.3, -0.05, 0.0, 0.05])
@pytest.mark.parametrize("examples", [1, 4, 9])
def test_paired_proportions__one_example_lost_more_is_never_better(examples: int, bound: float) -> None:
    for lost, won in product(range(examples), repeat=2):
        if lost + won < examples:
            evidence, worse = (PairedProportions(examples=examples, lost=lost + more, won=won) for more in (0, 1))
            assert worse.below(bound) <= evidence.below(bound) + 1e-12
            assert worse.above(bound) >= evidence.above(bound) - 1e-12 or lost + won == bound == 0


def test_paired_proportions__without_a_discordant_pair() -> None:
    evidence = PairedProportions(examples=300, lost=0, won=0)
    assert (evidence.above(0), evidence.below(0), two_sided(evidence)) == (1, 1, 1)
    z2 = stats.norm.ppf(0.95) ** 2
    assert evidence.interval() == pytest.approx((-z2 / (300 + z2), z2 / (300 + z2)), rel=1e-9)
    assert evidence.below(0.02) < 0.05 < evidence.below(0.005)


def test_by_examples__by_their_standard_error() -> None:
    differences = np.array([0.1, -0.2, 0.05, 0.3, 0.0])
    noise = ExampleNoise(examples=5, change=float(differences.mean()), standard_error=float(stats.sem(differences)))
    evidence = by_examples(noise)
    assert evidence is not None
    assert two_sided(evidence) == close(stats.ttest_1samp(differences, 0).pvalue)


@pytest.mark.parametrize("error", [0.0, 1e-200])
def test_by_examples__none_that_differs(error: float) -> None:
    assert by_examples(ExampleNoise(examples=50, change=0.0, standard_error=error)) is None


def test_estimate__several_errors_reach_as_far_as_their_reaches_squared_and_summed() -> None:
    estimate = Estimate(change=0.5, parts=(part(0.04, 2), part(0.01, 299, kind="examples")))
    reach = math.hypot(stats.t.ppf(0.95, 2) * 0.2, stats.t.ppf(0.95, 299) * 0.1)
    assert estimate.interval() == close((0.5 - reach, 0.5 + reach))
    assert estimate.above(0.5 - reach) == pytest.approx(0.05, abs=1e-12)
    assert estimate.above(0.5) == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize("bound", [-5.0, -0.5, 0.3, 0.5, 2.0, 20.0])
def test_estimate__both_sides_of_a_bound_are_one(bound: float) -> None:
    estimate = Estimate(change=0.5, parts=(part(0.04, 2), part(0.01, 299), part(0.3, math.inf)))
    assert estimate.above(bound) + estimate.below(bound) == pytest.approx(1, abs=1e-12)
    extremes = sorted(stats.t.sf((0.5 - bound) / estimate.standard_error, part.freedom) for part in estimate.parts)
    assert extremes[0] - 1e-12 <= estimate.above(bound) <= extremes[-1] + 1e-12


def test_estimate__holds_the_level_beside_a_variance_of_two_seeds() -> None:
    random = np.random.default_rng(1)
    errors, spreads = random.normal(size=2_000), 0.9 * random.chisquare(1, 2_000)
    alarms = sum(
        Estimate(change=change, parts=(part(spread, 1), part(0.1, math.inf))).above(0) < 0.05
        for change, spread in zip(errors.tolist(), spreads.tolist(), strict=True)
    )
    assert 0.02 < alarms / 2_000 < 0.05


@pytest.mark.parametrize("level", [0.05, 0.05 / 7])
@pytest.mark.parametrize("size", [2, 3, 5, 30])
def test_detectable__as_statsmodels_and_the_noncentral_t(size: int, level: float) -> None:
    estimate = Estimate(change=0.0, parts=(part(0.09 / size, size - 1, size=size),))
    effect = detectable(estimate, level=level) / 0.3
    limit = stats.t.ppf(1 - level, size - 1)
    assert stats.nct.sf(limit, size - 1, effect * math.sqrt(size)) == pytest.approx(0.8, rel=1e-9)
    assert TTestPower().power(effect, size, level, alternative="larger") == pytest.approx(0.8, rel=1e-9)


def test_detectable__of_a_known_error_is_the_normal_distributions() -> None:
    estimate = Estimate(change=0.0, parts=(part(4.0, math.inf),))
    assert detectable(estimate) == close(2 * (stats.norm.ppf(0.95) + stats.norm.ppf(0.8)))


def test_detectable__of_several_errors_is_noticed_about_so_often() -> None:
    random = np.random.default_rng(1)
    shift = detectable(Estimate(change=0.0, parts=(part(1.0, 2), part(1.0, math.inf))))
    changes = shift + math.sqrt(2) * random.normal(size=4_000)
    spreads = random.chisquare(2, 4_000) / 2
    noticed = sum(
        Estimate(change=change, parts=(part(spread, 2), part(1.0, math.inf))).interval()[0] > 0
        for change, spread in zip(changes.tolist(), spreads.tolist(), strict=True)
    )
    assert noticed / 4_000 == pytest.approx(0.8, abs=0.07)


@pytest.mark.parametrize(
    ("examples", "lost", "won", "bound"), [(182, 2, 0, 0.03), (500, 15, 10, 0.02), (50, 1, 0, 0.0)]
)
def test_detectable__of_proportions_is_noticed_about_so_often(examples: int, lost: int, won: int, bound: float) -> None:
    level = 0.001
    distance = detectable(PairedProportions(examples=examples, lost=lost, won=won), level=level, bound=-bound, sign=-1)
    shares = [won / examples + bound + distance, won / examples]
    draws = np.random.default_rng(1).multinomial(examples, [*shares, 1 - sum(shares)], size=500).tolist()
    noticed = sum(PairedProportions(examples=examples, lost=a, won=b).below(-bound) < level for a, b, _ in draws)
    assert noticed / 500 > 0.7


@pytest.mark.parametrize(("examples", "lost", "won"), [(180, 2, 0), (180, 3, 1), (60, 0, 0)])
def test_more__of_proportions_is_where_the_test_of_the_same_shares_decides(examples: int, lost: int, won: int) -> None:
    observed = PairedProportions(examples=examples, lost=lost, won=won)
    extra = more(observed, -0.03, "examples")
    assert extra is not None
    score = stats.norm.isf(observed.above(-0.03))
    just, not_yet = (score * math.sqrt(1 + size / examples) for size in (extra, extra - 1))
    assert not_yet <= stats.norm.ppf(0.95) < just


@pytest.mark.parametrize("gap", [0.05, 0.1, 0.3])
def test_more__is_the_fewest_that_settle_it(gap: float) -> None:
    estimate = Estimate(change=0.0, parts=(part(0.03, 2),))
    extra = more(estimate, gap, "seeds")
    assert extra is not None

    def reach(extra: int) -> float:
        return float(stats.t.ppf(0.95, 2 + extra) * math.sqrt(0.09 / (3 + extra)))

    assert reach(extra) < gap <= reach(extra - 1)


def test_more__examples_do_not_help_where_seeds_are_what_is_missing() -> None:
    estimate = Estimate(change=0.0, parts=(part(0.03, 2), part(0.0001, 999, kind="examples", size=1_000)))
    assert more(estimate, 0.2, "examples") is None
    assert more(estimate, 0.2, "seeds") == 6


@pytest.mark.parametrize(("gap", "kind"), [(0.0, "seeds"), (math.nan, "seeds"), (1e-9, "seeds"), (0.1, "examples")])
def test_more__none_that_is_reasonable(gap: float, kind: Kind) -> None:
    assert more(Estimate(change=0.0, parts=(part(0.03, 2),)), gap, kind) is None


def test_more__records_are_not_asked_for() -> None:
    estimate = Estimate(change=0.0, parts=(part(0.03, 4, kind="records", size=9),))
    assert more(estimate, 0.1, "records") is None


@pytest.mark.parametrize("rounding", [2.0**-53, -(2.0**-53)])
def test_paired__rounding_is_no_difference(rounding: float) -> None:
    assert paired([(0.9, 0.9 + rounding), (0.8, 0.8 + rounding), (0.7, 0.7 + 2 * rounding)]) is None
