from __future__ import annotations

import math
import tomllib
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mlci.core.documents import Metric, Rule, RunResult, decode, encode
from mlci.core.fitting import Setting
from mlci.core.repeatability import MetricNoise, NoiseReport, assess, deviation_interval
from mlci.core.threshold import bounds
from mlci.core.unchanged import FAILS, Draws, Gated, decide, draw

RULE = Rule(pattern="accuracy", max_regression=0.01)


def executions(*values: float, name: str = "accuracy", seeded: bool = True, **fields: Any) -> list[RunResult]:
    return [
        RunResult(
            name="churn",
            profile="default",
            status="succeeded",
            seed=number if seeded else None,
            metrics=(Metric(name=name, value=value, **fields),),
        )
        for number, value in enumerate(values)
    ]


def setting(*rules: Rule, seeds: int = 0, **fields: Any) -> Setting:
    return Setting(
        run="churn",
        tiers=((), rules),
        seeds=tuple(range(seeds)),
        rules_table="runs.churn.rules",
        seeds_table="runs.churn",
        **fields,
    )


def only(report: NoiseReport) -> MetricNoise:
    [run] = report.runs
    [metric] = run.metrics
    return metric


NOISY = (0.91, 0.90, 0.895, 0.905, 0.89)


@pytest.mark.parametrize("freedom", [1, 2, 4, 5, 19, 200])
def test_deviation_interval__is_that_of_the_chi_square_distribution(freedom: int) -> None:
    low, high = deviation_interval(2.0, freedom)
    assert low == pytest.approx(2 * math.sqrt(freedom / stats.chi2.ppf(0.95, freedom)), rel=1e-9)
    assert high == pytest.approx(2 * math.sqrt(freedom / stats.chi2.ppf(0.05, freedom)), rel=1e-9)


def test_assess__mean_and_standard_deviation() -> None:
    found = only(assess([(setting(), executions(*NOISY))]))
    assert found.mean == pytest.approx(0.9)
    assert found.deviation == pytest.approx(float(np.std(NOISY, ddof=1)))
    assert (found.rule, found.chances, found.detectable) == (None, None, None)
    assert found.fits is not None


@pytest.mark.parametrize(
    ("given", "fields", "expected"),
    [
        ({"seeds": 3}, {}, "seeds"),
        ({"seeds": 1}, {}, "values"),
        ({"records": 7}, {}, "values"),
        ({"records": 8}, {}, "records"),
        ({"records": 8, "deterministic": True}, {}, "values"),
        ({"records": 8}, {"standard_error": 0.001, "n": 100}, "records"),
        ({"records": 8}, {"standard_error": 0.1, "n": 100}, "standard errors"),
        ({"seeds": 3, "records": 8}, {"standard_error": 0.1}, "seeds"),
    ],
)
def test_assess__judged_as_the_gate_will(given: dict[str, Any], fields: dict[str, Any], expected: str) -> None:
    assert only(assess([(setting(RULE, **given), executions(*NOISY, **fields))])).judged == expected


@pytest.mark.parametrize("given", [{"seeds": 3}, {"records": 12}, {}])
def test_assess__what_does_not_vary_always_passes(given: dict[str, Any]) -> None:
    report = assess([(setting(RULE, **given), executions(0.9, 0.9, 0.9))])
    found = only(report)
    assert (found.deviation, found.interval, found.fits, found.detectable) == (0.0, (0.0, 0.0), 0.0, 0.01)
    assert report.chances is not None
    assert (report.chances.passes, report.remedies, report.runs[0].exact) == (1.0, (), True)


@pytest.mark.parametrize("given", [{"seeds": 3}, {"seeds": 10}, {"records": 12}, {}])
def test_assess__what_is_suggested_passes_four_times_out_of_five(given: dict[str, Any]) -> None:
    results = [
        RunResult(
            name="churn",
            profile="default",
            status="succeeded",
            metrics=tuple(Metric(name=f"accuracy{place}", value=value * place) for place in (1, 2, 3)),
        )
        for value in NOISY
    ]
    rules = [Rule(pattern=f"accuracy{place}", max_regression=0.001) for place in (1, 2, 3)]
    first = assess([(setting(*rules, **given), results)])
    lines = tomllib.loads("\n".join(line for remedy in first.remedies for line in remedy.rule))
    wider = [Rule(pattern=name, max_regression=table["max-regression"]) for name, table in lines["metrics"].items()]
    assert len(wider) == 3
    then = assess([(setting(*wider, **given), results)])
    assert then.chances is not None
    assert then.chances.passes > 0.79
    assert then.chances.fails < 0.055
    assert then.remedies == () or then.chances.passes < 0.8 or then.chances.fails > 0.05


@pytest.mark.parametrize("given", [{"seeds": 3}, {"records": 20}, {}])
def test_assess__a_detectable_worsening_fails_four_times_out_of_five(given: dict[str, Any]) -> None:
    found = only(assess([(setting(RULE, **given), executions(*NOISY))]))
    assert found.detectable is not None
    size = given.get("seeds") or given.get("records") or 1
    gated = Gated(
        mean=found.mean,
        deviation=found.deviation,
        judged=found.judged,
        size=size,
        bounds=tuple(bounds(RULE, "higher", found.mean)[0]),
    )
    drawn = draw(gated, 10_000, np.random.default_rng(3))
    said = decide([gated], [Draws(drawn.before, drawn.now - found.detectable, drawn.past)])
    # A history tells its noise by a median, whose distribution Student's t comes near to only.
    assert (said == FAILS).mean() == pytest.approx(0.8, abs=0.05 if found.judged == "records" else 0.016)


def test_assess__more_metrics_make_each_harder_to_fail() -> None:
    results = [
        RunResult(
            name="churn",
            profile="default",
            status="succeeded",
            metrics=tuple(Metric(name=f"accuracy{place}", value=value) for place in range(5)),
        )
        for value in NOISY
    ]
    one = assess([(setting(Rule(pattern="accuracy0", max_regression=0.01), seeds=3), results)]).runs[0].metrics[0]
    five = assess([(setting(Rule(pattern="*", max_regression=0.01), seeds=3), results)]).runs[0].metrics[0]
    assert one.detectable is not None
    assert five.detectable is not None
    assert five.detectable > one.detectable


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e200])
def test_assess__what_is_not_always_a_number_cannot_be_decided(value: float) -> None:
    report = assess([(setting(RULE, seeds=3), executions(0.9, value, 0.8))])
    assert only(report).objection == "it was not always a finite number"
    assert report.chances is not None
    assert report.chances.undecided == 1.0


@pytest.mark.parametrize(
    ("rule", "objection"),
    [
        (Rule(pattern="x", max_regression=0.01), "its direction is not known: set direction in its rule"),
        (Rule(pattern="x", max_drop=0.01, min_n=5), "there are fewer than 5 seeds or examples"),
    ],
)
def test_assess__says_why_a_rule_cannot_decide(rule: Rule, objection: str) -> None:
    found = only(assess([(setting(rule, seeds=3), executions(*NOISY, name="x"))]))
    assert found.objection == objection
    assert found.chances is not None
    assert found.chances.undecided == 1.0


def test_assess__a_metric_that_was_reported_once_tells_nothing() -> None:
    results = executions(0.9) + executions(0.8, name="other")
    assert assess([(setting(RULE), results)]).runs[0].metrics == ()


def test_assess__is_a_document_that_says_the_same_each_time() -> None:
    given = [(setting(RULE, seeds=3), executions(*NOISY))]
    report = assess(given)
    assert encode(assess(given)) == encode(report)
    assert decode(encode(report), NoiseReport, name="noise.json") == report
