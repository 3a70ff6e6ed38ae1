"""Files of predictions become the same arrays however they are written, and what is wrong is said in a line."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from fakes.predictions import predictions, table
from mlci.core import prediction_files
from mlci.core.prediction_table import parse
from mlci.core.predictions import Layout, Predictions
from mlci.errors import MetricError

PLAIN = b"id,label,prediction\n"


def refused(data: bytes, layout: Layout | None = None) -> str:
    with pytest.raises(MetricError) as caught:
        parse(data, layout or Layout(), name="p.csv")
    return caught.value.message


def as_parquet(columns: dict[str, Any], **options: Any) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(pa.table(columns), sink, **options)
    return sink.getvalue()


def spelled(found: Predictions) -> dict[str, Any]:
    """All that a file says, in words."""
    guesses = found.predictions
    return {
        "ids": list(found.ids),
        "labels": [found.classes[code] for code in found.labels],
        "predictions": None if guesses is None else [found.classes[code] for code in guesses],
        "scores": None if found.scores is None else found.scores.tolist(),
        "slices": {name: [found.values[name][code] for code in codes] for name, codes in found.columns.items()},
    }


def test_parse__columns_by_their_names() -> None:
    found = predictions(label=["cat", "dog"], prediction=["dog", "dog"], score=[0.25, 1], country=["DE", "FR"])
    assert spelled(found) == {
        "ids": ["0", "1"],
        "labels": ["cat", "dog"],
        "predictions": ["dog", "dog"],
        "scores": [0.25, 1],
        "slices": {"country": ["DE", "FR"]},
    }


def test_parse__columns_that_the_configuration_names() -> None:
    layout = Layout(id="image", label="truth", prediction="guess", score="p", slices=("site",))
    data = table(image=["b", "a"], truth=[1, 0], guess=[1, 1], p=[0.9, 0.6], site=["x", "y"], other=["u", "v"])
    found = parse(data, layout, name="p.csv")
    assert spelled(found)["ids"] == ["a", "b"]
    assert list(found.slices()) == ["site=x", "site=y"]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xef\xbb\xbf" + PLAIN + b"1,a,b\n", id="byte-order-mark"),
        pytest.param(PLAIN.replace(b"\n", b"\r\n") + b"1,a,b\r\n", id="windows"),
        pytest.param(PLAIN + b'\n"1", a ,"b"\n\n', id="quotes-blanks-empty-lines"),
        pytest.param(b",id,label,prediction\n0,1,a,b\n", id="index-of-pandas"),
    ],
)
def test_parse__spellings_of_csv(data: bytes) -> None:
    assert spelled(parse(data, Layout(), name="p.csv")) == {
        "ids": ["1"],
        "labels": ["a"],
        "predictions": ["b"],
        "scores": None,
        "slices": {},
    }


def test_parse__numbers_that_are_equal_are_one_class() -> None:
    found = predictions(label=["1", "01", "0"], prediction=["1.0", "+1", "-0.0"])
    assert found.classes == ("0", "1")
    assert found.labels.tolist() == found.predictions.tolist() == [1, 1, 0]  # type: ignore[union-attr]


def test_parse__classes_that_are_numbers_are_in_their_order() -> None:
    assert predictions(label=[10, 9], prediction=[2, 9]).classes == ("2", "9", "10")


def test_parse__large_whole_numbers_stay_apart() -> None:
    assert len(predictions(label=[2**53, 2**53 + 1], prediction=[2**53, 2**53]).classes) == 2


@pytest.mark.parametrize(
    ("label", "prediction", "numbers"),
    [
        pytest.param([0, 1], [1, 1], False, id="whole"),
        pytest.param([0.0, 1.0], [1.0, 1.0], False, id="whole-as-floats"),
        pytest.param([0.5, 1], [1, 1], True, id="labels-with-fraction"),
        pytest.param([3, 4], [3.2, 4.1], True, id="predictions-with-fraction"),
        pytest.param(["a", "1.5"], ["a", "a"], False, id="text"),
    ],
)
def test_parse__classes_or_numbers(label: list[object], prediction: list[object], numbers: bool) -> None:
    assert predictions(label=label, prediction=prediction).are_numbers is numbers


@pytest.mark.parametrize(
    ("layout", "label", "positive"),
    [
        pytest.param(Layout(), ["no", "yes"], 1, id="last-of-two"),
        pytest.param(Layout(positive="no"), ["no", "yes"], 0, id="named"),
        pytest.param(Layout(positive="1"), [0.0, 1.0], 1, id="named-as-number"),
        pytest.param(Layout(positive="yes"), ["no", "no"], -1, id="named-and-not-there"),
        pytest.param(Layout(), ["no", "no"], None, id="one-class"),
        pytest.param(Layout(), ["a", "b", "c"], None, id="three-classes"),
    ],
)
def test_parse__positive_class(layout: Layout, label: list[object], positive: int | None) -> None:
    assert predictions(layout, label=label, prediction=label).positive == positive


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "p.csv: it is empty, expected a line of column names", id="empty"),
        pytest.param(PLAIN, "p.csv: it holds no example", id="header-only"),
        pytest.param(
            b"id,prediction,x\n1,a,b\n",
            "p.csv: there is no column 'label'; there are: id, prediction, x",
            id="no-label",
        ),
        pytest.param(
            b"id,label\n1,a\n",
            "p.csv: there is no column 'prediction' (or 'score'); there are: id, label",
            id="neither-prediction-nor-score",
        ),
        pytest.param(b"id,label,label\n1,a,b\n", "p.csv: the column 'label' stands twice", id="column-twice"),
        pytest.param(
            PLAIN + b"7,a,b\n7,a,a\n8,a,a\n7,a,a\n",
            "p.csv: ids that stand more than once: 1, such as '7'",
            id="id-twice",
        ),
        pytest.param(PLAIN + b"1,,a\n", "p.csv: row 1: 'label' is missing", id="label-missing"),
        pytest.param(PLAIN + b"1,a,a\n2,a,\n", "p.csv: row 2: 'prediction' is missing", id="prediction-missing"),
        pytest.param(PLAIN + b",a,a\n", "p.csv: row 1: 'id' is missing", id="id-missing"),
        pytest.param(PLAIN + b"1,a\n", "p.csv: row 1 has 2 fields, the header 3", id="short-row"),
        pytest.param(PLAIN + b"1,2.5,abc\n", "p.csv: labels are numbers, and 'abc' is none", id="not-a-number"),
        pytest.param(PLAIN + b"1,2.5,nan\n", "p.csv: labels are numbers, and 'nan' is no finite one", id="nan"),
        pytest.param(
            PLAIN + b"1,2.5,1e999\n", "p.csv: labels are numbers, and '1e999' is no finite one", id="infinite"
        ),
        pytest.param(b"id,label,score\n1,a,x\n", "p.csv: row 1: 'score' is no finite number: 'x'", id="score-text"),
        pytest.param(b"id,label,score\n1,a,inf\n", "p.csv: row 1: 'score' is no finite number: 'inf'", id="score-inf"),
        pytest.param(b"id,label,score\n1,a,\n", "p.csv: row 1: 'score' is no finite number: ''", id="score-missing"),
        pytest.param(PLAIN + b"\xff\xfe,a,a\n", "p.csv: not UTF-8 text", id="not-utf-8"),
        pytest.param(
            PLAIN + b"1," + b"a" * 70_000 + b",a\n",
            "p.csv: line 2: field larger than field limit (65536)",
            id="long-field",
        ),
        pytest.param(PLAIN + b"1" * 5_000_000, "p.csv: line 2: of 4,194,304 characters or more", id="long-line"),
        pytest.param(b"a," * 3_000 + b"b\n", "p.csv: 3,001 columns, at most 2,000 are read", id="many-columns"),
    ],
)
def test_parse__refusals(data: bytes, message: str) -> None:
    assert refused(data) == message


def test_parse__a_slice_column_that_is_not_there() -> None:
    assert "there is no column 'land'" in refused(PLAIN + b"1,a,a\n", Layout(slices=("land",)))


def test_parse__a_positive_class_that_is_not_there() -> None:
    message = refused(PLAIN + b"1,no,yes\n", Layout(positive="Yes"))
    assert message == "p.csv: no label is 'Yes', the positive one; there are: no, yes"


def test_parse__too_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_files, "MAX_ROWS", 2)
    assert refused(PLAIN + b"1,a,a\n2,a,a\n3,a,a\n") == "p.csv: more than 2 rows"
    assert refused(as_parquet({"id": [1, 2, 3], "label": [1, 2, 3]})) == "p.csv: 3 rows, at most 2 are read"


def test_parse__too_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_files, "MAX_BYTES", 30)
    assert refused(PLAIN + b"1,a,a\n2,a,a\n") == "p.csv: larger than 30 bytes"


def test_slices__of_the_further_columns() -> None:
    found = predictions(label=["a"] * 3, prediction=["a"] * 3, country=["FR", "DE", ""], level=[2, 1, 1])
    assert list(found.slices()) == ["country=(none)", "country=DE", "country=FR", "level=1", "level=2"]
    part = found.part("level=1")
    assert part is not None
    assert (list(part.ids), len(part)) == (["1", "2"], 2)
    assert found.part("level=3") is None


def test_slices__none_asked_for() -> None:
    found = predictions(Layout(slices=()), label=["a"], prediction=["a"], country=["DE"])
    assert list(found.slices()) == []
    assert found.notes == ()


@pytest.mark.parametrize(
    ("values", "note"),
    [
        pytest.param(list(range(51)), "p.csv: no slices by 'c' (more than 50 values)", id="many"),
        pytest.param([0.5] * 51, "p.csv: no slices by 'c' (numbers)", id="numbers"),
        pytest.param(
            ["x" * 81] * 51, "p.csv: no slices by 'c' (values that are too long, or no plain text)", id="long"
        ),
        pytest.param(["a\nb"] * 51, "p.csv: no slices by 'c' (values that are too long, or no plain text)", id="lines"),
    ],
)
def test_slices__columns_that_are_none(values: list[object], note: str) -> None:
    found = predictions(label=["a"] * 51, prediction=["a"] * 51, c=values)
    assert list(found.slices()) == []
    assert found.notes == (note,)


def test_slices__numbers_with_a_fraction_where_they_are_asked_for() -> None:
    found = predictions(Layout(slices=("dose",)), label=["a", "b"], prediction=["a", "b"], dose=[0.5, 1.5])
    assert list(found.slices()) == ["dose=0.5", "dose=1.5"]


def test_slices__at_most_200() -> None:
    fifty = list(range(50))
    found = predictions(label=fifty, prediction=fifty, a=fifty, b=fifty, c=fifty, d=fifty, e=fifty, f=["x"] * 50)
    assert len(list(found.slices())) == 200
    assert found.notes == ("p.csv: no slices by 'e' (more than 200 slices in all), 'f' (more than 200 slices in all)",)


COLUMNS: dict[str, Any] = {
    "id": ["a", "b", "c"],
    "label": [1, 0, 1],
    "prediction": [1, 1, 0],
    "score": [0.1, 2.5e-7, 1 / 3],
    "site": ["x", "y", "x"],
}


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param(COLUMNS, id="plain"),
        pytest.param(COLUMNS | {"label": [1.0, 0.0, 1.0]}, id="floats"),
        pytest.param(COLUMNS | {"site": pa.array(["x", "y", "x"]).dictionary_encode()}, id="categories"),
        pytest.param(COLUMNS | {"score": pa.array(COLUMNS["score"], pa.float64())}, id="doubles"),
        pytest.param(COLUMNS | {"vector": [[1.0], [2.0], []], "raw": [b"\0", b"", b"x"]}, id="lists-and-bytes"),
        pytest.param(COLUMNS | {"__index_level_0__": [0, 1, 2]}, id="index-of-pandas"),
    ],
)
def test_parse__parquet_says_what_csv_says(columns: dict[str, Any]) -> None:
    found = parse(as_parquet(columns), Layout(), name="p.parquet")
    assert spelled(found) == spelled(parse(table(**COLUMNS), Layout(), name="p.csv"))


def test_parse__parquet_values_as_text() -> None:
    when = dt.date(2026, 1, 2)
    columns = {"id": [1, 2], "label": [True, False], "prediction": [True, True], "day": [when, None]}
    found = parse(as_parquet(columns), Layout(), name="p.parquet")
    assert found.classes == ("False", "True")
    assert list(found.slices()) == ["day=(none)", "day=2026-01-02"]


def test_parse__parquet_columns_with_dots() -> None:
    columns = {"id": [1], "label": ["a"], "prediction": ["a"], "meta.site": ["x"]}
    assert list(parse(as_parquet(columns), Layout(), name="p").slices()) == ["meta.site=x"]


@pytest.mark.parametrize("cut", [4, 40, 200], ids=["magic-only", "head", "most"])
def test_parse__parquet_that_is_cut(cut: int) -> None:
    message = refused(as_parquet({"id": [1], "label": ["a"], "prediction": ["a"]})[:cut])
    assert message.startswith("p.csv: not a Parquet file that can be read: ")
    assert "\n" not in message


def test_parse__parquet_with_missing_values() -> None:
    assert refused(as_parquet({"id": [1], "label": pa.array([None], pa.string()), "prediction": ["a"]})) == (
        "p.csv: row 1: 'label' is missing"
    )
    assert refused(as_parquet({"id": [1], "label": ["a"], "score": [float("nan")]})) == (
        "p.csv: row 1: 'score' is no finite number: ''"
    )


def test_parse__parquet_long_text_repeated_is_held_once() -> None:
    text = "x" * 60_000
    count = 100_000  # 6 GB, if it were spelled out
    columns = {"id": range(count), "label": ["a"] * count, "prediction": ["a"] * count}
    data = as_parquet({**columns, "long": pa.DictionaryArray.from_arrays(pa.array([0] * count), pa.array([text]))})
    assert len(data) < 2_000_000
    assert parse(data, Layout(), name="p").notes == (
        "p: no slices by 'long' (values that are too long, or no plain text)",
    )


def test_parse__parquet_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MetricError) as caught:
        parse(b"PAR1", Layout(), name="p.parquet")
    assert caught.value.message == "p.parquet: to read Parquet takes pyarrow"
    assert caught.value.hint == 'Install it: pip install "mlci[parquet]". Or write CSV.'


@given(st.data())
def test_parse__the_order_of_rows_is_of_no_account(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    values = st.sampled_from(["1", "2", "x", "1.0"])
    rows = [
        (f"i{number}", data.draw(values), data.draw(values), data.draw(st.floats(0, 1)), data.draw(values))
        for number in range(count)
    ]
    shuffled = data.draw(st.permutations(rows))
    one, other = (
        predictions(**dict(zip(("id", "label", "prediction", "score", "site"), zip(*some, strict=True), strict=True)))
        for some in (rows, shuffled)
    )
    assert spelled(one) == spelled(other)
    assert np.array_equal(one.labels, other.labels)
