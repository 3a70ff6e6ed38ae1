"""Signed releases: with a private key here, checked with the repository's public key before anything is deployed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fakes.releases import CONFIG, Team, local_team

pytest.importorskip("model_signing")

TARGET = """
[targets.production]
kind = "folder"
stage = "production"
options = { path = "../served" }
"""


def key(folder: Path, name: str) -> Path:
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", private], check=True)
    subprocess.run(["openssl", "ec", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private


@pytest.fixture
def team(tmp_path: Path) -> Team:
    made = local_team(tmp_path)
    private = key(tmp_path, "ours")
    made.bench.write(release__pub=(tmp_path / "ours.pub").read_text())
    signed = CONFIG.replace("[models.churn]", '[models.churn]\nsign = "key"\npublic-key = "release.pub"')
    made.bench.write(mlci__toml=signed + TARGET)
    made.environ["MLCI_SIGNING_KEY"] = str(private)
    made.measure(0.9)
    return made


def deploy(team: Team) -> tuple[int, str]:
    done = team.bench.mlci("deploy", "--target", "production")
    return done.code, done.err


def test_release__is_signed_and_the_signature_is_checked(team: Team) -> None:
    done = team.release()
    assert done.code == 0, done.err
    assert (team.folder / "model.sig").is_file()
    assert deploy(team)[0] == 0


def test_release__without_the_key_nothing_is_released(team: Team) -> None:
    team.environ["MLCI_SIGNING_KEY"] = ""
    done = team.release()
    assert (done.code, "MLCI_SIGNING_KEY names no file" in done.err) == (2, True)
    assert not team.folder.exists()
    assert team.tags() == {}


def test_deploy__a_release_without_its_signature(team: Team) -> None:
    team.release()
    (team.folder / "model.sig").unlink()
    code, said = deploy(team)
    assert code == 7
    assert "model.sig: there is none, and releases of this model are signed" in said


def test_deploy__a_signature_of_somebody_else(team: Team, tmp_path: Path) -> None:
    team.environ["MLCI_SIGNING_KEY"] = str(key(tmp_path, "theirs"))
    team.release()
    code, said = deploy(team)
    assert code == 7
    assert "model.sig does not sign SHA256SUMS" in said
    assert not (tmp_path / "served").exists()


def test_load__a_public_key_that_is_not_there(team: Team) -> None:
    (team.bench.folder / "release.pub").unlink()
    assert "models.churn.public-key: expected the file of the public key" in team.release().err
