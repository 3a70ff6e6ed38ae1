"""Makes predictions of the rows of a file, or says in one line what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from mlci.core.prediction_files import rows
from mlci.core.predictions import Codes, Floats, Layout, Predictions
from mlci.errors import MetricError

MAX_VALUES = 50  # of a column whose values are slices
MAX_SLICES = 200
_MAX_SLICE_NAME = 80
_SHOWN_COLUMNS = 20
_MAX_SHOWN = 60
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NO_VALUE = "(none)"


def parse(data: bytes, layout: Layout, *, name: str) -> Predictions:
    """The predictions in the content of a CSV or Parquet file; in which order its rows stand is of no account.

    Raises:
        MetricError: A column or a label is missing, an id stands twice, a number is none, or the file is too large.
    """
    found = rows(data, name=name)
    table = _Table(next(found), layout, name)
    for number, row in enumerate(found, start=1):
        table.add(number, row)
    return table.predictions()


class _Table:
    """The columns of a file while it is read; equal texts are kept once."""

    def __init__(self, header: list[str], layout: Layout, name: str) -> None:
        self._layout, self._name = layout, name
        twice = next((column for column in header if column and header.count(column) > 1), None)
        if twice is not None:
            raise MetricError(f"{name}: the column {_shown(twice)} stands twice")
        places = {column: place for place, column in enumerate(header) if column}
        given = [column for column in (layout.prediction, layout.score) if column in places]
        for column in (layout.id, layout.label, *([] if given else [layout.prediction]), *(layout.slices or ())):
            if column not in places:
                either = f" (or {_shown(layout.score)})" if column == layout.prediction else ""
                raise MetricError(
                    f"{name}: there is no column {_shown(column)}{either}; there are: {_listed(places)}",
                    hint='Columns are named by the configuration: predictions = { path = "...", label = "..." }.',
                )
        own = (layout.id, layout.label, *given)
        further = [column for column in places if column not in own] if layout.slices is None else layout.slices
        self._id = places[layout.id]
        self._ids: list[str] = []
        self._texts: dict[str, int] = {}  # of labels and predictions together
        self._coded = {column: (places[column], list[int]()) for column in own[1:] if column != layout.score}
        self._score = (places[layout.score], list[float]()) if layout.score in given else None
        self._slices = {column: _Slices(places[column]) for column in further}

    def add(self, number: int, row: list[str]) -> None:
        for column, (place, codes) in self._coded.items():
            if not row[place]:
                raise self._wrong(number, column, "is missing")
            codes.append(self._texts.setdefault(row[place], len(self._texts)))
        if not row[self._id]:
            raise self._wrong(number, self._layout.id, "is missing")
        self._ids.append(row[self._id])
        if self._score is not None:
            place, scores = self._score
            score = _number(row[place])
            if score is None or not np.isfinite(score):
                raise self._wrong(number, self._layout.score, f"is no finite number: {_shown(row[place])}")
            scores.append(score)
        for slices in self._slices.values():
            slices.add(row)

    def predictions(self) -> Predictions:
        ids, name, layout = self._ids, self._name, self._layout
        if not ids:
            raise MetricError(f"{name}: it holds no example")
        if len(set(ids)) < len(ids):
            raise self._twice()
        order = np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64)
        classes, numbers, recoded = self._classes()
        coded = {column: recoded[np.array(codes, dtype=np.int64)[order]] for column, (_, codes) in self._coded.items()}
        chosen, notes = self._chosen_slices()
        return Predictions(
            ids=[ids[position] for position in order.tolist()],
            classes=classes,
            numbers=numbers,
            labels=coded[layout.label],
            predictions=coded.get(layout.prediction),
            scores=np.array(self._score[1], dtype=np.float64)[order] if self._score else None,
            positive=self._positive(classes, numbers),
            columns={column: slices.codes()[order] for column, slices in chosen.items()},
            values={column: tuple(sorted(slices.values)) for column, slices in chosen.items()},
            notes=notes,
        )

    def _classes(self) -> tuple[tuple[str, ...], Floats | None, Codes]:
        """The distinct classes, as numbers where all are, and the place among them of each text as it was met."""
        texts = list(self._texts)
        numbers = {text: _number(text) for text in texts}
        labels = {texts[code] for code in self._coded[self._layout.label][1]}
        known = [numbers[label] for label in labels]
        if None not in known and any(value % 1 != 0 for value in known if value is not None and np.isfinite(value)):
            wrong = next((text for text, value in numbers.items() if value is None), None)
            if wrong is not None:
                raise MetricError(f"{self._name}: labels are numbers, and {_shown(wrong)} is none")
        if any(value is None for value in numbers.values()):
            ordered = sorted(texts)
            place = {text: position for position, text in enumerate(ordered)}
            return tuple(ordered), None, np.array([place[text] for text in texts], dtype=np.int64)
        values = [value for value in numbers.values() if value is not None]
        wrong = next((text for text, value in zip(texts, values, strict=True) if not np.isfinite(value)), None)
        if wrong is not None:
            raise MetricError(f"{self._name}: labels are numbers, and {_shown(wrong)} is no finite one")
        distinct = sorted(set(values))
        order = {value: position for position, value in enumerate(distinct)}
        spelled = tuple(_spelled(value) for value in distinct)
        recoded = np.array([order[value] for value in values], dtype=np.int64)
        return spelled, np.array(distinct, dtype=np.float64), recoded

    def _positive(self, classes: tuple[str, ...], numbers: Floats | None) -> int | None:
        wanted = self._layout.positive
        if wanted is None:
            return 1 if len(classes) == 2 else None  # noqa: PLR2004 - two classes
        value = _number(wanted)
        spelled = _spelled(value) if numbers is not None and value is not None else wanted
        if spelled in classes:
            return classes.index(spelled)
        if len(classes) == 1:
            return -1  # nothing positive, and nothing that was taken for it
        there = _listed(classes)
        raise MetricError(f"{self._name}: no label is {_shown(wanted)}, the positive one; there are: {there}")

    def _chosen_slices(self) -> tuple[dict[str, _Slices], tuple[str, ...]]:
        """The columns whose values are slices, and a note on those that are none."""
        chosen: dict[str, _Slices] = {}
        left_out: list[str] = []
        count = 0
        for column, slices in self._slices.items():
            reason = slices.reason(named=self._layout.slices is not None)
            if reason is None and count + len(slices.values) > MAX_SLICES:
                reason = f"more than {MAX_SLICES} slices in all"
            if reason is None and not _is_plain(column):
                reason = "its name is too long, or no plain text"
            if reason is not None:
                left_out.append(f"{_shown(column)} ({reason})")
                continue
            chosen[column] = slices
            count += len(slices.values)
        return chosen, (f"{self._name}: no slices by {_cut(left_out)}",) if left_out else ()

    def _twice(self) -> MetricError:
        seen: set[str] = set()
        doubled: dict[str, None] = {}
        for item in self._ids:
            if item in seen:
                doubled[item] = None
            seen.add(item)
        return MetricError(
            f"{self._name}: ids that stand more than once: {len(doubled):,}, such as {_shown(next(iter(doubled)))}",
            hint="Each example has an id of its own, the same in every run.",
        )

    def _wrong(self, number: int, column: str, what: str) -> MetricError:
        return MetricError(f"{self._name}: row {number:,}: {_shown(column)} {what}")


class _Slices:
    """A further column; given up when it has too many values."""

    def __init__(self, place: int) -> None:
        self.values: dict[str, int] = {}
        self._place = place
        self._codes: list[int] | None = []

    def add(self, row: list[str]) -> None:
        if self._codes is None:
            return
        self._codes.append(self.values.setdefault(row[self._place] or _NO_VALUE, len(self.values)))
        if len(self.values) > MAX_VALUES:
            self._codes = None

    def reason(self, *, named: bool) -> str | None:
        """Why its values are no slices; numbers with a fraction are where the configuration names the column."""
        if self._codes is None:
            return f"more than {MAX_VALUES} values"
        if not all(map(_is_plain, self.values)):
            return "values that are too long, or no plain text"
        numbers = [_number(value) for value in self.values if value != _NO_VALUE]
        if not named and None not in numbers and any(value % 1 != 0 for value in numbers if value is not None):
            return "numbers"
        return None

    def codes(self) -> Codes:
        """The place of each row's value among the sorted ones."""
        order = {value: position for position, value in enumerate(sorted(self.values))}
        recoded = np.array([order[value] for value in self.values], dtype=np.int64)
        return recoded[np.array(self._codes, dtype=np.int64)]


def _number(text: str) -> float | None:
    """The number that a text is, a whole one exactly; None for what is none."""
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _spelled(value: float) -> str:
    """A number in one way: 1.0, 1 and 01 are one class."""
    return str(int(value)) if value % 1 == 0 else repr(value)


def _is_plain(text: str) -> bool:
    return len(text) <= _MAX_SLICE_NAME and text.isprintable()


def _shown(text: str) -> str:
    return repr(text if len(text) <= _MAX_SHOWN else f"{text[:57]}...")


def _listed(columns: Iterable[str]) -> str:
    return _cut([_shown(column)[1:-1] for column in columns])


def _cut(items: Sequence[str]) -> str:
    more = len(items) - _SHOWN_COLUMNS
    return ", ".join(items[:_SHOWN_COLUMNS]) + (f" and {more:,} more" if more > 0 else "")
