"""The line by which a monitor knows its issue again."""

from __future__ import annotations

import pytest

from mlci.core.monitoring import IssueMarker, find

MARKER = IssueMarker(id="main", monitor="churn", run_id=41, attempt=2)


def test_find__reads_what_was_written() -> None:
    assert find(f"Text\n\n{MARKER}\n") == MARKER


@pytest.mark.parametrize(
    "body",
    [
        "",
        f"{MARKER}\n\nanother line",
        f"> {MARKER}",
        str(MARKER).replace("churn", "../x y"),
        str(MARKER).replace("mlci-monitor", "mlci"),
    ],
)
def test_find__only_on_the_last_line(body: str) -> None:
    assert find(body) is None


def test_same_watch__is_of_one_monitor_of_one_configuration() -> None:
    def other(id: str, monitor: str) -> IssueMarker:  # noqa: A002 - the configuration's key
        return IssueMarker(id=id, monitor=monitor, run_id=7, attempt=1)

    assert MARKER.same_watch(other("main", "churn"))
    assert not MARKER.same_watch(other("main", "vision"))
    assert not MARKER.same_watch(other("vision", "churn"))
    assert not MARKER.same_watch(None)
