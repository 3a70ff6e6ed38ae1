from __future__ import annotations

import io
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fakes.comparisons import delta, passing
from mlci.core.documents import Delta
from mlci.render.exhibition import Drawing
from mlci.render.pictures import DARK, LIGHT, Theme, charts
from mlci.render.sparks import Curve, Key

RISING = Curve(
    tuple((float(step), step / 10) for step in range(10)), tuple((float(step), step / 9) for step in range(9))
)
ACCURACY: dict[Key, Curve] = {("train", "accuracy", None): RISING}
HOSTILE = ["$x^2$", "$\\frac{", "\\$", "日本🎉", "\x00\u202e", "%s {0}", "a" * 10_000, "_ ^ & # ~", "<b>", ""]


def intervals(*deltas: Delta) -> Drawing:
    [drawn] = charts(deltas, {})
    return drawn


def size(content: bytes | None) -> tuple[int, int]:
    assert content is not None
    return Image.open(io.BytesIO(content)).size


def luminance(colour: str) -> float:
    channels = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_charts__equal_input_gives_equal_bytes_without_a_trace_of_what_drew_them() -> None:
    first, second = charts([delta(), passing("f1")], ACCURACY), charts([delta(), passing("f1")], ACCURACY)
    assert first == second
    assert len(first) == 2
    for drawn in first:
        assert drawn.light != drawn.dark
        assert not {"Software", "Creation Time"} & Image.open(io.BytesIO(drawn.light)).info.keys()
        assert len(drawn.light) < 200_000


def test_charts__two_dots_a_pixel() -> None:
    drawn = intervals(delta())
    assert size(drawn.light)[0] == size(drawn.dark)[0] == 2 * drawn.width


def test_charts__say_in_words_what_they_show() -> None:
    interval, curve = charts([passing("f1"), delta()], ACCURACY)
    assert interval.alt == (
        "How far 2 gated metrics changed against what is allowed, the worst first: "
        "accuracy of train changed by −0.031 (−0.042 … −0.020), at most 0.01 lower: fails; "
        "f1 of train changed by +0.001 (−0.004 … +0.006), at most 0.01 lower: passes."
    )
    assert curve.alt == "Learning curves: accuracy of train ends at 0.9, the baseline’s at 0.8889."


@pytest.mark.parametrize(
    "deltas",
    [
        pytest.param([], id="no metrics"),
        pytest.param([delta(gate="none")], id="no gate"),
        pytest.param([delta(gate="no-baseline", now=0.9, before=None)], id="no baseline"),
        pytest.param([delta(tolerance="at least 0.9")], id="no bound on the change"),
    ],
)
def test_charts__nothing_to_draw(deltas: list[Delta]) -> None:
    assert charts(deltas, {}) == ()


def test_charts__curves_of_gated_metrics_only() -> None:
    assert len(charts([delta(gate="none")], ACCURACY)) == 0
    assert len(charts([delta(tolerance="at least 0.9")], ACCURACY)) == 1


def test_charts__the_first_of_fifty_metrics_and_how_many_more() -> None:
    few, many = (intervals(*(passing(f"m{number}") for number in range(count))) for count in (14, 50))
    assert size(few.light) == size(many.light)
    assert few.light != many.light
    assert "and 44 more." in many.alt
    curves: dict[Key, Curve] = {("train", f"m{number}", None): RISING for number in range(50)}
    _, drawn = charts([passing(f"m{number}") for number in range(50)], curves)
    assert size(drawn.light)[1] < 1000


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_charts__any_name(name: str) -> None:
    curves: dict[Key, Curve] = {("train", name, None): RISING}
    drawn = charts([delta(name, unit=name), passing(name, run=name)], curves)
    assert len(drawn) == 2
    assert len(drawn[0].alt) < 600


def test_charts__a_dollar_is_a_dollar() -> None:
    assert intervals(delta("$x$")).light != intervals(delta("x")).light


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(), min_size=4, max_size=4), st.lists(st.tuples(st.floats(), st.floats()), max_size=4))
def test_charts__any_numbers(numbers: list[float], points: list[tuple[float, float]]) -> None:
    before, now, low, high = numbers
    odd = delta(before=before, now=now, interval=(low, high))
    whole = tuple(point for point in points if all(map(math.isfinite, point)))
    charts([odd], {("train", "accuracy", None): Curve(whole, whole)})


def test_charts__leave_the_library_as_it_was() -> None:
    before = dict(mpl.rcParams)
    charts([delta()], ACCURACY)
    assert dict(mpl.rcParams) == before


def test_charts__do_not_depend_on_the_library_s_configuration(tmp_path: Path) -> None:
    script = (
        "import hashlib, sys; sys.path[:0] = sys.argv[1:]\n"
        "from fakes.comparisons import delta\nfrom mlci.render.pictures import charts\n"
        "print(hashlib.sha256(charts([delta()], {})[0].light).hexdigest(), 'matplotlib.pyplot' in sys.modules)"
    )
    (tmp_path / "matplotlibrc").write_text(
        "text.usetex: True\nfont.size: 30\naxes.facecolor: red\nlines.linewidth: 9\n"
    )
    tests = str(Path(__file__).parents[2])
    said = [
        subprocess.run(
            [sys.executable, "-c", script, tests], cwd=folder, capture_output=True, text=True, check=True
        ).stdout
        for folder in (tmp_path, Path(__file__).parent)
    ]
    assert said[0] == said[1]
    assert said[0].endswith(" False\n")


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_theme__contrasts_are_those_of_wcag_aa(theme: Theme) -> None:
    for colour in (theme.text, theme.muted, theme.now, *theme.gates.values()):
        assert contrast(colour, theme.ground) >= 4.5
    for colour in (theme.line, theme.gates["fail"], theme.gates["inconclusive"]):
        assert contrast(colour, theme.ground) >= 3
    for colour in theme.gates.values():  # lines across the zone
        assert contrast(colour, theme.zone) >= 3


def test_theme__results_differ_in_more_than_colour() -> None:
    drawn: dict[Any, bytes] = {}
    for gate in ("pass", "fail", "inconclusive"):
        grey = Image.open(io.BytesIO(intervals(delta(gate=gate)).light)).convert("1")
        drawn[gate] = grey.tobytes()
    assert len(set(drawn.values())) == 3
