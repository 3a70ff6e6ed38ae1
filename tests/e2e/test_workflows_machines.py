"""several-machines.yml: one report of two machines, also where one of them dies, before or after it left something."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from e2e.runner import Finished, Installed
from e2e.team import CONFIG, Shown, Team, team

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("e2e-2")]

GPU = '["self-hosted", "gpu"]'
TWO_RUNS = f"""{CONFIG}
[runs.deep]
script = "deep.py"
seeds = [0, 1]
metrics = ["deep.json"]
runs-on = {GPU}
"""
KILL = "import signal; os.kill(os.getppid(), signal.SIGKILL)"  # of mlci, which the machine takes with it
GONE = f"import shutil; shutil.rmtree('.mlci'); {KILL}"
HALFWAY = f"if seed: {KILL}"


@dataclass
class Told:
    """A workflow run of a pull request, and what people saw after it."""

    finished: Finished
    shown: Shown


@dataclass
class Story:
    """Three pull requests, each with both runs."""

    team: Team
    whole: Told
    gone: Told
    halfway: Told


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, installed: Installed) -> Iterator[Story]:
    with team(tmp_path_factory.mktemp("machines"), installed, TWO_RUNS) as here:
        here.work.git("switch", "--quiet", "main")
        here.commit("Add a second model", {"deep.py": here.train(0.7, file="deep.json")})
        here.push("main", "refs/heads/main")
        main = here.work.git("rev-parse", "main")
        assert here.run("push", "main.yml", at=main, ref="refs/heads/main").succeeded

        def proposed(number: int, code: str) -> Told:
            deep = here.train(0.75, file="deep.json", code=code)
            pull = here.propose(number, f"branch-{number}", {"deep.py": deep})
            assert pull.merge_commit_sha
            finished = here.run(
                "pull_request",
                "several-machines.yml",
                at=pull.merge_commit_sha,
                pull=pull,
                labels=("self-hosted", "gpu"),
            )
            return Told(finished, here.shown(pull.head_sha, pull))

        yield Story(here, proposed(7, ""), proposed(8, GONE), proposed(9, HALFWAY))


def test_plan__each_run_on_the_machine_that_it_asks_for(story: Story) -> None:
    assert '"runs-on": "[\\"self-hosted\\", \\"gpu\\"]"' in story.whole.finished.outputs["matrix"]
    assert story.whole.finished.jobs == {"plan": ["success"], "run": ["success"] * 2, "report": ["success"]}


def test_report__of_two_machines_is_one(story: Story) -> None:
    assert story.whole.shown.comment.startswith("### ✅ mlci: pass")
    assert "| `deep` | `accuracy` | 0.7005 | 0.7505 |" in story.whole.shown.comment
    assert "| `train` | `accuracy` | 0.9005 | 0.9005 |" in story.whole.shown.comment
    assert story.whole.shown.status.state == "success"


def test_report__a_machine_that_left_nothing_is_said_and_blocks(story: Story) -> None:
    assert story.gone.finished.jobs["report"] == ["failure"]
    assert story.gone.shown.comment.startswith("### ❌ mlci: fail, blocking: 1 run did not succeed")
    assert "\n- `deep` " in story.gone.shown.comment
    assert story.gone.shown.status.state == "failure"


def test_report__of_the_machine_that_lived_is_whole(story: Story) -> None:
    assert "| `train` | `accuracy` | 0.9005 | 0.9005 |" in story.gone.shown.comment


def test_report__a_machine_that_died_between_two_seeds_blocks(story: Story) -> None:
    assert story.halfway.finished.jobs["report"] == ["failure"]
    assert story.halfway.shown.comment.startswith("### ❌ mlci: fail, blocking: 1 run did not succeed")
    assert story.halfway.shown.status.state == "failure"


def test_code__runs_where_nothing_may_be_written(story: Story) -> None:
    assert {what[1:] for what in story.team.executed} == {("run", "us")}


def test_tokens__are_nowhere(story: Story) -> None:
    assert story.team.leaks() == []
