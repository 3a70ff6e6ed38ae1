from __future__ import annotations

import math
from itertools import pairwise

import msgspec
import pytest

from mlci.core.trajectory import Point, Trajectory
from mlci.render.history import Look, history

PLAIN = Look()  # so narrow that there is no chart


def trajectory(*values: float, metric: str = "accuracy", unit: str | None = None) -> Trajectory:
    """The newest first."""
    changes = [new - old for new, old in pairwise(values)]
    points = [
        Point(
            commit=f"{number}" * 40,
            created_at=f"2024-05-0{number}T12:00:00Z",
            value=value,
            change=change,
            seeds=3,
            n=99,
        )
        for number, (value, change) in enumerate(zip(values, [*changes, None], strict=True), start=1)
    ]
    return Trajectory(
        run="churn",
        profile="full",
        metric=metric,
        split=None,
        slice=None,
        unit=unit,
        direction="higher",
        points=tuple(points),
    )


def test_history__a_curve_and_a_table() -> None:
    assert history([trajectory(0.75, 0.5, 0.625)], PLAIN).splitlines() == [
        "churn (full): accuracy, higher is better  ▅▁█",
        "  commit    date        value    seeds    n    change",
        "  --------  ----------  -------  -------  ---  --------",
        "  1111111   2024-05-01  0.75     3        99   +0.25",
        "  2222222   2024-05-02  0.5      3        99   −0.125",
        "  3333333   2024-05-03  0.625    3        99",
    ]


def test_history__leaves_out_what_no_record_has() -> None:
    found = trajectory(0.75, 0.5)
    unseeded = msgspec.structs.replace(
        found, points=tuple(msgspec.structs.replace(point, seeds=None, n=None) for point in found.points)
    )
    assert history([unseeded], PLAIN).splitlines()[1:] == [
        "  commit    date        value    change",
        "  --------  ----------  -------  --------",
        "  1111111   2024-05-01  0.75     +0.25",
        "  2222222   2024-05-02  0.5",
    ]


def test_history__shows_as_many_digits_as_tell_a_change() -> None:
    text = history([trajectory(0.90001, 0.90002)], PLAIN)
    assert "0.90001" in text
    assert "−1e-05" in text


def test_history__of_several_metrics() -> None:
    text = history([trajectory(1.0), trajectory(2.0, metric="recall", unit="%")], PLAIN)
    assert [line for line in text.splitlines() if line.startswith("churn")] == [
        "churn (full): accuracy, higher is better  ▄",
        "churn (full): recall in %, higher is better  ▄",
    ]


def test_history__where_a_terminal_has_no_blocks() -> None:
    text = history([trajectory(math.inf, 2.0, 1.0, metric="précision")], Look(ascii_only=True))
    assert text.isascii()
    assert text.splitlines()[0] == "churn (full): pr?cision, higher is better  _#?"
    assert "inf" in text


def test_history__other_people_s_words_cannot_move_the_cursor() -> None:
    assert "\x1b" not in history([trajectory(1.0, metric="a\x1b[2Jb", unit="\x1b[1m")], PLAIN)


def noisy(count: int = 30) -> Trajectory:
    """The newest first; the oldest eight tell no noise."""
    values = [0.9 + 0.004 * math.sin(number * 2.4) - (0.05 if number >= 20 else 0.0) for number in range(count)]
    points = [
        Point(
            commit=f"{number:040x}",
            created_at=f"2024-05-{number + 1:02}T12:00:00Z",
            value=value,
            noise=0.012 if number > 8 else None,
            mark={20: "fail", 25: "accepted"}.get(number),  # type: ignore[arg-type]
            reason="larger tokenizer" if number == 25 else None,
            releases=("v1.2.0", "production") if number == 10 else (),
        )
        for number, value in enumerate(values)
    ]
    return msgspec.structs.replace(trajectory(1.0), points=tuple(points[::-1]))


def chart(text: str) -> list[str]:
    return text.split("commit", maxsplit=1)[0].splitlines()


def test_history__draws_a_chart_as_wide_as_the_terminal() -> None:
    found = chart(history([noisy()], Look(width=90)))
    assert found[0] == "churn (full): accuracy, higher is better"
    assert max(map(len, found[1:-2])) == 90
    drawn = "".join(found)
    assert (drawn.count("▼"), drawn.count("○")) == (2, 2)  # once in the legend
    assert drawn.count("·") > 20  # both edges of the band
    assert drawn.count("┊") > 10
    assert "2024-05-01" in drawn
    assert "2024-05-30" in drawn


def test_history__the_table_says_what_the_chart_shows() -> None:
    rows = {row.split()[1]: row for row in history([noisy()], Look(width=90)).splitlines() if "  2024-05-" in row[8:]}
    assert rows["2024-05-21"].endswith("±0.012   worse than allowed")
    assert rows["2024-05-26"].endswith("accepted: larger tokenizer")
    assert rows["2024-05-11"].endswith("v1.2.0, production")
    assert "±" not in rows["2024-05-05"]


@pytest.mark.parametrize(
    ("found", "width"),
    [
        pytest.param(noisy(), 40, id="narrow"),
        pytest.param(trajectory(1.0, 2.0), 90, id="two points"),
        pytest.param(trajectory(1.0, math.nan, math.inf, 2.0), 90, id="no numbers"),
        pytest.param(trajectory(1e305, -1e305, 1.0), 90, id="too large to tell apart"),
    ],
)
def test_history__a_small_curve_where_a_chart_would_show_nothing(found: Trajectory, width: int) -> None:
    assert "┤" not in history([found], Look(width=width))


@pytest.mark.parametrize("values", [(1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1e-300, 2e-300, 3e-300), (-5.0, 1e15, 3.0)])
def test_history__a_chart_of_any_numbers(values: tuple[float, ...]) -> None:
    assert "┤" in history([trajectory(*values)], Look(width=80))


def test_history__a_chart_in_ascii() -> None:
    text = history([noisy()], Look(width=80, ascii_only=True))
    assert text.isascii()
    assert "?" not in text
    assert "worse beyond noise" in text


def test_history__a_chart_has_colours_only_where_they_are_wanted() -> None:
    coloured = history([noisy()], Look(width=80, colours=True))
    assert "\x1b[38;5;" in coloured
    assert "\x1b[48;" not in coloured  # what is behind the chart stays the terminal's
    assert "\x1b" not in history([noisy()], Look(width=80))
