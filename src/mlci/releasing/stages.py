"""What the tags say of stages: which versions went through one, which of them may be gone back to, and the next tag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlci import git
from mlci.core import versions
from mlci.core.registry import Registered, Registry, stage_tag
from mlci.errors import DeployError, ForgeError, GitError
from mlci.plugins.targets.interface import Deployed, TargetStatus
from mlci.project import Project
from mlci.releasing.models import Model, registry_of

if TYPE_CHECKING:
    from mlci.plugins.forges.releases import GitHubReleases

_TRIES = 5  # for the number of a stage tag, which another deployment may take first
_IDENTITY = (("user.name", "mlci"), ("user.email", "mlci@noreply.invalid"), ("tag.gpgsign", "false"))


def registered(registry: Registry, version: str) -> Registered:
    """The tag that registers a version.

    Raises:
        DeployError: There is none.
    """
    parsed = versions.parse(version)
    found = registry.of(parsed) if parsed else None
    if found is None:
        raise DeployError(f"no tag registers {registry.model} {version}", hint="Fetch the tags, or restore this one.")
    return found


def verified(registry: Registry, stage: str) -> list[str]:
    """The commits that a stage has held and not been taken back from, the oldest first; pure.

    Going back to one takes back those after it: of v1, v2, v3, v2 there remain v1 and v2.
    """
    found: list[str] = []
    for staged in (item for item in registry.history if item.stage == stage):
        if staged.commit in found:
            del found[found.index(staged.commit) + 1 :]
        else:
            found.append(staged.commit)
    return found


def below(registry: Registry, stage: str, status: TargetStatus) -> Deployed | None:
    """The last verified version before what is served, whatever the stage holds now; pure."""
    if status.current is None:
        return None
    commits = verified(registry, stage)
    own = registered(registry, status.current.version).tag.commit
    return _newest(registry, status, commits[: commits.index(own)] if own in commits else commits)


def put_into_stage(
    project: Project, forge: GitHubReleases | None, model: Model, stage: str, commit: str, message: str
) -> None:
    """Say in a tag that a stage holds a commit's version, unless the newest tag of the stage says so.

    Raises:
        ForgeError: The forge refuses, or is out of reach.
        GitError: Git does.
    """
    for left in reversed(range(_TRIES)):
        registry = registry_of(project, model)
        held = registry.stages.get(stage)
        if held is not None and held.commit == commit:
            return
        name = stage_tag(registry, stage)
        try:
            if forge is not None:
                forge.create_tag(name, commit, message)
            else:
                clone = git.Git(project.config.root, project.invocation.environ, _IDENTITY)
                clone.run("tag", "--annotate", "--message", message, name, commit)
        except (ForgeError, GitError):
            # Somebody else may have taken the number; where nobody did, it was another trouble.
            if left == 0 or registry_of(project, model).count == registry.count:
                raise
        else:
            return


def _newest(registry: Registry, status: TargetStatus, commits: list[str]) -> Deployed | None:
    """The version of the last of `commits` of which the target keeps one."""
    known = [(version, item) for item in status.kept if (version := versions.parse(item.version))]
    for commit in reversed(commits):
        there = [
            (version, item) for version, item in known if (has := registry.of(version)) and has.tag.commit == commit
        ]
        if there:
            return max(there, key=lambda pair: pair[0])[1]
    return None
