"""The action's manifest: inputs by environment only, everything by hash, the token for those who need it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlci.cli import COMMANDS

ROOT = Path(__file__).parents[1]
MANIFEST: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
[STEP] = MANIFEST["runs"]["steps"]
SCRIPT: str = STEP["run"]


def test_inputs__as_documented() -> None:
    assert set(MANIFEST["inputs"]) == {
        "command",
        "args",
        "config",
        "profile",
        "working-directory",
        "python",
        "github-token",
    }
    assert MANIFEST["inputs"]["command"]["default"] in COMMANDS
    assert MANIFEST["inputs"]["github-token"]["default"] == "${{ github.token }}"


def test_inputs__reach_the_shell_through_the_environment_only() -> None:
    assert "${{" not in SCRIPT
    used = set(re.findall(r"inputs\.([a-z-]+)", str(STEP)))
    assert used == set(MANIFEST["inputs"])


def test_outputs__are_those_that_ci_sets() -> None:
    source = (ROOT / "src/mlci/commands/ci.py").read_text(encoding="utf-8")
    for name, output in MANIFEST["outputs"].items():
        assert f'"{name}": ' in source
        assert output["value"] == f"${{{{ steps.{STEP['id']}.outputs.{name} }}}}"


def test_token__is_withheld_from_commands_that_neither_post_nor_push() -> None:
    expression = STEP["env"]["MLCI_GITHUB_TOKEN"]
    listed = set(re.findall(r'"([a-z]+)"', expression))
    assert {"ci", "baseline"} <= listed
    assert not listed & {"plan", "run", "record", "compare", "report", "gate", "config", "demo"}
    assert not any("github-token" in str(value) for name, value in STEP["env"].items() if name != "MLCI_GITHUB_TOKEN")


def test_install__everything_by_hash_and_apart() -> None:
    installs = [
        line.strip() for line in SCRIPT.replace("\\\n", " ").splitlines() if "pip" in line and "install" in line
    ]
    assert len(installs) == 3
    assert [line for line in installs if "--require-hashes" not in line] == [
        line for line in installs if "--no-deps" in line and "--build-constraints" in line
    ]
    assert "--no-config" in SCRIPT
    assert "$RUNNER_TEMP" in SCRIPT
    for file in ("GITHUB_ENV", "GITHUB_PATH", "sudo"):
        assert file not in SCRIPT


def test_last_line__becomes_mlci() -> None:
    assert SCRIPT.strip().splitlines()[-1].startswith("exec ")


@pytest.mark.parametrize("path", sorted(ROOT.glob("**/.github/workflows/*.yml")), ids=lambda path: path.parts[-4])
def test_workflows__grant_nothing_at_the_top_and_pin_what_they_use(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert yaml.safe_load(text)["permissions"] == {}
    for used in re.findall(r"uses: (\S+)", text):
        assert used in ("./", "OWNER/mlci@COMMIT") or re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", used), used
