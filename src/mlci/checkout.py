"""A temporary checkout of another commit, of which the user's clone notices nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mlci import git
from mlci.config import Config
from mlci.context import Context
from mlci.errors import GitError

if sys.platform != "win32":
    import fcntl

_NOT_CARRIED = {".git", ".mlci", ".mlci-reuse"}
_STALE_S = 24 * 3600  # where nobody can tell whether it is in use
_YOUNG_S = 10  # it may be about to be held
_FETCH = (
    *("-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", "--depth=1", "--no-filter", "--no-tags"),
    *("--no-write-fetch-head", "--no-recurse-submodules"),
)


@contextmanager
def checked_out(config: Config, commit: str, context: Context, environ: Mapping[str, str]) -> Iterator[Path]:
    """A repository of its own with `commit` checked out; its top.

    It borrows the clone's objects, and fetches what is missing there from the remote. It lies beside mlci's private
    repositories, on the disk of the clone, so that files can be linked into it.

    Args:
        config: Whose repository.
        commit: By its whole id.
        context: The event, with the token for the remote.
        environ: The environment to start git with.

    Raises:
        GitError: The commit cannot be had.
    """
    clone = git.Git(config.root, environ)
    common = git.common_folder(config.root, environ)
    if common is None:
        raise GitError(f"{config.root.name}/ is in no git repository")
    with _folder(common) as top:
        made = git.Git(top, environ, (("core.hooksPath", os.devnull),))
        hashing = clone.answer("rev-parse", "--show-object-format") or "sha1"
        made.run("init", "--quiet", "--template=", f"--object-format={hashing}", ".")
        own = top / ".git"
        (own / "objects" / "info").mkdir(exist_ok=True)
        (own / "objects" / "info" / "alternates").write_bytes(os.fsencode(common / "objects") + b"\n")
        if (common / "shallow").is_file():
            shutil.copyfile(common / "shallow", own / "shallow")
        checkout = ("checkout", "--quiet", "--force", "--detach", commit)
        tried = made.attempt(*checkout)
        if tried.returncode != 0:
            source = git.remote(config.root, "origin", environ, token=context.token, server_url=context.server_url)
            if source is None:
                said = made.complaint(tried)
                raise GitError(f"{commit[:10]} cannot be checked out, and there is no remote to fetch it from: {said}")
            fetching = replace(made, config=(*made.config, *source.config))
            done = git.talk(fetching, *_FETCH, source.name, f"+{commit}:refs/mlci/base")
            if done.returncode != 0:
                raise GitError(f"{commit[:10]} cannot be fetched: {fetching.complaint(done)}")
            # What cannot be had of Git LFS is a pointer then, as in a clone without it.
            fetching.with_variables(GIT_LFS_SKIP_DOWNLOAD_ERRORS="1").run(*checkout)
        yield top


@contextmanager
def _folder(common: Path) -> Iterator[Path]:
    place: Path | None = common / "mlci"
    try:
        common.joinpath("mlci").mkdir(exist_ok=True)
        for left in filter(_abandoned, common.glob("mlci/base-*")):
            shutil.rmtree(left, ignore_errors=True)
    except OSError:  # somebody else's clone, to be read only
        place = None
    with tempfile.TemporaryDirectory(prefix="base-", dir=place, ignore_cleanup_errors=True) as folder, _held(folder):
        yield Path(folder).resolve()


@contextmanager
def _held(folder: str) -> Iterator[None]:
    """Shows to `_abandoned` that the folder is in use, for as long as this process lives at the most."""
    if sys.platform == "win32":
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def _abandoned(folder: Path) -> bool:
    """Whether the process that made it was killed."""
    age_s = time.time() - folder.stat().st_mtime
    if sys.platform == "win32":
        return age_s > _STALE_S
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return age_s > _STALE_S
    finally:
        os.close(handle)
    return age_s > _YOUNG_S


def carried(config: Config, paths: Sequence[str]) -> list[Path]:
    """What of `[baseline] carry` is in the user's checkout, relative to the configuration.

    Raises:
        ConfigError: One leaves the repository.
    """
    found = []
    for position, path in enumerate(paths):
        place = Path(os.path.normpath(config.root / path))
        inside = bool(path) and place.is_relative_to(config.repository) and place != config.repository
        if not inside or not place.resolve().is_relative_to(config.repository):
            raise config.error(f"baseline.carry[{position}]", f"expected a path inside of the repository, got {path!r}")
        if place.exists():
            found.append(place)
    return found


def carry(config: Config, places: Sequence[Path], top: Path) -> list[str]:
    """Link what git does not hold from the user's checkout into a temporary one; what the other commit has, it keeps.

    Files are linked one by one, for a link to a folder would lead out of the repository, which inputs must not do.

    Args:
        config: Of the user's checkout.
        places: What `carried` found.
        top: What `checked_out` gave.

    Returns:
        What was left out, one line each.
    """
    left_out: list[str] = []
    for place in places:
        target = top / place.relative_to(config.repository)
        if target.parent.resolve().is_relative_to(top.resolve()):  # no link of the other commit leads out of it
            _link(place, target, config.repository, (), left_out)
    return left_out


def _link(source: Path, target: Path, inside: Path, above: tuple[Path, ...], left_out: list[str]) -> None:
    real = source.resolve()
    shown = source.relative_to(inside).as_posix()
    if source.name in _NOT_CARRIED or real in above or target.is_symlink():
        return
    if not real.is_relative_to(inside):
        left_out.append(f"{shown} is a link that leaves the repository")
    elif _pointer(source) != _pointer(target):
        left_out.append(f"{shown} is of another version there, as its .dvc file says")
    elif real.is_dir():
        if target.exists() and not target.is_dir():
            return
        target.mkdir(parents=True, exist_ok=True)
        for child in sorted(source.iterdir()):
            _link(child, target / child.name, inside, (*above, real), left_out)
    elif real.is_file() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(real, target)
        except OSError:  # another disk, or a file of somebody else's
            shutil.copy2(real, target)


def _pointer(path: Path) -> bytes | None:
    """What DVC says that `path` holds."""
    pointer = path.with_name(f"{path.name}.dvc")
    return pointer.read_bytes() if pointer.is_file() else None
