"""`mlci baseline adopt`: what a pull request measured stands for the commit that merged it, if the tree is the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fakes.comparisons import failed, measured
from fakes.scenes import Scene, record_file, scene, zipped
from mlci.commands.baseline import adopt
from mlci.core.documents import Record
from mlci.errors import StoreError


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path) as made:
        # Squashed: another commit, the same tree.
        made.work.git("switch", "--quiet", "main")
        made.work.git("merge", "--quiet", "--squash", "deeper-trees")
        made.work.git("commit", "--quiet", "--message", "Deeper trees (#7)")
        made.main = made.work.git("rev-parse", "HEAD")
        made.pull.state, made.pull.merged_at, made.pull.merge_commit_sha = "closed", "2024-05-01T12:00:00Z", made.main
        yield made


def leave(team: Scene, *records: Record, **run: Any) -> None:
    given = records or (measured(commit=team.merge, metrics={"accuracy": 0.95}),)
    team.ran(zipped(record__json=record_file(*given)), **{"fork": False} | run)


def push(
    team: Scene, event: str = "push", ref: str = "refs/heads/main", workflow: str | None = None
) -> tuple[list[Record], str | None]:
    environ = team.environ(event, run=50, ref=ref) | {"GITHUB_REF": ref}
    return adopt(team.project(environ), team.forge(), workflow=workflow)


def test_adopt__the_same_tree(team: Scene) -> None:
    leave(team)
    [record], reason = push(team)
    assert reason is None
    assert (record.origin.commit, record.origin.event, record.origin.run_id) == (team.main, "push", "50")
    found = team.project(team.environ()).store.find("train", "default", [team.main])
    assert found == record


def test_adopt__again_changes_nothing(team: Scene) -> None:
    leave(team)
    push(team)
    assert push(team) == ([], None)


@pytest.mark.parametrize(
    "run",
    [
        {"event": "push"},
        {"path": ".github/workflows/other.yml"},
        {"conclusion": "failure"},
        {"fork": True},
        {"head_sha": "d" * 40},
    ],
)
def test_adopt__another_run_is_nothing(team: Scene, run: dict[str, Any]) -> None:
    leave(team, **run)
    reason = "no run of .github/workflows/mlci.yml on pull request 7 measured all that this event would run"
    assert push(team) == ([], reason)


def test_adopt__the_runs_of_a_workflow_that_is_named(team: Scene) -> None:
    leave(team, path=".github/workflows/pull-request.yml")
    assert push(team, workflow="pull-request.yml")[1] is None


def test_adopt__a_record_under_another_profile_or_without_all_runs(team: Scene) -> None:
    leave(team, msgspec.structs.replace(measured(commit=team.merge), profile="smoke"))
    assert push(team)[0] == []
    team.github.artifacts.clear()
    team.github.workflow_runs.clear()
    leave(team, measured("other", commit=team.merge))
    assert push(team)[0] == []


def test_adopt__a_tree_that_differs(team: Scene) -> None:
    leave(team)
    team.main = team.work.commit("other.py")
    team.pull.merge_commit_sha = team.main
    assert push(team) == ([], "pull request 7 measured another tree than was pushed")


def test_adopt__a_fork_s_pull_request(team: Scene) -> None:
    leave(team)
    team.pull.head_repository = team.fork
    assert push(team)[0] == []


def test_adopt__a_record_that_claims_another_commit(team: Scene) -> None:
    leave(team, measured(commit=team.work.git("rev-parse", "main~1"), metrics={"accuracy": 0.95}))
    assert push(team)[0] == []


def test_adopt__a_record_with_uncommitted_changes(team: Scene) -> None:
    record = measured(commit=team.merge)
    leave(team, msgspec.structs.replace(record, origin=msgspec.structs.replace(record.origin, dirty=True)))
    assert push(team)[0] == []


def test_adopt__a_run_that_did_not_succeed(team: Scene) -> None:
    leave(team, failed(commit=team.merge))
    assert push(team)[0] == []


@pytest.mark.parametrize(("event", "ref"), [("push", "refs/heads/feature"), ("schedule", "refs/heads/main")])
def test_adopt__only_a_push_to_the_default_branch(team: Scene, event: str, ref: str) -> None:
    with pytest.raises(StoreError, match="only a push to the default branch"):
        push(team, event, ref)
