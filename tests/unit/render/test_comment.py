from __future__ import annotations

import re
from typing import Any

import pytest

from fakes.comparisons import BEFORE, compared, delta, failed, judged, measured
from mlci.core.documents import Artifact, Record
from mlci.core.marker import Marker, find
from mlci.render.comment import LIMIT, comment, nothing_measured
from mlci.render.report import Meta

MINE = Marker(id="main", run_id=1, attempt=1, head="c" * 40)
META = Meta(commit="c" * 40, run_url="https://github.com/team/models/actions/runs/1")


def body(*records: Record, before: Record | None = None, limit: int = LIMIT, meta: Meta = META) -> str:
    return comment(compared(*records, before=before), records, meta=meta, marker=MINE, limit=limit)


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def assert_balanced(text: str) -> None:
    fence = None
    for line in text.splitlines():
        ticks = len(line) - len(line.lstrip("`"))
        if fence is None and ticks >= 3:
            fence = ticks
        elif fence is not None and line == "`" * fence:
            fence = None
    assert fence is None
    assert text.count("<details>") == text.count("</details>")


def large(count: int = 3_000, **fields: Any) -> Record:
    metrics = {"accuracy": 0.5} | {f"metric-{number:05}-🎉": number / 7 for number in range(count)}
    return measured(metrics=metrics, **fields)


def test_comment__ends_with_the_marker() -> None:
    text = body(measured(), before=measured(commit=BEFORE))
    assert text.splitlines()[-1] == str(MINE)
    assert find(text) == MINE


def test_comment__a_report_of_200_kb_is_cut_complete_in_its_verdict_and_balanced() -> None:
    whole = body(large(), before=large(commit=BEFORE), limit=10**9)
    assert len(whole.encode()) > 200_000
    text = body(large(), before=large(commit=BEFORE))
    assert units(text) <= LIMIT
    assert text.splitlines()[0] == whole.splitlines()[0]
    assert "<summary>Gated metrics (1)</summary>" in text
    assert_balanced(text)
    assert find(text) == MINE
    assert "Left out for length: part of Other metrics" in text
    assert "[the workflow run's summary](https://github.com/team/models/actions/runs/1)" in text
    assert re.search(r"- and \d+ more rows\n", text)


def test_comment__gated_metrics_and_runs_come_before_files() -> None:
    files = tuple(Artifact(path=f"models/{number}.bin", size=1, sha256="e" * 64) for number in range(2_000))
    text = body(large(10, artifacts=files), before=large(10, commit=BEFORE))
    assert "<summary>Gated metrics (1)</summary>" in text
    assert "<summary>Runs (1)</summary>" in text
    assert "Left out for length: Files" in text
    assert_balanced(text)


def test_comment__a_traceback_full_of_fences_stays_balanced_at_every_limit() -> None:
    record = failed()
    assert record.error is not None
    for limit in (2_000, 2_500, 3_000, 5_000, LIMIT):
        text = body(record, large(300), limit=limit)
        assert units(text) <= limit
        assert_balanced(text)
        assert find(text) == MINE


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://x/)](https://evil", "https://x/ y", "https://x/<b>"])
def test_comment__a_url_that_could_end_its_link_is_no_link(url: str) -> None:
    text = body(large(), meta=Meta(commit="c" * 40, run_url=url, files_url=url))
    assert url not in text


def test_comment__of_a_fork_says_so_above_the_fold() -> None:
    text = body(measured(), before=measured(commit=BEFORE), meta=Meta(commit="c" * 40, foreign=True))
    assert "Code of a fork reported these numbers" in text.partition("<details>")[0]


def test_comment__five_thousand_failing_slices_are_a_short_comment() -> None:
    slices = (delta(slice=f"country={number}") for number in range(5_000))
    text = comment(judged(delta(), *slices), [measured()], meta=META, marker=MINE)
    assert units(text) < 6_000
    assert text.splitlines()[0].endswith(
        "1 metric and 5000 slices worse than allowed, 1 of 1 metric and 5000 slices gated"
    )
    assert "and 4995 more slices, all fail" in text
    assert "Left out" not in text


def test_nothing_measured__says_why_and_carries_the_marker() -> None:
    text = nothing_measured("the artifact </details> has expired", meta=META, marker=MINE)
    assert text.startswith("### ❌ mlci: nothing was measured\n\n`the artifact </details> has expired`")
    assert find(text) == MINE


def test_comment__pictures_come_first_and_are_given_room_after_what_they_show() -> None:
    pictures = f"<details><summary>Pictures (1)</summary>\n\n{'x' * 3000}\n\n</details>"
    records = [large(300)]
    comparison = compared(*records, before=large(300, commit=BEFORE))
    whole = comment(comparison, records, meta=META, marker=MINE, pictures=pictures)
    assert whole.index(pictures) < whole.index("<summary>Gated metrics")
    assert "Left out" not in whole
    for limit, kept in ((9_000, True), (4_000, False)):
        text = comment(comparison, records, meta=META, marker=MINE, pictures=pictures, limit=limit)
        assert units(text) <= limit
        assert (pictures in text, "Left out for length: Pictures" in text) == (kept, not kept)
        assert "<summary>Gated metrics (1)</summary>" in text
        assert_balanced(text)
