from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import pytest

from mlci.core.documents import Metric
from mlci.core.estimates import ExampleNoise, PairedProportions
from mlci.core.noise import noise

ROUNDING = 2.0**-53
HISTORY = [0.90, 0.91, 0.89, 0.90, 0.92, 0.90, 0.91, 0.90]
SOME = ExampleNoise(examples=1_200, change=-0.01, standard_error=0.004)
SAME = ExampleNoise(examples=1_200, change=0.0, standard_error=0.0)
FLIPPED = ExampleNoise(examples=1_200, change=-0.01, standard_error=0.004, discordant=(18, 6))
NONE_FLIPPED = ExampleNoise(examples=1_200, change=0.0, standard_error=0.0, discordant=(0, 0))


def metric(*samples: float, seeds: Sequence[int] | None = (0, 1, 2, 3, 4), **fields: Any) -> Metric:
    """One value is one of a run without seeds."""
    if len(samples) == 1 and seeds == (0, 1, 2, 3, 4):
        return Metric(name="accuracy", value=samples[0], **fields)
    return Metric(
        name="accuracy",
        value=fmean(samples) if all(map(math.isfinite, samples)) else sum(samples),
        samples=samples,
        seeds=None if seeds is None else tuple(seeds[: len(samples)]),
        **fields,
    )


def drawn(*samples: float, **fields: Any) -> Metric:
    """Samples that are exchangeable."""
    return metric(*samples, seeds=None, **fields)


@pytest.mark.parametrize(
    ("before", "now", "source"),
    [
        (metric(0.90, 0.92), metric(0.91, 0.90), "2 paired seeds"),
        (metric(0.90, 0.92, 0.88), metric(0.91, 0.90), "2 paired seeds of 3"),
        (metric(0.90, 0.92, 0.88), metric(0.91, 0.90, 0.90, seeds=(2, 0, 7)), "2 paired seeds of 3"),
        (metric(0.90, 0.92, 0.88), metric(0.91, 0.90, 0.90, seeds=(2, 8, 7)), "3 unpaired seeds"),
        (metric(0.90, 0.92), metric(0.91, 0.90, 0.93, seeds=(7, 8, 9)), "2 and 3 unpaired seeds"),
        (drawn(0.90, 0.92), drawn(0.91, 0.90), "2 unpaired seeds"),
        (drawn(0.90, 0.92), metric(0.91, 0.90), "2 unpaired seeds"),
        (metric(0.90, 0.92), metric(0.91, seeds=(1,)), "2 against 1 seeds"),
        (metric(0.90, seeds=(1,)), metric(0.91, 0.90, 0.95), "1 against 3 seeds"),
        # A run without seeds has drawn one value.
        (metric(0.90), metric(0.91, 0.92), "1 against 2 seeds"),
        # One pair, or one value a side, tells nothing of noise.
        (metric(0.90, seeds=(1,)), metric(0.91, seeds=(1,)), "none"),
        (metric(0.90), metric(0.91), "none"),
        # One side constant: the other one's spread counts.
        (drawn(0.90, 0.90), drawn(0.91, 0.93), "2 unpaired seeds"),
        # Pairs that all differ by the same, and sides that vary.
        (metric(0.75, 0.5, 0.25), metric(0.625, 0.375, 0.125), "3 unpaired seeds"),
        # Neither side varies, or no seed differs: the values are compared as they are.
        (metric(0.9, 0.9), metric(0.8, 0.8), "none, deterministic, 2 seeds agree"),
        (drawn(0.9, 0.9), drawn(0.9, 0.9, 0.9), "none, deterministic, 2 and 3 seeds agree"),
        (metric(0.9, 0.8), metric(0.9, 0.8), "none, 2 seeds as before"),
        (metric(1.0, 1.0, 1.0), metric(1.0, 1.0, 1.0), "none, 3 seeds as before"),
        (metric(0.0, 0.0, 0.0), metric(0.0, 0.0, 0.0), "none, 3 seeds as before"),
        (metric(0.9, 0.8), metric(0.9 + ROUNDING, 0.8 - ROUNDING), "none, 2 seeds as before"),
        (metric(0.3, 0.3), metric(0.1 + 0.2, 0.3, seeds=(7, 8)), "none, deterministic, 2 seeds agree"),
        # Ties of some.
        (metric(0.9, 0.8, 0.7), metric(0.9, 0.8, 0.6), "3 paired seeds"),
        # Several values that do not vary against one tell nothing.
        (metric(0.9, 0.9, 0.9), metric(0.8, seeds=(1,)), "none"),
        # Not finite, or beyond what can be reckoned with.
        (metric(0.9, 0.8), metric(math.nan, 0.8), "none"),
        (metric(0.9, 0.8), metric(math.inf, 0.8), "none"),
        (metric(0.9, 0.8), metric(1e200, 0.8), "none"),
        (metric(1e-90, 2e-90), metric(3e-90, 5e-90), "none, deterministic, 2 seeds agree"),
    ],
)
def test_noise__of_samples(before: Metric, now: Metric, source: str) -> None:
    found = noise(before, now)
    assert (found.source, found.evidence is None) == (source, source.startswith("none"))


