"""`mlci ci`, `run` and `comment` as processes, in the events of pull requests, against a GitHub that remembers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.command_line import MLCI, Done
from fakes.github_server import Fault
from fakes.scenes import CONFIG, TOKEN, Scene, scene

TRAIN = "import json; json.dump({'accuracy': 0.8}, open('metrics.json', 'w'))"
RUNS = CONFIG.replace('command = ["true"]', f'command = ["python", "-c", """{TRAIN}"""]\nmetrics = ["metrics.json"]')


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path) as made:
        made.configure(RUNS)
        yield made


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path, fork=True) as made:
        made.configure(RUNS)
        made.server.token(TOKEN, default="read")
        yield made


def mlci(team: Scene, *arguments: str, event: str = "pull_request", **environ: Any) -> Done:
    done = subprocess.run(
        [*MLCI, *arguments],
        cwd=team.work.folder,
        env=team.environ(event) | {"MLCI_PYTHON": sys.executable} | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def test_ci__posts_then_gates(team: Scene) -> None:
    done = mlci(team, "ci")
    assert done.code == 5
    assert team.comments[0].startswith("### ❌ mlci: fail, blocking: 1 metric worse than allowed")
    assert team.statuses["mlci/main"][0] == "failure"
    outputs = (team.folder / "output").read_text()
    assert "comment-url" in outputs
    assert TOKEN not in done.out + done.err + outputs + team.summary


def test_ci__no_post_asks_github_nothing(team: Scene) -> None:
    assert mlci(team, "ci", "--no-post").code == 5
    assert team.server.requests == []


def test_ci__of_a_fork_works_and_leaves_posting_to_another_workflow(stranger: Scene) -> None:
    done = mlci(stranger, "ci")
    assert done.code == 5
    assert stranger.server.requests == []
    assert "a workflow on workflow_run comments" in done.err
    assert stranger.summary.startswith("### ❌ mlci: fail, blocking")
    assert (stranger.work.folder / ".mlci/record.json").is_file()


def test_ci__a_token_that_only_reads_warns_and_the_gate_decides(team: Scene) -> None:
    team.server.token(TOKEN, default="read")
    done = mlci(team, "ci")
    assert done.code == 5
    assert "add `pull-requests: write` to the job's `permissions:`" in done.err
    assert "::warning title=mlci::the comment could not be posted" in done.out


def test_ci__a_github_that_is_down_changes_no_verdict(team: Scene) -> None:
    team.configure(f'{RUNS}\n[report]\ndeadline = "1s"\n')
    team.server.arm(Fault("503", times=1_000))
    done = mlci(team, "ci")
    assert done.code == 5
    assert "nothing posted: GET /repos/team/models/pulls/7: given up after" in done.err


def test_comment__in_a_job_of_its_own(team: Scene) -> None:
    assert mlci(team, "ci", "--no-post").code == 5
    done = mlci(team, "comment")
    assert done.code == 0
    assert len(team.comments) == 1
    assert mlci(team, "gate").code == 5


def test_comment__a_broken_configuration_is_told_to_the_pull_request(team: Scene) -> None:
    team.configure('id = "vision"\nzzz = 1\n')
    done = mlci(team, "comment")
    assert (done.code, done.err.splitlines()[-2]) == (3, "error: mlci.toml: zzz: no such key")
    state, description = team.statuses["mlci/vision"]
    assert (state, description) == ("error", "nothing was measured: mlci.toml: zzz: no such key")
    assert "mlci.toml: zzz: no such key" in team.comments[0]


@pytest.mark.parametrize("text", ["not = [toml", "", None])
def test_comment__a_configuration_that_cannot_be_parsed(team: Scene, text: str | None) -> None:
    if text is None:
        (team.work.folder / "mlci.toml").unlink()
    else:
        team.configure(text)
    assert mlci(team, "comment").code == (0 if text == "" else 3)
    assert team.statuses["mlci/main"][0] == "error"


def test_comment__one_that_cannot_be_posted_leaves_status_and_summary(team: Scene) -> None:
    team.configure(f'{RUNS}\n[report]\ndeadline = "1s"\n')
    mlci(team, "ci", "--no-post")
    (team.folder / "summary.md").unlink()
    team.server.arm(Fault("503", path="issues/7/comments", times=1_000))
    done = mlci(team, "comment")
    assert done.code == 6
    assert team.statuses["mlci/main"][0] == "failure"
    assert team.summary.startswith("### ❌ mlci: fail, blocking")


def test_comment__dry_run_needs_no_token(team: Scene) -> None:
    mlci(team, "ci", "--no-post")
    done = mlci(team, "comment", "--dry-run", GITHUB_TOKEN="")
    assert done.code == 0
    assert done.out.startswith("### ❌ mlci: fail, blocking")
    assert done.out.splitlines()[-1].startswith("<!-- mlci:1 id=main run=41 attempt=1")
    assert "would set the status mlci/main: failure" in done.err
    assert team.server.requests == []


def test_comment__without_a_token_says_what_to_set(team: Scene) -> None:
    done = mlci(team, "comment", GITHUB_TOKEN="")
    assert (done.code, done.err) == (
        6,
        "error: there is no token to post with\n  Set GITHUB_TOKEN, or the input github-token.\n",
    )


@pytest.mark.parametrize("event", ["pull_request_target", "issue_comment"])
@pytest.mark.parametrize("command", ["run", "ci"])
def test_run__refuses_code_of_a_fork_where_the_event_has_rights(stranger: Scene, event: str, command: str) -> None:
    payload: dict[str, Any] = {
        "pull_request": {"number": 7, "head": {"sha": stranger.head, "repo": {"id": stranger.fork.id}}},
        "issue": {"number": 7, "pull_request": {"url": "there"}},
    }
    environ = stranger.environ(event, **payload)
    done = subprocess.run(
        [*MLCI, command], cwd=stranger.work.folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert f"error: nothing is run on {event}: it has this repository's rights" in done.stderr
    assert not (stranger.work.folder / "metrics.json").exists()


def test_run__allow_fork_code_says_so_explicitly(stranger: Scene) -> None:
    done = mlci(stranger, "run", "--allow-fork-code", event="pull_request_target")
    assert done.code == 0
    assert "status" in (stranger.folder / "output").read_text()
