from __future__ import annotations

import math
from itertools import pairwise

import msgspec
import pytest

from mlci.core.trajectory import Point, Trajectory
from mlci.render.history import history, sparkline


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


@pytest.mark.parametrize(
    ("values", "curve"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([0.9, 0.9], "▄▄"),
        ([0.5], "▄"),
        ([1.0, math.nan, 2.0, -math.inf], "▁?█?"),
        ([math.nan], "?"),
        ([-1.7e308, 1.7e308], "▁█"),
        ([], ""),
    ],
)
def test_sparkline__spans_the_least_and_the_greatest(values: list[float], curve: str) -> None:
    assert sparkline(values) == curve


def test_history__a_curve_and_a_table() -> None:
    assert history([trajectory(0.75, 0.5, 0.625)], ascii_only=False).splitlines() == [
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
    assert history([unseeded], ascii_only=False).splitlines()[1:] == [
        "  commit    date        value    change",
        "  --------  ----------  -------  --------",
        "  1111111   2024-05-01  0.75     +0.25",
        "  2222222   2024-05-02  0.5",
    ]


def test_history__shows_as_many_digits_as_tell_a_change() -> None:
    text = history([trajectory(0.90001, 0.90002)], ascii_only=False)
    assert "0.90001" in text
    assert "−1e-05" in text


def test_history__of_several_metrics() -> None:
    text = history([trajectory(1.0), trajectory(2.0, metric="recall", unit="%")], ascii_only=False)
    assert [line for line in text.splitlines() if line.startswith("churn")] == [
        "churn (full): accuracy, higher is better  ▄",
        "churn (full): recall in %, higher is better  ▄",
    ]


def test_history__where_a_terminal_has_no_blocks() -> None:
    text = history([trajectory(math.inf, 2.0, 1.0, metric="précision")], ascii_only=True)
    assert text.isascii()
    assert text.splitlines()[0] == "churn (full): pr?cision, higher is better  _#?"
    assert "inf" in text


def test_history__other_people_s_words_cannot_move_the_cursor() -> None:
    assert "\x1b" not in history([trajectory(1.0, metric="a\x1b[2Jb", unit="\x1b[1m")], ascii_only=False)
