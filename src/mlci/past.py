"""What git knows of the base branch's past: its commits, what was accepted as of each, and what was released of it."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Iterator, Sequence

import msgspec

from mlci import git
from mlci.accepted import FILE
from mlci.core.acceptance import Acceptance
from mlci.core.dashboard import Commit, Release
from mlci.core.registry import read
from mlci.core.steps import AcceptedAt
from mlci.errors import GitError
from mlci.history import LIMIT, History, baseline_history
from mlci.project import Project
from mlci.releasing.models import all_tags, models

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_SERVER = re.compile(r"https?://[\w.-]+(?::\d+)?", re.ASCII)
_REMOTE = re.compile(
    r"(?:https://|ssh://git@|git@)(?P<host>[\w.-]+)[:/](?P<repository>[\w.-]+/[\w.-]+?)(?:\.git)?/?", re.ASCII
)
_FIELDS = 3
_TIME_DIGITS = 11  # of seconds since the epoch: until the year 5138
_LOG = ("log", "--no-walk=unsorted", "--ignore-missing", "-z", "--format=%H%n%ct%n%<(120,trunc)%s", "--stdin")
_MAX_VERSIONS = 500  # of the file of acceptances
_MAX_BYTES = 256 * 1024  # of one of them


def branch(project: Project, limit: int = LIMIT) -> History:
    """The base branch as of the commit that is checked out, that one first.

    Args:
        project: Where.
        limit: First-parent commits that are looked at.
    """
    root, environ = project.config.root, project.invocation.environ
    if limit <= LIMIT:
        found = project.history
    else:
        base = project.config.settings.baseline.branch
        found = baseline_history(root, project.context, base, environ, limit=limit)
    head = git.head(root, environ).commit
    commits = tuple(dict.fromkeys(commit for commit in (head, *found.commits) if commit))
    return History(merge_base=found.merge_base, commits=commits, reason=None if found.commits else found.reason)


def commits(project: Project, known: Sequence[str]) -> list[Commit]:
    """Time and subject of commits, in their order; without what neither the clone nor what was fetched for it knows."""
    root, environ = project.config.root, project.invocation.environ
    found = dict(_logged(git.Git(root, environ), known))
    lacking = [sha for sha in known if sha not in found]
    if lacking:
        with git.private_repository(root, "history", environ, ()) as private:
            found |= dict(_logged(private, lacking))
    return [found.get(sha) or Commit(sha=sha, time=0, subject="") for sha in known]


def home(project: Project) -> str | None:
    """Where the repository is on the web: as the runner says or, on a laptop, as the clone's `origin` does."""
    context = project.context
    if context.repository and _REPOSITORY.fullmatch(context.repository) and _SERVER.fullmatch(context.server_url):
        return f"{context.server_url}/{context.repository}"
    source = project.remote
    found = _REMOTE.fullmatch(source.url) if source else None
    return f"https://{found['host']}/{found['repository']}" if found else None


def _logged(view: git.Git, wanted: Sequence[str]) -> Iterator[tuple[str, Commit]]:
    done = view.attempt(*_LOG, stdin="".join(f"{sha}\n" for sha in wanted).encode())
    for entry in done.stdout.decode("utf-8", "replace").split("\0") if done.returncode == 0 else ():
        fields = entry.split("\n", _FIELDS - 1)
        if len(fields) == _FIELDS:
            sha, time, subject = fields
            # Whoever commits says when: some time there was none, and of some no browser makes a date.
            known = time.isascii() and time.isdecimal() and len(time) <= _TIME_DIGITS
            yield sha, Commit(sha=sha, time=int(time) if known else 0, subject=subject.strip())


def acceptances(project: Project, known: Sequence[str]) -> tuple[AcceptedAt, str | None]:
    """What the base branch had accepted as of each commit, from the versions of its file; and what is not known of it.

    Args:
        project: Where.
        known: The branch's commits, the newest first.
    """
    clone = git.Git(project.config.root, project.invocation.environ)
    place = {sha: number for number, sha in enumerate(known)}
    asked = ("log", "--first-parent", f"-{_MAX_VERSIONS}", "--format=%H", *known[:1], "--", FILE)
    touched = clone.answer(*asked)
    versions = sorted((place[sha], sha) for sha in (touched or "").split() if sha in place)
    read_at = dict(_versions(clone, [sha for _, sha in versions]))
    starts = [number for number, _ in versions]

    def at(commit: str) -> Sequence[Acceptance]:
        # A version is in force from its commit on, and those after it have smaller numbers.
        found = bisect_left(starts, place.get(commit, len(known)))
        return read_at.get(versions[found][1], ()) if found < len(versions) else ()

    shallow = clone.answer("rev-parse", "--is-shallow-repository") == "true"
    note = "what was accepted is known as far back as the clone reaches, which is shallow" if shallow else None
    return at, note


def _versions(clone: git.Git, touched: Sequence[str]) -> Iterator[tuple[str, tuple[Acceptance, ...]]]:
    prefix = clone.answer("rev-parse", "--show-prefix") or ""
    for sha in touched:
        size = clone.answer("cat-file", "-s", f"{sha}:{prefix}{FILE}")
        if size is None or int(size) > _MAX_BYTES:
            continue  # the commit took the file away
        try:
            table = tomllib.loads(clone.run("cat-file", "blob", f"{sha}:{prefix}{FILE}"))
            yield sha, msgspec.convert(table.get("accepted", []), tuple[Acceptance, ...])
        except (tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError):
            continue  # such a version accepts nothing: the gate has refused it


def releases(project: Project) -> list[Release]:
    """What tags say of the models; where the remote cannot be asked that is said, and there are none."""
    try:
        tags = all_tags(project)
    except GitError as error:
        project.invocation.say(f"no releases are shown: {error.message}")
        return []
    found: list[Release] = []
    for model in models(project).values():
        registry = read(tags, model.name, plain=model.table.plain_tags)
        found += [
            Release(run=model.run, commit=item.tag.commit, label=str(item.version), tag=item.tag.name)
            for item in registry.versions
        ]
        found += [
            Release(run=model.run, commit=item.commit, label=item.stage, tag=item.tag.name) for item in registry.history
        ]
    return found
