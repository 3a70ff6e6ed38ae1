"""The git store over real HTTP: tokens, many writers, and what it leaves behind."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fakes.exhaustive import EXHAUSTIVE
from fakes.full_stores import commits, fill, measured
from fakes.git_server import READ, WRITE, GitServer, git_server
from fakes.records import record
from fakes.repositories import ENVIRON, Repository, fingerprint, repository
from mlci.errors import StoreError
from mlci.plugins.stores.git_branch import GitBranchStore
from mlci.plugins.stores.interface import Entry, Site

A, B = "a" * 40, "b" * 40
# 64 writers at once where all is tried, 24 in the ordinary run.
PROCESSES = 16 if EXHAUSTIVE else 6
THREADS = 4
TOKEN = "ghs_writersecret"
PICTURES = [b"first", b"second"]

SAVE_ALL = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from fakes.records import record
from fakes.repositories import ENVIRON
from mlci.plugins.stores.git_branch import GitBranchStore
from mlci.plugins.stores.interface import Site

server_url, token, *places = sys.argv[1:]

def save(place):
    number, _, folder = place.partition(":")
    site = Site(folder=Path(folder), environ=ENVIRON, token=token or None, server_url=server_url)
    kept = record(commit=f"{int(number):040x}")
    assert GitBranchStore(site=site).save([kept]) == [kept]

with ThreadPoolExecutor(len(places)) as threads:
    list(threads.map(save, places))
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with git_server(tmp_path / "served") as running:
        yield running


@pytest.fixture
def clone(server: GitServer, tmp_path: Path) -> Repository:
    """A clone with a history on the server, and things of the user's that must survive."""
    made = repository(tmp_path / "clone")
    made.commits(3)
    made.git("remote", "add", "origin", server.create())
    made.git("push", "--quiet", "--set-upstream", "origin", "main")
    return made


def leave_work_about(clone: Repository) -> None:
    (clone.folder / "train.py").write_text("stashed\n")
    clone.git("stash")
    (clone.folder / "staged.py").write_text("staged\n")
    clone.git("add", "staged.py")
    (clone.folder / "train.py").write_text("not staged\n")
    (clone.folder / "untracked.txt").write_text("untracked\n")


def store(clone: Repository, server: GitServer, token: str | None = None, **environ: str) -> GitBranchStore:
    site = Site(folder=clone.folder, environ=ENVIRON | environ, token=token, server_url=server.url)
    return GitBranchStore(site=site, deadline_s=20)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def save_at_once(folders: list[Path], server_url: str = "", token: str = "") -> None:
    """Save a record of its own from each folder, all at the same time, in several processes."""
    environ = dict(os.environ) | {"PYTHONPATH": str(Path(__file__).parents[1])}
    places = [f"{number}:{folder}" for number, folder in enumerate(folders)]
    writers = [
        subprocess.Popen([sys.executable, "-c", SAVE_ALL, server_url, token, *places[first::PROCESSES]], env=environ)
        for first in range(min(PROCESSES, len(places)))
    ]
    assert {writer.wait() for writer in writers} == {0}


def holding(folder: Path, secret: str) -> list[Path]:
    """The files under `folder` that hold `secret`, as it is or as git would send it."""
    encoded = base64.b64encode(f"x-access-token:{secret}".encode())
    files = [file for file in folder.rglob("*") if file.is_file()]
    return [file for file in files if any(form in file.read_bytes() for form in (secret.encode(), encoded))]


@pytest.mark.slow
def test_save__many_clones_at_once_lose_nothing(clone: Repository, server: GitServer, tmp_path: Path) -> None:
    clones = [clone.clone(tmp_path / f"clone-{n}", server.url + "/team/models.git") for n in range(PROCESSES)]
    server.tokens[TOKEN] = WRITE
    save_at_once([each.folder for each in clones] * THREADS, server.url, TOKEN)
    assert len(list(store(clone, server, TOKEN).entries())) == PROCESSES * THREADS


