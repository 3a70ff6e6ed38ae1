from __future__ import annotations

import pytest

from fakes.comparisons import BEFORE, compared, measured
from mlci.core.documents import Record
from mlci.render import terminal
from mlci.render.report import Meta


@pytest.mark.parametrize(
    ("now", "colour"), [(0.9, "\x1b[32m"), (0.8, "\x1b[31m")], ids=["a pass is green", "a failure is red"]
)
def test_report__colours(now: float, colour: str) -> None:
    records: list[Record] = [measured(metrics={"accuracy": now})]
    comparison = compared(*records, before=measured(commit=BEFORE))
    assert colour in terminal.report(comparison, records, meta=Meta(), colour=True)
    assert "\x1b" not in terminal.report(comparison, records, meta=Meta(), colour=False)


def test_report__no_escape_of_anybody_reaches_the_terminal() -> None:
    records = [measured(metrics={"\x1b[2Jaccuracy\x9b": 1.0})]
    text = terminal.report(compared(*records), records, meta=Meta(commit="\x1b[31m"), colour=False)
    assert not {"\x1b", "\x9b"} & set(text)
