"""Files of predictions for tests."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import numpy as np

from mlci.core.prediction_table import parse
from mlci.core.predictions import Layout, Predictions


def table(**columns: Sequence[object]) -> bytes:
    """A CSV file of columns."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return file.getvalue().encode()


def predictions(layout: Layout | None = None, /, **columns: Sequence[object]) -> Predictions:
    """The predictions of such a file; ids are counted where there are none."""
    count = len(next(iter(columns.values())))
    return parse(table(**({"id": range(count)} | columns)), layout or Layout(), name="p.csv")


def binary(seed: int, count: int = 200, *, skill: float = 1.0, truth: int = 0) -> dict[str, list[object]]:
    """Columns of a classifier of two classes: the same labels for the same `truth`, scores that get better by skill."""
    labels = np.random.default_rng(truth).integers(0, 2, count)
    scores = 1 / (1 + np.exp(-(skill * (2 * labels - 1) + np.random.default_rng(seed).normal(0, 1, count))))
    return {
        "id": list(range(count)),
        "label": labels.tolist(),
        "prediction": (scores > 0.5).astype(int).tolist(),
        "score": scores.tolist(),
    }