@pytest.mark.slow
def test_save__one_shallow_clone_many_times_at_once(clone: Repository, server: GitServer, tmp_path: Path) -> None:
    mine = clone.clone(tmp_path / "mine", server.url + "/team/models.git", "--depth=1")
    leave_work_about(mine)
    before = fingerprint(mine.folder)
    assert {".git/shallow", ".git/refs/stash", ".git/index", ".git/config", ".git/HEAD"} <= before.keys()
    server.tokens[TOKEN] = WRITE
    save_at_once([mine.folder] * 4, server.url, TOKEN)
    assert len(list(store(mine, server, TOKEN).entries())) == 4
    assert fingerprint(mine.folder) == before
    assert holding(tmp_path, TOKEN) == []


def test_save__a_full_clone_stays_as_it_is(clone: Repository, server: GitServer) -> None:
    leave_work_about(clone)
    before = fingerprint(clone.folder)
    store(clone, server).save([record()])
    assert store(clone, server).find("churn", "full", [A]) == record()
    assert fingerprint(clone.folder) == before


def test_save__local_branch_many_at_once(tmp_path: Path) -> None:
    mine = repository(tmp_path / "mine")
    mine.commit()
    leave_work_about(mine)
    before = fingerprint(mine.folder)
    save_at_once([mine.folder] * PROCESSES)
    assert len(list(GitBranchStore(site=Site(folder=mine.folder, environ=ENVIRON)).entries())) == PROCESSES
    after = fingerprint(mine.folder)
    assert {path for path in after if before.get(path) != after[path]} == {
        ".git/refs/heads/mlci-data",
        ".git/logs/refs/heads/mlci-data",
    }
    assert before.keys() <= after.keys()


def test_save__one_remote_at_a_path(clone: Repository, server: GitServer, tmp_path: Path) -> None:
    mine = clone.clone(tmp_path / "mine", str(server.folder()))
    mine.git("remote", "set-url", "origin", "../served/team/models.git")
    assert store(mine, server).save([record()]) == [record()]
    assert store(clone, server).find("churn", "full", [A]) == record()


@pytest.mark.parametrize(
    ("token", "says", "hint"),
    [
        pytest.param("ghs_reader", "403", "contents: write", id="may only read"),
        pytest.param("ghs_wrong", "could not read Username", "token", id="wrong"),
        pytest.param(None, "could not read Username", "token", id="none"),
    ],
)
def test_save__refused(clone: Repository, server: GitServer, token: str | None, says: str, hint: str) -> None:
    server.tokens |= {TOKEN: WRITE, "ghs_reader": READ}
    with pytest.raises(StoreError, match=says) as caught:
        store(clone, server, token).save([record()])
    assert "branch mlci-data of http://127.0.0.1" in caught.value.message
    assert hint in str(caught.value.hint)
    assert not token or token not in caught.value.message
    assert list(store(clone, server, TOKEN).entries()) == []


def test_token__goes_to_its_own_server_only(clone: Repository, server: GitServer) -> None:
    server.tokens[TOKEN] = WRITE
    elsewhere = Site(folder=clone.folder, environ=ENVIRON, token=TOKEN, server_url="https://github.example")
    with pytest.raises(StoreError, match="could not read Username"):
        GitBranchStore(site=elsewhere).save([record()])


def test_token__of_the_checkout_serves_where_none_is_given(clone: Repository, server: GitServer) -> None:
    server.tokens[TOKEN] = WRITE
    header = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
    clone.git("config", f"http.{server.url}/.extraheader", f"AUTHORIZATION: basic {header}")
    assert store(clone, server).save([record()]) == [record()]
    clone.git("config", f"http.{server.url}/.extraheader", "AUTHORIZATION: basic b2xkOm9sZA==")
    assert store(clone, server, TOKEN).find("churn", "full", [A]) == record()


def test_token__inside_the_remotes_url(clone: Repository, server: GitServer, tmp_path: Path) -> None:
    server.tokens[TOKEN] = WRITE
    clone.git("remote", "set-url", "origin", f"{server.url}/team/models.git".replace("//", f"//ada:{TOKEN}@"))
    mine = store(clone, server)
    assert mine.save([record()]) == [record()]
    assert TOKEN not in mine.describe()
    assert holding(tmp_path, TOKEN) == [clone.folder / ".git" / "config"]


