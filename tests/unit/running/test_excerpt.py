"""What is kept of too much."""

from __future__ import annotations

from mlci.running.excerpt import Excerpt


def test_excerpt__little_is_all_head() -> None:
    excerpt: Excerpt[str] = Excerpt(10)
    assert [excerpt.add(piece, 1) for piece in "abcde"] == [True] * 5
    assert not excerpt.tail
    assert not excerpt.omitted


def test_excerpt__the_middle_goes() -> None:
    excerpt: Excerpt[str] = Excerpt(6)
    assert [piece for piece in "abcdefghij" if excerpt.add(piece, 1)] == list("abc")
    assert list(excerpt.tail) == list("hij")
    assert (excerpt.omitted, excerpt.omitted_count) == (4, 4)


def test_excerpt__a_number_of_pieces() -> None:
    excerpt: Excerpt[str] = Excerpt(1000, 4)
    assert [piece for piece in "abcdefg" if excerpt.add(piece, 2)] == ["a", "b"]
    assert list(excerpt.tail) == ["f", "g"]
    assert (excerpt.omitted, excerpt.omitted_count) == (6, 3)


def test_excerpt__once_the_head_is_over_nothing_small_joins_it() -> None:
    excerpt: Excerpt[str] = Excerpt(10)
    assert [excerpt.add(piece, len(piece)) for piece in ("abc", "long", "x")] == [True, False, False]
