"""A fork's pull request: measured without rights, reported by another workflow, run again where somebody asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from e2e.runner import Finished, Installed
from e2e.team import Shown, Team, repository_payload, team
from fakes.github.state import Dispatch
from fakes.github_server import Pull, WorkflowRun

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("e2e-2")]

HEADLINE = "fail, blocking: 1 metric worse than allowed, 1 worse without a rule, 1 of 2 metrics gated"


@dataclass
class Story:
    """What happened, in its order."""

    team: Team
    main: str
    pull: Pull
    pushed: Finished
    measured: Finished
    measured_run: WorkflowRun
    written_by_fork: tuple[int, int]
    reported: Finished
    shown: Shown
    asked_by_stranger: Finished
    dispatches_of_stranger: list[Dispatch]
    asked: Finished
    requested: Finished


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, installed: Installed) -> Iterator[Story]:
    with team(tmp_path_factory.mktemp("forks"), installed) as here:
        main = here.work.git("rev-parse", "main")
        pushed = here.run("push", "one-step.yml", at=main, ref="refs/heads/main")
        pull = here.propose(8, "deeper-trees", {"train.py": here.train(0.8, author="stranger")}, fork=True)
        assert pull.merge_commit_sha
        measured = here.run("pull_request", "pull-request.yml", at=pull.merge_commit_sha, pull=pull)
        written = len(here.github.comments), len(here.github.statuses)
        run = here.github.workflow_runs[max(here.github.workflow_runs)]

        ended = here.run("workflow_run", "fork-comment.yml", at=main, action="completed", workflow_run=_ended(run))
        shown = here.shown(pull.head_sha, pull)

        def ask(login: str) -> Finished:
            comment = {"id": 1, "body": f"/mlci run {pull.head_sha}\n", "user": {"login": login}}
            issue = {"number": 8, "pull_request": {"url": f"{here.api.url}/repos/team/models/pulls/8"}}
            return here.run("issue_comment", "on-request.yml", at=main, action="created", issue=issue, comment=comment)

        stranger, theirs = ask("contributor"), list(here.github.dispatches)
        asked = ask("ada")
        inputs = {"pull-request": "8", "sha": pull.head_sha}
        requested = here.run("workflow_dispatch", "requested.yml", at=main, ref="refs/heads/main", inputs=inputs)
        yield Story(here, main, pull, pushed, measured, run, written, ended, shown, stranger, theirs, asked, requested)


def _ended(run: WorkflowRun) -> dict[str, Any]:
    """A workflow run in the event that it ended."""
    return {
        "id": run.id,
        "name": run.name,
        "path": run.path,
        "event": run.event,
        "run_attempt": run.run_attempt,
        "conclusion": run.conclusion,
        "head_sha": run.head_sha,
        "head_branch": run.head_branch,
        "head_repository": repository_payload(run.head_repository),
        "pull_requests": [],
    }


def test_one_step__a_push_to_main_saves_the_baseline(story: Story) -> None:
    assert story.pushed.jobs == {"mlci": ["success"]}
    assert story.team.baselines() == [f"runs/train/default/{story.main[:2]}/{story.main}.json"]


def test_pull_request__a_fork_is_measured_and_nothing_posted(story: Story) -> None:
    assert story.measured.jobs == {"run": ["failure"]}
    assert story.measured.outputs["verdict"] == "fail"
    assert story.written_by_fork == (0, 0)
    assert [item.name for item in story.team.github.artifacts.values() if item.run is story.measured_run] == ["mlci"]


def test_fork_comment__says_whose_numbers_they_are(story: Story) -> None:
    assert story.reported.jobs == {"post": ["success"]}
    body = story.shown.comment
    assert body.splitlines()[0] == f"### ❌ mlci: {HEADLINE}"
    assert "fork" in body
    assert "`train` `accuracy` 0.9005 → 0.8005 (−11.1%" in body
    assert f"Commit `{story.pull.head_sha[:7]}`, baseline `{story.main[:7]}`" in body


def test_fork_comment__the_status_is_of_the_forks_head(story: Story) -> None:
    assert story.shown.status.state == "failure"
    assert story.shown.status.description == HEADLINE


def test_fork_comment__the_default_branch_is_all_that_is_checked_out(story: Story) -> None:
    assert story.reported.every_output("commit") == {story.main}


def test_on_request__a_stranger_starts_nothing(story: Story) -> None:
    assert story.asked_by_stranger.jobs == {"dispatch": ["success"]}
    assert "contributor may not start runs: it takes write access to the repository" in story.asked_by_stranger.log
    assert story.dispatches_of_stranger == []


def test_on_request__a_maintainer_starts_the_workflow_for_the_head(story: Story) -> None:
    assert story.asked.jobs == {"dispatch": ["success"]}
    [made] = story.team.github.dispatches
    assert (made.workflow, made.ref) == ("requested.yml", "main")
    assert made.inputs == {"pull-request": "8", "sha": story.pull.head_sha}
    assert story.asked.every_output("commit") == {story.main}


def test_requested__runs_the_head_and_posts_from_the_default_branch(story: Story) -> None:
    assert story.requested.jobs == {"run": ["failure"], "post": ["success"]}
    assert story.requested.every_output("commit") == {story.main, story.pull.head_sha}


def test_requested__updates_the_same_comment(story: Story) -> None:
    now = story.team.shown(story.pull.head_sha, story.pull)
    assert now.comments.keys() == story.shown.comments.keys()
    assert "`train` `accuracy` 0.9005 → 0.8005 (−11.1%" in now.comment
    assert f" run=46 attempt=1 head={story.pull.head_sha} " in now.comment.splitlines()[-1]
    assert now.status.state == "failure"
    assert (now.status.target_url or "").endswith("/team/models/actions/runs/46/attempts/1")


def test_code__runs_where_nothing_may_be_written(story: Story) -> None:
    assert story.team.executed == {("41", "mlci", "us"), ("42", "run", "stranger"), ("46", "run", "stranger")}


def test_tokens__are_nowhere(story: Story) -> None:
    assert story.team.leaks() == []
