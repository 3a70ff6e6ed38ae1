"""Metrics of predictions are scikit-learn's, and the influences of examples tell their standard errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from fakes.predictions import binary, predictions
from mlci.core.prediction_metrics import Measure, custom, default_names, measure, unknown
from mlci.core.predictions import Layout, Predictions
from mlci.errors import MetricError

MACRO = {"average": "macro", "zero_division": 0}
# Of whole numbers as labels, predictions, and scores: what scikit-learn computes.
REFERENCE: dict[str, Callable[[Any, Any, Any], float]] = {
    "accuracy": lambda y, p, _: sklearn.accuracy_score(y, p),
    "f1": lambda y, p, _: sklearn.f1_score(y, p, zero_division=0),
    "f1-macro": lambda y, p, _: sklearn.f1_score(y, p, **MACRO),
    "f1-micro": lambda y, p, _: sklearn.f1_score(y, p, average="micro"),
    "precision": lambda y, p, _: sklearn.precision_score(y, p, zero_division=0),
    "precision-macro": lambda y, p, _: sklearn.precision_score(y, p, **MACRO),
    "recall": lambda y, p, _: sklearn.recall_score(y, p, zero_division=0),
    "recall-macro": lambda y, p, _: sklearn.recall_score(y, p, **MACRO),
    "roc-auc": lambda y, _, s: sklearn.roc_auc_score(y, s),
    "log-loss": lambda y, _, s: sklearn.log_loss(y, s, labels=[0, 1]),
    "brier": lambda y, _, s: sklearn.brier_score_loss(y, s),
    "mae": lambda y, p, _: sklearn.mean_absolute_error(y, p),
    "rmse": lambda y, p, _: sklearn.root_mean_squared_error(y, p),
    "r2": lambda y, p, _: sklearn.r2_score(y, p),
}
CLASSES = ("accuracy", "f1-macro", "f1-micro", "precision-macro", "recall-macro")
NUMBERS = ("mae", "rmse", "r2")
BINARY = Layout(positive="1")


def known(name: str) -> Measure:
    found = measure(name)
    assert found is not None
    return found


def value(name: str, found: Predictions) -> float:
    return known(name).estimate(found).value


def standard_error(name: str, found: Predictions) -> float:
    influence = known(name).estimate(found).influence
    assert influence is not None
    return math.sqrt(float(influence @ influence) / (len(found) * (len(found) - 1)))


@pytest.mark.parametrize("name", REFERENCE)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_measure__is_scikit_learn_s(name: str, seed: int) -> None:
    columns = binary(seed, 300)
    reference = REFERENCE[name](columns["label"], columns["prediction"], columns["score"])
    assert value(name, predictions(**columns)) == pytest.approx(reference, abs=1e-9)


@pytest.mark.parametrize("name", CLASSES)
def test_measure__several_classes(name: str) -> None:
    random = np.random.default_rng(5)
    label, prediction = random.integers(0, 7, 400), random.integers(0, 9, 400)
    found = predictions(label=label.tolist(), prediction=prediction.tolist())
    assert value(name, found) == pytest.approx(REFERENCE[name](label, prediction, None), abs=1e-9)


@pytest.mark.parametrize("name", NUMBERS)
def test_measure__numbers(name: str) -> None:
    random = np.random.default_rng(5)
    label = random.normal(100, 20, 400)
    prediction = label + random.normal(1, 5, 400)
    found = predictions(label=label.tolist(), prediction=prediction.tolist())
    assert value(name, found) == pytest.approx(REFERENCE[name](label, prediction, None), abs=1e-9)


@pytest.mark.parametrize(
    ("name", "label", "prediction"),
    [
        pytest.param("precision", [0, 1], [0, 0], id="precision-nothing-predicted"),
        pytest.param("recall", [0, 0], [0, 1], id="recall-nothing-positive"),
        pytest.param("f1", [0, 1], [1, 0], id="f1-all-wrong"),
        pytest.param("f1", [1, 1], [1, 1], id="f1-one-class"),
        pytest.param("f1", [0, 0], [0, 0], id="f1-nothing-positive"),
        pytest.param("f1-macro", [0, 0], [0, 0], id="macro-one-class"),
        pytest.param("f1-macro", [0, 1], [2, 3], id="macro-nothing-in-common"),
        pytest.param("precision-macro", [0, 1, 2], [0, 0, 0], id="macro-classes-never-predicted"),
        pytest.param("accuracy", [1, 2], [1, 2], id="perfect"),
        pytest.param("rmse", [1.5, 2.5], [1.5, 2.5], id="rmse-perfect"),
        pytest.param("r2", [1.5, 1.5], [1.5, 1.5], id="r2-constant-and-right"),
        pytest.param("r2", [1.5, 1.5], [1.5, 2.5], id="r2-constant-and-wrong"),
        pytest.param("mae", [1.5], [2.5], id="one-example"),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_measure__degenerate_as_scikit_learn(name: str, label: list[float], prediction: list[float]) -> None:
    found = predictions(BINARY if name in ("precision", "recall", "f1") else None, label=label, prediction=prediction)
    assert value(name, found) == pytest.approx(REFERENCE[name](label, prediction, None), abs=1e-9)


def test_log_loss__certain_and_wrong_is_finite() -> None:
    found = predictions(BINARY, label=[1, 0], score=[0, 0])
    assert value("log-loss", found) == pytest.approx(sklearn.log_loss([1, 0], [0.0, 0.0], labels=[0, 1]), abs=1e-9)


@pytest.mark.parametrize(
    ("name", "layout", "columns", "reason"),
    [
        pytest.param(
            "roc-auc",
            BINARY,
            {"label": [1, 1], "score": [0.1, 0.2]},
            "labels of one class only",
            id="roc-auc-of-one-class",
        ),
        *(
            pytest.param(
                name,
                Layout(),
                {"label": ["a", "a"], "prediction": ["a", "a"], "score": [0.1, 0.2]},
                "one class only, and it is not said which one is positive",
                id=f"{name}-of-one-class",
            )
            for name in ("f1", "precision", "recall", "brier", "log-loss")
        ),
        pytest.param(
            "r2", Layout(), {"label": [1.5], "prediction": [1.5]}, "fewer than two examples", id="r2-of-one-example"
        ),
    ],
)
def test_measure__undefined_with_a_reason(name: str, layout: Layout, columns: dict[str, Any], reason: str) -> None:
    found = known(name).estimate(predictions(layout, **columns))
    assert math.isnan(found.value)
    assert found.reason == reason


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        pytest.param(
            "accuracy", {"label": [0, 1], "score": [0, 1]}, "it takes the column of predictions", id="no-guess"
        ),
        pytest.param(
            "roc-auc", {"label": [0, 1], "prediction": [0, 1]}, "it takes the column of scores", id="no-score"
        ),
        pytest.param(
            "rmse", {"label": ["a"], "prediction": ["a"]}, "labels and predictions that are numbers", id="text"
        ),
        pytest.param(
            "f1",
            {"label": [0, 1, 2], "prediction": [0, 1, 2]},
            "it takes two classes, and there are 3; those ending in -macro take more",
            id="three-classes",
        ),
        pytest.param(
            "brier", {"label": [0, 1], "score": [0, 1.5]}, "scores that are probabilities, from 0 to 1", id="above-1"
        ),
        pytest.param("log-loss", {"label": [0, 1], "score": [-1, 1]}, "scores that are probabilities", id="below-0"),
    ],
)
def test_measure__what_it_takes(name: str, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(MetricError, match=message):
        known(name).estimate(predictions(**columns))


def test_roc_auc__any_scores_with_ties() -> None:
    label, score = [0, 0, 1, 1, 1, 0], [-3, 2, 2, 2, 40, 2]
    expected = sklearn.roc_auc_score(label, score)
    assert value("roc-auc", predictions(label=label, score=score)) == pytest.approx(expected, abs=1e-9)


def test_roc_auc__standard_error_is_delong_s() -> None:
    columns = binary(3, 80)
    label, score = np.array(columns["label"]), np.array(columns["score"])
    above = (score[label == 1][:, None] > score[label == 0][None, :]).astype(float)
    delong = above.mean(axis=1).var(ddof=1) / above.shape[0] + above.mean(axis=0).var(ddof=1) / above.shape[1]
    assert standard_error("roc-auc", predictions(**columns)) == pytest.approx(math.sqrt(delong), abs=1e-12)


def test_means__standard_error_is_that_of_the_mean() -> None:
    columns = binary(3, 80)
    label, score = np.array(columns["label"]), np.array(columns["score"])
    expected = ((score - label) ** 2).std(ddof=1) / math.sqrt(80)
    assert standard_error("brier", predictions(**columns)) == pytest.approx(expected, abs=1e-12)


def test_recall__standard_error_is_that_of_a_share_of_the_positive() -> None:
    columns = binary(3, 80)
    hits = [guess for label, guess in zip(columns["label"], columns["prediction"], strict=True) if label == 1]
    expected = np.std(np.array(hits, dtype=float), ddof=1) / math.sqrt(len(hits))
    assert standard_error("recall", predictions(**columns)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", REFERENCE)
def test_measure__influence_is_the_derivative_by_an_example_s_weight(name: str) -> None:
    found = predictions(**binary(4, 400))
    count = len(found)
    estimate = known(name).estimate(found)
    assert estimate.influence is not None
    assert estimate.influence.mean() == pytest.approx(0, abs=1e-9)
    for example in (0, 7, 100):
        doubled = found.take(np.append(np.tile(np.arange(count), 25), example))
        slope = (known(name).estimate(doubled).value - estimate.value) * (25 * count + 1)
        assert slope == pytest.approx(estimate.influence[example], rel=0.02, abs=0.02)


@pytest.mark.parametrize("name", ["recall", "precision", "f1", "roc-auc"])
def test_measure__one_positive_example_tells_no_error(name: str) -> None:
    found = predictions(BINARY, label=[1, 0, 0, 0], prediction=[1, 0, 0, 0], score=[0.9, 0.1, 0.2, 0.3])
    assert math.isnan(standard_error(name, found))


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        ("accuracy_score", "accuracy"),
        ("f1_score", "f1"),
        ("f1_binary", "f1"),
        ("F1-Macro", "f1-macro"),
        ("f1_micro", "f1-micro"),
        ("roc_auc", "roc-auc"),
        ("roc_auc_score", "roc-auc"),
        ("log_loss", "log-loss"),
        ("brier_score_loss", "brier"),
        ("mean_absolute_error", "mae"),
        ("root_mean_squared_error", "rmse"),
        ("r2_score", "r2"),
    ],
)
def test_measure__other_spellings(spelled: str, name: str) -> None:
    assert known(spelled).estimate is known(name).estimate
    assert known(spelled).name == spelled


@pytest.mark.parametrize("name", REFERENCE)
def test_measure__direction(name: str) -> None:
    assert known(name).direction == ("lower" if name in ("log-loss", "brier", "mae", "rmse") else "higher")


def test_unknown__names_the_nearest() -> None:
    assert measure("acuracy") is None
    assert "'acuracy' (did you mean 'accuracy'?); known: accuracy, f1, " in unknown("acuracy").message
    assert "(did you mean 'our-cost'?)" in unknown("our_cst", ["our-cost"]).message


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        pytest.param({"label": ["a"], "prediction": ["b"]}, ("accuracy",), id="classes"),
        pytest.param({"label": [1.5], "prediction": [2]}, ("rmse", "mae"), id="numbers"),
        pytest.param({"label": [0, 1], "score": [0.5, 0.6]}, ("roc-auc",), id="scores-only"),
    ],
)
def test_default_names__by_what_there_is(columns: dict[str, Any], names: tuple[str, ...]) -> None:
    assert default_names(predictions(**columns)) == names


def test_custom__gets_numbers_or_texts() -> None:
    def seen(*given: Any) -> float:
        calls.append([None if item is None else item.tolist() for item in given])
        return 0.5

    calls: list[Any] = []
    our = custom("our-loss", seen)
    assert our.direction == "lower"
    assert our.estimate(predictions(label=["1", "2"], prediction=["1.0", "3"])).value == 0.5
    our.estimate(predictions(label=["b", "a"], score=[0.25, 1]))
    assert calls == [[[1.0, 2.0], [1.0, 3.0], None], [["b", "a"], None, [0.25, 1.0]]]


def test_custom__that_raises() -> None:
    def broken(labels: Any, predicted: Any, scores: Any) -> float:
        raise KeyError(len(labels), predicted is None, scores is None)

    with pytest.raises(MetricError, match=r"its function raised KeyError: \(1, False, True\)"):
        custom("broken", broken).estimate(predictions(label=[1], prediction=[1]))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=15))
def test_macro__is_scikit_learn_s_for_any_table(pairs: list[tuple[int, int]]) -> None:
    label, prediction = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    found = predictions(label=label, prediction=prediction)
    for name in ("f1-macro", "precision-macro", "recall-macro"):
        assert value(name, found) == pytest.approx(REFERENCE[name](label, prediction, None), abs=1e-9)
