from __future__ import annotations

from typing import Any

import pytest

from fakes.contexts import context
from fakes.records import record
from mlci.admission import check_may_save
from mlci.errors import StoreError

PUSH: dict[str, Any] = {
    "in_actions": True,
    "event": "push",
    "repository_id": "7",
    "run_id": "1",
    "sha": "a" * 40,
    "ref": "refs/heads/main",
    "branch": "main",
    "default_branch": "main",
}
MEASURED: dict[str, Any] = {"event": "push", "repository_id": "7", "run_id": "1"}


@pytest.mark.parametrize("event", ["push", "schedule", "workflow_dispatch"])
def test_check_may_save__events_on_the_default_branch(event: str) -> None:
    assert check_may_save(context(**PUSH | {"event": event}), [record(**MEASURED | {"event": event})]) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"ref": "refs/heads/feature"},
        {"ref": "refs/tags/main"},
        {"event": "pull_request", "ref": "refs/pull/1/merge"},
        {"event": "pull_request_target"},
        {"event": "merge_group"},
        {"event": "workflow_run"},
        {"event": "issue_comment"},
    ],
)
def test_check_may_save__any_other_event(changes: dict[str, Any]) -> None:
    event = context(**PUSH | changes)
    with pytest.raises(StoreError, match="default branch only") as caught:
        check_may_save(event, [record(**MEASURED | {"event": event.event})])
    assert "push" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"commit": None}, "no commit"),
        ({"dirty": True}, "uncommitted changes"),
        ({"commit": "b" * 40}, "measured at bbbbbbbbbb, this event is at aaaaaaaaaa"),
        ({"run_id": "2"}, "workflow run 2, this is 1"),
        ({"event": "pull_request"}, "the event 'pull_request'"),
        ({"event": "local"}, "the event 'local'"),
        ({"repository_id": "8"}, "repository id 8"),
        ({"repository_id": None}, "repository id None"),
    ],
)
def test_check_may_save__records_that_do_not_fit_the_event(changes: dict[str, Any], said: str) -> None:
    records = [record("ranking", **MEASURED), record(**MEASURED | changes)]
    with pytest.raises(StoreError, match="'churn' not saved") as caught:
        check_may_save(context(**PUSH), records)
    assert said in caught.value.message


def test_check_may_save__an_event_that_knows_no_repository() -> None:
    with pytest.raises(StoreError, match="repository id"):
        check_may_save(context(**PUSH | {"repository_id": None}), [record(**MEASURED | {"repository_id": None})])


def test_check_may_save__on_a_laptop_everything_with_a_word_about_changes() -> None:
    assert check_may_save(context(), [record()]) == []
    assert check_may_save(context(), [record("ranking"), record(dirty=True)]) == [
        "churn: saved from a tree with uncommitted changes"
    ]
