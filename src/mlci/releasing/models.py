"""The models of a repository, and what git's tags say of them: read where they are complete, never guessed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mlci import git
from mlci.config import profile_for
from mlci.config.checking import unknown_key
from mlci.config.release_tables import ModelTable
from mlci.core.registry import MODEL_PATTERN, Registry, Tag, read
from mlci.errors import GitError, UsageError
from mlci.project import Project

_FORMAT = "%(refname:strip=2)%00%(objecttype)%00%(*objectname)%00%(taggerdate:unix)%00%(contents)%00%00"
_FETCH = ("fetch", "--quiet", "--filter=tree:0", "--no-tags", "--no-write-fetch-head", "--depth=1", "--prune")


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model as it is released.

    Args:
        name: Its name.
        run: The run that makes it.
        profile: Of the record that counts.
        branch: Whose commits may be released.
        table: What the configuration says beyond that.
    """

    name: str
    run: str
    profile: str
    branch: str
    table: ModelTable


def models(project: Project) -> dict[str, Model]:
    """The configured models; without any, each run whose name a model can have is one."""
    settings = project.config.settings
    tables = settings.models or {
        name: ModelTable() for name, run in settings.runs.items() if run.artifacts and re.match(MODEL_PATTERN, name)
    }
    pushed = profile_for(project.config, "push", None)
    return {
        name: Model(
            name=name,
            run=table.run or name,
            profile=table.profile or pushed,
            branch=table.branch or settings.baseline.branch,
            table=table,
        )
        for name, table in tables.items()
    }


def find_model(project: Project, name: str | None) -> Model:
    """The model of that name, or the only one.

    Raises:
        UsageError: There are several, and none was named.
        ConfigError: There is none of that name.
    """
    known = models(project)
    if name is None:
        if len(known) == 1:
            return next(iter(known.values()))
        raise UsageError("which model?", hint=f"Say --model with one of: {', '.join(known) or 'none is configured'}.")
    if name not in known:
        raise unknown_key(name, known, file=project.config.shown, path="models")
    return known[name]


def registry_of(project: Project, model: Model) -> Registry:
    """What the tags say of a model.

    Raises:
        GitError: The remote's tags cannot be read: a clone without them would number from zero.
    """
    return read(all_tags(project), model.name, plain=model.table.plain_tags)


def all_tags(project: Project) -> list[Tag]:
    """Every annotated tag, of the remote where there is one, and of the clone.

    Raises:
        GitError: The remote cannot be asked.
    """
    root, environ = project.config.root, project.invocation.environ
    clone = git.Git(root, environ)
    tags = {tag.name: tag for tag in _listed(clone)}
    source = project.remote
    if source is not None:
        with git.private_repository(root, "tags", environ, source.config) as private:
            done = git.talk(private, *_FETCH, source.name, "+refs/tags/*:refs/tags/*")
            # git 2.39 answers a shallow fetch of no tag at all with 1, and says nothing.
            if done.returncode != 0 and done.stderr.strip():
                raise GitError(
                    f"the remote's tags cannot be read: {private.complaint(done)}",
                    hint="Versions are numbered after all tags there are: without them nothing is released.",
                )
            tags |= {tag.name: tag for tag in _listed(private)}
    return list(tags.values())


def _listed(view: git.Git) -> Iterator[Tag]:
    output = view.output("for-each-ref", f"--format={_FORMAT}", "refs/tags").decode("utf-8", "replace")
    for entry in output.split("\0\0"):
        name, *rest = entry.lstrip("\n").split("\0")
        if len(rest) == 4 and rest[0] == "tag":  # noqa: PLR2004 - type, target, time, message; no lightweight tag
            _, commit, created, message = rest
            yield Tag(name=name, commit=commit, created=int(created or 0), message=message)
