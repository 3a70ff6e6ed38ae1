"""This repository's action.yml in a team's workflow: a push to main, then a pull request that makes the model worse."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.runner import Finished, act
from fakes.git_server import READ, WRITE, git_server
from fakes.repositories import Repository, repository

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("e2e")]

ROOT = Path(__file__).parents[2]
WORKFLOW = """
name: mlci
on: [push, pull_request]
permissions: {}
jobs:
  mlci:
    runs-on: ubuntu-latest
    permissions:
      contents: write
    steps:
      - uses: actions/checkout@v7
      - uses: ./action
        with:
          command: plan
          args: --json
      - id: mlci
        uses: ./action
        with:
          args: --no-post
      - if: always()
        env:
          SEEN: ${{ steps.mlci.outputs.verdict }}, ${{ steps.mlci.outputs.regressions }}
        run: |
          echo "seen: $SEEN"
          tr ":" ";" < .mlci/outputs/train/seed-0/log.txt
"""
CONFIG = """
[runs.train]
script = "train.py"
args = ["--seed", "{seed}"]
seeds = [0, 1]
metrics = ["metrics.json"]

[metrics.accuracy]
max-regression = 0.01
"""
TRAIN = """
import argparse, json, os
parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int)
seed = parser.parse_args().seed
if __name__ == "__main__":
    held = [name for name in os.environ if "TOKEN" in name or name.startswith(("ACTIONS_", "INPUT_"))]
    print("::error::not a command", "held:", held)
    json.dump({"accuracy": ACCURACY + seed / 1000, "loss": 1 - ACCURACY}, open("metrics.json", "w"))
"""
WRITER, READER = "token-that-may-write", "token-that-may-read"


@dataclass
class Team:
    """What the two workflow runs left."""

    push: Finished
    pull_request: Finished
    server: Path
    scratch: Path
    main: str


def commit(work: Repository, message: str, **files: str) -> str:
    for name, text in files.items():
        (work.folder / name.replace("__", ".")).write_text(text)
    work.git("add", "--all")
    work.git("commit", "--quiet", "--message", message)
    return work.git("rev-parse", "HEAD")


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    scratch = tmp_path_factory.mktemp("e2e")
    with git_server(scratch / "server") as server:
        url = server.create()
        work = repository(scratch / "work")
        (work.folder / ".github/workflows").mkdir(parents=True)
        (work.folder / ".github/workflows/mlci.yml").write_text(WORKFLOW)
        for name in ("src", "requirements"):
            shutil.copytree(ROOT / name, work.folder / "action" / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("action.yml", "entry.sh", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, work.folder / "action" / name)
        main = commit(
            work, "Train", mlci__toml=CONFIG, __gitignore="metrics.json\n", train__py=f"ACCURACY = 0.9\n{TRAIN}"
        )
        work.git("remote", "add", "origin", url)
        work.git("push", "--quiet", "origin", "main")
        server.tokens = {WRITER: WRITE, READER: READ}

        about = {"repository": {"id": 1, "default_branch": "main", "full_name": "team/models"}}
        push = act(
            "push",
            {**about, "ref": "refs/heads/main"},
            repository=work.folder,
            scratch=scratch / "push",
            token=WRITER,
            server=server.url,
        )

        work.git("switch", "--quiet", "--create", "worse")
        head = commit(work, "Worse", train__py=f"ACCURACY = 0.8\n{TRAIN}")
        work.git("switch", "--quiet", "--detach", "main")
        work.git("merge", "--quiet", "--no-ff", "--message", "Merge", "worse")
        pull = {
            "number": 7,
            "base": {"sha": main, "ref": "main", "repo": {"id": 1}},
            "head": {"sha": head, "ref": "worse", "repo": {"id": 1}},
        }
        pull_request = act(
            "pull_request",
            {**about, "number": 7, "pull_request": pull},
            repository=work.folder,
            scratch=scratch / "pull",
            token=READER,
            server=server.url,
        )
        yield Team(push, pull_request, server.folder(), scratch, main)


def test_push__succeeds_and_saves_the_baseline(team: Team) -> None:
    assert team.push.succeeded, team.push.log
    server = Repository(team.server)
    assert server.git("ls-tree", "-r", "--name-only", "mlci-data") == (
        f"runs/train/default/{team.main[:2]}/{team.main}.json"
    )


def test_push__outputs_and_summary(team: Team) -> None:
    assert team.push.outputs["verdict"] == "no-baseline"
    assert "no baseline, not blocking" in team.push.summary
    assert "seen: no-baseline, 0" in team.push.log


def test_pull_request__the_gate_fails_the_job(team: Team) -> None:
    assert not team.pull_request.succeeded
    assert team.pull_request.outputs["verdict"] == "fail"
    assert team.pull_request.outputs["regressions"] == "1"
    assert team.pull_request.outputs["summary"].startswith("mlci: fail, blocking: 1 metric worse than allowed")
    assert "seen: fail, 1" in team.pull_request.log


def test_pull_request__the_summary_compares_with_the_merge_base(team: Team) -> None:
    summary = team.pull_request.summary
    assert "`train` `accuracy` 0.9005 → 0.8005 (−11.1%" in summary
    assert f"baseline `{team.main[:7]}` (the merge base)" in summary


def test_plan__is_a_matrix(team: Team) -> None:
    assert json.loads(team.push.outputs["matrix"]) == {
        "include": [{"run": "train", "profile": "default", "runs-on": '"ubuntu-latest"'}]
    }


def test_action__code_gets_no_token_and_its_output_is_no_command(team: Team) -> None:
    for finished in (team.push, team.pull_request):
        assert ";;error;;not a command held; []" in finished.log
        assert not any(line.get("command") == "error" and "not a command" in str(line) for line in finished.lines)


def test_action__no_token_in_any_log_or_file(team: Team) -> None:
    for finished, token in ((team.push, WRITER), (team.pull_request, READER)):
        assert token not in finished.log
    for file in team.scratch.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert WRITER.encode() not in content, file
            assert READER.encode() not in content, file
