from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fakes.contexts import context
from fakes.git_server import READ, GitServer, git_server
from fakes.repositories import ENVIRON, Repository, fingerprint, repository
from mlci.history import History, baseline_history


@dataclass
class Team:
    """A server with five commits on main, the oldest first, and a branch of two from the third."""

    server: GitServer
    url: str
    work: Repository
    main: list[str]
    feature: list[str]

    def test_merge(self) -> str:
        """What GitHub makes of pull request 7: main's tip merged with the branch's."""
        self.work.git("switch", "--quiet", "--detach", "main")
        self.work.git("merge", "--quiet", "--no-ff", "-m", "Merge", "feature")
        self.work.git("push", "--quiet", "origin", "HEAD:refs/pull/7/merge", "feature:refs/pull/7/head")
        return self.work.git("rev-parse", "HEAD")

    def checkout(self, folder: Path, refspec: str, depth: int | None = 1) -> Repository:
        """What actions/checkout does: fetch one thing into an empty repository."""
        made = repository(folder)
        made.git("remote", "add", "origin", self.url)
        made.git("fetch", "--quiet", "--no-tags", *([f"--depth={depth}"] if depth else []), "origin", refspec)
        made.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
        return made


@pytest.fixture(params=[True], ids=["filters"])
def team(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Team]:
    with git_server(tmp_path / "served") as server:
        url = server.create(filters=request.param)
        work = repository(tmp_path / "work")
        work.git("remote", "add", "origin", url)
        main = work.commits(5)
        work.git("switch", "--quiet", "--create", "feature", main[2])
        feature = [work.commit("model.py"), work.commit("model.py")]
        work.git("push", "--quiet", "origin", "main", "feature")
        yield Team(server, url, work, main, feature)


def history(clone: Repository, limit: int = 200, **event: Any) -> History:
    return baseline_history(clone.folder, context(**event), "main", ENVIRON, limit=limit)


def before(commits: list[str], position: int) -> tuple[str, ...]:
    """The commit at `position` and those before it, the nearest first."""
    return tuple(reversed(commits[: position + 1]))


def pull_request(team: Team, sha: str) -> dict[str, Any]:
    return {
        "event": "pull_request",
        "pull_request": 7,
        "ref": "refs/pull/7/merge",
        "sha": sha,
        "base_sha": team.main[4],
        "head_sha": team.feature[1],
        "server_url": team.server.url,
        "in_actions": True,
    }


# Pull requests and the merge queue


@pytest.mark.parametrize("depth", [None, 1, 2])
def test_history__test_merge(team: Team, tmp_path: Path, depth: int | None) -> None:
    sha = team.test_merge()
    clone = team.checkout(tmp_path / "runner", "refs/pull/7/merge", depth)
    untouched = fingerprint(clone.folder)
    found = history(clone, **pull_request(team, sha))
    assert found == History(merge_base=team.main[4], commits=before(team.main, 4))
    assert fingerprint(clone.folder) == untouched


def test_history__test_merge_whose_base_has_moved_on(team: Team, tmp_path: Path) -> None:
    """The event's base is older or newer than what was merged: what was merged counts."""
    sha = team.test_merge()
    clone = team.checkout(tmp_path / "runner", "refs/pull/7/merge")
    team.work.git("push", "--quiet", "--delete", "origin", "refs/pull/7/merge")
    found = history(clone, **pull_request(team, sha) | {"base_sha": team.main[1]})
    assert found.merge_base == team.main[4]
    assert found.reason is None


def test_history__test_merge_without_the_server(team: Team, tmp_path: Path) -> None:
    sha = team.test_merge()
    clone = team.checkout(tmp_path / "runner", "refs/pull/7/merge")
    clone.git("remote", "remove", "origin")
    found = history(clone, **pull_request(team, sha))
    assert found.commits == (team.main[4],)
    assert found.reason == (
        f"the history before {team.main[4][:10]} is not known here; there is no remote 'origin' to fetch history from"
    )


@pytest.mark.parametrize("depth", [None, 1])
def test_history__head_of_a_pull_request(team: Team, tmp_path: Path, depth: int | None) -> None:
    sha = team.test_merge()
    clone = team.checkout(tmp_path / "runner", "refs/pull/7/head", depth)
    untouched = fingerprint(clone.folder)
    found = history(clone, **pull_request(team, sha))
    assert found == History(merge_base=team.main[2], commits=before(team.main, 2))
    assert fingerprint(clone.folder) == untouched