def test_save__a_server_that_stumbles(clone: Repository, server: GitServer) -> None:
    mine = store(clone, server)
    server.stumbles = 1
    assert mine.save([record(commit=A)]) == [record(commit=A)]
    server.lose_answers = 1
    assert mine.save([record(commit=B)]) == [record(commit=B)]
    assert len(list(mine.entries())) == 2


def test_save__a_server_that_never_answers(clone: Repository, server: GitServer) -> None:
    server.stumbles = 99
    with pytest.raises(StoreError, match="502"):
        store(clone, server).save([record()])


def test_save__a_rule_of_the_server_forbids_it(clone: Repository, server: GitServer) -> None:
    hook = server.folder() / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(StoreError, match="push") as caught:
        store(clone, server).save([record()])
    assert "rule of the server" in str(caught.value.hint)


def test_save__gives_up_at_the_deadline(clone: Repository, server: GitServer) -> None:
    store(clone, server).save([record(commit=A)])
    lock = server.folder() / "refs" / "heads" / "mlci-data.lock"
    lock.touch()
    site = Site(folder=clone.folder, environ=ENVIRON)
    with pytest.raises(StoreError, match="not saved within 1 s") as caught:
        GitBranchStore(site=site, deadline_s=1).save([record(commit=B)])
    assert caught.value.hint


def test_save__history_is_one_commit_a_save_by_mlci(clone: Repository, server: GitServer) -> None:
    for commit in (A, B):
        store(clone, server).save([record(commit=commit), record("ranking", commit=commit)])
    clone.git("fetch", "--quiet", "origin", "mlci-data")
    log = clone.git("log", "--format=%an <%ae> %cn: %s", "FETCH_HEAD").splitlines()
    assert log == ["mlci <mlci@noreply.invalid> mlci: Save churn, ranking"] * 2
    clone.git("fsck", "--strict")


def test_find__moves_little_and_asks_once(clone: Repository, server: GitServer) -> None:
    commits = [f"{number:02x}" + "0" * 38 for number in range(64)]
    store(clone, server).save([record(commit=commit) for commit in commits])
    reader = store(clone.clone(clone.folder.parent / "reader", f"{server.url}/team/models.git"), server)
    server.requests.clear()
    assert reader.find("churn", "full", [commits[9]]) == record(commit=commits[9])
    first = len(server.requests)
    assert reader.find("churn", "full", [commits[9]]) == record(commit=commits[9])
    assert reader.find("other", "full", commits) is None
    assert len(server.requests) == first
    private = reader.site.folder / ".git" / "mlci" / "store.git"
    objects = subprocess.run(
        ["git", "-C", private, "count-objects", "-v"], capture_output=True, text=True, check=True, env=ENVIRON
    )
    numbers = dict(line.split(": ") for line in objects.stdout.splitlines())
    # commit, root, runs, churn; full, shard; blob: never the other records
    assert int(numbers["count"]) + int(numbers["in-pack"]) == 7


def test_reading__beside_ten_thousand_records_moves_little(clone: Repository, server: GitServer) -> None:
    known = commits(10_000)
    fill(server.folder(), known, per_commit=1000)
    reader = store(clone, server)
    kept, predictions = measured(known[1])
    server.requests.clear()
    server.moved = 0
    assert reader.find("churn", "full", known[1:200]) == kept
    assert server.moved < 100_000
    assert len(server.requests) <= 9
    assert reader.blob(kept.predictions[0].sha256) == predictions
    assert server.moved < 100_000
    assert len(server.requests) <= 13


def test_history__is_one_fetch_for_trees_and_one_for_records(clone: Repository, server: GitServer) -> None:
    known = commits(1000)
    fill(server.folder(), known, per_commit=100)
    reader = store(clone, server)
    assert reader.find("churn", "full", []) is None
    names, trees, records = 2, 2, 2
    server.requests.clear()
    found = reader.history("churn", "full", known[:200], 20)
    assert found == [measured(commit)[0] for commit in known[:20]]
    assert len(server.requests) <= names + trees + records


