from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mlci.core import unchanged
from mlci.core.documents import Metric, Rule
from mlci.core.estimates import by_standard_errors
from mlci.core.judging import Case, judge
from mlci.core.noise import noise
from mlci.core.threshold import Bound, bounds
from mlci.core.unchanged import FAILS, PASSES, UNDECIDED, Draws, Gated, Judged, decide, draw, margin

COUNT = 10_000
RESULTS = {"pass": PASSES, "inconclusive": UNDECIDED, "fail": FAILS}


def fall(limit: float) -> Bound:
    return Bound("max-regression", -1, limit, "worse", f"{limit:g}")


def gated(
    limit: float, *, judged: Judged = "seeds", size: int = 5, deviation: float = 1.0, mean: float = 10.0
) -> Gated:
    return Gated(mean=mean, deviation=deviation, judged=judged, size=size, bounds=(fall(limit),))


def shares(metric: Gated, *, worse: float = 0.0) -> list[float]:
    """How many pass, stay undecided, fail, where the model is so much worse."""
    given = draw(metric, COUNT, np.random.default_rng(1))
    said = decide([metric], [Draws(given.before, given.now - worse, given.past)])
    return [float((said == each).mean()) for each in (PASSES, UNDECIDED, FAILS)]


def close(share: float) -> object:
    """Within four Monte Carlo errors."""
    return pytest.approx(share, abs=4 * math.sqrt(max(share * (1 - share), 1 / COUNT) / COUNT))


def case(metric: Gated, given: Draws, row: int, *, rule: Rule, error: float | None, n: int) -> Case:
    """One comparison as `core.comparison` would hand it on."""

    def side(values: np.ndarray) -> Metric:
        numbers = tuple(map(float, values))
        sampled = metric.judged == "seeds"
        return Metric(
            name="accuracy",
            slice="country=NO" if metric.sliced else None,
            value=float(np.mean(values)),
            samples=numbers if sampled else (),
            seeds=tuple(range(len(numbers))) if sampled else None,
            standard_error=error,
            n=n,
        )

    before, now = side(given.before[row]), side(given.now[row])
    history = list(map(float, given.past[row]))
    return Case(
        rule=rule, direction="higher", before=before, now=now, noise=noise(before, now, history=history), compared=True
    )


@pytest.mark.parametrize("seed", range(6))
def test_decide__as_the_gate_does(seed: int) -> None:
    generator = np.random.default_rng(seed)
    rows, metrics, draws, rules, errors = 40, [], [], [], []
    for _ in range(8):
        judged: Judged = generator.choice(["seeds", "standard errors", "records", "values"])
        limit, n = float(generator.choice([0.0, 0.5, 1.0, 3.0])), 50
        rule = Rule(
            pattern="accuracy",
            max_regression=limit,
            max_increase=2.0 if generator.random() < 0.3 else None,
            min=8.5 if generator.random() < 0.3 else None,
            max=11.5 if generator.random() < 0.3 else None,
        )
        error = 0.4 if judged == "standard errors" else None
        told = by_standard_errors(0.0, (0.4, n), (0.4, n))
        assert told is not None
        metric = Gated(
            mean=10.0,
            deviation=1.0,
            judged=judged,
            size=int({"seeds": generator.integers(2, 7), "records": generator.integers(8, 15)}.get(judged, 1)),
            error=told.standard_error,
            freedom=told.parts[0].freedom,
            sliced=bool(generator.random() < 0.3),
            bounds=tuple(bounds(rule, "higher", 10.0)[0]),
            low=rule.min,
            high=rule.max,
        )
        given = draw(metric, rows, generator)
        shift = float(generator.choice([0.0, -2.0, -5.0]))  # so that all three answers occur
        metrics.append(metric)
        draws.append(Draws(given.before, given.now + shift, given.past))
        rules.append(rule)
        errors.append(error)
    said = decide(metrics, draws)
    for row in range(rows):
        cases = [
            case(metric, given, row, rule=rule, error=error, n=50)
            for metric, given, rule, error in zip(metrics, draws, rules, errors, strict=True)
        ]
        assert [RESULTS[ruling.gate] for ruling in judge(cases)] == said[row].tolist()
    assert set(said.ravel().tolist()) == {PASSES, UNDECIDED, FAILS}