def test_history__a_merge_commit_as_head_is_no_test_merge(team: Team, tmp_path: Path) -> None:
    """Somebody merged main into the branch: its first parent is the branch, not the base."""
    sha = team.test_merge()
    team.work.git("switch", "--quiet", "feature")
    team.work.git("merge", "--quiet", "-m", "Merge main", team.main[3])
    team.work.git("push", "--quiet", "origin", "feature:refs/pull/7/head")
    clone = team.checkout(tmp_path / "runner", "refs/pull/7/head")
    event = pull_request(team, sha) | {"head_sha": team.work.git("rev-parse", "feature")}
    assert history(clone, **event) == History(merge_base=team.main[3], commits=before(team.main, 3))


def test_history__merge_queue(team: Team, tmp_path: Path) -> None:
    team.test_merge()
    clone = team.checkout(tmp_path / "runner", "refs/pull/7/merge")
    found = history(clone, event="merge_group", base_sha=team.main[4], server_url=team.server.url, in_actions=True)
    assert found == History(merge_base=team.main[4], commits=before(team.main, 4))


def test_history__merge_queue_that_squashes_on_another_group(team: Team, tmp_path: Path) -> None:
    """The second entry of a queue stands on the first, which main does not have yet."""
    work = team.work
    work.git("switch", "--quiet", "--detach", "main")
    first, second = work.commit("first.py"), work.commit("second.py")
    work.git("push", "--quiet", "origin", "HEAD:refs/heads/gh-readonly-queue/main/pr-8")
    clone = team.checkout(tmp_path / "runner", "refs/heads/gh-readonly-queue/main/pr-8")
    event: dict[str, Any] = {"event": "merge_group", "base_sha": first, "base_ref": "main", "sha": second}
    assert history(clone, **event) == History(merge_base=first, commits=(first, *before(team.main, 4)))


def test_history__a_base_that_is_not_the_default_branch(team: Team, tmp_path: Path) -> None:
    team.work.git("switch", "--quiet", "--create", "release", team.main[1])
    release = team.work.commit("release.py")
    team.work.git("switch", "--quiet", "--create", "fix")
    fix = team.work.commit("fix.py")
    team.work.git("push", "--quiet", "origin", "release", "fix")
    clone = team.checkout(tmp_path / "runner", "+refs/heads/fix:refs/remotes/origin/fix")
    event = pull_request(team, "f" * 40) | {"base_sha": release, "base_ref": "release", "head_sha": fix}
    assert history(clone, **event).commits == (release, *before(team.main, 1))


@pytest.mark.parametrize("depth", [None, 1])
def test_history__rebased_while_the_event_names_the_old_base(team: Team, tmp_path: Path, depth: int | None) -> None:
    team.work.git("rebase", "--quiet", "main", "feature")
    team.work.git("push", "--quiet", "--force", "origin", "feature")
    clone = team.checkout(tmp_path / "runner", "+refs/heads/*:refs/remotes/origin/*", depth)
    clone.git("checkout", "--quiet", "--detach", "origin/feature")
    event = pull_request(team, "f" * 40) | {"base_sha": team.main[2], "base_ref": "main"}
    assert history(clone, **event).commits == before(team.main, 4)


@pytest.mark.parametrize(("checkout", "depth"), [("merge", 1), ("head", 1), ("head", None)])
def test_history__the_base_branch_was_force_pushed(
    team: Team, tmp_path: Path, checkout: str, depth: int | None
) -> None:
    """What was merged, or built upon, is what the change is about, though main has dropped it."""
    team.work.git("rebase", "--quiet", "main", "feature")
    sha = team.test_merge()
    team.work.git("switch", "--quiet", "main")
    team.work.git("reset", "--quiet", "--hard", team.main[1])
    team.work.commit("other.py")
    team.work.git("push", "--quiet", "--force", "origin", "main")
    clone = team.checkout(tmp_path / "runner", f"+refs/pull/7/{checkout}:refs/remotes/pull/7", depth)
    event = pull_request(team, sha) | {"base_ref": "main", "head_sha": team.work.git("rev-parse", "feature")}
    assert history(clone, **event).commits == before(team.main, 4)


def test_history__the_base_was_force_pushed_and_is_gone_from_the_server(team: Team, tmp_path: Path) -> None:
    clone = team.checkout(tmp_path / "runner", "refs/heads/feature")
    event = pull_request(team, "f" * 40) | {"base_sha": "f" * 40, "base_ref": "main"}
    assert history(clone, **event) == History(merge_base=team.main[2], commits=before(team.main, 2))


@pytest.mark.parametrize("depth", [None, 1])
def test_history__the_head_was_force_pushed_meanwhile(team: Team, tmp_path: Path, depth: int | None) -> None:
    """The checkout is of an older head than the server's, as when a job waits for a runner."""
    sha = team.test_merge()
    merge = team.checkout(tmp_path / "merge", "refs/pull/7/merge", depth)
    head = team.checkout(tmp_path / "head", "refs/pull/7/head", depth)
    team.work.git("switch", "--quiet", "--detach", team.main[0])
    team.work.commit("again.py")
    team.work.git("push", "--quiet", "--force", "origin", "HEAD:refs/pull/7/head", "HEAD:refs/pull/7/merge")
    event = pull_request(team, sha) | {"base_ref": "main"}
    assert history(merge, **event).commits == before(team.main, 4)
    assert history(head, **event).commits == before(team.main, 2)


