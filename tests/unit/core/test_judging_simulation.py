"""A small, seeded part of `benchmarks/judgement.py`: false alarms are as rare as they are said to be."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from scipy import stats

PATH = Path(__file__).parents[3] / "benchmarks/judgement.py"
TRIALS = 300


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("judgement", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["judgement"] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


judgement = load()
SCENARIOS = {scenario.name: scenario for each in judgement.SCENARIOS.values() for scenario in each}
# In normal noise, where a change is at most as bad as allowed.
HELD = [
    "2 paired seeds",
    "3 seeds in common, noise their own",
    "3 unpaired seeds",
    "2 against 5 seeds",
    "1 against 3 seeds",
    "right or wrong, n = 1,000, 2% differ",
    "absolute errors, n = 100",
    "right or wrong, 2 seeds, n = 300, another model",
    "mean, 2 seeds, n = 300, another model",
    "n = 500, other examples a side",
    "8 records",
    "20 records, AR(1) 0.5",
    "8 records, a random walk",
    "20 records, one in ten a real change",
]


@pytest.mark.parametrize("name", HELD)
def test_gate__false_alarms_of_a_source(name: str) -> None:
    scenario = SCENARIOS[name]
    found = judgement.rates(scenario, drop=float(scenario.tolerance), tolerance=scenario.tolerance, trials=TRIALS)
    # As many as this come once in ten thousand times, at 5%.
    assert found.fails * TRIALS <= stats.binom.ppf(0.9999, TRIALS, 0.05)
    assert found.naive > 0.3


@pytest.mark.parametrize("name", ["10 metrics, independent", "10 metrics, correlated 0.9"])
def test_gate__false_alarms_of_a_family(name: str) -> None:
    found = judgement.rates(SCENARIOS[name], drop=0.0, tolerance=0.0, trials=100)
    assert found.fails * 100 <= stats.binom.ppf(0.9999, 100, 0.05)
    assert found.naive > 0.5


@pytest.mark.parametrize(("seeds", "drop", "at_least"), [(3, 4.0, 0.8), (5, 2.0, 0.75), (10, 2.0, 0.95)])
def test_gate__power(seeds: int, drop: float, at_least: float) -> None:
    scenario: Any = judgement.Scenario(name=f"{seeds}", draw=judgement.seeds(seeds, seeds))
    found = judgement.rates(scenario, drop=drop * judgement.DEVIATION, tolerance=0.0, trials=TRIALS)
    assert found.fails >= at_least


def test_gate__other_seeds_of_the_same_code_are_no_change() -> None:
    scenario = SCENARIOS["right or wrong, 3 seeds, n = 300, the same code"]
    found = judgement.rates(scenario, drop=0.0, tolerance=0.0, trials=TRIALS)
    # A test of the predictions of one seed takes the noise of training for a change.
    assert found.mcnemar > 0.1 > found.fails
