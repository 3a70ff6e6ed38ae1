"""main.yml and pull-request.yml: a push, a pull request that gets worse and then better, the queue, and the merge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from e2e.runner import Finished, Installed
from e2e.team import Shown, Team, team
from fakes.github_server import Pull

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("e2e")]

HEADLINE = "fail, blocking: 1 metric worse than allowed, 1 worse without a rule, 1 of 2 metrics gated"


@dataclass
class Told:
    """A workflow run of a pull request, and what people saw after it."""

    finished: Finished
    head: str
    shown: Shown


@dataclass
class Story:
    """What happened, in its order."""

    team: Team
    main: str
    pull: Pull
    pushed: Finished
    baselines: list[str]
    worse: Told
    fixed: Told
    queued: Told
    merge: str
    merged: Finished


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, installed: Installed) -> Iterator[Story]:
    with team(tmp_path_factory.mktemp("workflows"), installed) as here:
        main = here.work.git("rev-parse", "main")
        pushed = here.run("push", "main.yml", at=main, ref="refs/heads/main")
        baselines = here.baselines()

        def proposed(accuracy: float) -> Told:
            pull = here.propose(7, "deeper-trees", {"train.py": here.train(accuracy)})
            assert pull.merge_commit_sha
            finished = here.run("pull_request", "pull-request.yml", at=pull.merge_commit_sha, pull=pull)
            return Told(finished, pull.head_sha, here.shown(pull.head_sha, pull))

        worse, fixed = proposed(0.8), proposed(0.92)
        pull = here.github.pulls[7]
        queue = f"gh-readonly-queue/main/pr-7-{main}"
        merge = here.merge(pull, "Merge pull request #7")
        here.push(merge, f"refs/heads/{queue}")
        group = {"head_sha": merge, "head_ref": f"refs/heads/{queue}", "base_sha": main, "base_ref": "refs/heads/main"}
        finished = here.run("merge_group", "pull-request.yml", at=merge, merge_group=group)
        queued = Told(finished, merge, here.shown(merge, pull))

        here.work.git("branch", "--force", "main", merge)
        here.push("main", "refs/heads/main")
        pull.state, pull.merged_at, pull.merge_commit_sha = "closed", here.api.now(), merge
        merged = here.run("push", "main.yml", at=merge, ref="refs/heads/main")
        yield Story(here, main, pull, pushed, baselines, worse, fixed, queued, merge, merged)


def test_main__a_push_without_a_pull_request_is_measured(story: Story) -> None:
    assert story.pushed.jobs == {"adopt": ["success"], "run": ["success"], "baseline": ["success"]}
    assert story.pushed.outputs["adopted"] == "false"
    assert "nothing adopted: no pull request of this repository brought this commit" in story.pushed.log


def test_main__saves_the_baseline(story: Story) -> None:
    assert story.baselines == [f"runs/train/default/{story.main[:2]}/{story.main}.json"]


def test_pull_request__a_regression_fails_the_job_that_ran_and_not_the_one_that_posts(story: Story) -> None:
    assert story.worse.finished.jobs == {"run": ["failure"], "post": ["success"]}


def test_pull_request__one_comment_names_the_regression_and_the_baseline(story: Story) -> None:
    body = story.worse.shown.comment
    assert body.splitlines()[0] == f"### ❌ mlci: {HEADLINE}"
    assert "`train` `accuracy` 0.9005 → 0.8005 (−11.1%, 2 unpaired seeds): 0.1 worse, at most 0.01 allowed" in body
    assert f"Commit `{story.worse.head[:7]}`, baseline `{story.main[:7]}` (the merge base)" in body
    assert f" run=42 attempt=1 head={story.worse.head} " in body.splitlines()[-1]


def test_pull_request__the_status_fails_on_the_head(story: Story) -> None:
    status = story.worse.shown.status
    assert (status.state, status.sha) == ("failure", story.worse.head)
    assert status.description == HEADLINE
    assert status.target_url == f"{story.team.server.url}/team/models/actions/runs/42/attempts/1"


def test_pull_request__a_second_push_updates_the_comment_in_place(story: Story) -> None:
    assert story.fixed.finished.jobs == {"run": ["success"], "post": ["success"]}
    assert story.fixed.shown.comments.keys() == story.worse.shown.comments.keys()
    body = story.fixed.shown.comment
    assert body.startswith("### ✅ mlci: pass")
    assert f"Commit `{story.fixed.head[:7]}`, baseline `{story.main[:7]}`" in body
    assert "| 0.9005 | 0.9205 | +0.0200 (+0.0179 … +0.0221), improved |" in body
    assert "0.8005" not in body


def test_pull_request__a_second_push_sets_the_new_heads_status_only(story: Story) -> None:
    assert story.fixed.shown.status.state == "success"
    assert story.team.shown(story.worse.head).status.state == "failure"


def test_merge_group__a_status_on_its_commit_and_no_comment(story: Story) -> None:
    assert story.queued.finished.jobs == {"run": ["success"], "post": ["success"]}
    assert story.queued.shown.status.state == "success"
    assert story.queued.shown.comments == story.fixed.shown.comments


def test_main__a_merge_of_what_was_measured_is_adopted(story: Story) -> None:
    assert story.merged.succeeded
    assert story.merged.outputs["adopted"] == "true"
    assert story.merged.jobs == {"adopt": ["success"]}
    assert f"runs/train/default/{story.merge[:2]}/{story.merge}.json" in story.team.baselines()


def test_code__runs_in_its_own_job_only_and_holds_no_token(story: Story) -> None:
    assert story.team.executed == {(run, "run", "us") for run in ("41", "42", "43", "44")}


def test_tokens__are_nowhere(story: Story) -> None:
    assert story.team.leaks() == []