def test_prune__adds_a_commit_and_reads_all_in_a_few_requests(clone: Repository, server: GitServer) -> None:
    known = commits(300)
    fill(server.folder(), known, per_commit=100)
    before = Repository(server.folder()).git("rev-parse", "mlci-data")
    server.requests.clear()
    pruned = store(clone, server).prune(datetime(2030, 1, 1, tzinfo=UTC), known[:2])
    assert len(server.requests) <= 16
    left = list(store(clone, server).entries())
    assert len(pruned) + len(left) == 300
    assert {entry.commit for entry in left} >= set(known[:2])
    assert Repository(server.folder()).git("rev-parse", "mlci-data^") == before
    assert len(Repository(server.folder()).git("ls-tree", "-r", "mlci-data").splitlines()) == 2 * len(left)
    Repository(server.folder()).git("fsck", "--strict")


def test_publish__is_one_commit_and_none_where_all_are_there(clone: Repository, server: GitServer) -> None:
    store(clone, server).save([record()])
    first = store(clone, server).publish(PICTURES)
    bare = Repository(server.folder())
    assert bare.git("rev-parse", "mlci-data") == first.commit
    assert bare.git("log", "--format=%s", "mlci-data").splitlines() == ["Show 2 pictures", "Save churn"]
    assert list(first.paths) == [f"pictures/png/{name[:2]}/{name}.png" for name in map(sha256, PICTURES)]
    assert store(clone, server).publish(PICTURES[::-1]).commit == first.commit
    assert store(clone, server).publish([*PICTURES, b"third"]).commit != first.commit
    assert store(clone, server).find("churn", "full", [A]) == record()
    bare.git("fsck", "--strict")


def test_publish__makes_the_branch_and_somebody_saves_meanwhile(
    clone: Repository, server: GitServer, tmp_path: Path
) -> None:
    other = store(clone.clone(tmp_path / "other", f"{server.url}/team/models.git"), server)
    raced: list[bool] = []

    def race(path: str) -> None:
        if not raced and path.endswith("service=git-receive-pack"):
            raced.append(True)
            other.save([record("ranking", commit=A)])

    server.before = race
    published = store(clone, server).publish(PICTURES)
    assert raced
    assert Repository(server.folder()).git("rev-parse", "mlci-data") == published.commit
    assert list(other.entries()) == [Entry("ranking", "full", A)]


def test_publish__a_server_that_loses_its_answer(clone: Repository, server: GitServer) -> None:
    server.lose_answers = 1
    published = store(clone, server).publish(PICTURES)
    assert Repository(server.folder()).git("rev-parse", "mlci-data") == published.commit


def test_reading__beside_pictures_asks_and_moves_no_more(clone: Repository, server: GitServer, tmp_path: Path) -> None:
    known = commits(200)
    fill(server.folder(), known, per_commit=200)

    def costs(name: str) -> tuple[int, int]:
        reader = store(clone.clone(tmp_path / name, f"{server.url}/team/models.git"), server)
        server.requests.clear()
        server.moved = 0
        assert reader.find("churn", "full", known[1:200]) == measured(known[1])[0]
        return len(server.requests), server.moved

    before = costs("before")
    store(clone, server).publish([b"%d" % number for number in range(60)])
    after = costs("after")
    assert after[0] == before[0]
    assert after[1] - before[1] < 500


def test_prune__pictures_go_and_stay_where_they_were_shown(clone: Repository, server: GitServer) -> None:
    store(clone, server).save([record()])
    published = store(clone, server).publish(PICTURES)
    assert store(clone, server).prune(datetime(2030, 1, 1, tzinfo=UTC), []) == []
    bare = Repository(server.folder())
    assert bare.git("ls-tree", "--name-only", "mlci-data") == "runs"
    assert bare.git("cat-file", "blob", f"{published.commit}:{published.paths[0]}") == "first"
    bare.git("merge-base", "--is-ancestor", published.commit, "mlci-data")
    tip = bare.git("rev-parse", "mlci-data")
    store(clone, server).prune(datetime(2030, 1, 1, tzinfo=UTC), [])
    assert bare.git("rev-parse", "mlci-data") == tip


def test_home__is_where_the_branch_is_looked_at(clone: Repository, server: GitServer) -> None:
    assert store(clone, server).home == f"{server.url}/team/models.git"
    clone.git("remote", "remove", "origin")
    assert store(clone, server).home is None


