"""Names, digests, and who may switch."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from fakes.packages import deployed, package
from mlci.errors import ConflictError, DeployError
from mlci.plugins.targets import rules
from mlci.plugins.targets.interface import Deployed, TargetStatus

ONE, TWO = Deployed(version="v1.0.0", digest="a"), Deployed(version="v2.0.0", digest="b")


def test_check_package__a_link_is_no_file(tmp_path: Path) -> None:
    made = package(tmp_path)
    (made.folder / "card.md").unlink()
    (made.folder / "card.md").symlink_to(made.folder / "model.bin")
    with pytest.raises(DeployError, match=r"card\.md of churn v1\.0\.0 is not in the package"):
        rules.check_package(made)


def test_check_package__another_size(tmp_path: Path) -> None:
    made = package(tmp_path, model__bin=b"abc")
    wrong = dataclasses.replace(made.files[0], size=4)
    with pytest.raises(DeployError, match=r"expected sha256 ba78\w+ \(4 bytes\), found ba78\w+ \(3 bytes\)"):
        rules.check_package(dataclasses.replace(made, files=(wrong,)))


@pytest.mark.parametrize("name", ["a\nb", "a\\b", "..", "CON:", "é", "x" * 201, "-rf"])
def test_check_file_name__refuses(name: str) -> None:
    with pytest.raises(DeployError):
        rules.check_file_name(name)


@pytest.mark.parametrize(
    "name", ["SHA256SUMS", "model.joblib", "model.onnx.sig", "my model (1).bin".replace("(1)", "1")]
)
def test_check_file_name__takes(name: str) -> None:
    rules.check_file_name(name)


def test_is_held(tmp_path: Path) -> None:
    made = package(tmp_path)
    assert rules.is_held(made, [TWO, deployed(made)])
    assert not rules.is_held(made, [TWO])
    with pytest.raises(DeployError, match="made of other files"):
        rules.is_held(made, [ONE])


def test_may_switch() -> None:
    both = (ONE, TWO)
    assert rules.may_switch(TargetStatus(current=ONE, kept=both), TWO, ONE)
    assert rules.may_switch(TargetStatus(current=None, kept=both), TWO, None)
    assert not rules.may_switch(TargetStatus(current=TWO, kept=both), TWO, ONE)
    with pytest.raises(ConflictError, match=r"nothing is served instead of v1\.0\.0"):
        rules.may_switch(TargetStatus(current=None, kept=both), TWO, ONE)
    with pytest.raises(DeployError, match="was not uploaded"):
        rules.may_switch(TargetStatus(current=ONE, kept=(ONE,)), TWO, ONE)


def test_sorted_by_version() -> None:
    named = [Deployed(version=version, digest="") for version in ("v1.10.0", "v1.9.0", "v1.10.0-rc.1", "other")]
    assert [item.version for item in rules.sorted_by_version(named)] == ["v1.9.0", "v1.10.0-rc.1", "v1.10.0"]
