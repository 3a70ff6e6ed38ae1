"""Which commit may become which version: rules that answer with reasons."""

from __future__ import annotations

from collections.abc import Sequence

from mlci.core import versions
from mlci.core.documents import Comparison, Record
from mlci.core.registry import Registry
from mlci.core.versions import Bump, Version
from mlci.errors import UsageError


def objections(
    *, record: Record | None, on_branch: bool, branch: str, comparison: Comparison | None, commit: str
) -> list[str]:
    """Why a commit may not be released, one line a rule; pure.

    Args:
        record: What was measured at that very commit.
        on_branch: Whether the commit is on the branch that is released from.
        branch: Its name.
        comparison: With the version that is deployed; None where nothing is.
        commit: Which.
    """
    found = []
    if not on_branch:
        found.append(f"{commit[:10]} is not on the branch {branch}")
    if record is None:
        found.append(f"there is no record of {commit[:10]} itself: a version is what was measured")
    elif record.origin.dirty:
        found.append(f"the record of {commit[:10]} was measured with uncommitted changes")
    elif record.status != "succeeded":
        found.append(f"the run at {commit[:10]} {record.status}")
    if comparison is not None and comparison.blocks:
        found += [f"against the deployed version: {reason}" for reason in comparison.reasons] or ["the gate blocks"]
    return found


def next_version(registry: Registry, *, asked: str | None, bump: Bump | None, automatic: Bump) -> Version:
    """The version to release.

    Args:
        registry: What is there.
        asked: A version that was named.
        bump: The kind that was asked for; None: automatic.
        automatic: What the change calls for, see `automatic_bump`.

    Raises:
        UsageError: What was named is no version.
    """
    if asked is not None:
        version = versions.parse(asked if asked.startswith("v") else f"v{asked}")
        if version is None:
            raise UsageError(f"--version: expected a version such as v1.2.0, got {asked[:40]!r}")
        return version
    latest = registry.latest
    return versions.FIRST if latest is None else latest.version.bumped(bump or automatic)


def automatic_bump(before: Record | None, now: Record) -> Bump:
    """What a change of the model calls for; pure.

    - major: whoever uses the model must look: a file of it is gone or new, or a parameter is gone;
    - minor: it was made otherwise: other inputs, parameters, or packages;
    - patch: the same recipe, made again.
    """
    if before is None:
        return "minor"
    names = [{artifact.path for artifact in record.artifacts} for record in (before, now)]
    if names[0] != names[1] or before.parameters.keys() - now.parameters.keys():
        return "major"
    recipe: Sequence[tuple[object, object]] = (
        (before.inputs, now.inputs),
        (before.parameters, now.parameters),
        (before.environment.packages, now.environment.packages),
    )
    return "minor" if any(one != other for one, other in recipe) else "patch"


def stage_objection(registry: Registry, stages: Sequence[str], stage: str, commit: str) -> str | None:
    """Why a commit's version may not enter a stage: the stage before must have held it; pure."""
    if stage not in stages:
        return f"{stage} is not one of the stages {', '.join(stages)}"
    position = stages.index(stage)
    if position == 0:
        return None
    before = stages[position - 1]
    held = any(staged.stage == before and staged.commit == commit for staged in registry.history)
    return None if held else f"{stage} comes after {before}, which this version has not been in"
