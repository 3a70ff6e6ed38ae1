from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.git_server import READ, WRITE, GitServer, git_server
from fakes.repositories import ENVIRON, Repository, repository


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with git_server(tmp_path / "served") as running:
        yield running


@pytest.fixture
def clone(tmp_path: Path) -> Repository:
    made = repository(tmp_path / "clone")
    made.commit()
    return made


def with_token(url: str, token: str) -> str:
    return url.replace("http://", f"http://anybody:{token}@")


def attempt(clone: Repository, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = ENVIRON | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    return subprocess.run(
        ["git", *arguments], cwd=clone.folder, env=environ, capture_output=True, text=True, check=False
    )


def test_server__keeps_what_is_pushed_and_serves_it(server: GitServer, clone: Repository, tmp_path: Path) -> None:
    url = server.create()
    clone.git("push", "--quiet", url, "main")
    copy = clone.clone(tmp_path / "copy", url)
    assert copy.git("rev-parse", "HEAD") == clone.git("rev-parse", "HEAD")
    assert ("POST", "/team/models.git/git-receive-pack") in server.requests


def test_server__large_push_in_chunks(server: GitServer, clone: Repository) -> None:
    url = server.create()
    (clone.folder / "noise.bin").write_bytes(b"".join(i.to_bytes(4, "big") * 3 for i in range(700_000)))
    clone.git("add", ".")
    clone.git("-c", "core.compression=0", "commit", "--quiet", "-m", "Large")
    clone.git("-c", "core.compression=0", "push", "--quiet", url, "main")
    assert clone.git("ls-remote", url, "main").split()[0] == clone.git("rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("token", "right", "said"),
    [
        ("reader", "fetch", None),
        ("reader", "push", "403"),
        ("writer", "push", None),
        ("stranger", "fetch", "Authentication failed"),
    ],
)
def test_server__tokens(server: GitServer, clone: Repository, token: str, right: str, said: str | None) -> None:
    url = server.create()
    clone.git("push", "--quiet", url, "main")
    server.tokens |= {"reader": READ, "writer": WRITE}
    target = ("HEAD:refs/heads/new",) if right == "push" else ("main",)
    done = attempt(clone, right, with_token(url, token), *target)
    assert (done.returncode == 0) is (said is None)
    assert (said or "") in done.stderr


def test_server__filters_can_be_off(server: GitServer, clone: Repository, tmp_path: Path) -> None:
    for name, filters in (("team/new", True), ("team/old", False)):
        clone.git("push", "--quiet", server.create(name, filters=filters), "main")
        done = attempt(clone, "clone", "--bare", "--filter=blob:none", f"{server.url}/{name}.git", str(tmp_path / name))
        assert ("filtering not recognized" in done.stderr) is not filters


def test_server__faults_of_its_own(server: GitServer, clone: Repository) -> None:
    url = server.create()
    server.stumbles = 1
    assert "502" in attempt(clone, "ls-remote", url).stderr
    server.lose_answers = 1
    assert attempt(clone, "push", url, "main").returncode != 0
    assert clone.git("ls-remote", url, "main").split()[0] == clone.git("rev-parse", "HEAD")
