"""Where the branch of a git store lives: on a remote, by way of a private repository, or in the clone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from mlci import git
from mlci.errors import GitError, StoreError
from mlci.plugins.stores.git_objects import Objects
from mlci.plugins.stores.interface import Site

_TIP = "refs/mlci/tip"
_REJECTED = re.compile(rb"^!.*\[(?:remote )?rejected\] (.*)", re.MULTILINE)
_FORBIDDEN = re.compile(rb"declined|denied|protected|prohibited")
_UNSIGNED = re.compile(rb"verified signature|must be signed|signed commits", re.IGNORECASE)
_NO_COMMIT = ""  # what git takes as "the ref must not exist"


class UnsignedError(GitError):
    """The server takes signed commits only."""


class Place(Protocol):
    """A branch that several processes may move at once."""

    @property
    def objects(self) -> Objects:
        """What the branch is made of."""
        ...

    def tip(self, *, since: str | None = None) -> str | None:
        """The commit that the branch is at now, its objects within reach; None where there is no branch.

        Args:
            since: Where it was a moment ago, by this method.
        """
        ...

    def publish(self, commit: str, expected: str | None) -> bool:
        """Move the branch from `expected` to `commit`; False where somebody else moved it first."""
        ...


@dataclass(frozen=True)
class RemotePlace:
    """A branch on a server.

    Args:
        objects: The objects of a private repository, with the remote.
        branch: The branch's name.
    """

    objects: Objects
    branch: str

    def tip(self, *, since: str | None = None) -> str | None:
        """Fetch the branch's last commit with its top two levels of trees; see `Place.tip`.

        One more would bring a shard for every 256th blob, half a megabyte at 10,000. Of what came in a moment all trees
        are fetched: a writer who was not first is then ready to push again after one request.
        """
        repository = self.objects.git
        much = ("--filter=blob:none",) if since else ("--depth=1", "--filter=tree:2")
        done = git.talk(
            repository,
            *("fetch", "--quiet", *much, "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"),
            *(self.objects.remote or "", f"+refs/heads/{self.branch}:{_TIP}"),
        )
        if done.returncode == 0:
            return repository.run("rev-parse", "--verify", _TIP)
        if b"couldn't find remote ref" in done.stderr:
            return None
        raise GitError(f"git fetch: {repository.complaint(done)}")

    def publish(self, commit: str, expected: str | None) -> bool:
        """Push under a lease; see `Place.publish`."""
        repository = self.objects.git
        ref = f"refs/heads/{self.branch}"
        done = git.talk(
            repository,
            *("push", "--porcelain", "--no-verify", "--no-follow-tags"),
            *(
                f"--force-with-lease={ref}:{expected or _NO_COMMIT}",
                self.objects.remote or "",
                f"{commit}:{ref}",
            ),
        )
        if done.returncode == 0:
            return True
        if _UNSIGNED.search(done.stderr):
            raise UnsignedError(
                f"git push: a rule of the server wants signed commits on {self.branch}",
                hint="Give mlci a token of GitHub's API: commits that the server makes are signed.",
            )
        rejected = _REJECTED.search(done.stdout)
        if rejected and not _FORBIDDEN.search(rejected[1]):
            return False
        reason = f" {rejected[1].decode(errors='replace')}" if rejected else ""
        raise GitError(f"git push: {repository.complaint(done)}{reason}")


@dataclass(frozen=True)
class LocalPlace:
    """A branch of the clone itself; of the clone only that ref and the object store change.

    Args:
        objects: The objects of the clone.
        branch: The branch's name.
    """

    objects: Objects
    branch: str

    def tip(self, *, since: str | None = None) -> str | None:
        """See `Place.tip`."""
        del since
        return self.objects.git.answer("rev-parse", "--verify", "--quiet", f"refs/heads/{self.branch}^{{commit}}")

    def publish(self, commit: str, expected: str | None) -> bool:
        """See `Place.publish`."""
        repository, ref = self.objects.git, f"refs/heads/{self.branch}"
        if f"branch {ref}" in repository.run("worktree", "list", "--porcelain").splitlines():
            raise StoreError(
                f"baseline store: the branch {self.branch} is checked out",
                hint="Switch to another branch: records are written to it without a checkout.",
            )
        done = repository.attempt("update-ref", "-m", "mlci", ref, commit, expected or _NO_COMMIT)
        if done.returncode == 0:
            return True
        if b"cannot lock ref" in done.stderr:
            return False
        raise GitError(f"git update-ref: {repository.complaint(done)}")


@contextmanager
def opened(site: Site, branch: str, remote: git.Remote | None) -> Iterator[Place]:
    """The place of `branch`: on `remote`, or in the clone where that is None.

    Raises:
        StoreError: `site` is not in a git repository.
    """
    common = git.common_folder(site.folder, site.environ)
    if common is None:
        raise StoreError(
            f"baseline store: {site.folder} is not in a git repository",
            hint="Run `git init`, or choose the folder store.",
        )
    if remote:
        with git.private_repository(site.folder, "store", site.environ, remote.config) as repository:
            yield RemotePlace(Objects(repository, remote.name), branch)
    else:
        no_hooks = (("core.hooksPath", os.devnull),)
        yield LocalPlace(Objects(git.Git(common, site.environ, no_hooks, {"GIT_DIR": str(common)})), branch)
