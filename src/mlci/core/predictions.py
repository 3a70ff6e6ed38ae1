"""What a model predicted for each example, as arrays: what metrics are computed from, and two runs compared by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which column says what; the fields are those of `predictions` in the configuration."""

    id: str = "id"
    label: str = "label"
    prediction: str = "prediction"
    score: str = "score"
    positive: str | None = None
    slices: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """The examples of one file, sorted by their ids, or a part of them.

    Args:
        ids: What names the examples, each once.
        classes: The distinct labels and predictions of the file: numbers by size, else texts by alphabet.
        numbers: `classes` as numbers, where they all are.
        labels: Position in `classes` of what is true.
        predictions: Position in `classes` of what was predicted.
        scores: Of the positive class.
        positive: Position in `classes` of the positive one: that which was named (-1 where it is not among them), else
            the last of two.
        columns: By name, the further columns whose values are slices: position of each example in the values.
        values: By name, the values of these columns, sorted.
        notes: One line each: which columns are no slices, and why.
    """

    ids: Sequence[str]
    classes: tuple[str, ...]
    numbers: Floats | None
    labels: Codes
    predictions: Codes | None
    scores: Floats | None
    positive: int | None
    columns: Mapping[str, Codes] = field(default_factory=dict)
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """How many examples."""
        return len(self.labels)

    @property
    def are_numbers(self) -> bool:
        """Whether labels or predictions are numbers with a fraction, rather than classes."""
        return self.numbers is not None and bool(np.any(self.numbers != np.floor(self.numbers)))

    def slices(self) -> Iterator[str]:
        """The names of all slices, such as "country=DE"."""
        for column, values in self.values.items():
            yield from (f"{column}={value}" for value in values)

    def part(self, name: str) -> Predictions | None:
        """The examples of a slice; None where there is no such slice."""
        for column, values in self.values.items():
            for position, value in enumerate(values):
                if name == f"{column}={value}":
                    positions = np.flatnonzero(self.columns[column] == position)
                    return replace(self.take(positions), ids=[self.ids[place] for place in positions.tolist()])
        return None

    def take(self, positions: Codes) -> Predictions:
        """Some of the examples, in that order and without their ids; classes stay those of the file."""
        return replace(
            self,
            ids=(),
            labels=self.labels[positions],
            predictions=None if self.predictions is None else self.predictions[positions],
            scores=None if self.scores is None else self.scores[positions],
            columns={},
            values={},
        )
