"""Metrics of predictions by name: those that come with mlci, under scikit-learn's names too, and those of users."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlci.core.documents import Direction
from mlci.core.metric import infer_direction
from mlci.core.prediction_estimates import (
    Estimate,
    accuracy,
    brier,
    log_loss,
    mae,
    of_each,
    of_positive,
    r2,
    rmse,
    roc_auc,
)
from mlci.core.predictions import Floats, Predictions
from mlci.errors import MetricError

Given = NDArray[Any]  # numbers or texts
Function = Callable[[Given, Given | None, Floats | None], float]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A metric by name.

    Args:
        name: As it was asked for.
        direction: Which way is better, where that is known.
        estimate: The metric of predictions; raises MetricError where they have not what it takes.
        right_or_wrong: It is the share of the examples whose prediction is the label.
    """

    name: str
    direction: Direction | None
    estimate: Callable[[Predictions], Estimate] = field(repr=False)
    right_or_wrong: bool = False


def default_names(predictions: Predictions) -> tuple[str, ...]:
    """What is computed where nothing is asked for."""
    if predictions.are_numbers:
        return ("rmse", "mae")
    return ("accuracy",) if predictions.predictions is not None else ("roc-auc",)


def measure(name: str) -> Measure | None:
    """The metric that is called so here or in scikit-learn; None where it is none of these."""
    plain = name.lower().replace("_", "-")
    found = _MEASURES.get(_ALIASES.get(plain, plain))
    if found is None:
        return None
    direction, estimate = found
    return Measure(name=name, direction=direction, estimate=estimate, right_or_wrong=estimate is accuracy)


def unknown(name: str, others: Sequence[str] = ()) -> MetricError:
    """The error for a name that is no metric; `others` are known beside those of this module."""
    known = [*_MEASURES, *others]
    close = difflib.get_close_matches(name.lower().replace("_", "-"), known, n=1)
    nearest = f" (did you mean {close[0]!r}?)" if close else ""
    return MetricError(f"no metric of predictions is called {name!r}{nearest}; known: {', '.join(known)}")


def custom(name: str, function: Function) -> Measure:
    """A metric that somebody else computes, from labels, predictions and scores of the same order.

    Labels and predictions are given as numbers where they all are, else as texts; what the file has not is None.
    """

    def estimate(predictions: Predictions) -> Estimate:
        try:
            value = float(function(*_given(predictions)))
        except Exception as error:
            raise MetricError(f"its function raised {type(error).__name__}: {str(error)[:200]}") from None
        return Estimate(value=value, reason="its function says so" if np.isnan(value) else None)

    return Measure(name=name, direction=infer_direction(name), estimate=estimate)


def _given(predictions: Predictions) -> tuple[Given, Given | None, Floats | None]:
    classes = predictions.numbers if predictions.numbers is not None else np.array(predictions.classes)
    predicted = None if predictions.predictions is None else classes[predictions.predictions]
    return classes[predictions.labels], predicted, predictions.scores


_MEASURES: dict[str, tuple[Direction, Callable[[Predictions], Estimate]]] = {
    "accuracy": ("higher", accuracy),
    "f1": ("higher", of_positive(predicted=True, true=True)),
    "f1-macro": ("higher", of_each(predicted=True, true=True)),
    "f1-micro": ("higher", accuracy),  # the same where each example has one label and one prediction
    "precision": ("higher", of_positive(predicted=True, true=False)),
    "precision-macro": ("higher", of_each(predicted=True, true=False)),
    "recall": ("higher", of_positive(predicted=False, true=True)),
    "recall-macro": ("higher", of_each(predicted=False, true=True)),
    "roc-auc": ("higher", roc_auc),
    "log-loss": ("lower", log_loss),
    "brier": ("lower", brier),
    "mae": ("lower", mae),
    "rmse": ("lower", rmse),
    "r2": ("higher", r2),
}
_ALIASES = {
    "acc": "accuracy",
    "accuracy-score": "accuracy",
    "f1-binary": "f1",
    "f1-score": "f1",
    "precision-binary": "precision",
    "precision-score": "precision",
    "recall-binary": "recall",
    "recall-score": "recall",
    "roc-auc-score": "roc-auc",
    "auc": "roc-auc",
    "logloss": "log-loss",
    "brier-score": "brier",
    "brier-score-loss": "brier",
    "mean-absolute-error": "mae",
    "root-mean-squared-error": "rmse",
    "r2-score": "r2",
}
