from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlci.core.marker import Marker, find

HEAD = "b" * 40


@given(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True),
    st.integers(0, 10**18),
    st.integers(0, 999),
    st.sampled_from([HEAD, "c" * 64, None]),
)
def test_find__what_was_written(id: str, run: int, attempt: int, head: str | None) -> None:  # noqa: A002
    mine = Marker(id=id, run_id=run, attempt=attempt, head=head)
    assert find(f"# Report\n\n{mine}\n") == mine
    assert "-->" not in str(mine)[:-3]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no marker",
        f"{Marker(id='main', run_id=1, attempt=1, head=HEAD)}\nsomething after it",
        f"> {Marker(id='main', run_id=1, attempt=1, head=HEAD)}",
        f"`{Marker(id='main', run_id=1, attempt=1, head=HEAD)}`",
        "<!-- mlci:1 id=main run=one attempt=1 head=- -->",
        "<!-- mlci:1 id=../x run=1 attempt=1 head=- -->",
        "<!-- mlci:1 id=main run=1 attempt=1 head=abc -->",
        "<!-- mlci:1 id=main run=1 attempt=1 head=- extra=1 -->",
    ],
)
def test_find__anything_else_is_nothing(body: str) -> None:
    assert find(body) is None


def test_find__survives_what_github_does_to_line_ends() -> None:
    mine = Marker(id="main", run_id=1, attempt=1, head=None)
    assert find(f"Report\r\n\r\n{mine}\r\n  \r\n") == mine


def test_age__by_run_then_attempt() -> None:
    ages = [Marker(id="m", run_id=run, attempt=attempt, head=None).age for run, attempt in ((9, 2), (10, 1), (10, 3))]
    assert ages == sorted(ages)
