"""Metrics of predictions, each with what every example adds to it: value and error come from one place.

The values are those of scikit-learn, its answers for degenerate cases among them. The influence of an example is the
derivative of the metric by that example's weight (the infinitesimal jackknife, or nonparametric delta method: Efron,
The Jackknife, the Bootstrap and Other Resampling Plans, SIAM 1982, chapter 6): what the example adds to the metric, to
the first order, and exactly where the metric is a mean over examples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlci.core.predictions import Codes, Floats, Predictions
from mlci.errors import MetricError

_TWO = 2
_NOT_SAID = "one class only, and it is not said which one is positive"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A metric of some predictions.

    Args:
        value: NaN where it is undefined.
        influence: Of each example; its squares, summed and divided by n (n - 1), are the square of the standard error.
            None where only resampling tells.
        reason: Why it is undefined.
    """

    value: float
    influence: Floats | None = field(default=None, repr=False)
    reason: str | None = None


def accuracy(predictions: Predictions) -> Estimate:
    """The share of predictions that are the label."""
    return _mean(predictions.labels == _predicted(predictions))


def mae(predictions: Predictions) -> Estimate:
    """Mean absolute error."""
    labels, predicted = _numbers(predictions)
    return _mean(np.abs(predicted - labels))


def rmse(predictions: Predictions) -> Estimate:
    """The root of the mean squared error; its derivative is that of the mean through the root."""
    labels, predicted = _numbers(predictions)
    squares = _mean((predicted - labels) ** 2)
    value = float(np.sqrt(squares.value))
    return Estimate(value=value, influence=_influence(squares) / (2 * value) if value else _influence(squares))


def r2(predictions: Predictions) -> Estimate:
    """The coefficient of determination: 1 - squared errors / squares around the mean label.

    NaN of fewer than two examples. Where all labels are equal: 1 if all predictions are right, else 0.
    """
    labels, predicted = _numbers(predictions)
    if len(labels) < _TWO:
        return Estimate(value=np.nan, reason="fewer than two examples")
    errors, spread = (predicted - labels) ** 2, (labels - labels.mean()) ** 2
    if not spread.any():
        return Estimate(value=0.0 if errors.any() else 1.0, influence=np.zeros(len(labels)))
    ratio = _ratio(errors, spread)
    return Estimate(value=1 - ratio.value, influence=-_influence(ratio))


def brier(predictions: Predictions) -> Estimate:
    """Mean squared difference between the score, a probability, and 1 where the label is positive, else 0.

    NaN where there is one class only and it is not said which one is positive.
    """
    scores, positive = _probabilities(predictions), _is_positive(predictions)
    if positive is None:
        return Estimate(value=np.nan, reason=_NOT_SAID)
    return _mean((scores - positive) ** 2)


def log_loss(predictions: Predictions) -> Estimate:
    """Mean negative logarithm of the probability given to the label, at least the smallest distance of floats at 1.

    NaN as for the Brier score.
    """
    scores, positive = _probabilities(predictions), _is_positive(predictions)
    if positive is None:
        return Estimate(value=np.nan, reason=_NOT_SAID)
    least = np.finfo(np.float64).eps
    given = np.where(positive, scores, 1 - scores)
    return _mean(-np.log(np.clip(given, least, 1 - least)))


def roc_auc(predictions: Predictions) -> Estimate:
    """The share of pairs of a positive and a negative example that the scores put in order, ties half.

    NaN where labels are of one class. The influence is made of placements, so that standard errors are those of DeLong,
    DeLong and Clarke-Pearson (Comparing the areas under two or more correlated receiver operating characteristic
    curves, Biometrics 44, 1988); placements come from midranks (Sun and Xu, IEEE Signal Processing Letters 21, 2014).
    """
    scores, positive = _scores(predictions), _is_positive(predictions)
    total = len(scores)
    count = 0 if positive is None else int(positive.sum())
    others = total - count
    if positive is None or not count or not others:
        return Estimate(value=np.nan, reason="labels of one class only")
    within = np.empty(total)
    within[positive], within[~positive] = _midranks(scores[positive]), _midranks(scores[~positive])
    beside = _midranks(scores) - within  # of the other class: how many are below, and half of those that are equal
    placement = np.where(positive, beside / others, 1 - beside / count)
    value = float(placement[positive].mean())
    own = np.where(positive, count, others)
    with np.errstate(divide="ignore", invalid="ignore"):
        influence = (placement - value) * np.sqrt(total * (total - 1) / (own * (own - 1)))
    return Estimate(value=value, influence=influence)


