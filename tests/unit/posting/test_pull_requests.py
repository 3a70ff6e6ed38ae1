"""From the event's payload to the pull request: a pure table, then what the forge must confirm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlci.context import Context
from mlci.plugins.forges.interface import Pull, WorkflowRun
from mlci.posting.pull_requests import Place, Sought, locate, sought, sought_by_run

BASE, HEAD, OTHER = "a" * 40, "b" * 40, "d" * 40
OURS = {"id": 1296269, "full_name": "team/models", "default_branch": "main", "owner": {"login": "team"}}
FORK = {"id": 9000001, "full_name": "stranger/models", "owner": {"login": "stranger"}}


def pull_event(head_repository: dict[str, Any] | None = OURS, action: str = "synchronize") -> dict[str, Any]:
    return {
        "action": action,
        "number": 7,
        "pull_request": {
            "number": 7,
            "state": "open",
            "head": {"ref": "deeper-trees", "sha": HEAD, "repo": head_repository},
            "base": {"ref": "main", "sha": BASE, "repo": OURS},
            "labels": [{"id": 1, "name": "gpu"}],
        },
        "repository": OURS,
    }


def run_event(head_repository: dict[str, Any] | None, event: str = "pull_request") -> dict[str, Any]:
    return {
        "action": "completed",
        "workflow_run": {
            "id": 41,
            "run_attempt": 2,
            "event": event,
            "head_sha": HEAD,
            "head_branch": "main",
            "head_repository": head_repository,
            "pull_requests": [],
        },
        "repository": OURS,
    }


COMMENT = {
    "action": "created",
    "issue": {"number": 7, "pull_request": {"url": "https://api.github.com/repos/team/models/pulls/7"}},
    "comment": {"body": f"/mlci run {HEAD}", "user": {"login": "ada"}},
    "repository": OURS,
}
MERGE_GROUP = {
    "action": "checks_requested",
    "merge_group": {"head_sha": HEAD, "base_sha": BASE, "base_ref": "refs/heads/main"},
    "repository": OURS,
}
SEVEN = {"number": 7, "sha": HEAD, "head": None, "reason": None}
NOBODY = {"number": None, "head": None}


@pytest.mark.parametrize(
    ("name", "ref", "payload", "expected"),
    [
        pytest.param("pull_request", "refs/pull/7/merge", pull_event(), SEVEN | {"repository_id": "1296269"}, id="own"),
        pytest.param(
            "pull_request", "refs/pull/7/merge", pull_event(FORK), SEVEN | {"repository_id": "9000001"}, id="fork"
        ),
        pytest.param("pull_request", "refs/pull/7/merge", pull_event(None), SEVEN | {"repository_id": None}, id="gone"),
        pytest.param("pull_request", "refs/pull/7/merge", pull_event(action="labeled"), SEVEN, id="labeled"),
        pytest.param("pull_request_target", "refs/heads/main", pull_event(FORK), SEVEN, id="pull_request_target"),
        pytest.param("pull_request", "refs/pull/7/merge", {"repository": OURS}, NOBODY | {"sha": None}, id="garbled"),
        pytest.param(
            "push",
            "refs/heads/deeper-trees",
            {"repository": OURS},
            {"number": None, "head": "team:deeper-trees", "sha": HEAD, "repository_id": "1296269"},
            id="push with perhaps an open pull request",
        ),
        pytest.param("push", "refs/heads/main", {"repository": OURS}, NOBODY | {"sha": None}, id="push to main"),
        pytest.param("push", "refs/tags/v1", {"repository": OURS}, NOBODY | {"sha": None}, id="push of a tag"),
        pytest.param(
            "merge_group",
            "refs/heads/gh-readonly-queue/main/pr-7",
            MERGE_GROUP,
            NOBODY | {"sha": HEAD},
            id="merge queue",
        ),
        pytest.param(
            "issue_comment", "refs/heads/main", COMMENT, {"number": 7, "sha": None, "head": None}, id="issue_comment"
        ),
        pytest.param(
            "issue_comment", "refs/heads/main", COMMENT | {"issue": {"number": 7}}, NOBODY, id="comment on an issue"
        ),
        pytest.param(
            "workflow_dispatch",
            "refs/heads/main",
            {"inputs": {"pull-request": "7", "sha": HEAD}, "repository": OURS},
            SEVEN,
            id="dispatch for a commit of a pull request",
        ),
        pytest.param(
            "workflow_dispatch",
            "refs/heads/main",
            {"inputs": {"pull-request": "7"}, "repository": OURS},
            SEVEN | {"sha": None},
            id="dispatch for a pull request",
        ),
        pytest.param("workflow_dispatch", "refs/heads/main", {"repository": OURS}, NOBODY, id="dispatch"),
        pytest.param("schedule", "refs/heads/main", {"schedule": "0 3 * * *"}, NOBODY | {"sha": None}, id="schedule"),
        pytest.param("workflow_run", "refs/heads/main", run_event(FORK), NOBODY | {"sha": None}, id="workflow_run"),
    ],
)
def test_sought__events(tmp_path: Path, name: str, ref: str, payload: object, expected: dict[str, Any]) -> None:
    file = tmp_path / "event.json"
    file.write_text(json.dumps(payload))
    context = Context.from_environ(
        {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": name,
            "GITHUB_EVENT_PATH": str(file),
            "GITHUB_REF": ref,
            "GITHUB_SHA": HEAD,
            "GITHUB_REPOSITORY": "team/models",
            "GITHUB_REPOSITORY_ID": "1296269",
        }
    )
    found = sought(context)
    assert {field: getattr(found, field) for field in expected} == expected
    assert found.number or found.head or found.reason


def run(**changes: Any) -> WorkflowRun:
    given: dict[str, Any] = {
        "id": 41,
        "attempt": 1,
        "event": "pull_request",
        "path": ".github/workflows/mlci.yml",
        "head_sha": HEAD,
        "head_branch": "main",
        "head_owner": "stranger",
        "head_repository_id": "9000001",
        "repository_id": "1296269",
    }
    return WorkflowRun(**given | changes)


def test_sought_by_run__looks_for_the_head_that_github_names() -> None:
    assert sought_by_run(run(), "1296269") == Sought(sha=HEAD, head="stranger:main", repository_id="9000001")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"repository_id": "2"}, "is of repository id 2"),
        ({"repository_id": None}, "is of repository id None"),
        ({"event": "schedule"}, "was started by schedule"),
        ({"head_owner": None}, "is gone"),
        ({"head_repository_id": None}, "is gone"),
        ({"head_branch": None}, "is gone"),
    ],
)
def test_sought_by_run__nothing_where_it_does_not_fit(changes: dict[str, Any], said: str) -> None:
    found = sought_by_run(run(**changes), "1296269")
    assert (found.sha, found.number, found.head) == (None, None, None)
    assert said in str(found.reason)


def test_sought_by_run__the_merge_queue_has_a_status_only() -> None:
    found = sought_by_run(run(event="merge_group"), "1296269")
    assert (found.sha, found.head) == (HEAD, None)


def pull(**changes: Any) -> Pull:
    given: dict[str, Any] = {
        "number": 7,
        "open": True,
        "head_sha": HEAD,
        "head_repository_id": "9000001",
        "base_sha": BASE,
        "base_ref": "main",
        "merge_sha": None,
    }
    return Pull(**given | changes)


class Pulls:
    """A forge that knows pull requests."""

    def __init__(self, *pulls: Pull) -> None:
        self.known = pulls

    def pull(self, number: int) -> Pull:
        return next(item for item in self.known if item.number == number)

    def pulls(self, head: str) -> list[Pull]:
        assert head == "stranger:main"
        return list(self.known)


BY_HEAD = Sought(sha=HEAD, head="stranger:main", repository_id="9000001")
BY_NUMBER = Sought(sha=HEAD, number=7, repository_id="9000001")


@pytest.mark.parametrize("wanted", [BY_HEAD, BY_NUMBER, Sought(number=7)])
def test_locate__the_one_that_fits(wanted: Sought) -> None:
    assert locate(Pulls(pull()), wanted) == Place(pull=pull(), sha=HEAD)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "pulls", "sha", "said"),
    [
        (BY_HEAD, [], None, "no open pull request has the head stranger:main"),
        (BY_HEAD, [pull(), pull(number=8)], None, "2 open pull requests have the head"),
        (BY_HEAD, [pull(head_sha=OTHER)], None, "no open pull request"),
        (BY_HEAD, [pull(head_repository_id="1296269")], None, "no open pull request"),
        (BY_NUMBER, [pull(open=False)], None, "is closed"),
        (BY_NUMBER, [pull(head_repository_id=None)], None, "has its head in another repository"),
        (BY_NUMBER, [pull(head_sha=OTHER)], HEAD, "has moved to dddddddddd"),
        (Sought(sha=HEAD, reason="the merge queue"), [], HEAD, "the merge queue"),
    ],
)
def test_locate__anything_else_is_no_place_for_a_comment(
    wanted: Sought, pulls: list[Pull], sha: str | None, said: str
) -> None:
    place = locate(Pulls(*pulls), wanted)  # type: ignore[arg-type]
    assert place.pull is None
    assert place.sha == sha
    assert said in str(place.reason)
