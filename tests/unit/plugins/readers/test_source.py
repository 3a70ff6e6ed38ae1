from __future__ import annotations

from pathlib import Path

import pytest

from mlci.core.documents import Metric
from mlci.errors import MetricError
from mlci.plugins.readers.source import Found, mapping, read_bytes, read_json


def test_found__keeps_their_order() -> None:
    found = Found("m")
    for name in ("b", "a"):
        found.add(Metric(name=name, value=1.0))
    assert [metric.name for metric in found.all()] == ["b", "a"]


def test_found__one_name_may_have_slices_and_splits() -> None:
    found = Found("m")
    found.add(Metric(name="a", value=1.0))
    found.add(Metric(name="a", value=1.0, slice="class=x"))
    found.add(Metric(name="a", value=1.0, split="test"))
    assert len(found.all()) == 3


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (Metric(name="a", value=2.0, slice="class=x"), "m: the metric 'a' of 'class=x' stands twice"),
        (Metric(name="x" * 501, value=1.0), f"m: '{'x' * 40}'… has 501 characters, at most 500 are read"),
        (Metric(name="a", value=1.0, unit="x" * 501), f"m: '{'x' * 40}'… has 501 characters, at most 500 are read"),
        (Metric(name="\ud800", value=1.0), "m: '\\ud800' is no text: it holds half a character"),
    ],
)
def test_found__what_is_refused(metric: Metric, said: str) -> None:
    found = Found("m")
    found.add(Metric(name="a", value=1.0, slice="class=x"))
    with pytest.raises(MetricError) as caught:
        found.add(metric)
    assert caught.value.message == said


def test_found__too_many() -> None:
    found = Found("m")
    for number in range(10_000):
        found.add(Metric(name=str(number), value=1.0))
    with pytest.raises(MetricError, match=r"^m: more than 10,000 metrics$"):
        found.add(Metric(name="one", value=1.0))


def test_read_bytes__a_file_of_the_limit_is_read(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"12345")
    assert read_bytes(tmp_path / "m", "m", limit=5) == b"12345"
    with pytest.raises(MetricError, match=r"^m: larger than 4 bytes$"):
        read_bytes(tmp_path / "m", "m", limit=4)


def test_read_json__deep(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("[" * 33 + "]" * 33)
    with pytest.raises(MetricError, match=r"^m: nested deeper than 32 levels$"):
        read_json(tmp_path / "m", "m")


@pytest.mark.parametrize(
    ("value", "said"),
    [([], "a list"), ("x", "text"), (None, "nothing"), (1, "a single value"), (True, "a single value")],
)
def test_mapping__anything_else(value: object, said: str) -> None:
    with pytest.raises(MetricError, match=rf"^m: results: expected an object, got {said}$"):
        mapping(value, "m: results")