@pytest.mark.parametrize("depth", [None, 1])
def test_history__a_head_that_was_merged_meanwhile_is_not_its_own_baseline(
    team: Team, tmp_path: Path, depth: int | None
) -> None:
    team.test_merge()
    team.work.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
    clone = team.checkout(tmp_path / "runner", "+refs/heads/*:refs/remotes/origin/*", depth)
    clone.git("checkout", "--quiet", "--detach", "origin/feature")
    event = pull_request(team, "f" * 40) | {"base_ref": "main"}
    assert history(clone, **event).commits == before(team.main, 2)


def test_history__a_privileged_event_that_checks_out_the_base(team: Team, tmp_path: Path) -> None:
    clone = team.checkout(tmp_path / "runner", "refs/heads/main")
    event = pull_request(team, team.main[4]) | {"event": "pull_request_target", "ref": "refs/heads/main"}
    assert history(clone, **event, base_ref="main").commits == before(team.main, 3)


def test_history__an_unknown_base(team: Team, tmp_path: Path) -> None:
    clone = team.checkout(tmp_path / "runner", "refs/heads/feature")
    found = history(clone, event="merge_group", base_sha="f" * 40, in_actions=True)
    assert found.commits == ()
    assert "the base ffffffffff is not known here; more of it could not be fetched" in str(found.reason)


@pytest.mark.parametrize("team", [False], indirect=True, ids=["no filters"])
def test_history__a_server_without_filters(team: Team, tmp_path: Path) -> None:
    sha = team.test_merge()
    clone = team.checkout(tmp_path / "runner", "refs/pull/7/head")
    assert history(clone, **pull_request(team, sha)).commits == before(team.main, 2)


def test_history__with_the_token_of_the_event(team: Team, tmp_path: Path) -> None:
    sha = team.test_merge()
    clone = team.checkout(tmp_path / "runner", "refs/pull/7/head")
    team.server.tokens["ghs_reader"] = READ
    event = pull_request(team, sha)
    assert "could not be fetched" in str(history(clone, **event).reason)
    assert history(clone, **event, token="ghs_reader").commits == before(team.main, 2)
    private = clone.folder / ".git" / "mlci"
    assert not any(b"ghs_reader" in file.read_bytes() for file in private.rglob("*") if file.is_file())


# Laptops and pushes


@pytest.mark.parametrize("position", [2, 4], ids=["behind main", "rebased on main"])
def test_history__branch_in_a_full_clone(team: Team, tmp_path: Path, position: int) -> None:
    if position == 4:
        team.work.git("rebase", "--quiet", "main", "feature")
        team.work.git("push", "--quiet", "--force", "origin", "feature")
    clone = team.work.clone(tmp_path / "clone", team.url)
    clone.git("switch", "--quiet", "feature")
    team.server.requests.clear()
    assert history(clone) == History(merge_base=team.main[position], commits=before(team.main, position))
    clone.git("switch", "--quiet", "--detach")
    assert history(clone).merge_base == team.main[position]
    assert team.server.requests == []
    assert not (clone.folder / ".git" / "mlci").exists()


def test_history__local_branch_only(tmp_path: Path) -> None:
    work = repository(tmp_path / "work")
    main = work.commits(3)
    work.git("switch", "--quiet", "--create", "feature")
    work.commit()
    assert history(work) == History(merge_base=main[2], commits=before(main, 2))


@pytest.mark.parametrize("stale", ["main", "origin/main"])
def test_history__the_nearer_of_the_local_and_the_remote_branch(team: Team, tmp_path: Path, stale: str) -> None:
    clone = team.work.clone(tmp_path / "clone", team.url)
    clone.git("switch", "--quiet", "--create", "mine")
    clone.commit()
    old = "refs/heads/main" if stale == "main" else "refs/remotes/origin/main"
    clone.git("update-ref", old, team.main[1])
    assert history(clone).merge_base == team.main[4]


def test_history__on_the_base_branch_itself(team: Team, tmp_path: Path) -> None:
    clone = team.work.clone(tmp_path / "clone", team.url)
    assert history(clone) == History(merge_base=team.main[3], commits=before(team.main, 3))
    clone.git("switch", "--quiet", "--detach", team.main[2])
    assert history(clone) == History(merge_base=team.main[1], commits=before(team.main, 1))
    clone.git("switch", "--quiet", "main")
    clone.commit()
    assert history(clone) == History(merge_base=team.main[4], commits=before(team.main, 4))


