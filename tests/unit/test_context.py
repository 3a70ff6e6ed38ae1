from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlci.context import Context, Trigger

MAIN, HEAD, MERGE = "a" * 40, "b" * 40, "c" * 40
REPOSITORY = {"id": 1296269, "full_name": "team/models", "default_branch": "main"}
FORK = {"id": 9000001, "full_name": "stranger/models", "default_branch": "main"}


def pull_request(head_repository: dict[str, Any] | None, **changes: Any) -> dict[str, Any]:
    return {
        "action": "synchronize",
        "number": 7,
        "pull_request": {
            "number": 7,
            "head": {"ref": "deeper-trees", "sha": HEAD, "repo": head_repository},
            "base": {"ref": "main", "sha": MAIN, "repo": REPOSITORY},
            "labels": [],
        }
        | changes,
        "repository": REPOSITORY,
    }


MERGE_GROUP = {
    "action": "checks_requested",
    "merge_group": {
        "head_sha": HEAD,
        "head_ref": f"refs/heads/gh-readonly-queue/main/pr-7-{MAIN}",
        "base_sha": MAIN,
        "base_ref": "refs/heads/main",
    },
    "repository": REPOSITORY,
}


@pytest.fixture
def event(tmp_path: Path) -> Any:
    """Makes the environment of a step, from the event's name, ref, commit and payload."""

    def make(name: str, ref: str, sha: str, payload: object, **more: str) -> dict[str, str]:
        path = tmp_path / "event.json"
        path.write_bytes(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
        return {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": name,
            "GITHUB_EVENT_PATH": str(path),
            "GITHUB_REF": ref,
            "GITHUB_SHA": sha,
            "GITHUB_REPOSITORY": "team/models",
            "GITHUB_REPOSITORY_ID": "1296269",
            "GITHUB_RUN_ID": "30433642",
            "GITHUB_RUN_ATTEMPT": "2",
            "GITHUB_WORKFLOW": "mlci",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_API_URL": "https://api.github.com",
            **more,
        }

    return make


PULL = {
    "pull_request": 7,
    "base_sha": MAIN,
    "base_ref": "main",
    "head_sha": HEAD,
    "is_pull_request": True,
    "is_candidate": True,
    "on_default_branch": False,
    "branch": None,
}
ON_MAIN = {
    "branch": "main",
    "default_branch": "main",
    "pull_request": None,
    "base_sha": None,
    "is_candidate": False,
    "on_default_branch": True,
    "from_fork": False,
}


@pytest.mark.parametrize(
    ("name", "ref", "payload", "expected"),
    [
        pytest.param(
            "pull_request",
            "refs/pull/7/merge",
            pull_request(REPOSITORY),
            PULL | {"from_fork": False, "head_repository_id": "1296269"},
            id="pull request of the repository",
        ),
        pytest.param(
            "pull_request",
            "refs/pull/7/merge",
            pull_request(FORK),
            PULL | {"from_fork": True, "head_repository_id": "9000001"},
            id="pull request of a fork",
        ),
        pytest.param(
            "pull_request",
            "refs/pull/7/merge",
            pull_request(None),
            PULL | {"from_fork": True, "head_repository_id": None},
            id="pull request of a fork that is gone",
        ),
        pytest.param(
            "pull_request",
            "refs/pull/7/merge",
            pull_request(REPOSITORY, labels=[{"id": 1, "name": "gpu"}, {"id": 2, "name": "full run"}])
            | {"action": "labeled"},
            PULL | {"labels": ("gpu", "full run")},
            id="labeled",
        ),
        pytest.param(
            "pull_request_target",
            "refs/heads/main",
            pull_request(FORK),
            PULL | {"from_fork": True, "branch": "main"},
            id="pull_request_target",
        ),
        pytest.param(
            "merge_group",
            "refs/heads/gh-readonly-queue/main/pr-7",
            MERGE_GROUP,
            {
                "base_sha": MAIN,
                "base_ref": "main",
                "head_sha": HEAD,
                "pull_request": None,
                "is_pull_request": False,
                "is_candidate": True,
                "on_default_branch": False,
                "from_fork": False,
            },
            id="merge queue",
        ),
        pytest.param(
            "push",
            "refs/heads/main",
            {"ref": "refs/heads/main", "after": MERGE, "repository": REPOSITORY},
            ON_MAIN,
            id="push to main",
        ),
        pytest.param(
            "push",
            "refs/heads/deeper-trees",
            {"repository": REPOSITORY},
            ON_MAIN | {"branch": "deeper-trees", "on_default_branch": False},
            id="push to another branch",
        ),
        pytest.param(
            "push",
            "refs/tags/main",
            {"repository": REPOSITORY},
            ON_MAIN | {"branch": None, "on_default_branch": False},
            id="push of a tag called main",
        ),
        pytest.param(
            "schedule",
            "refs/heads/main",
            {"schedule": "0 3 * * *"},
            ON_MAIN,
            id="schedule, whose payload names no repository",
        ),
        pytest.param(
            "workflow_dispatch",
            "refs/heads/main",
            {"inputs": {}, "repository": REPOSITORY},
            ON_MAIN,
            id="workflow_dispatch",
        ),
        pytest.param(
            "workflow_run",
            "refs/heads/main",
            {"workflow_run": {"head_branch": "main", "head_repository": FORK}, "repository": REPOSITORY},
            ON_MAIN | {"on_default_branch": False, "from_fork": True, "head_repository_id": "9000001"},
            id="workflow_run, where a fork may call its branch main",
        ),
        pytest.param(
            "workflow_run",
            "refs/heads/main",
            {
                "workflow_run": {
                    "id": 41,
                    "run_attempt": 3,
                    "event": "pull_request",
                    "head_sha": HEAD,
                    "head_branch": "deeper-trees",
                    "head_repository": REPOSITORY | {"owner": {"login": "team"}},
                },
                "repository": REPOSITORY,
            },
            {
                "trigger": Trigger(run_id="41", attempt=3, event="pull_request"),
                "head_sha": HEAD,
                "head_branch": "deeper-trees",
                "head_owner": "team",
                "from_fork": False,
                "on_default_branch": False,
                "is_candidate": False,
            },
            id="workflow_run of the repository itself",
        ),
        pytest.param(
            "issue_comment",
            "refs/heads/main",
            {
                "action": "created",
                "issue": {"number": 7, "pull_request": {"url": "there"}},
                "comment": {"body": f"/mlci run {HEAD}", "user": {"login": "ada"}},
                "repository": REPOSITORY,
            },
            {"pull_request": 7, "comment": f"/mlci run {HEAD}", "comment_author": "ada", "on_default_branch": False},
            id="issue_comment on a pull request",
        ),
        pytest.param(
            "issue_comment",
            "refs/heads/main",
            {"issue": {"number": 8}, "comment": {"body": "Hello", "user": {"login": "ada"}}, "repository": REPOSITORY},
            {"pull_request": None, "comment": "Hello"},
            id="issue_comment on an issue",
        ),
        pytest.param(
            "workflow_dispatch",
            "refs/heads/main",
            {"inputs": {"pull-request": "7", "sha": HEAD}, "repository": REPOSITORY},
            {"pull_request": 7, "head_sha": HEAD, "on_default_branch": False, "is_candidate": True, "from_fork": False},
            id="workflow_dispatch for a pull request, whose results are not the default branch's",
        ),
        pytest.param(
            "workflow_dispatch",
            "refs/heads/main",
            {"inputs": {"pull-request": "seven", "sha": "main"}, "repository": REPOSITORY},
            {"pull_request": None, "head_sha": None, "on_default_branch": True},
            id="workflow_dispatch with inputs of something else",
        ),
    ],
)
def test_from_environ__events(event: Any, name: str, ref: str, payload: object, expected: dict[str, Any]) -> None:
    context = Context.from_environ(event(name, ref, MERGE, payload))
    assert {field: getattr(context, field) for field in expected} == expected


def test_from_environ__what_the_runner_says_of_itself(event: Any) -> None:
    context = Context.from_environ(event("push", "refs/heads/main", MERGE, {"repository": REPOSITORY}))
    assert context.in_actions
    assert (context.repository, context.repository_id) == ("team/models", "1296269")
    assert (context.sha, context.run_id, context.run_attempt) == (MERGE, "30433642", 2)
    assert context.run_url == "https://github.com/team/models/actions/runs/30433642"


def test_from_environ__takes_the_repository_id_from_the_payload_where_the_runner_is_silent(
    event: Any,
) -> None:
    environ = event("push", "refs/heads/main", MERGE, {"repository": REPOSITORY}, GITHUB_REPOSITORY_ID="")
    assert Context.from_environ(environ).repository_id == "1296269"


def test_from_environ__a_laptop() -> None:
    context = Context.from_environ({"PATH": "/bin", "GITHUB_REF": "refs/heads/main"})
    assert context == Context(event="local")
    assert not context.in_actions
    assert not context.is_candidate
    assert not context.on_default_branch


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"pull_request": ' * 5_000,
        b'{"pull_request": {"number": ' + b"9" * 10_000 + b"}}",
        b'{"pull_request": 7, "repository": "team/models", "merge_group": []}',
        b'{"pull_request": {"number": "7", "base": [], "head": {"repo": 3}, "labels": {"name": "gpu"}}}',
        b'{"pull_request": {"number": true, "labels": [null, "gpu", {"name": null}, {"name": []}]}}',
        b'{"pull_request": {"base": {"sha": "--upload-pack=evil"}, "head": {"sha": "HEAD"}}}',
    ],
)
def test_from_environ__a_garbled_payload_only_leaves_fields_empty(event: Any, payload: bytes) -> None:
    context = Context.from_environ(event("pull_request", "refs/pull/7/merge", MERGE, payload))
    assert context.is_candidate
    assert context.sha == MERGE
    assert (context.pull_request, context.base_sha, context.head_sha, context.labels) == (
        None,
        None,
        None,
        (),
    )
    assert context.from_fork


