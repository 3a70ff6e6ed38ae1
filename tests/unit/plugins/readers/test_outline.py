from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlci.plugins.readers.outline import _TOKEN, outline

DOCUMENT = b'{"a": {"b": {"c": {"d": 1}}}, "e": [{"f": "} {"}, 2], "g": "\\"h\\":"}'


def test_outline__keys_by_the_path_of_their_object() -> None:
    found = outline(DOCUMENT)
    assert found.below() == ("a", "e", "g")
    assert found.below("a") == ("b",)
    assert found.below("a", "b") == ("c",)
    assert found.below("e", "[]") == ("f",)
    assert found.below("a", "b", "c") == ()  # three deep is enough
    assert not found.cut


def test_outline__a_list_at_the_top() -> None:
    assert outline(b'\xef\xbb\xbf [{"name": 1}, {"value": 2}]').below("[]") == ("name", "value")


@pytest.mark.parametrize("end", range(1, len(DOCUMENT)))
def test_outline__cut_anywhere_it_shows_what_came_before(end: int) -> None:
    found = outline(DOCUMENT[:end])
    assert found.cut
    for path, keys in found.keys.items():
        assert list(keys) == list(outline(DOCUMENT).keys[path])[: len(keys)]


@pytest.mark.parametrize("head", [b"", b"text", b'"key": 1', b"{", b"}", b"]]", b"\xff\xfe{\x00"])
def test_outline__what_shows_no_keys(head: bytes) -> None:
    assert outline(head).below() == ()


def test_outline__a_string_without_an_end_is_one_token() -> None:
    """Were it none, the search would start over at each quote in it."""
    assert len(list(_TOKEN.finditer(b'{"' + b'\\"' * 30_000))) == 2
    assert len(list(_TOKEN.finditer(b'{"' + b'\\"' * 30_000 + b"\\"))) == 2


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab{}[]:, "), inner, max_size=3),
        max_leaves=10,
    )
)
def test_outline__agrees_with_a_parser(value: object) -> None:
    expected = tuple(value) if isinstance(value, dict) else ()
    found = outline(json.dumps(value).encode())
    assert found.below() == expected
    if isinstance(value, dict):
        for key, inner in value.items():
            assert found.below(key) == (tuple(inner) if isinstance(inner, dict) else ())
