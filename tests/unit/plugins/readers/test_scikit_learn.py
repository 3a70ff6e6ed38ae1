from __future__ import annotations

from pathlib import Path, PurePath

import pytest

from mlci.core.documents import Metric
from mlci.errors import MetricError
from mlci.plugins.readers.scikit_learn import ScikitLearnReader

FIXTURES = Path(__file__).parents[3] / "fixtures/readers/sklearn-report"


def read(path: Path) -> dict[tuple[str, str | None], Metric]:
    return {(metric.name, metric.slice): metric for metric in ScikitLearnReader().read(path, name="m")}


def test_read__classes_are_slices_and_support_is_n() -> None:
    found = read(FIXTURES / "report.json")
    recall = found["recall", "class=versicolor"]
    assert (recall.value, recall.n, recall.direction) == (0.6, 20, "higher")
    assert {slice_ for _, slice_ in found} == {None, "class=setosa", "class=versicolor", "class=virginica"}


def test_read__accuracy_and_averages() -> None:
    found = read(FIXTURES / "report.json")
    names = {name for name, slice_ in found if slice_ is None}
    scores = ("precision", "recall", "f1-score")
    assert names == {"accuracy", *(f"{average} avg.{score}" for average in ("macro", "weighted") for score in scores)}
    assert found["accuracy", None].n == found["macro avg.recall", None].n == 60
    assert found["accuracy", None].value == found["weighted avg.recall", None].value


def test_read__of_several_labels_an_example() -> None:
    found = read(FIXTURES / "multilabel.json")
    assert ("accuracy", None) not in found
    assert found["micro avg.f1-score", None].value == 0.8
    assert found["samples avg.recall", None].n == 6


def test_read__a_class_may_be_called_accuracy(tmp_path: Path) -> None:
    (tmp_path / "m").write_text('{"accuracy": {"precision": 1.0, "support": 3}}')
    [metric] = read(tmp_path / "m").values()
    assert (metric.name, metric.slice, metric.n) == ("precision", "class=accuracy", 3)


def test_read__what_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m").write_text('{"cat": "dog"}')
    with pytest.raises(MetricError, match=r"^m: cat: expected an object, got text$"):
        read(tmp_path / "m")


def test_recognises__by_the_averages() -> None:
    head = (FIXTURES / "report.json").read_bytes()
    assert ScikitLearnReader.recognises(PurePath("m.json"), head)
    assert not ScikitLearnReader.recognises(PurePath("m.json"), head.replace(b"weighted avg", b"mean"))
    assert not ScikitLearnReader.recognises(PurePath("m.json"), b"")
