"""The git wrapper: no prompts, no redirection, no credential in a message."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from fakes.repositories import ENVIRON, repository
from mlci.errors import GitError
from mlci.git.command import Git, common_folder, head, top_level


def test_run__a_failure_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(GitError, match=r"^git rev-parse: .*not a git repository[^\n]*$"):
        Git(tmp_path, ENVIRON | {"GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}).run("rev-parse", "HEAD")


def test_run__variables_of_a_hook_do_not_redirect(tmp_path: Path) -> None:
    made = repository(tmp_path / "a")
    first = made.commit()
    redirected = ENVIRON | {"GIT_DIR": str(tmp_path / "other"), "GIT_INDEX_FILE": "x", "GIT_WORK_TREE": "/"}
    assert Git(made.folder, redirected).run("rev-parse", "HEAD") == first


def test_run__a_missing_git(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="git cannot be started") as caught:
        Git(tmp_path / "gone", ENVIRON).run("status")
    assert caught.value.hint


def test_run__configuration_never_stands_in_argv(tmp_path: Path) -> None:
    made = repository(tmp_path / "a")
    git = Git(made.folder, ENVIRON, (("user.name", "Configured"),))
    assert git.run("config", "user.name") == "Configured"
    assert "Configured" not in repr(git)


def test_complaint__is_without_credentials(tmp_path: Path) -> None:
    secret = base64.b64encode(b"x-access-token:hunter2").decode()
    git = Git(tmp_path, ENVIRON, (("http.extraheader", f"Authorization: Basic {secret}"),))
    done = git.attempt("ls-remote", "http://me:hunter2@127.0.0.1:1/x.git")
    said = git.complaint(done)
    assert "127.0.0.1" in said
    assert "hunter2" not in said
    assert secret not in said
    assert "\n" not in said


def test_head__of_a_branch_a_commit_and_nothing(tmp_path: Path) -> None:
    made = repository(tmp_path / "a")
    assert head(made.folder, ENVIRON).commit is None
    commit = made.commit()
    assert (head(made.folder, ENVIRON).commit, head(made.folder, ENVIRON).branch) == (commit, "main")
    made.git("checkout", "--quiet", "--detach")
    assert head(made.folder, ENVIRON).branch is None


def test_head__dirty_is_a_tracked_file_that_differs(tmp_path: Path) -> None:
    made = repository(tmp_path / "a")
    made.commit()
    (made.folder / "untracked").touch()
    assert not head(made.folder, ENVIRON).dirty
    (made.folder / "train.py").write_text("changed\n")
    assert head(made.folder, ENVIRON).dirty


def test_top_level__and_outside_of_one(tmp_path: Path) -> None:
    made = repository(tmp_path / "a")
    inner = made.folder / "inner"
    inner.mkdir()
    environ = ENVIRON | {"GIT_CEILING_DIRECTORIES": str(tmp_path)}
    assert top_level(inner, environ) == made.folder.resolve()
    assert common_folder(inner, environ) == (made.folder / ".git").resolve()
    assert top_level(tmp_path, environ) is None
    assert common_folder(tmp_path, environ) is None