@pytest.mark.parametrize("branch", ["main", "feature"])
def test_history__push_at_depth_one(team: Team, tmp_path: Path, branch: str) -> None:
    clone = team.checkout(tmp_path / "runner", f"+refs/heads/{branch}:refs/remotes/origin/{branch}")
    sha = clone.git("rev-parse", "HEAD")
    found = history(clone, event="push", ref=f"refs/heads/{branch}", sha=sha, default_branch="main", in_actions=True)
    position = 3 if branch == "main" else 2
    assert found == History(merge_base=team.main[position], commits=before(team.main, position))


def test_history__commits_that_a_shallow_clone_has_for_itself(team: Team, tmp_path: Path) -> None:
    clone = team.work.clone(tmp_path / "clone", team.url, "--depth=1", "--branch=feature")
    clone.commits(2)
    untouched = fingerprint(clone.folder)
    assert history(clone) == History(merge_base=team.main[2], commits=before(team.main, 2))
    assert fingerprint(clone.folder) == untouched


def test_history__merges_are_followed_along_main(team: Team) -> None:
    team.work.git("switch", "--quiet", "main")
    team.work.git("merge", "--quiet", "--no-ff", "-m", "Merge feature", "feature")
    merge = team.work.git("rev-parse", "HEAD")
    team.work.git("switch", "--quiet", "--create", "next")
    team.work.commit()
    assert history(team.work).commits == (merge, *before(team.main, 4))


def test_history__several_merge_bases(team: Team, tmp_path: Path) -> None:
    """Criss-cross: of main and the branch's tip, both merged into the other, main was measured."""
    said = "HEAD and branch main have 2 merge bases; the newest on the branch itself is used"
    work = team.work
    # The branch's tip is the younger one.
    work.git("switch", "--quiet", "feature")
    work.commit("model.py")
    work.git("switch", "--quiet", "--detach", "feature")
    work.git("merge", "--quiet", "-m", "One way", "main")
    work.git("branch", "one")
    work.git("switch", "--quiet", "main")
    work.git("merge", "--quiet", "-m", "The other way", "feature")
    work.git("switch", "--quiet", "one")
    work.commit()
    assert history(work).reason == said
    assert history(work).commits == before(team.main, 4)
    work.git("push", "--quiet", "--force", "origin", "main", "one")
    clone = team.checkout(tmp_path / "runner", "refs/heads/one")
    assert history(clone) == history(work)


def test_history__limit(team: Team, tmp_path: Path) -> None:
    assert history(team.work, limit=2).commits == before(team.main, 2)[:2]
    clone = team.checkout(tmp_path / "runner", "refs/heads/feature")
    found = history(clone, limit=2)
    assert found.merge_base == team.main[2]
    assert found.commits == before(team.main, 2)[:2]


# What cannot be known


def test_history__unrelated(team: Team, tmp_path: Path) -> None:
    team.work.git("switch", "--quiet", "--orphan", "fresh")
    team.work.commit("other.py")
    team.work.git("push", "--quiet", "origin", "fresh")
    said = "HEAD and branch main have no common history"
    assert history(team.work) == History(reason=said)
    assert history(team.checkout(tmp_path / "runner", "refs/heads/fresh")) == History(reason=said)


def test_history__first_commit(tmp_path: Path) -> None:
    work = repository(tmp_path / "work")
    work.commit()
    assert history(work) == History(reason="HEAD is the first commit of its branch")


def test_history__no_such_branch(tmp_path: Path) -> None:
    work = repository(tmp_path / "work")
    work.commit()
    work.git("branch", "--move", "trunk")
    assert history(work) == History(
        reason="branch main is not known here; there is no remote 'origin' to fetch history from"
    )


def test_history__no_such_branch_on_the_remote(team: Team) -> None:
    found = baseline_history(team.work.folder, context(), "trunk", ENVIRON)
    assert "branch trunk is not known here; more of it could not be fetched" in str(found.reason)


def test_history__shallow_and_no_remote(team: Team, tmp_path: Path) -> None:
    clone = team.work.clone(tmp_path / "clone", team.url, "--depth=2")
    clone.git("remote", "remove", "origin")
    found = history(clone)
    assert found.commits == (team.main[3],)
    assert "is not known here; there is no remote" in str(found.reason)


@pytest.mark.parametrize("made", [True, False], ids=["no commit yet", "no repository"])
def test_history__nothing_to_read(tmp_path: Path, made: bool) -> None:
    folder = tmp_path / "work"
    repository(folder) if made else folder.mkdir()
    found = baseline_history(folder, context(), "main", ENVIRON)
    assert found.commits == ()
    assert "not a git repository, or has no commit yet" in str(found.reason)
