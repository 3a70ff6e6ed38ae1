"""The remaining examples run to their end and do what they are for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from e2e.runner import Finished, Installed
from e2e.team import CONFIG, Shown, Team, team

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("e2e")]

FULL = f"""{CONFIG}
[profiles.full]
events = ["pull_request"]
"""


@dataclass
class Told:
    """A workflow run of a pull request, and what people saw after it."""

    finished: Finished
    shown: Shown


@dataclass
class Story:
    """One run of each workflow, and a pull request for each that wants one."""

    team: Team
    main: str
    nightly: Finished
    one_step: Told
    reusable: Told
    enterprise: Told
    nothing: Told


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, installed: Installed) -> Iterator[Story]:
    with team(tmp_path_factory.mktemp("others"), installed, FULL) as here:
        main = here.work.git("rev-parse", "main")
        nightly = here.run("schedule", "nightly.yml", at=main, schedule="17 3 * * *")

        def proposed(number: int, workflow: str, *, needs: str = "", enterprise: bool = False) -> Told:
            files = {"train.py": here.train(0.8), "requirements.txt": needs}
            pull = here.propose(number, f"branch-{number}", files)
            assert pull.merge_commit_sha
            finished = here.run("pull_request", workflow, at=pull.merge_commit_sha, pull=pull, enterprise=enterprise)
            return Told(finished, here.shown(pull.head_sha, pull))

        yield Story(
            here,
            main,
            nightly,
            one_step=proposed(7, "one-step.yml"),
            reusable=proposed(8, "call-reusable.yml"),
            enterprise=proposed(9, "enterprise-server.yml", enterprise=True),
            nothing=proposed(10, "pull-request.yml", needs="./no-such-package"),
        )


def test_nightly__saves_the_baseline_of_its_profile(story: Story) -> None:
    assert story.nightly.jobs == {"run": ["success"], "baseline": ["success"]}
    assert story.team.baselines() == [f"runs/train/full/{story.main[:2]}/{story.main}.json"]


def test_one_step__comments_sets_the_status_and_fails(story: Story) -> None:
    assert story.one_step.finished.jobs == {"mlci": ["failure"]}
    check_fails(story.one_step.shown)


def test_reusable__comments_sets_the_status_and_fails(story: Story) -> None:
    assert not story.reusable.finished.succeeded
    check_fails(story.reusable.shown)


def test_enterprise_server__comments_and_sets_the_status_through_its_own_addresses(story: Story) -> None:
    assert story.enterprise.finished.jobs == {"run": ["failure"], "post": ["success"]}
    check_fails(story.enterprise.shown)


def test_pull_request__where_nothing_was_measured_comment_and_status_say_so(story: Story) -> None:
    assert story.nothing.finished.jobs == {"run": ["failure"], "post": ["success"]}
    assert story.nothing.shown.comment.startswith("### ❌ mlci: nothing was measured")
    assert story.nothing.shown.status.state == "error"


def check_fails(shown: Shown) -> None:
    assert shown.comment.startswith("### ❌ mlci: fail, blocking: 1 metric worse than allowed")
    assert "0.9005 → 0.8005" in shown.comment
    assert shown.status.state == "failure"


def test_code__runs_and_holds_no_token(story: Story) -> None:
    assert {what[:2] for what in story.team.executed} == {("41", "run"), ("42", "mlci"), ("43", "run"), ("44", "run")}
    assert {what[2:] for what in story.team.executed} == {("us",)}


def test_tokens__are_nowhere(story: Story) -> None:
    assert story.team.leaks() == []
