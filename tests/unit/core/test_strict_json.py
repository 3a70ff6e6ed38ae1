from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlci.core import strict_json
from mlci.errors import DocumentError


def test_loads__plain_values() -> None:
    assert strict_json.loads(b'{"a": [1, 2.5, null, true, "x"]}', name="f") == {"a": [1, 2.5, None, True, "x"]}


def test_loads__a_byte_order_mark() -> None:
    assert strict_json.loads(b"\xef\xbb\xbf{}", name="f") == {}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"{", "not JSON", id="cut off"),
        pytest.param(b"\xff", "not UTF-8", id="not UTF-8"),
        pytest.param(b'{"a": 1, "a": 2}', "the key 'a' stands twice", id="key twice"),
        pytest.param(b'{"x": {"a": 1, "a": 2}}', "the key 'a' stands twice", id="key twice, deep"),
        pytest.param(b"[NaN]", "NaN is not JSON", id="NaN"),
        pytest.param(b"[-Infinity]", "-Infinity is not JSON", id="infinite"),
        pytest.param(b"[" * 65 + b"]" * 65, "nested deeper than 64", id="too deep"),
        pytest.param(b"[" * 100_000, "nested deeper|not JSON", id="far too deep"),
        pytest.param(b"1" * 5_000, "too many digits", id="a number of 5,000 digits"),
    ],
)
def test_loads__what_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(DocumentError, match=said) as caught:
        strict_json.loads(data, name="file.json")
    assert caught.value.message.startswith("file.json: ")
    assert "\n" not in caught.value.message


def test_loads__depth_and_size_at_the_cap() -> None:
    assert strict_json.loads(b"[" * 64 + b"]" * 64, name="f")
    assert strict_json.loads(b"[1]", name="f", max_bytes=3) == [1]
    with pytest.raises(DocumentError, match="4 bytes, at most 3"):
        strict_json.loads(b"[12]", name="f", max_bytes=3)


def test_loads__nan_where_it_is_allowed() -> None:
    [nan, infinite] = strict_json.loads(b"[NaN, -Infinity]", name="f", allow_nan=True)
    assert math.isnan(nan)
    assert infinite == -math.inf


@given(st.binary(max_size=200))
def test_loads__any_bytes_give_a_value_or_one_error(data: bytes) -> None:
    with contextlib.suppress(DocumentError):
        strict_json.loads(data, name="f")