def test_from_environ__a_payload_that_is_not_there(event: Any, tmp_path: Path) -> None:
    environ = event("push", "refs/heads/main", MERGE, {}, GITHUB_EVENT_PATH=str(tmp_path / "absent"))
    assert Context.from_environ(environ).default_branch is None


def test_from_environ__a_payload_that_is_too_large_is_not_read(event: Any) -> None:
    padded = json.dumps({"repository": REPOSITORY}).encode() + b" " * (25 * 1024 * 1024)
    assert Context.from_environ(event("push", "refs/heads/main", MERGE, padded)).default_branch is None


def test_from_environ__half_a_surrogate_pair_can_be_written_afterwards(event: Any) -> None:
    payload = b'{"pull_request": {"labels": [{"name": "gpu\\ud83d"}]}}'
    context = Context.from_environ(event("pull_request", "refs/pull/7/merge", MERGE, payload))
    assert [label.encode() for label in context.labels] == [b"gpu?"]


def test_from_environ__a_commit_that_is_none_is_empty(event: Any) -> None:
    assert Context.from_environ(event("push", "refs/heads/main", "main; rm -rf", {})).sha is None


@pytest.mark.parametrize(
    ("given", "token"),
    [
        ({"GITHUB_TOKEN": "ghs_job"}, "ghs_job"),
        ({"MLCI_GITHUB_TOKEN": "ghs_input"}, "ghs_input"),
        ({"MLCI_GITHUB_TOKEN": "ghs_input", "GITHUB_TOKEN": "ghs_job"}, "ghs_input"),
        ({"MLCI_GITHUB_TOKEN": "", "GITHUB_TOKEN": ""}, None),
    ],
)
@pytest.mark.parametrize("runner", [{}, {"GITHUB_ACTIONS": "true"}])
def test_from_environ__token(runner: dict[str, str], given: dict[str, str], token: str | None) -> None:
    context = Context.from_environ(runner | given)
    assert context.token == token
    assert "ghs_" not in repr(context)
