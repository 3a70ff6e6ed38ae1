from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from mlci.errors import DocumentError
from mlci.releasing import golden
from mlci.releasing.golden import Golden, Prediction, read, read_predictions, sample


def line(identity: Any = "a", **fields: Any) -> bytes:
    return json.dumps({"id": identity, "input": [1], "prediction": 0.5} | fields).encode() + b"\n"


def ids(data: bytes) -> list[str]:
    return [example.id for example in read(data, "golden.jsonl")]


def test_sample__takes_the_lowest_digests_of_the_ids() -> None:
    names = [f"c{number}" for number in range(50)]
    kept = ids(sample(b"".join(map(line, names)), 10, name="golden.jsonl"))
    assert kept == sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())[:10]


def test_sample__does_not_depend_on_the_order() -> None:
    lines = [line(number) for number in range(50)]
    assert sample(b"".join(reversed(lines)), 7, name="x") == sample(b"".join(lines), 7, name="x")


def test_sample__a_smaller_one_begins_a_larger_one() -> None:
    data = b"".join(map(line, range(50)))
    assert sample(data, 20, name="x").startswith(sample(data, 5, name="x"))


def test_sample__keeps_lines_as_they_are() -> None:
    data = b'\xef\xbb\xbf{"id":"a",  "input":1.50,"prediction":"\\ud800"}\r\n\n  \n'
    assert sample(data, 5, name="x") == b'{"id":"a",  "input":1.50,"prediction":"\\ud800"}\n'


def test_read__what_a_line_says() -> None:
    assert read(line(7, latency_s=2), "x") == (Golden(id="7", input=[1], prediction=0.5, latency_s=2.0),)
    assert read(line(input=None, prediction=None), "x") == (Golden(id="a", input=None, prediction=None),)


def test_read_predictions__what_a_line_says() -> None:
    data = b'{"id": "a", "prediction": [1]}\n{"id": 2, "prediction": null, "latency_s": 0.5}'
    assert read_predictions(data, "x") == (
        Prediction(id="a", prediction=[1]),
        Prediction(id="2", prediction=None, latency_s=0.5),
    )
    assert read_predictions(b"", "x") == ()


@pytest.mark.parametrize(
    "reader", [lambda data: sample(data, 5, name="golden.jsonl"), lambda data: read(data, "golden.jsonl")]
)
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "golden.jsonl: no examples"),
        (b"\n \n", "golden.jsonl: no examples"),
        (line("a") + b"{", "golden.jsonl: line 2: not JSON"),
        (b"[1]\n", "golden.jsonl: line 1: expected an object"),
        (b'{"id": "a", "input": 1}\n', "golden.jsonl: line 1: no 'prediction'"),
        (line(label="cat"), "golden.jsonl: line 1: the unknown key 'label'"),
        (line("a") + b"\n" + line("a"), "golden.jsonl: line 3: the id 'a' stands in line 1 already"),
        (line("1") + line(1), "golden.jsonl: line 2: the id '1' stands in line 1 already"),
        (b'{"id": "a", "id": "b", "input": 1, "prediction": 1}', "the key 'id' stands twice in one object"),
        (b'{"id": "a", "input": 1, "prediction": NaN}', "golden.jsonl: line 1: NaN is not JSON"),
        (b'{"id": "a", "input": 1, "prediction": -Infinity}', "golden.jsonl: line 1: -Infinity is not JSON"),
        (b'{"id": "a", "input": 1, "prediction": 1e999}', "beyond what a float holds"),
        (line(prediction=json.loads("[" * 80 + "]" * 80)), "golden.jsonl: line 1: nested deeper than 64 levels"),
        (line(""), "golden.jsonl: line 1: id: expected text of 1 to 200 characters, or an integer"),
        (line(True), "golden.jsonl: line 1: id: expected text"),
        (line(1.5), "golden.jsonl: line 1: id: expected text"),
        (line("x" * 201), "golden.jsonl: line 1: id: expected text"),
        (line("\ud800"), "golden.jsonl: line 1: id: half of a surrogate pair"),
        (line(latency_s=-1), "golden.jsonl: line 1: latency_s: expected seconds, got '-1'"),
        (line(latency_s="1"), "golden.jsonl: line 1: latency_s: expected seconds, got '1'"),
        (line(latency_s=True), "golden.jsonl: line 1: latency_s: expected seconds"),
        (b'{"id": "a\xff", "input": 1, "prediction": 1}', "golden.jsonl: line 1: not UTF-8 text"),
    ],
)
def test_read__refuses(reader: Callable[[bytes], object], data: bytes, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        reader(data)
    assert message in caught.value.message
    assert "\n" not in caught.value.message


def test_read__has_caps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "MAX_BYTES", 100)
    with pytest.raises(DocumentError, match=r"x: 1\d\d bytes, at most 100 are read"):
        read(line("a") * 3, "x")
    monkeypatch.setattr(golden, "MAX_BYTES", 1000)
    monkeypatch.setattr(golden, "MAX_LINE", 50)
    with pytest.raises(DocumentError, match=r"x: line 1: \d+ bytes, at most 50 are read"):
        read(line("a" * 40), "x")
    monkeypatch.setattr(golden, "MAX_LINE", 1000)
    monkeypatch.setattr(golden, "MAX_EXAMPLES", 2)
    with pytest.raises(DocumentError, match="x: more than 2 examples"):
        read(line("a") + line("b") + line("c"), "x")
