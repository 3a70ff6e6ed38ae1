"""A checkout of another commit that leaves the user's clone alone, and what is linked into it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from fakes.contexts import context
from fakes.git_server import READ, git_server
from fakes.repositories import ENVIRON, Repository, fingerprint, repository
from mlci.checkout import carried, carry, checked_out
from mlci.config import Config
from mlci.config.file import ConfigFile
from mlci.context import Context
from mlci.errors import ConfigError, GitError


def config(folder: Path, root: str = ".") -> Config:
    place = (folder / root).resolve()
    return Config(shown="mlci.toml", root=place, repository=folder.resolve(), settings=ConfigFile(), tables={})


def content(clone: Repository, commit: str, event: Context | None = None) -> dict[str, str]:
    """The files of a commit, as checked out."""
    with checked_out(config(clone.folder), commit, event or context(), ENVIRON) as top:
        assert Repository(top).git("rev-parse", "HEAD") == commit
        assert Repository(top).git("status", "--porcelain") == ""
        files = [path for path in top.rglob("*") if path.is_file() and ".git" not in path.relative_to(top).parts]
        return {path.name: path.read_text() for path in files}


@pytest.fixture
def work(tmp_path: Path) -> Repository:
    made = repository(tmp_path / "work")
    made.commits(2)
    return made


def test_checked_out__an_earlier_commit(work: Repository) -> None:
    (work.folder / "train.py").write_text("not committed\n")
    untouched = fingerprint(work.folder)
    now = work.git("show", "HEAD^:train.py") + "\n"
    assert content(work, work.git("rev-parse", "HEAD^")) == {"train.py": now}
    assert fingerprint(work.folder) == untouched
    assert list((work.folder / ".git/mlci").iterdir()) == []
    assert work.git("worktree", "list").count("\n") == 0


def test_checked_out__runs_no_hook(work: Repository, tmp_path: Path) -> None:
    hook = tmp_path / "hooks/post-checkout"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    environ = ENVIRON | {"GIT_CONFIG_KEY_0": "core.hooksPath", "GIT_CONFIG_VALUE_0": str(hook.parent)}
    with checked_out(config(work.folder), work.git("rev-parse", "HEAD"), context(), environ):
        pass
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "options", [["--depth=1"], ["--filter=blob:none", "--no-checkout"]], ids=["shallow", "partial"]
)
def test_checked_out__what_the_clone_lacks_is_fetched(work: Repository, tmp_path: Path, options: list[str]) -> None:
    with git_server(tmp_path / "served") as server:
        url = server.create()
        work.git("push", "--quiet", url, "main")
        commit = work.git("rev-parse", "HEAD^")
        clone = work.clone(tmp_path / "clone", url, *options)
        untouched = fingerprint(clone.folder)
        server.tokens["ghs_reader"] = READ
        with pytest.raises(GitError, match=f"{commit[:10]} cannot be fetched"):
            content(clone, commit)
        event = replace(context(), token="ghs_reader", server_url=server.url)
        assert set(content(clone, commit, event)) == {"train.py"}
        assert fingerprint(clone.folder) == untouched


def test_checked_out__a_commit_that_nobody_has(work: Repository) -> None:
    with pytest.raises(GitError, match="ffffffffff cannot be checked out, and there is no remote to fetch it from"):
        content(work, "f" * 40)


def test_checked_out__what_cannot_be_had_of_large_files_is_a_pointer(work: Repository, tmp_path: Path) -> None:
    (work.folder / ".gitattributes").write_text("*.py filter=large\n")
    work.git("add", ".gitattributes")
    commit = work.commit()
    remote = repository(tmp_path / "remote")
    work.git("remote", "add", "origin", str(remote.folder))
    work.git("push", "--quiet", "origin", "HEAD:refs/heads/large")
    said = {
        "filter.large.smudge": 'test "$GIT_LFS_SKIP_DOWNLOAD_ERRORS" = 1 && cat',
        "filter.large.required": "true",
    }
    given = {f"GIT_CONFIG_KEY_{place}": key for place, key in enumerate(said)}
    given |= {f"GIT_CONFIG_VALUE_{place}": value for place, value in enumerate(said.values())}
    with checked_out(config(work.folder), commit, context(), ENVIRON | given | {"GIT_CONFIG_COUNT": "2"}) as top:
        assert (top / "train.py").read_text() == (work.folder / "train.py").read_text()


def test_checked_out__what_a_killed_process_left_goes_and_what_is_in_use_stays(work: Repository) -> None:
    commit, places = work.git("rev-parse", "HEAD"), work.folder / ".git/mlci"
    left = places / "base-left"
    left.mkdir(parents=True)
    with checked_out(config(work.folder), commit, context(), ENVIRON) as held:
        assert left.exists()  # its owner may just have made it
        for folder in (held, left):
            os.utime(folder, (0, 0))
        with checked_out(config(work.folder), commit, context(), ENVIRON) as other:
            assert set(places.iterdir()) == {held, other}
    assert list(places.iterdir()) == []


def linked(work: Repository, *paths: str, top: Path) -> list[str]:
    here = config(work.folder)
    return carry(here, carried(here, paths), top)


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if not path.is_dir()}


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_carry__files_and_folders_but_what_is_there_stays(work: Repository, tmp_path: Path) -> None:
    top = tmp_path / "other"
    write(work.folder, **{"data/rows__csv": "rows", "data/deep/more__csv": "more", "data/kept": "now", "model": "m"})
    write(top, **{"data/kept": "then"})
    assert linked(work, "data", "model", "absent", top=top) == []
    assert tree(top) == {"data/deep/more.csv": "more", "data/kept": "then", "data/rows.csv": "rows", "model": "m"}
    # Linked, not copied; and no link that leads out of the checkout.
    assert (top / "data/rows.csv").samefile(work.folder / "data/rows.csv")
    assert (top / "data/rows.csv").resolve().is_relative_to(top.resolve())


def test_carry__links_are_followed_within_the_repository_only(work: Repository, tmp_path: Path) -> None:
    write(work.folder, **{"cache/ab": "inside"})
    write(tmp_path, secret="outside")
    (work.folder / "data").mkdir()
    (work.folder / "data/in").symlink_to("../cache/ab")
    (work.folder / "data/out").symlink_to(tmp_path / "secret")
    (work.folder / "data/round").symlink_to(".")
    assert linked(work, "data", top=tmp_path / "other") == ["data/out is a link that leaves the repository"]
    assert tree(tmp_path / "other") == {"data/in": "inside"}


@pytest.mark.parametrize("path", ["data", "data/rows.csv"])
def test_carry__through_a_link_of_the_other_commit_nothing_is_written(
    work: Repository, tmp_path: Path, path: str
) -> None:
    write(work.folder, **{"data/rows__csv": "rows"})
    (tmp_path / "other").mkdir()
    (tmp_path / "shared").mkdir()
    (tmp_path / "other/data").symlink_to(tmp_path / "shared")
    linked(work, path, top=tmp_path / "other")
    assert list((tmp_path / "shared").iterdir()) == []


def test_carry__data_whose_version_is_another_one_there_is_left_out(work: Repository, tmp_path: Path) -> None:
    write(work.folder, **{"data/a": "1", "data/a__dvc": "md5: 1", "data/b": "2", "data/b__dvc": "md5: 2"})
    write(tmp_path / "other", **{"data/a__dvc": "md5: 1", "data/b__dvc": "md5: 0"})
    said = ["data/b is of another version there, as its .dvc file says"]
    assert linked(work, "data", top=tmp_path / "other") == said
    assert set(tree(tmp_path / "other")) == {"data/a", "data/a.dvc", "data/b.dvc"}


@pytest.mark.parametrize("path", ["", ".", "..", "../elsewhere", "/etc", "data/../..", "link"])
def test_carried__what_leaves_the_repository_is_refused(work: Repository, path: str) -> None:
    (work.folder / "link").symlink_to("/")
    with pytest.raises(ConfigError) as refused:
        carried(config(work.folder), [path])
    assert refused.value.message == (
        f"mlci.toml: baseline.carry[0]: expected a path inside of the repository, got {path!r}"
    )


def test_carried__a_configuration_in_a_folder_may_climb_within_the_repository(work: Repository) -> None:
    write(work.folder, **{"data/rows__csv": "rows", "models/churn/mlci__toml": ""})
    here = config(work.folder, "models/churn")
    assert carried(here, ["../../data"]) == [work.folder.resolve() / "data"]
