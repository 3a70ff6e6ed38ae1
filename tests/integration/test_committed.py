"""Runs that nothing is executed for: their metrics are in git, here and at the merge base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fakes.command_line import Workbench, workbench
from fakes.repositories import Repository
from mlci.cli import cli

CONFIG = """
[defaults]
seeds = [1, 2]
python = "no/such/interpreter"

[runs.dvc]
committed = true
metrics = ["dvc.yaml"]

[metrics.accuracy]
max-regression = 0.01
"""
DVC = """
stages:
  train:
    cmd: python train.py
    wdir: model
    metrics:
      - metrics.json:
          cache: false
metrics:
  - extra.yaml
"""


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    bench = workbench(tmp_path)
    bench.write(mlci__toml=CONFIG, dvc__yaml=DVC, extra__yaml="time: 3\n")
    measured(bench, 0.9)
    bench.commit()
    return bench


def measured(bench: Workbench, accuracy: float) -> None:
    (bench.folder / "model").mkdir(exist_ok=True)
    (bench.folder / "model/metrics.json").write_text(json.dumps({"accuracy": accuracy}))


def mlci(bench: Workbench, *arguments: str, code: int = 0) -> str:
    runner = CliRunner(env=dict.fromkeys(("GITHUB_TOKEN", "GITHUB_ACTIONS")) | bench.environ)
    done = runner.invoke(cli, ["-C", str(bench.folder), *arguments])
    assert getattr(done.exception, "exit_code", 0 if done.exception is None else 1) == code, done.output
    return done.output


def compared(bench: Workbench) -> Any:
    for command in ("run", "record", "compare"):
        mlci(bench, command)
    return bench.document("comparison.json")


def test_committed__files_that_dvc_lists_are_read_and_nothing_runs(bench: Workbench) -> None:
    assert mlci(bench, "run") == "dvc: succeeded\n"
    result = bench.result("dvc")
    assert {metric["name"]: metric["value"] for metric in result["metrics"]} == {"accuracy": 0.9, "time": 3}
    assert (result["elsewhere"], result["seed"], result["command"]) == ("committed to git", None, None)
    mlci(bench, "record")
    [record] = bench.document("record.json")["records"]
    assert record["elsewhere"] == "committed to git"


def test_committed__the_baseline_is_what_git_holds_at_the_merge_base(bench: Workbench) -> None:
    base = bench.repository.git("rev-parse", "HEAD")
    bench.repository.git("switch", "--quiet", "--create", "change")
    measured(bench, 0.8)
    bench.commit()
    comparison = compared(bench)
    accuracy = next(delta for delta in comparison["deltas"] if delta["metric"] == "accuracy")
    assert (accuracy["baseline"], accuracy["current"], accuracy["gate"]) == (0.9, 0.8, "fail")
    assert (comparison["baselines"]["dvc"]["commit"], comparison["baselines"]["dvc"]["distance"]) == (base, 0)


def test_committed__a_shallow_clone_fetches_the_base_and_stays_as_it_is(bench: Workbench, tmp_path: Path) -> None:
    base = bench.repository.git("rev-parse", "HEAD")
    bench.repository.git("switch", "--quiet", "--create", "change")
    measured(bench, 0.8)
    bench.commit()
    url = f"file://{bench.folder}"
    shallow = Workbench(bench.repository.clone(tmp_path / "shallow", url, "--depth=1", "--branch=change"), bench.home)
    accuracy = next(delta for delta in compared(shallow)["deltas"] if delta["metric"] == "accuracy")
    assert accuracy["baseline"] == 0.9
    assert not holds(shallow.repository, base)


def holds(clone: Repository, commit: str) -> bool:
    objects = clone.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split()
    return commit in objects


def test_committed__files_that_are_new_have_no_baseline(bench: Workbench) -> None:
    bench.repository.git("switch", "--quiet", "--create", "change")
    bench.write(mlci__toml=CONFIG.replace("dvc.yaml", "new.json"), new__json='{"accuracy": 0.9}')
    bench.commit()
    assert compared(bench)["verdict"] == "no-baseline"


def test_committed__a_base_that_cannot_be_read_is_said_and_is_no_baseline(bench: Workbench) -> None:
    (bench.folder / "model/metrics.json").write_text("{")
    base = bench.commit()
    bench.repository.git("switch", "--quiet", "--create", "change")
    measured(bench, 0.9)
    bench.commit()
    mlci(bench, "run")
    mlci(bench, "record")
    said = mlci(bench, "compare")
    assert f"dvc: what git holds of it at {base[:10]} is not read: model/metrics.json: not JSON" in said
    assert bench.document("comparison.json")["verdict"] == "no-baseline"


def test_committed__what_is_not_committed_is_noted(bench: Workbench) -> None:
    measured(bench, 0.7)
    bench.repository.git("rm", "--quiet", "--cached", "extra.yaml")
    bench.repository.git("commit", "--quiet", "--message", "Without it")
    mlci(bench, "run")
    assert bench.result("dvc")["notes"] == [
        "extra.yaml is not in git",
        "model/metrics.json has changes that are not committed",
    ]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"extra__yaml": None}, "extra.yaml: there is no such file here"),
        ({"extra__yaml": "- 1"}, "extra.yaml: expected a dictionary of metrics at the top, got a list"),
        ({"extra__yaml": "accuracy: 0.5"}, "metric 'accuracy': extra.yaml says 0.5, model/metrics.json says 0.9"),
        ({"dvc__yaml": "stages: {}"}, "dvc.yaml: it lists no metrics"),
        ({"dvc__yaml": "metrics: [../secret.json]"}, "dvc.yaml: it lists metrics that leave the repository"),
        ({"dvc__yaml": "metrics: [/etc/secret.json]"}, "dvc.yaml: it lists metrics that leave the repository"),
        ({"dvc__yaml": "metrics: [link.json]"}, "link.json: a link that leaves the repository"),
    ],
    ids=range(7),
)
def test_committed__what_cannot_be_read_fails_the_run(
    bench: Workbench, files: dict[str, str | None], said: str
) -> None:
    (bench.home.parent / "secret.json").write_text('{"accuracy": 1}')
    (bench.folder / "link.json").symlink_to("../secret.json")
    for name, text in files.items():
        path = bench.folder / name.replace("__", ".")
        path.unlink() if text is None else path.write_text(text)
    mlci(bench, "run", code=4)
    result = bench.result("dvc")
    assert (result["status"], result["metrics"]) == ("failed", [])
    assert result["error"]["message"].startswith(said)


def test_committed__another_run_may_need_it(bench: Workbench) -> None:
    after = '[runs.after]\ncommand = ["true"]\nneeds = ["dvc"]\n'
    bench.write(mlci__toml=CONFIG[CONFIG.index("[runs") :] + after)
    done = bench.mlci("run", "after")
    assert done.code == 0, done.err
    assert [bench.result(name)["status"] for name in ("dvc", "after")] == ["succeeded", "succeeded"]
