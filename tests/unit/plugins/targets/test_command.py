"""The command target beside the contract: what a script is told, and what it may say."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from fakes.packages import deployed, package
from mlci.errors import ConflictError, DeployError
from mlci.plugins.targets.command import CommandTarget
from mlci.plugins.targets.interface import TargetSite

HELD = """
import json, os, sys
action = os.environ["MLCI_TARGET_ACTION"]
version = {"version": "v1.0.0", "digest": DIGEST}
if action == "status":
    open(os.environ["MLCI_TARGET_STATUS"], "w").write(json.dumps({"current": None, "kept": [version]}))
"""


def target(tmp_path: Path, script: str, timeout_s: float = 60) -> CommandTarget:
    (tmp_path / "deploy.py").write_text(script)
    site = TargetSite(
        folder=tmp_path, environ={"PATH": os.environ["PATH"], "GITHUB_TOKEN": "x", "DEPLOY_KEY": "hidden"}
    )
    return CommandTarget(command=[sys.executable, "deploy.py"], site=site, timeout_s=timeout_s)


def held(tmp_path: Path, more: str) -> CommandTarget:
    return target(tmp_path, HELD.replace("DIGEST", repr(package(tmp_path / "packages").digest)) + more)


def test_upload__runs_in_the_checkout_not_among_the_files(tmp_path: Path) -> None:
    made = package(tmp_path / "packages", deploy__py=b"raise SystemExit('hostile')")
    script = """
import os, pathlib, json
told = os.environ
if told["MLCI_TARGET_ACTION"] == "upload":
    pathlib.Path("told.json").write_text(json.dumps({k: v for k, v in told.items() if k.startswith(("MLCI", "G"))}))
    pathlib.Path("held").touch()
else:
    kept = [{"version": "v1.0.0", "digest": DIGEST}] if pathlib.Path("held").exists() else []
    pathlib.Path(told["MLCI_TARGET_STATUS"]).write_text(json.dumps({"current": None, "kept": kept}))
"""
    target(tmp_path, script.replace("DIGEST", repr(made.digest))).upload(made)
    told = (tmp_path / "told.json").read_text()
    for word in ('"MLCI_TARGET_ACTION": "upload"', '"MLCI_MODEL": "churn"', '"MLCI_VERSION": "v1.0.0"', made.digest):
        assert word in told
    assert f'"MLCI_FILES": "{made.folder}"' in told
    assert "GITHUB_TOKEN" not in told


def test_switch__exit_75_is_a_conflict(tmp_path: Path) -> None:
    made = package(tmp_path / "packages")
    with pytest.raises(ConflictError):
        held(tmp_path, "if action == 'switch': sys.exit(75)").switch("churn", deployed(made), expected=None)


def test_switch__that_does_nothing(tmp_path: Path) -> None:
    made = package(tmp_path / "packages")
    with pytest.raises(DeployError, match=r"was told to serve v1\.0\.0 and does not"):
        held(tmp_path, "").switch("churn", deployed(made), expected=None)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import sys; print('one'); sys.exit('the key hidden is wrong')", r"exit code 1: the key \*\*\* is wrong"),
        ("import sys; sys.exit(75)", "status ended with exit code 75: no output"),
        ("", "wrote no status"),
        ("import os; open(os.environ['MLCI_TARGET_STATUS'], 'w').write('[]')", "the status cannot be read"),
        ("import os; os.kill(os.getpid(), 9)", "exit code -9"),
    ],
)
def test_status__that_fails(tmp_path: Path, script: str, words: str) -> None:
    with pytest.raises(DeployError, match=words) as caught:
        target(tmp_path, script).status("churn")
    assert "hidden" not in caught.value.message


def test_status__that_hangs(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"status took longer than 0\.5 s"):
        target(tmp_path, "import time; time.sleep(60)", timeout_s=0.5).status("churn")


@pytest.mark.parametrize("command", [[], "deploy.sh", ["no-such-program"]])
def test_command__that_is_none(tmp_path: Path, command: list[str] | str) -> None:
    made = CommandTarget(command=command, site=TargetSite(folder=tmp_path, environ={"PATH": os.environ["PATH"]}))
    with pytest.raises(DeployError, match=r"no command|No such file"):
        made.status("churn")
