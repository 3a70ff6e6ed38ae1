from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlci.plugins.executors.notebook.terminal import Terminal


def shown(*chunks: str) -> str:
    terminal = Terminal()
    return "".join(map(terminal.feed, chunks)) + terminal.take()


@pytest.mark.parametrize(
    ("printed", "seen"),
    [
        ("one\ntwo\n", "one\ntwo\n"),
        ("one\r\ntwo\r\n", "one\ntwo\n"),
        ("10%\r20%\r30%", "30%"),
        ("100%\r5%", "5%0%"),
        ("10%\r", "10%"),
        ("abc\bX", "abX"),
        ("abc\b\b\b\b\bX", "Xbc"),
        ("a\n\bb", "a\nb"),
        ("long line\r\x1b[Kshort", "short"),
        ("long line\r\x1b[2Kshort", "short"),
        ("long line\x1b[2K\rshort", "short    "),
        ("\x1b[31m10%\x1b[0m\r\x1b[32m20%\x1b[0m", "\x1b[32m20%\x1b[0m"),
        ("\x1b[31mred\x1b[0m\n\x1b[0m", "\x1b[31mred\x1b[0m\n\x1b[0m"),
        ("ab\r\x1b[31m", "ab\x1b[31m"),
        ("", ""),
    ],
)
def test_terminal__as_it_is_seen(printed: str, seen: str) -> None:
    assert shown(printed) == seen


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\b\x1b"), max_size=9)))
def test_terminal__plain_text_is_what_was_written(chunks: list[str]) -> None:
    assert shown(*chunks) == "".join(chunks)


@given(st.lists(st.text("ab\r\b\n", max_size=9)), st.data())
def test_terminal__chunks_make_no_difference(chunks: list[str], data: st.DataObject) -> None:
    text = "".join(chunks)
    cut = data.draw(st.integers(0, len(text)))
    assert shown(*chunks) == shown(text) == shown(text[:cut], text[cut:])


def test_terminal__a_line_rewritten_for_ever_is_one_line() -> None:
    terminal = Terminal()
    tracemalloc.start()
    for step in range(20_000):
        assert terminal.feed(f"\rstep {step:6} \x1b[32m{'#' * 40}\x1b[0m") == ""
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 256 * 1024
    assert terminal.take().startswith("step  19999 ")


def test_terminal__a_line_without_end_is_handed_out() -> None:
    terminal = Terminal()
    written = "".join(terminal.feed("." * 1000) for _ in range(1000))
    assert len(terminal.peek()) < 100_000
    assert written + terminal.take() == "." * 1_000_000
