"""Both sides predicted the same examples: the error of a change is that of paired differences, or nothing is said."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.predictions import binary, predictions
from mlci.core.estimates import ExampleNoise
from mlci.core.prediction_metrics import Measure, custom, measure
from mlci.core.predictions import Predictions
from mlci.core.resampling import REPLICATES, IncomparableError, Paired, example_noise
from mlci.errors import MetricError

NAMES = ("accuracy", "f1", "f1-macro", "precision", "recall-macro", "roc-auc", "log-loss", "brier", "mae", "rmse", "r2")


def known(name: str) -> Measure:
    found = measure(name)
    assert found is not None
    return found


def model(seed: int, count: int = 200, **more: Any) -> Predictions:
    return predictions(**binary(seed, count, **more))


def one_a_side(before: Predictions, now: Predictions) -> Paired:
    return Paired({None: before}, {None: now})


def noise(name: str, before: Predictions, now: Predictions) -> ExampleNoise:
    return example_noise(one_a_side(before, now), known(name))


def refused(before: Predictions, now: Predictions) -> str:
    with pytest.raises(IncomparableError) as caught:
        one_a_side(before, now)
    return str(caught.value)


def test_example_noise__of_a_mean_is_exact() -> None:
    before, now = model(1), model(2, skill=1.5)
    right = [np.asarray(item.labels == item.predictions, dtype=float) for item in (before, now)]
    difference = right[1] - right[0]
    found = noise("accuracy", before, now)
    assert found.examples == 200
    assert found.change == pytest.approx(difference.mean(), abs=1e-12)
    assert found.standard_error == pytest.approx(difference.std(ddof=1) / math.sqrt(200), abs=1e-12)
    assert found.discordant == (int((difference < 0).sum()), int((difference > 0).sum()))


def test_example_noise__of_roc_auc_is_delong_s_of_paired_curves() -> None:
    columns = [binary(1, 90), binary(2, 90)]
    label = np.array(columns[0]["label"])
    placements = []
    for item in columns:
        score = np.array(item["score"])
        above = (score[label == 1][:, None] > score[label == 0][None, :]).astype(float)
        placements.append((above.mean(axis=1), above.mean(axis=0)))
    variance = sum(
        (now - before).var(ddof=1) / len(now) for before, now in zip(placements[0], placements[1], strict=True)
    )
    found = noise("roc-auc", *(predictions(**item) for item in columns))
    assert found.standard_error == pytest.approx(math.sqrt(variance), abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_example_noise__agrees_with_a_bootstrap(name: str) -> None:
    before, now = model(1, 400), model(2, 400, skill=1.5)
    random = np.random.default_rng(0)
    changes = []
    for _ in range(400):
        drawn = random.integers(400, size=400)
        values = [known(name).estimate(item.take(drawn)).value for item in (before, now)]
        changes.append(values[1] - values[0])
    # 400 replicates tell a standard error to 3.5%.
    assert noise(name, before, now).standard_error == pytest.approx(np.std(changes, ddof=1), rel=0.14)


@pytest.mark.parametrize("name", NAMES)
def test_example_noise__swapping_sides_turns_the_change_over(name: str) -> None:
    one, other = noise(name, model(1), model(2)), noise(name, model(2), model(1))
    assert (one.change, one.standard_error) == pytest.approx((-other.change, other.standard_error), abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_example_noise__equal_predictions_have_none(name: str) -> None:
    found = noise(name, model(1), model(1))
    assert (found.change, found.standard_error) == (0, 0)


def test_example_noise__seeds_are_averaged_and_share_their_examples() -> None:
    before: dict[int | None, Predictions] = {seed: model(seed) for seed in (1, 2, 3)}
    now: dict[int | None, Predictions] = {seed: model(seed + 10, skill=1.5) for seed in (1, 2)}
    right = [
        np.mean([np.asarray(item.labels == item.predictions, dtype=float) for item in side.values()], axis=0)
        for side in (before, now)
    ]
    difference = right[1] - right[0]
    found = example_noise(Paired(before, now), known("accuracy"))
    assert found.change == pytest.approx(difference.mean(), abs=1e-12)
    assert found.standard_error == pytest.approx(difference.std(ddof=1) / math.sqrt(200), abs=1e-12)
    assert found.discordant is None


def test_example_noise__of_a_slice() -> None:
    site = ["x", "y"] * 100
    before, now = (predictions(**binary(seed), site=site) for seed in (1, 2))
    pair = one_a_side(before, now)
    found = example_noise(pair.part("site=y"), known("f1"))
    alone = [predictions(**{name: values[1::2] for name, values in binary(seed).items()}) for seed in (1, 2)]
    assert found == noise("f1", *alone)
    assert pair.part("site=y") is pair.part("site=y")


def test_example_noise__of_a_user_s_function_is_a_bootstrap() -> None:
    ours = custom("our-share", lambda labels, predicted, _: float(np.mean(labels == predicted)))
    before, now = model(1, 400), model(2, 400, skill=1.5)
    found, exact = example_noise(one_a_side(before, now), ours), noise("accuracy", before, now)
    assert found.change == pytest.approx(exact.change, abs=1e-12)
    assert found.standard_error == pytest.approx(exact.standard_error, rel=4 / math.sqrt(2 * REPLICATES))
    assert found.discordant is None
    assert example_noise(one_a_side(before, now), ours) == found
    swapped = example_noise(one_a_side(now, before), ours)
    assert swapped.standard_error == pytest.approx(found.standard_error, abs=1e-12)


def test_example_noise__resamples_that_a_function_refuses_do_not_count() -> None:
    def strict(labels: Any, predicted: Any, _: Any) -> float:
        if labels[0] == 0 and labels[1] == 0:
            raise ValueError("no")
        return float(np.mean(labels == predicted))

    before, now = (predictions(label=[1, 0, 1, 1], prediction=guess) for guess in ([1, 0, 0, 1], [1, 1, 1, 0]))
    found = example_noise(one_a_side(before, now), custom("strict", strict))
    assert 0 < found.standard_error < 1


@pytest.mark.parametrize(
    ("label", "name", "reason"),
    [
        pytest.param([1], "accuracy", "one example tells nothing", id="one-example"),
        pytest.param([1, 1], "roc-auc", "labels of one class only", id="undefined"),
        pytest.param([1, 0, 0], "recall", "too few examples count for it", id="one-positive"),
    ],
)
def test_example_noise__where_examples_tell_nothing(label: list[int], name: str, reason: str) -> None:
    found = predictions(label=label, prediction=label[::-1], score=[0.5] * len(label))
    with pytest.raises(IncomparableError, match=reason):
        noise(name, found, found)


def test_example_noise__what_the_metric_takes() -> None:
    found = predictions(label=["a", "b"], prediction=["a", "b"])
    with pytest.raises(MetricError, match="numbers"):
        noise("rmse", found, found)


def test_paired__ids_that_differ_are_counted() -> None:
    before = predictions(id=["a", "b", "c", "d"], label=[1] * 4, prediction=[1] * 4)
    now = predictions(id=["c", "d", "e"], label=[1] * 3, prediction=[1] * 3)
    assert refused(before, now) == "2 ids only in the baseline, 1 only now"


def test_paired__labels_that_differ_are_counted() -> None:
    before = predictions(label=["cat", "dog", "cat"], prediction=["dog"] * 3)
    now = predictions(label=["cat", "cat", "emu"], prediction=["cat"] * 3)
    assert refused(before, now) == "2 of 3 ids have one label in the baseline and another now"


def test_paired__seeds_are_named() -> None:
    full, part = model(1, 10), model(1, 8)
    with pytest.raises(IncomparableError) as caught:
        Paired({0: full, 1: part}, {0: full, 1: full})
    assert str(caught.value) == "2 ids only in the baseline (seed 0), 0 only in the baseline (seed 1)"


def test_paired__the_same_labels_in_other_spellings() -> None:
    before = predictions(label=["1", "0"], prediction=["1", "1"])
    now = predictions(label=["1.0", "0.0"], prediction=["2", "0"])
    assert noise("accuracy", before, now).discordant == (1, 1)


def test_part__must_be_of_the_same_examples_on_both_sides() -> None:
    before, now = (
        predictions(label=[1, 0, 1], prediction=[1, 0, 1], site=site) for site in (["x", "x", "y"], ["x", "y", "z"])
    )
    pair = one_a_side(before, now)
    with pytest.raises(IncomparableError, match="1 ids only in the baseline, 0 only now"):
        pair.part("site=x")
    with pytest.raises(IncomparableError, match="it is not a slice on both sides"):
        pair.part("site=z")


@given(st.permutations(list(range(12))), st.permutations(list(range(12))), st.sampled_from(NAMES))
def test_example_noise__the_order_of_rows_is_of_no_account(one: list[int], other: list[int], name: str) -> None:
    columns = binary(1, 12), binary(2, 12)
    straight = noise(name, *(predictions(**item) for item in columns))
    shuffled = [
        predictions(**{column: [values[place] for place in order] for column, values in item.items()})
        for item, order in zip(columns, (one, other), strict=True)
    ]
    assert noise(name, *shuffled) == straight
