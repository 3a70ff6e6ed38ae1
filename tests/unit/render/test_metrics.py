from __future__ import annotations

import math
from typing import Any

import pytest

from fakes.comparisons import delta, passing
from mlci.core.documents import Delta
from mlci.render.metrics import Figures, figures, tables, verdict
from mlci.render.parts import Line, Quoted
from mlci.render.sparks import Curve, Key


def rows(*deltas: Delta, gated: bool = True) -> list[list[str]]:
    """The cells of the table, headers first."""
    (table,) = tables(deltas, gated=gated)
    return [list(table.headers), *([said(cell) for cell in row] for row in table.rows)]


def said(line: Line) -> str:
    return "".join(part.text if isinstance(part, Quoted) else str(part) for part in line)


def slices(count: int, metric: str = "accuracy", **fields: Any) -> list[Delta]:
    """Slices that got worse and worse."""
    return [delta(metric, 0.9, 0.9 - number / 100, slice=f"part={number}", **fields) for number in range(count)]


def named(table: list[list[str]]) -> list[str]:
    return [row[1] for row in table[1:]]


@pytest.mark.parametrize(
    ("before", "now", "interval", "shown"),
    [
        pytest.param(
            0.9123456, 0.9003456, (-0.021, -0.003), ("0.912", "0.900", "−0.012", "−0.021 … −0.003"), id="usual"
        ),
        pytest.param(0.9, 0.8, None, ("0.9", "0.8", "−0.1 (−11.1%)", None), id="no interval"),
        pytest.param(0.5, 6.0, None, ("0.5", "6", "+5.5 (+1100%)", None), id="many times as much"),
        pytest.param(1e-9, 6.0, None, ("1e-09", "6", "+6 (+6e+11%)", None), id="from nearly nothing"),
        pytest.param(0.9, 0.9, None, ("0.9", "0.9", "0", None), id="no change"),
        pytest.param(0.9, 0.8, (-0.1, -0.1), ("0.9", "0.8", "−0.1 (−11.1%)", None), id="an interval of no width"),
        pytest.param(0.9, 0.8, (-math.inf, 0.1), ("0.9", "0.8", "−0.1 (−11.1%)", None), id="an endless interval"),
        pytest.param(0.91, 0.91, (-0.01, 0.01), ("0.910", "0.910", "0", "−0.010 … +0.010"), id="no change in noise"),
        pytest.param(
            0.9149, 0.9151, (-0.1, 0.1), ("0.9149", "0.9151", "+0.0002", "−0.10 … +0.10"), id="a small change"
        ),
        pytest.param(12345.6, 12845.6, (-250, 1250), ("12300", "12800", "+500", "−200 … +1200"), id="large"),
        pytest.param(0.0, 0.5, None, ("0", "0.5", "+0.5", None), id="from zero"),
        pytest.param(math.nan, 0.5, None, ("NaN", "0.5", "NaN", None), id="from nothing known"),
        pytest.param(None, 0.123456, None, ("–", "0.1235", "–", None), id="new"),
        pytest.param(0.123456, None, None, ("0.1235", "–", "–", None), id="missing"),
    ],
)
def test_figures__have_the_digits_that_the_interval_tells_apart(
    before: float | None,
    now: float | None,
    interval: tuple[float, float] | None,
    shown: tuple[str, str, str, str | None],
) -> None:
    assert figures(delta("accuracy", before, now, interval=interval)) == Figures(*shown)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"verdict": "regressed"}, "regressed"),
        ({"gate": "inconclusive"}, "within noise"),
        ({"gate": "pass"}, "within noise"),
        ({"gate": "fail"}, "inconclusive"),
        ({"interval": None}, "inconclusive"),
        ({"direction": None}, "changed"),
    ],
)
def test_verdict(fields: dict[str, Any], word: str) -> None:
    assert verdict(passing(**fields)) == word


def test_tables__of_gated_metrics() -> None:
    nats: dict[str, Any] = {
        "direction": "lower",
        "unit": "nats",
        "detectable": 0.0123,
        "tolerance": "at most 0.01 higher",
    }
    assert rows(delta(), passing("loss", 0.31, 0.3098, **nats)) == [
        ["Run", "Metric", "Baseline", "Now", "Change (90% interval)", "Noise", "Rule", "worse ┃ allowed", "Gate"],
        [
            *("train", "accuracy", "0.912", "0.881", "−0.031 (−0.042 … −0.020), regressed", "3 paired seeds"),
            *("at most 0.01 lower", "◀░░░┃···0····"),
            "fail: 0.031 worse, at most 0.01 allowed (90% interval 0.02 to 0.042)",
        ],
        [
            *("train", "loss nats", "0.3100", "0.3098", "−0.0002 (−0.004 … +0.006), within noise"),
            *("3 paired seeds, notices 0.012", "at most 0.01 higher", "░░░░┃·├─●─┤··", "pass"),
        ],
    ]


