"""GTO reads the tags that mlci makes, and mlci those that GTO makes: they are one registry."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.deploying import Deployers, deployers
from mlci.commands.promote import promote
from mlci.commands.rollback import rollback
from mlci.releasing.deploying import deploy
from mlci.releasing.fetching import fetch
from mlci.releasing.models import find_model, registry_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("gto")]

GTO = "gto==1.10.1"


@pytest.fixture(scope="module")
def gto(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GTO in a virtual environment of its own: what it needs is none of mlci's business."""
    folder = tmp_path_factory.mktemp("gto")
    uv = [sys.executable, "-m", "uv", "--no-config", "--quiet"]
    for command in (["venv", f"{folder}/venv"], ["pip", "install", "--python", f"{folder}/venv/bin/python", GTO]):
        done = subprocess.run([*uv, *command], capture_output=True, text=True, check=False, timeout=240)
        if done.returncode != 0:
            pytest.skip(f"{GTO} cannot be installed: {done.stderr.strip()[-200:]}")
    return folder / "venv/bin/gto"


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Deployers]:
    with deployers(tmp_path, hosted=False) as made:
        yield made


def ask(gto: Path, team: Deployers, *arguments: str) -> str:
    environ = team.work.environ | {"PATH": os.environ["PATH"], "HOME": str(team.folder), "DO_NOT_TRACK": "1"}
    environ |= {"GTO_NO_ANALYTICS": "1", "ITERATIVE_DO_NOT_TRACK": "1"}
    done = subprocess.run(
        [gto, *arguments, "--repo", str(team.work.folder)],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def served(team: Deployers, version: str, target: str) -> None:
    """Deploy, verify and promote."""
    project, place, forge = team.opened(target)
    team.lay(version)
    deploy(project, place, fetch(project, forge), find_model(project, "churn"), forge=forge)
    team.verify()
    promote(project, place, forge=forge)


def test_gto__shows_versions_and_stages(gto: Path, team: Deployers) -> None:
    for version in ("v1.0.0", "v1.1.0"):
        served(team, version, "staging")
        served(team, version, "production")
    served(team, "v2.0.0", "staging")
    assert json.loads(ask(gto, team, "show", "--json")) == {
        "churn": {
            "version": "v2.0.0",
            "stage": {"staging": "v2.0.0", "production": "v1.1.0"},
            "registered": True,
            "active": True,
        }
    }
    assert ask(gto, team, "show", "churn@latest", "--ref").strip() == "churn@v2.0.0"
    assert ask(gto, team, "show", "churn#production", "--version").strip() == "v1.1.0"


def test_gto__sees_a_rollback(gto: Path, team: Deployers) -> None:
    for version in ("v1.0.0", "v1.1.0"):
        served(team, version, "staging")
        served(team, version, "production")
    project, place, forge = team.opened()
    rollback(project, place, find_model(project, "churn"), forge=forge)
    assert ask(gto, team, "show", "churn#production", "--version").strip() == "v1.0.0"
    history = json.loads(ask(gto, team, "history", "churn", "--json"))
    assert [item["event"] for item in history].count("assignment") == 5


def test_gto__and_mlci_read_what_the_other_wrote(gto: Path, team: Deployers) -> None:
    served(team, "v1.0.0", "staging")
    ask(gto, team, "assign", "churn", "--version", "v2.0.0", "--stage", "staging")
    project = team.project()
    registry = registry_of(project, find_model(project, "churn"))
    assert registry.stages["staging"].commit == team.commits["v2.0.0"]
    served(team, "v2.0.0", "production")
    assert ask(gto, team, "show", "churn#production", "--version").strip() == "v2.0.0"
