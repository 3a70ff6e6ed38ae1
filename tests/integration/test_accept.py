"""`mlci accept`: an intended change for the worse, from the comparison into a reviewed file, until the base has it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fakes.command_line import Workbench, workbench
from mlci.cli import cli

CONFIG = """
[runs.churn]
committed = true
metrics = ["churn.json"]

[runs.ranking]
committed = true
metrics = ["ranking.json"]

[metrics.accuracy]
max-regression = 0.01
"""


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return changed(tmp_path)


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """One that has its comparison, for tests that change nothing."""
    bench = changed(tmp_path_factory.mktemp("settled"))
    compared(bench)
    return bench


def changed(folder: Path) -> Workbench:
    bench = workbench(folder)
    bench.write(mlci__toml=CONFIG)
    measured(bench, churn={"accuracy": 0.9, "loss": 0.5}, ranking={"accuracy": 0.7, "recall": 0.6})
    bench.repository.git("switch", "--quiet", "--create", "change")
    measured(bench, churn={"accuracy": 0.8, "loss": 0.6, "auc": 0.5}, ranking={"accuracy": 0.7, "recall": 0.4})
    return bench


def measured(bench: Workbench, **runs: dict[str, float]) -> str:
    bench.write(**{f"{name}__json": json.dumps(metrics) for name, metrics in runs.items()})
    return bench.commit()


def mlci(bench: Workbench, *arguments: str) -> str:
    """What it says, or its error."""
    runner = CliRunner(env=dict.fromkeys(("GITHUB_TOKEN", "GITHUB_ACTIONS")) | bench.environ)
    done = runner.invoke(cli, ["-C", str(bench.folder), *arguments])
    error = done.exception
    return done.output if error is None else f"{getattr(error, 'message', error)} | {getattr(error, 'hint', '')}"


def compared(bench: Workbench) -> None:
    for command in ("run", "record", "compare"):
        mlci(bench, command)


def entries(bench: Workbench) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads((bench.folder / "mlci-accepted.toml").read_text())["accepted"]
    return found


def test_accept__writes_both_levels_and_the_reason(bench: Workbench) -> None:
    compared(bench)
    said = mlci(bench, "accept", "loss", "--reason", "half the\n parameters")
    assert said.startswith("accepted churn (default): loss: 0.5 → 0.6: half the parameters\n")
    [entry] = entries(bench)
    assert entry.pop("date") >= "2026"
    assert entry == {
        "run": "churn",
        "profile": "default",
        "metric": "loss",
        "baseline": 0.5,
        "value": 0.6,
        "reason": "half the parameters",
        "commit": bench.repository.git("rev-parse", "HEAD"),
    }


def test_accept__again_takes_the_place_of_what_was_accepted(bench: Workbench) -> None:
    compared(bench)
    for reason in ("once", "twice"):
        mlci(bench, "accept", "accuracy", "--run", "churn", "--reason", reason)
    assert [entry["reason"] for entry in entries(bench)] == ["twice"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["acuracy", "--reason", "x"], "no metric is called 'acuracy' in the comparison | Did you mean 'accuracy'?"),
        (["accuracy", "--reason", "x"], "there are 2 metrics 'accuracy' | Say one of: accuracy --run churn, accuracy "),
        (
            ["recall", "--run", "churn", "--reason", "x"],
            "the comparison has no recall of churn | It has: --run ranking",
        ),
        (["loss", "--slice", "a=b", "--reason", "x"], "the comparison has no loss of a=b | It has: --run churn."),
        (
            ["accuracy", "--run", "ranking", "--reason", "x"],
            "did not get worse (0.7 → 0.7): there is nothing to accept",
        ),
        (["auc", "--reason", "x"], "auc of churn has no baseline: there is no change to accept"),
        (["loss", "--reason", " "], "--reason: expected why this is right"),
        (
            ["loss", "--reason", "half \udcff"],
            "--reason: expected why this is right, in at most 500 characters of plain text",
        ),
        (["loss"], "expected METRIC with --reason, or --list, or --prune"),
        (["--list", "--prune"], "expected METRIC with --reason, or --list, or --prune"),
        (["--reason", "x", "--list"], "expected METRIC with --reason, or --list, or --prune"),
    ],
    ids=range(11),
)
def test_accept__what_cannot_be_accepted_is_one_line(settled: Workbench, arguments: list[str], said: str) -> None:
    assert said in mlci(settled, "accept", *arguments)
    assert not (settled.folder / "mlci-accepted.toml").exists()


def test_accept__without_a_comparison(bench: Workbench) -> None:
    assert "comparison.json: there is none | Make it with `mlci compare`." in mlci(
        bench, "accept", "loss", "--reason", "x"
    )


def test_accept__list_shows_what_was_accepted(bench: Workbench) -> None:
    assert mlci(bench, "accept", "--list") == ""
    compared(bench)
    mlci(bench, "accept", "loss", "--reason", "half the parameters")
    assert "  churn (default): loss: 0.5 → 0.6: half the parameters\n" in mlci(bench, "accept", "--list")


def test_accept__prune_drops_what_the_base_has_caught_up_with(bench: Workbench) -> None:
    compared(bench)
    mlci(bench, "accept", "loss", "--reason", "half the parameters")
    mlci(bench, "accept", "recall", "--reason", "fewer candidates")
    assert mlci(bench, "accept", "--prune") == "0 acceptances dropped, 2 kept\n"
    bench.repository.git("switch", "--quiet", "main")
    measured(bench, churn={"accuracy": 0.8, "loss": 0.61})
    bench.repository.git("switch", "--quiet", "--create", "next")
    bench.commit()
    said = mlci(bench, "accept", "--prune")
    assert said.endswith("1 acceptance dropped, 1 kept\n")
    assert said.startswith("dropped churn (default): loss: 0.5 → 0.6: half the parameters\n")
    assert [entry["metric"] for entry in entries(bench)] == ["recall"]