def _midranks(values: Floats) -> Floats:
    """Ranks from 1; those of equal values are their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Floats = (last - (counts - 1) / 2)[inverse]
    return ranks


def of_positive(*, predicted: bool, true: bool) -> Callable[[Predictions], Estimate]:
    """Precision, recall, or F1, of the positive class: right ones by those predicted, those true, or both.

    0 where nothing is counted, as with scikit-learn's zero_division=0. NaN where there is one class only and it is not
    said which one is positive.
    """

    def estimate(predictions: Predictions) -> Estimate:
        guesses, labelled = _predicted(predictions), _is_positive(predictions)
        if labelled is None:
            return Estimate(value=np.nan, reason=_NOT_SAID)
        taken = guesses == predictions.positive
        sides = [*([taken] if predicted else []), *([labelled] if true else [])]
        return _ratio((taken & labelled) * float(len(sides)), np.sum(sides, axis=0, dtype=np.float64))

    return estimate


def of_each(*, predicted: bool, true: bool) -> Callable[[Predictions], Estimate]:
    """The same for each class that these examples hold, as label or prediction, and of that the mean."""

    def estimate(predictions: Predictions) -> Estimate:
        labels, guesses = predictions.labels, _predicted(predictions)
        size = len(predictions.classes)
        right = labels == guesses
        sides = [*([guesses] if predicted else []), *([labels] if true else [])]
        counted: Floats = np.sum([np.bincount(side, minlength=size) for side in sides], axis=0, dtype=np.float64)
        correct = np.bincount(labels[right], minlength=size) * len(sides)
        each = np.divide(correct, counted, out=np.zeros(size), where=counted > 0)
        held = len(np.union1d(labels, guesses))
        # An example counts in two classes at most: that of its label, and that of its prediction.
        influence = np.zeros(len(labels))
        for side in sides:
            influence += (right - each[side]) / counted[side]
        return Estimate(value=float(each.sum() / held), influence=influence * len(labels) / held)

    return estimate


def _mean(values: NDArray[Any]) -> Estimate:
    return _ratio(values.astype(np.float64), np.ones(len(values)))


def _ratio(above: Floats, below: Floats) -> Estimate:
    """The ratio of two sums over examples, 0 where there is nothing to divide by.

    The influence is that of the ratio estimator, its variance with the divisor of a sample of those examples that count
    (Cochran, Sampling Techniques, 3rd edition, 1977, section 2.11): nobody knows the error from one example.
    """
    total, count, size = float(below.sum()), int(np.count_nonzero(below)), len(below)
    if not total:
        return Estimate(value=0.0, influence=np.zeros(size))
    value = float(above.sum() / total)
    with np.errstate(divide="ignore", invalid="ignore"):
        sample = np.sqrt(np.float64(count) * (size - 1) / ((count - 1) * np.float64(size)))
        return Estimate(value=value, influence=(above - value * below) * size / total * sample)


def _influence(estimate: Estimate) -> Floats:
    assert estimate.influence is not None  # noqa: S101 - for the type checker
    return estimate.influence


def _predicted(predictions: Predictions) -> Codes:
    if predictions.predictions is None:
        raise MetricError("it takes the column of predictions, and there is none")
    return predictions.predictions


def _scores(predictions: Predictions) -> Floats:
    if predictions.scores is None:
        raise MetricError("it takes the column of scores, and there is none")
    return predictions.scores


def _numbers(predictions: Predictions) -> tuple[Floats, Floats]:
    predicted = _predicted(predictions)
    if predictions.numbers is None:
        raise MetricError("it takes labels and predictions that are numbers")
    return predictions.numbers[predictions.labels], predictions.numbers[predicted]


def _is_positive(predictions: Predictions) -> NDArray[np.bool_] | None:
    """Which labels are positive; None where there is one class only and nobody says which."""
    count = len(predictions.classes)
    if count > _TWO:
        raise MetricError(f"it takes two classes, and there are {count:,}; those ending in -macro take more")
    return None if predictions.positive is None else predictions.labels == predictions.positive


def _probabilities(predictions: Predictions) -> Floats:
    scores = _scores(predictions)
    if scores.min() < 0 or scores.max() > 1:
        raise MetricError("it takes scores that are probabilities, from 0 to 1")
    return scores
