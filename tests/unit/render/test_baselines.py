from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fakes.comparisons import BEFORE, delta, judged, measured, passing
from mlci.core.documents import BaselineRef, Comparison, Delta
from mlci.render import baselines
from mlci.render.parts import Line, Link, Quoted

RUN = "https://github.com/team/models/actions/runs/41"
CHANGED = ("python 3.11.9 → 3.12.1", "input data/train.csv changed", "seeds 3 → 5", "gpu H100 → H200")


def said(line: Line | None) -> str | None:
    if line is None:
        return None
    return "".join(
        part.text if isinstance(part, Quoted) else f"<{part.text}>" if isinstance(part, Link) else part for part in line
    )


def with_(comparison: Comparison, **more: BaselineRef) -> Comparison:
    return msgspec.structs.replace(comparison, baselines=comparison.baselines | more)


def found(**fields: Any) -> BaselineRef:
    return msgspec.structs.replace(BaselineRef(commit=BEFORE, distance=0), **fields)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "baseline bbbbbbb (the merge base)"),
        ({"distance": 2}, "baseline bbbbbbb (2 commits before the merge base)"),
        ({"created_at": "2024-04-28T12:00:00+00:00"}, "baseline bbbbbbb (the merge base, 3 days old)"),
        ({"created_at": "2024-05-01T10:00:00+00:00"}, "baseline bbbbbbb (the merge base, 2 hours old)"),
        ({"created_at": "2024-05-01T11:59:00+00:00"}, "baseline bbbbbbb (the merge base)"),
        ({"created_at": "long ago"}, "baseline bbbbbbb (the merge base)"),
        ({"commit": None, "reason": "the history is shallow"}, "no baseline: the history is shallow"),
        ({"commit": None}, "no baseline"),
    ],
)
def test_line(fields: dict[str, Any], line: str) -> None:
    assert said(baselines.line(judged(passing(), **fields), [measured()])) == line


def test_line__of_several_runs() -> None:
    one = judged(passing())
    assert said(baselines.line(with_(one, other=found()), [])) == "baseline bbbbbbb (the merge base)"
    assert said(baselines.line(with_(one, other=found(distance=1)), [])) == "baselines of 2 commits, see below"
    without = with_(one, other=BaselineRef(commit=None))
    assert said(baselines.line(without, [])) == "baseline bbbbbbb (the merge base; 1 run without)"


def test_listed__says_all_that_is_known() -> None:
    comparison = with_(
        judged(
            passing(),
            distance=1,
            created_at="2024-04-28T12:00:00+00:00",
            run_url=RUN,
            reason="the history is shallow",
            deployed="churn@v1.2.0",
        ),
        other=BaselineRef(commit=None, reason="never measured"),
    )
    assert [said(line) for line in baselines.listed(comparison, [measured()], run_url=None)] == [
        "train: bbbbbbbbbbbb, 1 commit before the merge base, measured 2024-04-28T12:00:00+00:00 (3 days old)"
        ", by <its workflow run>; the history is shallow; deployed is churn@v1.2.0",
        "other: none: never measured",
    ]


@pytest.mark.parametrize(
    ("claimed", "mine", "linked"),
    [
        pytest.param(RUN, None, True, id="a workflow run"),
        pytest.param(RUN, "https://github.com/team/models/actions/runs/42/attempts/1", True, id="of this repository"),
        pytest.param(RUN, "https://github.com/team/other/actions/runs/42", False, id="of another repository"),
        pytest.param(
            "https://evil.example/team/models/actions/runs/4", f"{RUN}/attempts/1", False, id="another server"
        ),
        pytest.param("http://github.com/team/models/actions/runs/41", None, False, id="not encrypted"),
        pytest.param("javascript:alert(1)", None, False, id="a script"),
        pytest.param(f"{RUN}?x=1", None, False, id="with a query"),
        pytest.param(f"{RUN}\n", None, False, id="with a new line"),
        pytest.param("https://me@evil.example/team/models/actions/runs/41", None, False, id="with a name"),
        pytest.param(None, None, False, id="none"),
    ],
)
def test_listed__links_a_claimed_run_only_where_it_can_be_nothing_else(
    claimed: str | None, mine: str | None, linked: bool
) -> None:
    (line,) = baselines.listed(judged(passing(), run_url=claimed), [measured()], run_url=mine)
    assert [part.url for part in line if isinstance(part, Link)] == ([claimed] if linked else [])


@pytest.mark.parametrize(
    "moved",
    [
        pytest.param(delta(), id="fails"),
        pytest.param(passing(gate="inconclusive"), id="inconclusive"),
        pytest.param(passing(gate="none", verdict="improved"), id="improved"),
        pytest.param(delta(gate="pass", accepted="on purpose"), id="accepted"),
    ],
)
def test_also_changed__is_said_where_something_moved(moved: Delta) -> None:
    assert said(baselines.also_changed(judged(moved, doubts=CHANGED))) == (
        "Also changed since the baseline: python 3.11.9 → 3.12.1, input data/train.csv changed, 2 more"
    )


def test_also_changed__is_not_said_of_a_plain_pass_nor_where_nothing_did() -> None:
    assert baselines.also_changed(judged(passing(), doubts=CHANGED)) is None
    assert baselines.also_changed(judged(delta())) is None


def test_also_changed__is_of_the_runs_that_moved_each_change_once() -> None:
    comparison = with_(
        judged(delta(), delta(run="other"), passing(run="quiet"), doubts=CHANGED[:1]),
        other=found(doubts=CHANGED[:1]),
        quiet=found(doubts=CHANGED[1:]),
    )
    assert said(baselines.also_changed(comparison)) == "Also changed since the baseline: python 3.11.9 → 3.12.1"


def test_also_changed__a_long_change_is_cut() -> None:
    line = said(baselines.also_changed(judged(delta(), doubts=(f"parameter prompt {'x' * 500} → y",))))
    assert line is not None
    assert line.endswith("x…")
    assert len(line) == len("Also changed since the baseline: ") + 80
