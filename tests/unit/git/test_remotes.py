"""Where a token goes: to the server that gave it, and into no URL, file or message."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from fakes.repositories import ENVIRON, repository
from mlci.git.remotes import authorization, remote, without_credentials

SERVER = "https://github.example"


def headers(config: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Key -> the decoded user and password of each authorization header."""
    return {
        key: base64.b64decode(value.split()[-1]).decode()
        for key, value in config
        if value.lower().startswith("authorization:")
    }


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        (f"{SERVER}/o/r.git", {"http.https://github.example/.extraheader": "x-access-token:token"}),
        ("https://GitHub.Example/o/r", {"http.https://GitHub.Example/.extraheader": "x-access-token:token"}),
        ("https://evil.example/o/r.git", {}),
        ("http://github.example/o/r.git", {}),
        ("https://github.example:8443/o/r.git", {}),
        ("https://github.example@evil.example/o/r.git", {}),
        ("git@github.example:o/r.git", {}),
        ("../elsewhere.git", {}),
    ],
)
def test_remote__the_token_goes_to_its_server_only(tmp_path: Path, url: str, sent: dict[str, str]) -> None:
    made = repository(tmp_path / "a")
    made.git("remote", "add", "origin", url)
    found = remote(made.folder, "origin", ENVIRON, token="token", server_url=SERVER)
    assert found is not None
    assert headers(found.config) == sent
    assert "token" not in repr(found)


def test_remote__the_token_goes_to_no_push_url_elsewhere(tmp_path: Path) -> None:
    made = repository(tmp_path / "a")
    made.git("remote", "add", "origin", f"{SERVER}/o/r.git")
    made.git("remote", "set-url", "--push", "origin", "https://evil.example/o/r.git")
    found = remote(made.folder, "origin", ENVIRON, token="token", server_url=SERVER)
    assert found is not None
    assert list(headers(found.config)) == ["http.https://github.example/.extraheader"]


def test_remote__a_password_in_the_url_leaves_the_url(tmp_path: Path) -> None:
    made = repository(tmp_path / "a")
    made.git("remote", "add", "origin", "https://me:pass@other.example/o/r.git")
    found = remote(made.folder, "origin", ENVIRON, token="token", server_url=SERVER)
    assert found is not None
    assert found.url == "https://other.example/o/r.git"
    assert headers(found.config) == {"http.https://other.example/.extraheader": "me:pass"}
    assert ("remote.mlci.url", "https://other.example/o/r.git") in found.config


@pytest.mark.parametrize("name", ["upstream", "https://evil.example/o/r.git", "--upload-pack=x"])
def test_remote__only_a_name_that_the_clone_knows(tmp_path: Path, name: str) -> None:
    made = repository(tmp_path / "a")
    assert remote(made.folder, name, ENVIRON, token="token", server_url=SERVER) is None


def test_authorization__replaces_what_the_checkout_left() -> None:
    config = authorization(f"{SERVER}/o/r.git", "token")
    assert config[0] == ("http.https://github.example/.extraheader", "")


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://me:pass@host:1/x", "https://host:1/x"),
        ("https://host/x", "https://host/x"),
        ("git@host:x", "git@host:x"),
        ("/path/x", "/path/x"),
    ],
)
def test_without_credentials(url: str, clean: str) -> None:
    assert without_credentials(url) == clean
