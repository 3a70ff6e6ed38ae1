"""`mlci record --from`: metrics that were measured elsewhere, as a record of a commit of this repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fakes.command_line import Workbench, workbench
from mlci.cli import cli

CONFIG = """
[runs.churn]
command = ["cluster", "submit"]

[runs.quick]
committed = true
metrics = ["quick.json"]
"""


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    bench = workbench(tmp_path)
    bench.write(mlci__toml=CONFIG, quick__json='{"f1": 0.5}', train__py="", __gitignore="metrics.json\n")
    bench.commit()
    (bench.folder / "metrics.json").write_text('{"accuracy": 0.9}')
    return bench


def mlci(bench: Workbench, *arguments: str, **environ: str) -> str:
    """What it says, or its error."""
    runner = CliRunner(env=dict.fromkeys(("GITHUB_TOKEN", "GITHUB_ACTIONS")) | bench.environ | environ)
    done = runner.invoke(cli, ["-C", str(bench.folder), *arguments])
    error = done.exception
    return done.output if error is None else f"{getattr(error, 'message', error)} | {getattr(error, 'hint', '')}"


def records(bench: Workbench) -> dict[str, Any]:
    return {record["name"]: record for record in bench.document("record.json")["records"]}


def test_record_from__a_file_is_the_record_of_the_commit(bench: Workbench) -> None:
    commit = bench.repository.git("rev-parse", "HEAD")
    bench.repository.commit()
    (bench.folder / "train.py").write_text("dirty = True\n")
    said = mlci(bench, "record", "--from", "metrics.json", "--commit", commit[:8], "--run", "churn")
    assert said == "churn: succeeded, 1 metric\n"
    record = records(bench)["churn"]
    assert (record["origin"]["commit"], record["origin"]["dirty"]) == (commit, False)
    assert (record["origin"]["event"], record["origin"]["branch"]) == ("local", None)
    assert (record["elsewhere"], record["status"], record["profile"]) == ("metrics.json", "succeeded", "default")
    assert [(metric["name"], metric["value"]) for metric in record["metrics"]] == [("accuracy", 0.9)]
    assert "no baseline" not in mlci(bench, "compare")
    assert mlci(bench, "baseline", "save").startswith(f"saved churn (default) at {commit[:7]}")


def test_record_from__stands_beside_what_ran_here_at_that_commit(bench: Workbench) -> None:
    mlci(bench, "run", "quick")
    for accuracy in (0.7, 0.8):
        (bench.folder / "metrics.json").write_text(json.dumps({"accuracy": accuracy}))
        mlci(bench, "record", "--from", "metrics.json", "--commit", "HEAD", "--run", "churn")
    found = records(bench)
    assert {name: record["metrics"][0]["value"] for name, record in found.items()} == {"quick": 0.5, "churn": 0.8}
    assert "metrics compared" in mlci(bench, "compare")


def test_record_from__what_is_of_another_commit_goes(bench: Workbench) -> None:
    mlci(bench, "run", "quick")
    mlci(bench, "record")
    bench.repository.commit()
    mlci(bench, "record", "--from", "metrics.json", "--commit", "HEAD", "--run", "churn")
    assert list(records(bench)) == ["churn"]
    assert "metrics compared" in mlci(bench, "compare")


def test_record_from__in_ci_a_baseline_is_of_the_event_s_commit_only(bench: Workbench, tmp_path: Path) -> None:
    other, commit = bench.repository.git("rev-parse", "HEAD"), bench.repository.commit()
    event = tmp_path / "event.json"
    event.write_text('{"repository": {"id": 7, "default_branch": "main"}}')
    ci = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REPOSITORY_ID": "7",
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_SHA": commit,
        "GITHUB_RUN_ID": "41",
    }
    given = ("record", "--from", "metrics.json", "--run", "churn", "--commit")
    mlci(bench, *given, other, **ci)
    assert f"it was measured at {other[:10]}, this event is at {commit[:10]}" in mlci(bench, "baseline", "save", **ci)
    mlci(bench, *given, commit, **ci)
    assert mlci(bench, "baseline", "save", **ci).startswith("saved churn (default)")


def test_record_from__a_commit_that_only_the_remote_has(bench: Workbench) -> None:
    said = mlci(bench, "record", "--from", "metrics.json", "--commit", "b" * 40, "--run", "churn")
    assert "the commit bbbbbbbbbb is not in this clone: taken as given" in said
    assert records(bench)["churn"]["origin"]["commit"] == "b" * 40


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--commit HEAD --run chrn", "no run is called 'chrn' | There are: churn, quick."),
        ("--commit beef --run churn", "--commit beef: this clone has no such commit | Fetch it, or give its whole id"),
        ("--commit --all --run churn", "--commit --all: this clone has no such commit"),
        ("--run churn", "--from takes --commit and --run, and no DIR"),
        ("--commit HEAD", "--from takes --commit and --run, and no DIR"),
        ("--commit HEAD --run churn .", "--from takes --commit and --run, and no DIR"),
        ("--commit HEAD --run churn --format yml", "no reader is called 'yml' (did you mean 'yaml'?)"),
        ("--commit HEAD --run churn --profile smoke", "profiles.smoke: no such key"),
    ],
    ids=range(8),
)
def test_record_from__mistakes_are_one_line(bench: Workbench, arguments: str, said: str) -> None:
    assert said in mlci(bench, "record", "--from", "metrics.json", *arguments.split())
    assert not (bench.folder / ".mlci/record.json").exists()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("no.json", "no.json: there is no such file"),
        ("train.py", "train.py: no reader for files ending in '.py'"),
        ("empty.json", "empty.json: it has no metric"),
        ("mlflow:ftp://host/", "expected the address of a tracking server, http://HOST or https://HOST"),
        ("mlflow:http://", "expected the address of a tracking server, http://HOST or https://HOST"),
        ("mlflow:sqlite:///no.db", "no.db: there is no such file"),
    ],
)
def test_record_from__sources_without_metrics(bench: Workbench, source: str, said: str) -> None:
    bench.write(empty__json="{}")
    assert said in mlci(bench, "record", "--from", source, "--commit", "HEAD", "--run", "churn")


def test_record__options_of_elsewhere_go_with_from(bench: Workbench) -> None:
    assert "--commit, --run and --format go with --from" in mlci(bench, "record", "--run", "churn")