@pytest.mark.parametrize("limit", [0.5, 2.0])
def test_decide__single_values_fail_as_often_as_the_normal_distribution_says(limit: float) -> None:
    expected = float(stats.norm.sf(limit / math.sqrt(2)))
    passes, undecided, fails = shares(gated(limit, judged="values", size=1))
    assert (passes, undecided, fails) == (close(1 - expected), 0.0, close(expected))


@pytest.mark.parametrize(("limit", "seeds"), [(0.0, 3), (1.0, 3), (1.0, 10)])
def test_decide__seeds_pass_and_fail_as_often_as_the_noncentral_t_distribution_says(limit: float, seeds: int) -> None:
    quantile, shift = stats.t.ppf(0.95, seeds - 1), -limit / math.sqrt(2 / seeds)
    passes, _, fails = shares(gated(limit, size=seeds))
    assert fails == close(float(stats.nct.sf(quantile, seeds - 1, shift)))
    assert passes == close(float(stats.nct.cdf(-quantile, seeds - 1, shift)))


def test_decide__a_family_of_tests_fails_by_chance_once_in_twenty_at_most() -> None:
    metrics = [gated(0.0) for _ in range(10)]
    generator = np.random.default_rng(0)
    said = decide(metrics, [draw(metric, COUNT, generator) for metric in metrics])
    assert (said == FAILS).any(axis=1).mean() == close(0.05)


@pytest.mark.parametrize("judged", ["seeds", "records", "values"])
def test_decide__a_wider_tolerance_passes_more_and_fails_less(judged: Judged) -> None:
    size = 1 if judged == "values" else 10
    said = [shares(gated(limit, judged=judged, size=size)) for limit in (0.0, 0.5, 1.0, 2.0, 4.0)]
    assert [passes for passes, _, _ in said] == sorted(passes for passes, _, _ in said)
    assert [fails for _, _, fails in said] == sorted((fails for _, _, fails in said), reverse=True)
    assert said[0][0] < said[-1][0]


def test_decide__a_value_below_the_minimum_fails_whatever_changed() -> None:
    metric = Gated(mean=10.0, deviation=1.0, judged="values", low=10.0)
    assert shares(metric) == [close(0.5), 0.0, close(0.5)]


def test_decide__what_cannot_be_decided_is_undecided() -> None:
    metric = Gated(mean=10.0, deviation=1.0, judged="seeds", size=3, objection="its direction is not known")
    assert shares(metric) == [0.0, 1.0, 0.0]


def test_decide__without_noise_every_comparison_passes() -> None:
    assert shares(gated(0.0, judged="values", size=1, deviation=0.0)) == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("seeds", [2, 4, 12])
def test_margin__of_seeds_is_the_noncentral_t_distribution_s(seeds: int) -> None:
    shift = -margin("seeds", seeds, 0.8) / math.sqrt(2 / seeds)
    passing = float(stats.nct.cdf(-stats.t.ppf(0.95, seeds - 1), seeds - 1, shift))
    assert passing == pytest.approx(0.8, abs=0.012)


def test_margin__shrinks_with_every_seed_and_record() -> None:
    by_seeds = [margin("seeds", seeds, 0.8) for seeds in range(2, 21)]
    by_records = [margin("records", records, 0.8) for records in (8, 12, 20, 50)]
    assert by_seeds == sorted(by_seeds, reverse=True)
    assert by_records == sorted(by_records, reverse=True)


@pytest.mark.parametrize("size", [8, 20])
def test_margin__of_records_passes_the_share_that_was_asked_for(size: int) -> None:
    passes, _, _ = shares(gated(margin("records", size, 0.8), judged="records", size=size))
    assert passes == pytest.approx(0.8, abs=0.02)


def test_freedom_of__each_kind() -> None:
    assert [
        unchanged.freedom_of(gated(1.0, size=5)),
        unchanged.freedom_of(gated(1.0, judged="records", size=9)),
        unchanged.freedom_of(Gated(mean=0.0, deviation=1.0, judged="standard errors", error=1.0, freedom=98)),
    ] == [4, 4, 98]
