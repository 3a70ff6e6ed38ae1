"""`mlci dispatch`: a comment of somebody who may push starts a workflow; nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.github_server import Fault
from fakes.scenes import Scene, scene
from mlci.commands.dispatch import dispatch
from mlci.errors import ForgeError


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path, fork=True) as made:
        made.github.workflows.add("requested.yml")
        made.github.permissions |= {"grace": "admin", "linus": "read"}
        for login in ("grace", "linus", "mallory"):
            made.server.user(login)
        yield made


def ask(team: Scene, body: str | None = None, author: str = "ada", **issue: Any) -> str:
    payload: dict[str, Any] = {
        "issue": {"number": 7, "pull_request": {"url": "there"}} | issue,
        "comment": {"body": f"/mlci run {team.head}" if body is None else body, "user": {"login": author}},
    }
    context = team.project(team.environ("issue_comment", **payload)).context
    return dispatch(context, team.forge(), "requested.yml")


@pytest.mark.parametrize("author", ["ada", "grace"])
def test_dispatch__starts_the_workflow_at_the_commit_that_was_named(team: Scene, author: str) -> None:
    assert ask(team, author=author) == f"started requested.yml for pull request 7 at {team.head[:10]}"
    [started] = team.github.dispatches
    assert (started.workflow, started.ref) == ("requested.yml", "main")
    assert started.inputs == {"pull-request": "7", "sha": team.head}


@pytest.mark.parametrize("author", ["linus", "mallory", "", "../ada", "ada/../grace"])
def test_dispatch__takes_write_access(team: Scene, author: str) -> None:
    assert "may not start runs: it takes write access" in ask(team, author=author)
    assert team.github.dispatches == []


@pytest.mark.parametrize(
    "body",
    [
        "",
        "Looks good",
        "/mlci run",
        "/mlci run main",
        "/mlci run abc1234",
        "please /mlci run " + "b" * 40,
        "/mlci run " + "b" * 41,
        "/mlci run " + "b" * 40 + "\n/mlci run " + "c" * 40,
        "> /mlci run " + "b" * 40,
    ],
)
def test_dispatch__any_other_comment_is_passed_over(team: Scene, body: str) -> None:
    assert ask(team, body).startswith("nothing to do: ")
    assert team.server.requests == []


def test_dispatch__a_comment_on_an_issue_is_passed_over(team: Scene) -> None:
    assert ask(team, pull_request=None) == "nothing to do: the comment is not on a pull request"


def test_dispatch__a_commit_that_is_no_longer_the_head(team: Scene) -> None:
    asked = f"/mlci run {team.head}"
    team.pull.head_sha = "d" * 40
    with pytest.raises(ForgeError, match=f"{team.head[:10]} is not the head of pull request 7, which is dddddddddd"):
        ask(team, asked)
    assert team.github.dispatches == []


def test_dispatch__a_closed_pull_request(team: Scene) -> None:
    team.pull.state = "closed"
    with pytest.raises(ForgeError, match="pull request 7 is closed"):
        ask(team)


def test_dispatch__a_workflow_that_is_not_there(team: Scene) -> None:
    team.github.workflows.clear()
    with pytest.raises(ForgeError, match=r"there is no workflow requested.yml on main"):
        ask(team)


def test_dispatch__an_answer_that_was_lost_is_said_and_not_repeated(team: Scene) -> None:
    team.server.arm(Fault("committed-502", path="dispatches"))
    with pytest.raises(ForgeError, match=r"it is not known whether requested\.yml was started"):
        ask(team)
    assert len(team.github.dispatches) == 1


def test_dispatch__without_the_permission(team: Scene) -> None:
    team.server.arm(Fault("read-only", path="dispatches"))
    with pytest.raises(ForgeError) as caught:
        ask(team)
    assert "actions: write" in str(caught.value.hint)