def test_tables__no_bar_where_no_rule_bounds_a_change() -> None:
    table = rows(passing(tolerance="at least 0.9"), passing("f1", tolerance=None))
    assert table[0][-2:] == ["Rule", "Gate"]
    table = rows(passing(), passing("f1", tolerance="at least 0.9"))
    assert [row[-2] for row in table] == ["worse ┃ allowed", "░░░░┃·├─●─┤··", "–"]


def test_tables__learning_curves_stand_beside_those_of_the_baseline() -> None:
    curves: dict[Key, Curve] = {
        ("train", "accuracy", None): Curve(now=((0, 0.0), (1, 1.0)), before=((0, 0.5), (1, 1.0))),
        ("train", "f1", None): Curve(now=((0, 0.0), (1, 1.0))),
        ("other", "f1", None): Curve(now=((0, 0.0), (1, 1.0))),
    }
    (table,) = tables([delta(), delta("f1"), delta("auc")], gated=True, curves=curves)
    assert [said(row[table.headers.index("Learning curve")]) for row in table.rows] == ["▅█ → ▁█", "▁█", "–"]
    assert "Learning curve" not in tables([delta("auc")], gated=True, curves=curves)[0].headers


def test_tables__of_other_metrics_without_noise() -> None:
    plain = delta("auc", 0.8, 0.9, verdict="improved", gate="none", interval=None, noise="none")
    assert rows(plain, gated=False) == [
        ["Run", "Metric", "Baseline", "Now", "Change", "Verdict"],
        ["train", "auc", "0.8", "0.9", "+0.1 (+12.5%)", "improved"],
    ]


def test_tables__what_was_accepted_passes_with_its_reason() -> None:
    assert rows(delta(gate="pass", accepted="fewer layers"))[1][-1] == "pass, accepted: fewer layers"


def test_tables__no_metrics_no_table() -> None:
    assert tables([], gated=True) == ()


def test_tables__the_whole_comes_before_its_worst_slices_and_the_rest_is_counted() -> None:
    assert named(rows(*slices(42, gate="pass"), delta(), delta("f1"))) == [
        "accuracy",
        *(f"accuracy [part={number}]" for number in (41, 40, 39, 38, 37)),
        "and 37 more slices, all pass",
        "f1",
    ]


def test_tables__slices_that_fail_come_before_undecided_ones_and_those_before_worse_ones_that_pass() -> None:
    deltas = [
        *slices(10, gate="pass"),
        delta("accuracy", 0.9, 0.89, slice="fails", gate="fail"),
        delta("accuracy", 0.9, 0.88, slice="undecided", gate="inconclusive", verdict="inconclusive"),
        delta("accuracy", 0.9, 0.91, slice="better", gate="pass", verdict="improved"),
    ]
    assert named(rows(*deltas)) == [
        "accuracy [fails]",
        "accuracy [undecided]",
        *(f"accuracy [part={number}]" for number in (9, 8, 7)),
        "and 8 more slices, all pass",
    ]


@pytest.mark.parametrize(
    ("fields", "count", "line"),
    [
        pytest.param(
            [("fail", 7), ("inconclusive", 1), ("pass", 3)], 11, "and 6 more slices: 2 fail, 1 inconclusive, 3 pass"
        ),
        pytest.param([("fail", 6)], 6, "and 1 more slice, fail"),
    ],
    ids=["mixed", "one"],
)
def test_tables__the_rest_is_counted_by_result(fields: list[tuple[str, int]], count: int, line: str) -> None:
    deltas = [item for gate, number in fields for item in slices(number, gate=gate)]
    assert len(deltas) == count
    assert named(rows(*deltas))[-1] == line


def test_tables__the_rest_of_other_metrics_is_counted_by_verdict() -> None:
    deltas = [*slices(6, gate="none"), passing(slice="quiet", gate="none", now=0.9)]
    assert named(rows(*deltas, gated=False))[-1] == "and 2 more slices: 1 regressed, 1 within noise"


def test_tables__lower_is_worse_or_better_as_the_direction_says() -> None:
    deltas = slices(7, metric="loss", direction="lower", gate="pass")
    assert named(rows(*deltas))[0] == "loss [part=0]"


def test_tables__at_most_twenty_slices_are_shown_the_worst_of_all_metrics() -> None:
    deltas = [item for number in range(10) for item in slices(8, metric=f"m{number}", gate="pass")]
    deltas += slices(8, metric="failing")
    found = named(rows(*deltas))
    assert sum("[" in name for name in found) == 20
    assert sum(name.startswith("failing [") for name in found) == 5
    assert len([name for name in found if name.startswith("and ")]) == 11


def test_tables__a_slice_without_a_number_is_the_worst() -> None:
    deltas = [*slices(7), delta("accuracy", 0.9, math.nan, slice="broken", interval=None)]
    assert named(rows(*deltas))[0] == "accuracy [broken]"
