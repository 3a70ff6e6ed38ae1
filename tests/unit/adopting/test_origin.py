"""The commit of mlci that workflows name is the one that it was installed from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fakes.repositories import ENVIRON, repository
from mlci.adopting.origin import UNKNOWN, Action, from_direct_url, named, named_by
from mlci.adopting.workflows import template
from mlci.errors import UsageError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("url", "repository"),
    [
        ("https://github.com/acme/mlci.git", "acme/mlci"),
        ("https://token@ghe.acme.com/tools/mlci", "tools/mlci"),
        ("ssh://git@github.com/acme/mlci.git", "acme/mlci"),
        ("https://github.com/acme", None),
        ("https://gitlab.com/acme/group/mlci", None),
    ],
)
def test_from_direct_url__of_an_installation_from_git(url: str, repository: str | None) -> None:
    found: dict[str, Any] = {"url": url, "vcs_info": {"vcs": "git", "commit_id": COMMIT}}
    assert from_direct_url(found, ENVIRON) == (Action(repository, COMMIT) if repository else None)


def test_from_direct_url__of_a_clone_its_remote_and_head(tmp_path: Path) -> None:
    clone = repository(tmp_path)
    commit = clone.commit()
    said = {"url": tmp_path.as_uri(), "dir_info": {"editable": True}}
    clone.git("remote", "add", "origin", "git@github.com:acme/mlci.git")
    assert from_direct_url(said, ENVIRON) is None  # no repository of mlci's
    (tmp_path / "action.yml").touch()
    assert from_direct_url(said, ENVIRON) == Action("acme/mlci", commit)
    clone.git("remote", "set-url", "origin", str(tmp_path))
    assert from_direct_url(said, ENVIRON) is None


@pytest.mark.parametrize("said", [{}, {"url": 1}, {"url": "https://x/a/b", "vcs_info": {"commit_id": "main"}}])
def test_from_direct_url__what_tells_no_commit(said: dict[str, Any]) -> None:
    assert from_direct_url(said, ENVIRON) is None


@pytest.mark.parametrize("text", ["acme/mlci", "acme/mlci@v1", f"acme@{COMMIT}", f"acme/mlci@{COMMIT}\nx"])
def test_named__refuses_what_can_be_moved(text: str) -> None:
    with pytest.raises(UsageError, match="OWNER/REPOSITORY@COMMIT"):
        named(text)


def test_put_into__every_use_of_mlci_and_no_other() -> None:
    text = Action("acme/mlci", COMMIT).put_into(template("pull-request.yml"))
    assert "uses: OWNER" not in text
    assert f"uses: acme/mlci/comment@{COMMIT}\n" in text
    assert text.count("uses: actions/") == template("pull-request.yml").count("uses: actions/")


def test_named_by__a_template_is_what_it_names() -> None:
    text = template("call-reusable.yml")
    assert named_by(text) == UNKNOWN
    assert not UNKNOWN.known
    assert named_by(Action("acme/mlci", COMMIT).put_into(text)) == Action("acme/mlci", COMMIT)