@pytest.mark.parametrize(
    ("before", "now", "examples", "deterministic", "source"),
    [
        (metric(0.90, 0.92), metric(0.91, 0.90), SOME, False, "2 paired seeds, 1,200 examples"),
        (drawn(0.90, 0.92), drawn(0.91, 0.90), SOME, False, "2 unpaired seeds, 1,200 examples"),
        (metric(0.90, 0.92), metric(0.91, seeds=(1,)), SOME, False, "2 against 1 seeds, 1,200 examples"),
        # Examples carry no noise of training, so that alone they count where there is none.
        (metric(0.90), metric(0.89), SOME, False, "none"),
        (metric(0.90), metric(0.89), SOME, True, "deterministic, 1,200 examples"),
        (metric(0.90), metric(0.89), FLIPPED, True, "deterministic, 1,200 examples"),
        (metric(0.9, 0.9), metric(0.8, 0.8), SOME, False, "deterministic, 2 seeds agree, 1,200 examples"),
        (metric(0.9, 0.8), metric(0.9, 0.8), SOME, False, "2 unpaired seeds, 1,200 examples"),
        (metric(0.9, 0.8), metric(0.9, 0.8), SAME, False, "none, 2 seeds as before"),
        (metric(0.90), metric(0.90), SAME, True, "none, deterministic"),
        (metric(0.90), metric(0.90), NONE_FLIPPED, True, "none, deterministic"),
        (metric(0.90), metric(0.90), None, True, "none, deterministic"),
    ],
)
def test_noise__of_examples(
    before: Metric, now: Metric, examples: ExampleNoise | None, deterministic: bool, source: str
) -> None:
    found = noise(before, now, examples=examples, deterministic=deterministic)
    assert (found.source, found.evidence is None) == (source, source.startswith("none"))


@pytest.mark.parametrize("error", [1e-17, 1e-200, math.nan, math.inf])
def test_noise__examples_whose_error_is_rounding_or_none(error: float) -> None:
    examples = ExampleNoise(examples=1_200, change=1e-17, standard_error=error)
    assert noise(metric(0.9), metric(0.9), examples=examples, deterministic=True).evidence is None
    [seeds] = noise(metric(0.90, 0.92), metric(0.91, 0.90), examples=examples).evidence.parts  # type: ignore[union-attr]
    assert seeds.kind == "seeds"


def test_noise__right_or_wrong_of_a_deterministic_run_is_tangos() -> None:
    found = noise(metric(0.90), metric(0.89), examples=FLIPPED, deterministic=True)
    assert found.evidence == PairedProportions(examples=1_200, lost=18, won=6)


def told(value: float, error: float | None, n: int | None = None) -> Metric:
    return metric(value, standard_error=error, n=n)


@pytest.mark.parametrize(
    ("before", "now", "history", "source"),
    [
        (told(0.90, 0.02, 500), told(0.91, 0.02, 500), (), "standard errors, n = 500"),
        (told(0.90, 0.02, 500), told(0.91, 0.02, 1_000), (), "standard errors, n = 500 and 1,000"),
        (told(0.90, 0.02), told(0.91, 0.02), (), "standard errors"),
        (told(0.90, 0.02), told(0.91, 0.02, 500), (), "standard errors, n = 500"),
        # An error of one side only, of 0 as at a perfect 1.0, or none at all.
        (told(0.90, 0.02, 500), told(0.91, None, 500), (), "none"),
        (told(0.90, 0.02, 500), told(1.0, 0.0, 500), (), "none"),
        (told(1.0, 0.0, 500), told(1.0, 0.0, 500), (), "none"),
        (told(0.90, math.nan), told(0.91, 0.02), (), "none"),
        # Of errors and history the wider.
        (told(0.90, 0.02, 500), told(0.91, 0.02, 500), HISTORY, "standard errors, n = 500"),
        (told(0.90, 0.001, 500), told(0.91, 0.001, 500), HISTORY, "the last 8 records"),
        (told(1.0, 0.0, 500), told(0.91, 0.001, 500), HISTORY, "the last 8 records"),
        # Eight records and no fewer, of which half or more differ from the one before, all finite.
        (metric(0.90), metric(0.91), HISTORY, "the last 8 records"),
        (metric(0.90), metric(0.91), HISTORY[1:], "none"),
        (metric(0.90), metric(0.91), [0.9] * 20, "none"),
        (metric(0.90), metric(0.91), [*HISTORY, math.nan], "none"),
        (metric(0.90), metric(math.nan), HISTORY, "none"),
        (metric(0.90), metric(-math.inf), HISTORY, "none"),
        # Seeds say more than either.
        (metric(0.90, 0.92, n=500, standard_error=0.1), metric(0.91, 0.90), HISTORY, "2 paired seeds"),
    ],
)
def test_noise__of_standard_errors_and_history(
    before: Metric, now: Metric, history: Sequence[float], source: str
) -> None:
    found = noise(before, now, history=history)
    assert (found.source, found.evidence is None) == (source, source.startswith("none"))


def test_noise__a_deterministic_run_needs_no_history() -> None:
    assert noise(metric(0.90), metric(0.89), history=HISTORY, deterministic=True).source == "none, deterministic"


@pytest.mark.parametrize(
    ("before", "now", "change"),
    [
        (metric(0.90, 0.92, 0.5), metric(0.91, 0.90), -0.005),  # of the seeds that both have
        (drawn(0.90, 0.92), drawn(0.91, 0.95), 0.02),
        (metric(0.90, 0.92), metric(0.93, seeds=(1,)), 0.02),
    ],
)
def test_noise__the_change_is_of_what_is_compared(before: Metric, now: Metric, change: float) -> None:
    evidence = noise(before, now).evidence
    assert evidence is not None
    assert evidence.change == pytest.approx(change)
