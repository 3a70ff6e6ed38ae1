"""Which version a commit becomes, and whether the policy lets it."""

from __future__ import annotations

from dataclasses import dataclass

from mlci import git
from mlci.core.comparison import Baseline, compare
from mlci.core.documents import Comparison, Record, digest, encode
from mlci.core.registry import Registered, Registry, Tag, version_tag
from mlci.core.versions import Bump, Version
from mlci.errors import PolicyError, UsageError
from mlci.project import Project
from mlci.releasing.models import Model, registry_of
from mlci.releasing.policy import automatic_bump, next_version, objections


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked for.

    Args:
        version: A version by name.
        bump: A kind of version; None: automatic.
        commit: What to release; None: HEAD.
        override: Why the policy does not hold; None: it holds.
        local: Make no release on the forge, even where there is a token.
        artifact: What the workflow run that measured called its artifact.
    """

    version: str | None = None
    bump: Bump | None = None
    commit: str | None = None
    override: str | None = None
    local: bool = False
    artifact: str = "mlci"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What would be released.

    Args:
        model: Which model.
        commit: Which commit.
        record: What was measured at it.
        version: As what.
        tag: The tag's name.
        comparison: With the version that is deployed.
        previous: The highest version before.
        objections: What the policy says against it, overridden or not.
        existing: The tag, where an earlier try has made it already.
    """

    model: Model
    commit: str
    record: Record
    version: Version
    tag: str
    comparison: Comparison | None
    previous: Registered | None
    objections: tuple[str, ...] = ()
    existing: Tag | None = None


def decide(project: Project, model: Model, request: Request) -> Decision:
    """Which version the commit becomes, and what the policy says.

    Raises:
        PolicyError: It may not be released, and no reason was given to do it all the same.
        UsageError: The version is taken by another commit, or is none.
        GitError: The tags or the history cannot be read.
    """
    clone = git.Git(project.config.root, project.invocation.environ)
    commit = clone.answer("rev-parse", "--verify", "--quiet", f"{request.commit or 'HEAD'}^{{commit}}")
    if commit is None:
        raise UsageError(f"--commit: there is no commit {request.commit or 'HEAD'!r} here")
    registry = registry_of(project, model)
    record = project.store.find(model.run, model.profile, [commit])
    comparison = _against_deployed(project, model, registry, record, commit)
    against = objections(
        record=record,
        on_branch=_on_branch(project, clone, model.branch, commit),
        branch=model.branch,
        comparison=comparison,
        commit=commit,
    )
    if record is None or (against and request.override is None):
        reasons = "\n".join(f"  {reason}" for reason in against)
        raise PolicyError(
            f"{model.name} at {commit[:10]} may not be released:\n{reasons}",
            hint=None if record is None else "With --override --reason TEXT it is, and the tag says why.",
        )
    before = registry.latest
    known = project.store.find(model.run, model.profile, [before.tag.commit]) if before else None
    version = _version(registry, request, commit, automatic_bump(known, record))
    registered = registry.of(version)
    older = [item for item in registry.versions if item.version < version]
    return Decision(
        model=model,
        commit=commit,
        record=record,
        version=version,
        tag=registered.tag.name if registered else version_tag(model.name, version, plain=model.table.plain_tags),
        comparison=comparison,
        previous=max(older, key=lambda item: item.version, default=None),
        objections=tuple(against),
        existing=registered.tag if registered else None,
    )


def _version(registry: Registry, request: Request, commit: str, automatic: Bump) -> Version:
    """The version, which is that of an earlier try where the commit has one already."""
    there = registry.at(commit)
    if there is not None and request.version is None and request.bump is None:
        return there.version
    version = next_version(registry, asked=request.version, bump=request.bump, automatic=automatic)
    taken = registry.of(version)
    if taken is not None and taken.tag.commit != commit:
        raise UsageError(
            f"{taken.tag.name} is the version of {taken.tag.commit[:10]}",
            hint="A version is never moved: take another.",
        )
    return version


def _against_deployed(
    project: Project, model: Model, registry: Registry, record: Record | None, commit: str
) -> Comparison | None:
    """The comparison with what the last stage holds; the first release has nothing to be compared with."""
    deployed = registry.staged_version(model.table.stages[-1]) if model.table.stages else None
    if record is None or deployed is None or deployed.tag.commit == commit:
        return None
    before = project.store.find(model.run, model.profile, [deployed.tag.commit])
    reason = None if before else f"there is no record of {deployed.tag.name}"
    return compare(
        [record],
        baselines={record.name: Baseline(before, None, reason)},
        rules={record.name: project.config.rules(record.name)},
        gate=project.gate,
        current=digest(encode(record)),
    )


def _on_branch(project: Project, clone: git.Git, branch: str, commit: str) -> bool:
    """Whether the commit is on the branch, as the remote has it where there is one."""
    places = (f"refs/remotes/origin/{branch}", f"refs/heads/{branch}")
    tips = (clone.answer("rev-parse", "--verify", "--quiet", f"{place}^{{commit}}") for place in places)
    tip = next(filter(None, tips), None)
    if tip and clone.attempt("merge-base", "--is-ancestor", commit, tip).returncode == 0:
        return True
    source = project.remote
    if source is None:
        return False
    with git.private_repository(project.config.root, "history", project.invocation.environ, source.config) as private:
        done = git.talk(
            private,
            *("fetch", "--quiet", "--filter=tree:0", "--no-tags", "--no-write-fetch-head", source.name),
            f"+refs/heads/{branch}:refs/mlci/branch",
        )
        if done.returncode != 0:
            return False
        return private.attempt("merge-base", "--is-ancestor", commit, "refs/mlci/branch").returncode == 0
