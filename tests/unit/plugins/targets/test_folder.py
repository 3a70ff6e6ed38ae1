"""The folder target beside the contract: what a dead process leaves, what a hand changed."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from fakes.packages import deployed, package
from mlci.errors import DeployError
from mlci.plugins.targets.folder import FolderTarget
from mlci.plugins.targets.interface import TargetSite


def target(tmp_path: Path) -> FolderTarget:
    return FolderTarget(path="models", site=TargetSite(folder=tmp_path, environ={}))


def test_layout__is_what_a_server_reads(tmp_path: Path) -> None:
    made = package(tmp_path / "packages")
    target(tmp_path).upload(made)
    target(tmp_path).switch("churn", deployed(made), expected=None)
    assert (tmp_path / "models/churn/current/model.bin").read_bytes() == b"weights of v1.0.0"
    assert not Path(tmp_path / "models/churn/current").readlink().is_absolute()
    # Whoever serves it may be somebody else.
    assert stat.S_IMODE((tmp_path / "models/churn/versions/v1.0.0").stat().st_mode) & 0o055 == 0o055
    assert sorted(path.name for path in (tmp_path / "models/churn").iterdir()) == [".lock", "current", "versions"]


def test_upload__over_what_a_dead_process_left(tmp_path: Path) -> None:
    versions = tmp_path / "models/churn/versions"
    for name in (".v1.0.0.tmp", "v1.0.0"):
        (versions / name).mkdir(parents=True)
        (versions / name / "junk").touch()
    (tmp_path / "models/churn/.current.tmp").symlink_to("nowhere")
    made = package(tmp_path / "packages")
    target(tmp_path).upload(made)
    target(tmp_path).switch("churn", deployed(made), expected=None)
    assert [path.name for path in versions.iterdir()] == ["v1.0.0"]
    assert not (versions / "v1.0.0/junk").exists()


def test_status__of_a_link_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "models/churn").mkdir(parents=True)
    (tmp_path / "models/churn/current").symlink_to("versions/v9.0.0")
    with pytest.raises(DeployError, match=r"folder models: churn/current points at v9\.0\.0, which is not there"):
        target(tmp_path).status("churn")


def test_status__of_something_else_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "models/churn/current").mkdir(parents=True)
    with pytest.raises(DeployError, match="Invalid argument"):
        target(tmp_path).status("churn")
