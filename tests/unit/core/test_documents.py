from __future__ import annotations

import json
import math
from typing import Any

import pytest

from fakes.records import record
from mlci.core.documents import Metric, Record, RecordsDocument, Rule, RunResult, decode, digest, encode
from mlci.errors import DocumentError


def document(**changes: Any) -> RecordsDocument:
    return RecordsDocument(made_from=("a" * 64,), records=(record(**changes),))


def altered(**changes: Any) -> bytes:
    return json.dumps(json.loads(encode(document())) | changes).encode()


def test_encode__comes_back_as_it_was() -> None:
    written = document()
    assert decode(encode(written), RecordsDocument, name="record.json") == written


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_encode__non_finite_floats(value: float) -> None:
    metric = Metric(name="loss", value=value, samples=(value, 1.0), series=((1.0, value),))
    data = encode(metric)
    json.loads(data, parse_constant=lambda literal: pytest.fail(f"{literal} is no JSON"))
    read = decode(data, Metric, name="m")
    assert [str(item) for item in (read.value, read.samples[0], read.series[0][1])] == [str(value)] * 3


def test_decode__a_text_that_looks_non_finite_stays_text() -> None:
    result = RunResult(name="a", profile="p", status="succeeded", parameters={"mode": "NaN"}, reason="Infinity")
    assert decode(encode(result), RunResult, name="r") == result


def test_decode__a_tolerance_may_be_text() -> None:
    rule = Rule(pattern="*", max_regression="2%")
    assert decode(encode(rule), Rule, name="r") == rule


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(altered(format=2), "format 2, this mlci reads up to 1", id="newer format"),
        pytest.param(altered(extra=1), "unknown field `extra`", id="unknown field"),
        pytest.param(altered(records=3), r"Expected `array`, got `int` - at `\$.records`", id="wrong type"),
        pytest.param(b"[]", "Expected `object`", id="a list"),
        pytest.param(b'{"format": 1}', "missing required field", id="a field is absent"),
    ],
)
def test_decode__what_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(DocumentError, match=said) as caught:
        decode(data, RecordsDocument, name=".mlci/record.json")
    assert caught.value.message.startswith(".mlci/record.json: ")


def test_decode__nothing_can_be_changed_afterwards() -> None:
    read = decode(encode(record()), Record, name="r")
    with pytest.raises(AttributeError):
        read.status = "failed"  # type: ignore[misc]


def test_digest__is_the_sha256() -> None:
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
