from __future__ import annotations

import math

import pytest

from mlci.render.text import age, counted, duration, number, pair, places_of, plain, printable, rounded, signed, size


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words", "plain words"),
        ("two\nlines\tand a tab", "two lines and a tab"),
        ("nul\x00 escape\x1b[31m bell\x07", "nul escape[31m bell"),
        ("right to left \u202e\u2066", "right to left"),
        ("##[error]no", "## [error]no"),
        ("\ud800", ""),
        ("x" * 600, "x" * 499 + "…"),
    ],
)
def test_plain(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_printable__keeps_lines_and_tabs() -> None:
    assert printable("a\n\tb\x00\r") == "a\n\tb"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.123456, "0.1235"), (1234567.0, "1.235e+06"), (1.0, "1"), (math.nan, "NaN"), (math.inf, "∞"), (-math.inf, "−∞")],
)
def test_number(value: float, shown: str) -> None:
    assert number(value) == shown


@pytest.mark.parametrize(
    ("baseline", "current", "shown"),
    [
        (0.9, 0.8, ("0.9", "0.8")),
        (0.91231, 0.91233, ("0.91231", "0.91233")),
        (1.0, 1.0, ("1", "1")),
        (1.0, math.nextafter(1.0, 2.0), ("1.0", "1.0000000000000002")),
        (math.nan, 1.0, ("NaN", "1")),
    ],
)
def test_pair__as_many_digits_as_tell_them_apart(baseline: float, current: float, shown: tuple[str, str]) -> None:
    assert pair(baseline, current) == shown


@pytest.mark.parametrize(
    ("change", "shown"),
    [(0.01234, "+0.0123"), (-1500.0, "−1.5e+03"), (0.0, "0"), (-math.inf, "−∞"), (math.nan, "NaN")],
)
def test_signed(change: float, shown: str) -> None:
    assert signed(change) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (3900, "1 h 05 min")],
)
def test_duration(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (123456, "123 kB"), (999_999, "1 MB"), (5 * 10**15, "5e+03 TB")],
)
def test_size(count: int, shown: str) -> None:
    assert size(count) == shown


def test_counted() -> None:
    assert [counted(count, "run") for count in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]


@pytest.mark.parametrize(
    ("width", "places"),
    [(0.018, 3), (0.1, 2), (0.0999, 3), (2.0, 1), (1500.0, -2), (0.0, None), (math.inf, None), (math.nan, None)],
)
def test_places_of__shows_two_digits_of_a_width(width: float, places: int | None) -> None:
    assert places_of(width) == places


@pytest.mark.parametrize(
    ("value", "places", "shown"),
    [
        (0.123456789, 3, "0.123"),
        (-0.9, 3, "-0.900"),
        (12345.6, -2, "12300"),
        (0.0004, 2, "0.0004"),
        (0.0, 3, "0"),
        (0.912, 300, "0.912000"),
        (1e300, 3, "1e+300"),
        (1.5e-9, 10, "1.5e-09"),
        (math.inf, 3, "∞"),
    ],
)
def test_rounded(value: float, places: int, shown: str) -> None:
    assert rounded(value, places) == shown


@pytest.mark.parametrize(
    ("since", "passed"),
    [
        ("2024-05-04T11:00:01+00:00", None),
        ("2024-05-04T11:00:00Z", "1 hour"),
        ("2024-05-02T12:00:01.25+00:00", "47 hours"),
        ("2024-05-02T12:00:00+00:00", "2 days"),
        ("2023-05-05T12:00:00+00:00", "365 days"),
        ("2024-05-05T12:00:00+00:00", None),
        ("2024-13-01T12:00:00+00:00", None),
        ("0000-01-01T00:00:00Z", None),
        ("2024-05-01T12:00:00", None),
        ("yesterday", None),
    ],
)
def test_age(since: str, passed: str | None) -> None:
    assert age(since, "2024-05-04T12:00:00+00:00") == passed
