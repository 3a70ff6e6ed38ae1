from __future__ import annotations

import math
from typing import Any

import pytest

from mlci.core.fitting import Remedy
from mlci.core.repeatability import Chances, MetricNoise, NoiseReport, RunNoise
from mlci.render.noise import noise

CHANCES = Chances(passes=0.412, undecided=0.585, fails=0.003)


LEGEND = [
    "noise: standard deviation from one execution to the next, and its 90% interval",
    "needs: the smallest tolerance that passes an unchanged model 4 times out of 5 and fails it once in 20 at most",
    "passes, undecided, fails: what the gate says of a model that has not changed",
    "notices: the smallest worsening that the gate fails 4 times out of 5",
]


def metric(**fields: Any) -> MetricNoise:
    given: dict[str, Any] = {
        "metric": "accuracy",
        "slice": None,
        "values": (0.90, 0.91, 0.92),
        "mean": 0.91,
        "deviation": 0.01,
        "interval": (0.0058, 0.044),
        "rule": "at most 0.01 lower",
        "judged": "seeds",
        "chances": CHANCES,
        "detectable": 0.0321,
        "fits": 0.0233,
    }
    return MetricNoise(**given | fields)


def exact(**fields: Any) -> MetricNoise:
    always = Chances(passes=1.0, undecided=0.0, fails=0.0)
    given: dict[str, Any] = {
        "deviation": 0.0,
        "interval": (0.0, 0.0),
        "fits": 0.0,
        "chances": always,
        "judged": "values",
    }
    return metric(**given | fields)


def run(*metrics: MetricNoise, **fields: Any) -> RunNoise:
    given: dict[str, Any] = {
        "run": "churn",
        "table": "runs.churn",
        "executions": 3,
        "seeds": (),
        "configured": 0,
        "records": 0,
        "deterministic": False,
        "predictions": False,
    }
    return RunNoise(metrics=metrics, **given | fields)


def said(*runs: RunNoise, chances: Chances | None = CHANCES, remedies: tuple[Remedy, ...] = ()) -> str:
    return noise(NoiseReport(runs=runs, chances=chances, draws=10_000, remedies=remedies))


def test_noise__what_it_looks_like() -> None:
    remedy = Remedy(
        metric="accuracy",
        run="churn",
        rule=("[metrics.accuracy]", "max-regression = 0.024"),
        instead=("[runs.churn]", "seeds = [0, 1, 2, 3]"),
    )
    noisy = metric(metric="f1", rule="at most 1% up", interval=(0.006, 0.044))
    steady = exact(metric="size", rule=None, chances=None, detectable=None)
    of_seeds = run(steady, noisy, seeds=(0, 1, 2), configured=2)
    assert said(of_seeds, remedies=(remedy,)).splitlines() == [
        "a pull request that changes nothing: passes 41%, undecided 58%, fails <1%",
        "",
        "churn: 3 executions with the seeds 0, 1, 2; the gate compares 2 seeds a side",
        "  metric    mean    noise                  rule           needs    passes    undecided    fails    notices",
        "  --------  ------  ---------------------  -------------  -------  --------  -----------  -------  ---------",
        "  f1        0.910   0.01 (0.006 to 0.044)  at most 1% up  2.6%     41%       58%          <1%      0.032",
        "  size      0.91    none: repeats exactly  none           any",
        "",
        "accuracy of churn needs more room; write",
        "  [metrics.accuracy]",
        "  max-regression = 0.024",
        "or",
        "  [runs.churn]",
        "  seeds = [0, 1, 2, 3]",
        "",
        *LEGEND,
    ]


def test_noise__says_that_seeds_are_no_way_out() -> None:
    remedy = Remedy(metric="accuracy", run="churn", rule=("[metrics.accuracy]", "max-drop = 0.1"), instead=None)
    assert "since 20 seeds would not do for the rule as it is" in said(run(metric()), remedies=(remedy,)).splitlines()


def test_noise__without_rules_the_tolerances_that_would_fit() -> None:
    text = said(run(metric(rule=None, chances=None, detectable=None)), chances=None)
    assert text.startswith("no metric has a rule yet: ")
    assert " 0.024" in text
    assert "notices" not in text


def test_noise__nothing_measured_twice() -> None:
    assert said(run(), chances=None) == "nothing was measured at least twice: there is nothing to tell"


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "    deterministic = true"),
        (
            {"seeds": (0, 1, 2), "configured": 2},
            "  Every seed gives the same: point values are right, any tolerance will do, and one seed is enough.",
        ),
    ],
)
def test_noise__what_repeats_exactly(given: dict[str, Any], line: str) -> None:
    assert line in said(run(exact(), metric(rule=None), **given)).splitlines()


def test_noise__what_is_deterministic_as_configured_needs_no_advice() -> None:
    always = Chances(passes=1.0, undecided=0.0, fails=0.0)
    lines = said(run(exact(), deterministic=True), chances=always).splitlines()
    assert lines[0] == "a pull request that changes nothing: always passes"
    assert not any("deterministic" in line for line in lines)


def test_noise__what_is_configured_as_deterministic_and_is_not() -> None:
    assert "  It is configured as deterministic, and is not: its noise is taken for change." in said(
        run(metric(), deterministic=True)
    )


@pytest.mark.parametrize(
    ("judged", "line"),
    [
        ("values", "churn: 3 executions; the gate compares single values"),
        ("records", "churn: 3 executions; the gate compares single values, knowing the noise of the last 12 records"),
        ("standard errors", "churn: 3 executions; the gate compares single values, knowing their standard errors"),
    ],
)
def test_noise__how_the_gate_judges(judged: str, line: str) -> None:
    assert line in said(run(metric(judged=judged), records=12)).splitlines()


def test_noise__says_what_cannot_be_decided() -> None:
    objected = metric(
        mean=math.nan, deviation=math.nan, interval=(math.nan, math.nan), fits=None, detectable=None, objection="NaN"
    )
    assert "  accuracy cannot be decided: NaN" in said(run(objected)).splitlines()


def test_noise__says_that_examples_are_left_out() -> None:
    assert "predictions" in said(run(metric(), configured=3, predictions=True))


def test_noise__other_people_s_names_are_harmless() -> None:
    text = said(run(metric(metric="a\x1b[2J\n::error::b", slice="##[x\u202e")))
    assert "\x1b" not in text
    assert "\n::error" not in text
    assert "##[" not in text
