"""Clones that lack something, and stores that cannot be written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from fakes.command_line import Workbench
from fakes.comparisons import measured
from fakes.git_server import READ, WRITE, GitServer, git_server
from fakes.patients import CONFIG, amiss, edit, healthy, only, patient, published
from fakes.repositories import fingerprint, repository
from mlci.diagnosing import remote


def test_git__no_repository(tmp_path: Path) -> None:
    bench = healthy(tmp_path)
    (bench.folder / ".git").rename(tmp_path / "away")
    found = only(amiss(bench, "git", "files", "store", "workflow", "rules"))
    assert (found.slug, "git init" in found.remedy) == ("git/no-repository", True)


def test_git__no_commit(tmp_path: Path) -> None:
    bench = healthy(tmp_path)
    repository(bench.folder).git("update-ref", "-d", "HEAD")
    assert only(amiss(bench, "git")).slug == "git/no-commit"


def test_git__another_main_branch(tmp_path: Path) -> None:
    bench = published(tmp_path)
    edit(bench, "mlci.toml", "[metrics.", '[baseline]\nbranch = "master"\n[metrics.')
    found = only(amiss(bench, "git"))
    assert (found.slug, found.level, found.file, found.line) == ("git/base-branch", "error", "mlci.toml", 15)
    assert found.remedy == 'Say in mlci.toml: [baseline] branch = "main"'


def test_git__a_base_branch_that_only_the_remote_has(tmp_path: Path) -> None:
    bench = published(tmp_path)
    for command in (
        ["switch", "-qc", "topic"],
        ["branch", "-qD", "main"],
        ["update-ref", "-d", "refs/remotes/origin/main"],
    ):
        bench.repository.git(*command)
    assert amiss(bench, "git") == []
    bench.repository.git("remote", "remove", "origin")
    assert only(amiss(bench, "git")).slug == "git/base-branch"


def test_git__unrelated_histories(tmp_path: Path) -> None:
    bench = published(tmp_path)
    bench.repository.git("checkout", "--quiet", "--orphan", "pages")
    bench.commit()
    assert only(amiss(bench, "git")).slug == "git/unrelated"


def test_git__a_remote_that_is_gone(tmp_path: Path) -> None:
    bench = published(tmp_path)
    (tmp_path / "origin").rename(tmp_path / "away")
    found = amiss(bench, "git", "store")
    assert [(item.slug, item.level) for item in found] == [("git/remote", "warning"), ("store/push", "unknown")]


def test_git__a_shallow_clone_is_fine_while_the_remote_answers(tmp_path: Path) -> None:
    bench = published(tmp_path)
    bench.commit()
    bench.repository.git("push", "--quiet", "origin", "main")
    (bench.folder / ".git").rename(tmp_path / "whole")
    bench.repository.git(
        "clone", "-q", "--bare", "--depth=1", f"file://{tmp_path}/origin/.git", str(bench.folder / ".git")
    )
    bench.repository.git("config", "core.bare", "false")
    bench.repository.git("reset", "--quiet")
    assert amiss(bench, "git") == []
    bench.repository.git("remote", "remove", "origin")
    assert only(amiss(bench, "git")).slug == "git/shallow"


def test_git__lfs_pointers(tmp_path: Path) -> None:
    bench = healthy(tmp_path)
    bench.write(
        data__csv="version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        __gitattributes="*.csv filter=lfs -text\n",
    )
    bench.repository.git("add", ".gitattributes")
    found = only(amiss(bench, "git"))
    assert (found.slug, found.subject, "git lfs pull" in found.remedy) == ("git/lfs", "data.csv", True)


def test_may_push__sends_nothing(tmp_path: Path) -> None:
    bench = published(tmp_path)
    there, here = fingerprint(tmp_path / "origin"), fingerprint(bench.folder)
    origin = remote.remote_of(patient(bench))
    assert origin is not None
    assert remote.may_push(patient(bench), origin, "mlci-data") == (True, "")
    assert (fingerprint(tmp_path / "origin"), fingerprint(bench.folder)) == (there, here)
    assert not (bench.folder / ".git/mlci").exists()


TOKEN = "ghs_canaryCANARYcanary0123456789"


@pytest.fixture
def hosted(tmp_path: Path) -> Iterator[tuple[Workbench, GitServer]]:
    """A healthy repository whose remote is a server that knows one token, which may only read."""
    bench = healthy(tmp_path / "bench")
    with git_server(tmp_path / "served") as server:
        url = server.create()
        bench.repository.git("push", "--quiet", url, "main")
        server.tokens[TOKEN] = READ
        server.requests.clear()
        bench.repository.git("remote", "add", "origin", url)
        yield bench, server


def login(bench: Workbench, server: GitServer) -> None:
    """Put the token where people put it."""
    with_token = f"{server.url.replace('://', f'://ada:{TOKEN}@')}/team/models.git"
    bench.repository.git("remote", "set-url", "origin", with_token)


def test_store__a_push_that_is_refused(hosted: tuple[Workbench, GitServer]) -> None:
    bench, server = hosted
    login(bench, server)
    found = only(amiss(bench, "git", "store"))
    assert (found.slug, found.level, TOKEN in str(found)) == ("store/push", "warning", False)
    server.tokens[TOKEN] = WRITE
    assert amiss(bench, "git", "store") == []
    assert not [path for verb, path in server.requests if verb == "POST" and path.endswith("receive-pack")]


def test_store__without_credentials_nobody_knows(hosted: tuple[Workbench, GitServer]) -> None:
    found = amiss(hosted[0], "git", "store")
    assert [(item.slug, item.level) for item in found] == [("git/remote", "warning"), ("store/push", "unknown")]


def test_store__in_a_job_that_only_reads_another_one_saves(hosted: tuple[Workbench, GitServer]) -> None:
    bench, server = hosted
    event = {"GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": server.url, "GITHUB_TOKEN": TOKEN}
    assert amiss(bench, "git", "store", environ=event) == []


def test_rules__that_fit_no_metric_of_the_last_record(hosted: tuple[Workbench, GitServer]) -> None:
    bench, server = hosted
    server.tokens[TOKEN] = WRITE
    login(bench, server)
    commit = bench.repository.git("rev-parse", "HEAD")
    records = [replace(measured(commit=commit, metrics={"accuracy": 0.9}), name=name) for name in ("train", "digits")]
    patient(bench).project.store.save(records)
    before = fingerprint(bench.folder)
    assert amiss(bench, "rules") == []
    tables = [
        "[metrics.f1]",
        "min = 1",
        "[runs.train.rules.'a*cy']",
        "min = 0",
        "[runs.digits.rules.auc]",
        "required = true",
    ]
    bench.write(mlci__toml="\n".join([CONFIG, *tables]))
    found = amiss(bench, "rules")
    assert [(item.slug, item.subject, item.line) for item in found] == [
        ("rules/idle", "run digits", 21),
        ("rules/idle", "[metrics]", 17),
    ]
    assert "there are: accuracy" in found[0].remedy
    bench.write(mlci__toml=CONFIG)
    assert fingerprint(bench.folder) == before


def test_rules__of_which_none_can_fit_since_no_metric_was_written(tmp_path: Path) -> None:
    bench = healthy(tmp_path)
    commit = bench.repository.git("rev-parse", "HEAD")
    empty = [replace(measured(commit=commit, metrics={}), name=name) for name in ("train", "digits")]
    patient(bench).project.store.save([replace(item, status="failed") for item in empty])
    assert amiss(bench, "rules") == []  # nothing is known of what it writes
    patient(bench).project.store.save(empty)
    assert only(amiss(bench, "rules")).remedy.startswith("No metric was written")


@pytest.mark.parametrize(
    ("table", "slug"),
    [
        ('store = "git-brunch"', "store/options"),
        ('store = "folder"', "store/options"),
        ('store = "folder"\noptions = { pth = "x" }', "store/options"),
        ('store = "folder"\noptions = { path = "train.py" }', "store/folder"),
    ],
)
def test_store__that_cannot_be(tmp_path: Path, table: str, slug: str) -> None:
    bench = healthy(tmp_path)
    bench.write(mlci__toml=f"{CONFIG}\n[baseline]\n{table}\n")
    found = only(amiss(bench, "store"))
    assert (found.slug, found.level, found.file) == (slug, "error", "mlci.toml")


def test_store__a_folder_that_is_made_later(tmp_path: Path) -> None:
    bench = healthy(tmp_path)
    bench.write(mlci__toml=f'{CONFIG}\n[baseline]\nstore = "folder"\noptions = {{ path = "../new/one" }}\n')
    assert amiss(bench, "store") == []
