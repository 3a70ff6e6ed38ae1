"""Which baselines go: those older than `[baseline] keep`, but none that was released; by the default branch only."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from mlci import git
from mlci.admission import check_may_save
from mlci.config import seconds
from mlci.config.tables import DURATION_PATTERN
from mlci.errors import GitError, UsageError
from mlci.plugins.stores.interface import Entry
from mlci.project import Project

_LONGEST_S = 1000 * 365 * 86400.0  # what is older than any record may as well be so old


def prune(project: Project, *, keep: str | None, now: datetime, dry_run: bool = False) -> list[Entry]:
    """Remove the records that are older than `keep`, with what only they name.

    Args:
        project: Where.
        keep: A duration; None: `[baseline] keep`.
        now: With a time zone.
        dry_run: Only say which; that may be done anywhere.

    Returns:
        The records that went.

    Raises:
        UsageError: There is no duration, or it is none.
        StoreError: In CI, outside of the default branch; or the store cannot be reached.
        GitError: The remote's tags cannot be read.
    """
    keep = keep or project.config.settings.baseline.keep
    if keep is None:
        raise UsageError(
            "it is not said how old a baseline gets", hint='Set [baseline] keep = "365d", or say --keep 365d.'
        )
    if not re.fullmatch(DURATION_PATTERN, keep):
        raise UsageError(f'--keep: expected a duration such as "365d", got {keep!r}')
    if not dry_run:
        check_may_save(project.context, [])
    older_than = now - timedelta(seconds=min(seconds(keep), _LONGEST_S))
    return project.store.prune(older_than, _tagged(project), dry_run=dry_run)


def _tagged(project: Project) -> frozenset[str]:
    """What tags name, here and on the remote: releases read those records."""
    root, environ = project.config.root, project.invocation.environ
    local = git.Git(root, environ).answer("for-each-ref", "--format=%(objectname) %(*objectname)", "refs/tags")
    named = set((local or "").split())
    source = project.remote
    if source is not None:
        with git.private_repository(root, "tags", environ, source.config) as private:
            done = git.talk(private, "ls-remote", "--tags", source.name)
            if done.returncode != 0:
                raise GitError(
                    f"the remote's tags cannot be read: {private.complaint(done)}",
                    hint="Records of tagged commits are never removed: without the tags nothing is.",
                )
            named |= {line.split(b"\t")[0].decode() for line in done.stdout.splitlines()}
    return frozenset(named)