def test_prune__somebody_saves_meanwhile(clone: Repository, server: GitServer, tmp_path: Path) -> None:
    old = [record(commit=commit, created_at=f"2020-01-0{day}T00:00:00Z") for day, commit in ((1, A), (2, B))]
    store(clone, server).save(old)
    other = store(clone.clone(tmp_path / "other", f"{server.url}/team/models.git"), server)
    raced: list[bool] = []

    def race(path: str) -> None:
        if not raced and path.endswith("service=git-receive-pack"):
            raced.append(True)
            other.save([record("ranking", commit=A)])

    server.before = race
    assert store(clone, server).prune(datetime(2030, 1, 1, tzinfo=UTC), []) == [Entry("churn", "full", A)]
    assert raced
    assert list(other.entries()) == [Entry("churn", "full", B), Entry("ranking", "full", A)]


def test_prune__a_server_that_loses_its_answer(clone: Repository, server: GitServer) -> None:
    old = [record(commit=commit, created_at=f"2020-01-0{day}T00:00:00Z") for day, commit in ((1, A), (2, B))]
    store(clone, server).save(old)
    server.lose_answers = 1
    assert store(clone, server).prune(datetime(2030, 1, 1, tzinfo=UTC), []) == [Entry("churn", "full", A)]


def test_find__works_inside_a_hook(clone: Repository, server: GitServer, tmp_path: Path) -> None:
    other = repository(tmp_path / "unrelated")
    git = other.folder / ".git"
    hooked = store(clone, server, GIT_DIR=str(git), GIT_INDEX_FILE=str(git / "index"), GIT_WORK_TREE=str(other.folder))
    assert hooked.save([record()]) == [record()]
    assert not (git / "mlci").exists()


def test_save__where_the_git_folder_cannot_be_written(clone: Repository, server: GitServer) -> None:
    (clone.folder / ".git" / "mlci").write_text("in the way")
    assert store(clone, server).save([record()]) == [record()]
    assert store(clone, server).find("churn", "full", [A]) == record()


def test_save__after_a_killed_process(clone: Repository, server: GitServer) -> None:
    store(clone, server).save([record(commit=A)])
    assert store(clone, server).find("churn", "full", [A])
    private = clone.folder / ".git" / "mlci" / "store.git"
    for left in ("shallow.lock", "refs/mlci/tip.lock"):
        (private / left).touch()
    assert store(clone, server).save([record(commit=B)]) == [record(commit=B)]


def test_save__from_a_linked_work_tree(clone: Repository, server: GitServer, tmp_path: Path) -> None:
    clone.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    linked = Repository(tmp_path / "linked")
    assert store(linked, server).save([record()]) == [record()]
    assert (clone.folder / ".git" / "mlci" / "store.git").is_dir()


def test_save__refuses_a_branch_that_is_checked_out(tmp_path: Path) -> None:
    mine = repository(tmp_path / "mine")
    mine.commit()
    local = GitBranchStore(site=Site(folder=mine.folder, environ=ENVIRON))
    local.save([record(commit=A)])
    mine.git("switch", "--quiet", "mlci-data")
    with pytest.raises(StoreError, match="checked out"):
        local.save([record(commit=B)])
    assert mine.git("status", "--porcelain") == ""


def test_store__outside_of_a_repository(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not in a git repository") as caught:
        GitBranchStore(site=Site(folder=tmp_path, environ=ENVIRON)).find("churn", "full", [A])
    assert "folder store" in str(caught.value.hint)


@pytest.mark.parametrize("options", [{"branch": "x:refs/heads/main"}, {"branch": "--all"}, {"branch": ""}])
def test_store__branch_names_that_are_none(clone: Repository, options: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="branch"):
        list(GitBranchStore(site=Site(folder=clone.folder, environ=ENVIRON), **options).entries())


def test_store__a_url_is_no_remote(clone: Repository, server: GitServer) -> None:
    """Configuration that comes with a pull request must not choose where the token goes."""
    site = Site(folder=clone.folder, environ=ENVIRON, token=TOKEN, server_url=server.url)
    chosen = GitBranchStore(site=site, remote=f"{server.url}/team/other.git")
    server.requests.clear()
    assert chosen.find("churn", "full", [A]) is None
    assert chosen.describe() == "local branch mlci-data"
    assert server.requests == []
