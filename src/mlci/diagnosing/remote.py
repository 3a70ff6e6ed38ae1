"""Asks the remote from a repository that is thrown away, so that nothing of the user's clone changes."""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlci import git
from mlci.diagnosing.patient import ASK_S, Patient
from mlci.errors import ConfigError, GitError
from mlci.plugins.stores.git_branch import GitBranchStore
from mlci.plugins.stores.interface import Store

_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "mlci"), ("EMAIL", "mlci@noreply.invalid"))
}
_DENIED = re.compile(r"error: 403|Permission to|Write access|denied to", re.IGNORECASE)
_NO_LOGIN = re.compile(
    r"could not read (Username|Password)|Authentication failed|error: 401|Permission denied|terminal prompts disabled"
)


@dataclass(frozen=True)
class Told:
    """What the remote says of itself.

    Args:
        branches: Those that were asked for, and are there.
        default: Its default branch.
        problem: Why it said nothing.
    """

    branches: frozenset[str] = frozenset()
    default: str | None = None
    problem: str | None = None


def remote_of(patient: Patient, name: str = "origin") -> git.Remote | None:
    """The remote of that name; None where the clone has none."""
    context = patient.project.context
    if patient.top is None:
        return None
    return git.remote(patient.top, name, patient.environ, token=context.token, server_url=context.server_url)


def ask(patient: Patient, remote: git.Remote) -> Told:
    """Which of the branches that mlci uses the remote has, and its default branch; asked once."""
    if remote.url not in patient.told:
        branch, store = patient.project.config.settings.baseline.branch, _store(patient)
        branches = (branch, store.branch) if isinstance(store, GitBranchStore) else (branch,)
        patient.told[remote.url] = _answer(patient, remote, branches)
    found: Told = patient.told[remote.url]
    return found


def _store(patient: Patient) -> Store | None:
    try:
        return patient.project.store
    except ConfigError:
        return None  # said where the store is looked at


def _answer(patient: Patient, remote: git.Remote, branches: tuple[str, ...]) -> Told:
    with _asking(patient, remote) as repository:
        try:
            done = repository.attempt(
                *("ls-remote", "--symref", remote.name, "HEAD", *(f"refs/heads/{branch}" for branch in branches)),
                timeout_s=ASK_S,
            )
        except GitError as error:
            return Told(problem=error.message)
        if done.returncode != 0:
            return Told(problem=repository.complaint(done))
    listed = done.stdout.decode("utf-8", "replace")
    default = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", listed, flags=re.MULTILINE)
    there = re.findall(r"^[0-9a-f]{40,64}\trefs/heads/(\S+)$", listed, flags=re.MULTILINE)
    return Told(frozenset(there), default[1] if default else None)


def may_push(patient: Patient, remote: git.Remote, branch: str) -> tuple[bool | None, str]:
    """Whether a push to `branch` would be let in, by a dry run; None: nobody could tell. And the server's words."""
    with _asking(patient, remote) as repository:
        try:
            tree = repository.run("mktree", stdin=b"")
            commit = repository.with_variables(**_IDENTITY).run("commit-tree", tree, "-m", "Never sent")
            done = repository.attempt(
                *("push", "--dry-run", "--no-verify", remote.name, f"+{commit}:refs/heads/{branch}"), timeout_s=ASK_S
            )
        except GitError as error:
            return None, error.message
        said = repository.complaint(done)
    if done.returncode == 0:
        return True, ""
    return (False if _DENIED.search(said) and not _NO_LOGIN.search(said) else None), said


@contextmanager
def reading(patient: Patient, store: Store) -> Iterator[Store]:
    """The baseline store, read without mlci's cache in the user's git folder."""
    remote = remote_of(patient, store.remote) if isinstance(store, GitBranchStore) else None
    if not isinstance(store, GitBranchStore) or remote is None:
        yield store
        return
    with _asking(patient, remote) as repository:
        # git knows no remote by variables alone; of the address here credentials were taken away.
        repository.run("config", f"remote.{store.remote}.url", _url(remote))
        site = dataclasses.replace(
            store.site,
            folder=repository.folder,
            environ=_configured(patient.environ, remote.config),
            warn=lambda _line: None,
        )
        yield dataclasses.replace(store, site=site)


def _url(remote: git.Remote) -> str:
    return next(value for name, value in remote.config if name == f"remote.{remote.name}.url")


def _configured(environ: Mapping[str, str], config: git.Config) -> dict[str, str]:
    """`environ` with configuration for every git that is started with it."""
    count = int(environ.get("GIT_CONFIG_COUNT", "0") or 0)
    found = dict(environ)
    for position, (key, value) in enumerate(config, start=count):
        found |= {f"GIT_CONFIG_KEY_{position}": key, f"GIT_CONFIG_VALUE_{position}": value}
    return found | {"GIT_CONFIG_COUNT": str(count + len(config))}


@contextmanager
def _asking(patient: Patient, remote: git.Remote) -> Iterator[git.Git]:
    own_ssh = any(key.lower() == "core.sshcommand" for key, _ in remote.config)
    quiet = {} if own_ssh or "GIT_SSH_COMMAND" in patient.environ else {"GIT_SSH_COMMAND": "ssh -oBatchMode=yes"}
    with tempfile.TemporaryDirectory(prefix="mlci-") as folder:
        bare = Path(folder)
        hashing = patient.clone.answer("rev-parse", "--show-object-format") or "sha1"
        git.Git(bare, patient.environ).run(
            "init", "--quiet", "--bare", "--template=", f"--object-format={hashing}", "."
        )
        config = (*remote.config, ("core.hooksPath", os.devnull))
        yield git.Git(bare, patient.environ, config, {"GIT_DIR": str(bare), **quiet})
