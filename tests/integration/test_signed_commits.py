"""A rule that wants signed commits: records are then committed through the API, which signs them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fakes.git_server import WRITE, git_server
from fakes.github_server import Fault, GitHubServer, github_server
from fakes.records import record
from fakes.repositories import ENVIRON, Repository, repository
from mlci.errors import StoreError
from mlci.plugins.forges.client import Client
from mlci.plugins.forges.github import GitHubForge
from mlci.plugins.forges.patience import Patience
from mlci.plugins.stores.git_branch import GitBranchStore
from mlci.plugins.stores.interface import Site

TOKEN = "ghs_signed"
# What GitHub prints where a ruleset refuses a push.
HOOK = """#!/bin/sh
while read old new ref; do
  case "$ref" in refs/heads/mlci-data)
    echo "error: GH013: Repository rule violations found for $ref." >&2
    echo "- Commits must have verified signatures." >&2
    exit 1;;
  esac
done
"""


@dataclass
class Signed:
    """A server whose rule refuses unsigned commits on the data branch."""

    work: Repository
    server: GitHubServer
    bare: Repository

    def store(self, *, api: bool = True, token: str = TOKEN) -> GitBranchStore:
        forge = GitHubForge(Client(self.server.url, token, Patience(sleep=lambda _s: None)), "team/models")
        site = Site(
            folder=self.work.folder,
            environ=ENVIRON,
            token=TOKEN,
            server_url=self.url,
            commit_files=forge.commit_files if api else None,
        )
        return GitBranchStore(site=site, deadline_s=20.0)

    @property
    def url(self) -> str:
        return self.work.git("remote", "get-url", "origin").rsplit("/", 2)[0]

    @property
    def commits(self) -> list[str]:
        return self.bare.git("rev-list", "mlci-data").split()


@pytest.fixture
def signed(tmp_path: Path) -> Iterator[Signed]:
    with git_server(tmp_path / "server") as git, github_server() as server:
        url = git.create()
        work = repository(tmp_path / "work")
        work.commit()
        work.git("remote", "add", "origin", url)
        work.git("push", "--quiet", "origin", "main")
        git.tokens = {TOKEN: WRITE}
        hook = git.folder() / "hooks/pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(HOOK)
        hook.chmod(0o755)
        server.token(TOKEN)
        server.repository("team/models", git=git.folder())
        yield Signed(work, server, Repository(git.folder()))


def test_save__the_first_record_makes_the_branch_through_the_api(signed: Signed) -> None:
    [saved] = signed.store().save([record()])
    assert signed.store().find("churn", "full", ["a" * 40]) == saved
    assert len(signed.commits) == 1
    assert signed.bare.git("ls-tree", "-r", "--name-only", "mlci-data") == f"runs/churn/full/aa/{'a' * 40}.json"


def test_save__the_next_one_is_added_to_it(signed: Signed) -> None:
    signed.store().save([record()])
    signed.store().save([record("ranking", commit="b" * 40)])
    assert len(signed.commits) == 2
    assert signed.store().find("churn", "full", ["a" * 40]) is not None
    assert signed.store().find("ranking", "full", ["b" * 40]) is not None


def test_save__again_changes_nothing(signed: Signed) -> None:
    signed.store().save([record()])
    assert signed.store().save([record()]) == []
    assert len(signed.commits) == 1


def test_save__somebody_else_is_first(signed: Signed) -> None:
    signed.store().save([record()])
    raced: list[bool] = []

    def race(request: object) -> None:
        if not raced and getattr(request, "path", "") == "/graphql":
            raced.append(True)
            signed.store().save([record("other", commit="c" * 40)])

    signed.server.before = race
    signed.store().save([record("ranking", commit="b" * 40)])
    assert {entry.run for entry in signed.store().entries()} == {"churn", "other", "ranking"}


@pytest.mark.parametrize("first", [True, False])
def test_save__predictions_go_through_the_api_as_well(signed: Signed, *, first: bool) -> None:
    if not first:
        signed.store().save([record("other", commit="c" * 40)])
    content = bytes(range(256))
    sha256 = hashlib.sha256(content).hexdigest()
    signed.store().save([record()], blobs={sha256: content})
    assert signed.store().blob(sha256) == content
    assert len(signed.commits) == (1 if first else 2)


def test_prune__through_the_api(signed: Signed) -> None:
    old = [record(commit=n * 40, created_at=f"2020-01-0{n}T00:00:00Z") for n in "123"]
    signed.store().save(old)
    gone = signed.store().prune(datetime(2030, 1, 1, tzinfo=UTC), ["1" * 40])
    assert [entry.commit for entry in gone] == ["2" * 40]
    assert [entry.commit for entry in signed.store().entries()] == ["1" * 40, "3" * 40]
    assert len(signed.commits) == 2


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kind", ["committed-502", "cut", "dropped-committed", "502", "429-bare", "secondary"])
@pytest.mark.parametrize("nth", range(3))
def test_save__whatever_happens_to_a_request_the_record_is_there_once(
    signed: Signed, kind: str, nth: int, *, first: bool
) -> None:
    if not first:
        signed.store().save([record("other", commit="c" * 40)])
    signed.server.arm(Fault(kind, nth=nth))
    saved = signed.store().save([record()])
    assert [item.name for item in saved] == ["churn"]
    assert len(signed.commits) == (1 if first else 2)


def test_save__without_an_api_says_what_is_wanted(signed: Signed) -> None:
    with pytest.raises(StoreError, match="a rule of the server wants signed commits on mlci-data") as caught:
        signed.store(api=False).save([record()])
    assert "token of GitHub's API" in str(caught.value.hint)
