"""`mlci deployments` and `mlci models`: what is where, as targets, tags and the baseline store say it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fakes.deploying import CONFIG, Deployers, deployers
from mlci.cli import cli
from mlci.errors import DeployError


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Deployers]:
    with deployers(tmp_path, hosted=False) as made:
        made.serve("v1.0.0")
        made.serve("v1.1.0")
        made.stage("v2.0.0", "staging")
        yield made


def mlci(team: Deployers, *arguments: str) -> Result:
    runner = CliRunner(env=dict.fromkeys(("GITHUB_TOKEN", "GITHUB_ACTIONS")) | team.environ)
    return runner.invoke(cli, ["-C", str(team.work.folder), *arguments])


def shown(team: Deployers, command: str) -> list[dict[str, Any]]:
    done = mlci(team, command, "--json")
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.output)
    return found


def test_deployments__of_every_target(team: Deployers) -> None:
    production, staging, _ = sorted(shown(team, "deployments"), key=lambda row: str(row["target"]))
    assert production.pop("since").startswith("20")
    assert production == {
        "target": "production",
        "model": "churn",
        "where": "folder ../served/production",
        "serves": "v1.1.0",
        "kept": ["v1.0.0", "v1.1.0"],
        "stage": "production",
        "url": "https://models.example.com/churn",
        "problem": None,
    }
    assert (staging["serves"], staging["kept"], staging["since"]) == (None, [], None)


def test_deployments__since_is_said_only_where_the_stage_holds_what_is_served(team: Deployers) -> None:
    team.stage("v2.0.0", "production")
    assert [row["since"] for row in shown(team, "deployments")] == [None, None, None]


def test_deployments__in_words(team: Deployers) -> None:
    lines = mlci(team, "deployments").output.splitlines()
    assert lines[0] == "staging  churn  nothing  staging"
    assert lines[1].startswith("production  churn  v1.1.0  production  since 20")
    assert lines[1].endswith("  keeps v1.0.0")


def test_deployments__a_target_that_cannot_be_asked_hides_no_other(team: Deployers) -> None:
    (team.folder / "served/staging").write_text("a file, no folder")
    done = mlci(team, "deployments")
    assert isinstance(done.exception, DeployError)
    assert "production  churn  v1.1.0" in done.output
    assert str(done.exception) == "staging could not be asked"


def test_deployments__none_is_configured(team: Deployers) -> None:
    (team.work.folder / "mlci.toml").write_text('[runs.churn]\ncommand = ["true"]\nartifacts = ["model.bin"]\n')
    assert mlci(team, "deployments").output == "no target is configured, or no model\n"


def test_models__every_version_with_its_stages_targets_and_metrics(team: Deployers) -> None:
    found = shown(team, "models")
    assert [(item["version"], item["stages"], item["deployed"]) for item in found] == [
        ("v2.0.0", ["staging"], []),
        ("v1.1.0", ["production"], ["production"]),
        ("v1.0.0", [], []),
    ]
    assert found[0]["tag"] == "churn@v2.0.0"
    assert found[0]["commit"] == team.commits["v2.0.0"]
    assert found[0]["metrics"] == {"accuracy": 0.9}


def test_models__in_words(team: Deployers) -> None:
    lines = mlci(team, "models").output.splitlines()
    commit = team.commits["v1.1.0"][:10]
    assert lines[1].startswith(f"churn  v1.1.0  {commit}  20")
    assert lines[1].endswith("  in production  served by production  accuracy = 0.9")


def test_models__without_a_version_or_a_record(team: Deployers) -> None:
    (team.work.folder / "mlci.toml").write_text(
        CONFIG.replace("[targets.staging]", '[models.other]\nrun = "churn"\n\n[targets.staging]').replace(
            'path = "baselines"', 'path = "empty"'
        )
    )
    found = shown(team, "models")
    assert [item["metrics"] for item in found] == [{}, {}, {}]
    assert mlci(team, "models").output.splitlines()[-1] == "other  no version yet"


def test_models__targets_that_cannot_be_asked_hide_no_version(team: Deployers) -> None:
    (team.folder / "served/staging").write_text("a file, no folder")
    done = mlci(team, "models")
    assert done.exit_code == 0
    assert "staging: " in done.stderr
    (team.work.folder / "mlci.toml").write_text(CONFIG.replace('{ path = "../served/staging" }', '{ pth = "x" }'))
    done = mlci(team, "models")
    assert done.exit_code == 0
    assert "no option 'pth'" in done.stderr
    assert len(done.stdout.splitlines()) == 3
