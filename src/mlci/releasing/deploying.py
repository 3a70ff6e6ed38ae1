"""Deploys releases: beside what is served, then in its place; killed anywhere and run again, it ends the same.

No model code runs here, and nothing of a release is more than bytes with a digest.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from mlci.config.checking import unknown_key
from mlci.config.release_tables import TargetTable
from mlci.core.documents import decode, encode
from mlci.core.registry import Registry
from mlci.core.release import Deployment
from mlci.errors import ConfigError, DeployError, ForgeError, PolicyError
from mlci.plugins import registry as plugins
from mlci.plugins.targets.interface import Deployed, Target, TargetSite, TargetStatus
from mlci.project import Project
from mlci.releasing.folder import ReleaseFolder
from mlci.releasing.models import Model, registry_of
from mlci.releasing.policy import stage_objection
from mlci.releasing.stages import below
from mlci.workspace import write_atomically

if TYPE_CHECKING:
    from mlci.plugins.forges.releases import DeploymentState, GitHubReleases, HostedDeployment

DEPLOYMENT = "deployment.json"
# How `Deployment.reason` begins: of a deployment against the policy, and of a rollback.
OVERRIDE, ROLLBACK = "override: ", "rollback from "


@dataclass(frozen=True, kw_only=True)
class Place:
    """A configured target, opened."""

    name: str
    table: TargetTable
    target: Target

    @property
    def environment(self) -> str:
        """The GitHub environment."""
        return self.table.environment or self.name

    @property
    def stage(self) -> str | None:
        """The stage that it fills."""
        return self.table.stage


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Tells GitHub how one deployment goes; without a GitHub it tells nobody."""

    place: Place
    forge: GitHubReleases | None = None
    deployment: HostedDeployment | None = None
    log_url: str | None = None

    def say(self, state: DeploymentState, words: str) -> None:
        """The state now, in words."""
        if self.forge is not None and self.deployment is not None:
            url = self.place.table.url if state == "success" else None
            self.forge.set_deployment(self.deployment, state, url=url, log_url=self.log_url, description=words)

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Say so where what happens meanwhile fails; the failure itself is what counts."""
        try:
            yield
        except DeployError as error:
            with suppress(ForgeError):
                self.say("failure", error.message)
            raise


def forge_of(project: Project) -> GitHubReleases | None:
    """Where releases and deployments are shown; None on a laptop."""
    return project.releases if project.hosted else None


def open_place(project: Project, name: str) -> Place:
    """The target of that name.

    Raises:
        ConfigError: There is none, or its options are not those of its kind.
    """
    tables = project.config.settings.targets
    if name not in tables:
        raise unknown_key(name, tables, file=project.config.shown, path="targets")
    table, path = tables[name], f"targets.{name}"
    if "site" in table.options:
        raise project.config.error(f"{path}.options.site", "this option is mlci's own")
    site = TargetSite(folder=project.config.root, environ=project.invocation.environ, warn=project.invocation.say)
    try:
        target: Target = plugins.load("targets", table.kind, {**table.options, "site": site})
    except ConfigError as error:
        raise project.config.error(path, error.message, hint=error.hint) from None
    except TypeError as error:
        raise project.config.error(
            f"{path}.options", f"the target {table.kind!r} needs other options: {error}"
        ) from None
    return Place(name=name, table=table, target=target)


def read_deployment(project: Project) -> Deployment | None:
    """`deployment.json`, if there is one."""
    path = project.workspace.path(DEPLOYMENT)
    return decode(path.read_bytes(), Deployment, name=f".mlci/{DEPLOYMENT}") if path.is_file() else None


def write_deployment(project: Project, document: Deployment) -> Deployment:
    """Write `deployment.json`, dated now."""
    dated = msgspec.structs.replace(document, created_at=datetime.now(UTC).isoformat(timespec="seconds"))
    project.workspace.prepare()
    write_atomically(project.workspace.path(DEPLOYMENT), encode(dated))
    return dated


def outputs_of(document: Deployment) -> dict[str, str]:
    """The step's outputs, of every command that deploys."""
    outputs = {"model": document.model, "version": document.version, "digest": document.digest}
    return {**outputs, "state": document.state}


def deploy(
    project: Project,
    place: Place,
    found: ReleaseFolder,
    model: Model,
    *,
    forge: GitHubReleases | None,
    switch: str | None = None,
    override: str | None = None,
) -> Deployment:
    """Put a release beside what is served or, where that is asked for or cannot be otherwise, in its place.

    Args:
        project: Whose workspace takes `deployment.json`.
        place: Where to.
        found: What, checked.
        model: Of which model.
        forge: Who shows the deployment.
        switch: "immediately" or "after-verification"; None: as the target is configured.
        override: Why the order of stages does not hold; None: it holds.

    Raises:
        PolicyError: The version may not go there yet.
        DeployError: The target refuses, or is out of reach.
        ForgeError: The forge refuses, or is out of reach.
    """
    release, to = found.release, Deployed(version=found.release.version, digest=found.digest)
    registry = registry_of(project, model)
    against = stage_objection(registry, model.table.stages, place.stage, release.commit) if place.stage else None
    if against and override is None:
        raise PolicyError(
            f"{release.tag} may not be deployed to {place.name}: {against}",
            hint="With --override --reason TEXT it may, and the stage's tag says why.",
        )
    notice = announce(project, forge, place, model, to, release.tag)
    notice.say("in_progress", f"deploying {model.name} {to.version}")
    at_once = (switch or place.table.switch) == "immediately" or not place.target.stages
    with notice.failing():
        status = place.target.status(model.name)
        document = Deployment(
            model=model.name,
            version=to.version,
            digest=to.digest,
            target=place.name,
            state="failed",
            previous=_previous(project, place, status, to, registry),
            stage=place.stage,
            url=place.table.url,
            reason="the upload has not come to an end",
        )
        # Before anything changes: afterwards nobody could say any more what was served before.
        write_deployment(project, document)
        place.target.upload(found.package())
        if at_once:
            place.target.switch(model.name, to, expected=status.current)
    return write_deployment(
        project,
        msgspec.structs.replace(
            document,
            state="current" if at_once or status.current == to else "uploaded",
            reason=f"{OVERRIDE}{override}" if against else None,
        ),
    )


def announce(
    project: Project,
    forge: GitHubReleases | None,
    place: Place,
    model: Model,
    to: Deployed,
    tag: str,
    *,
    purpose: str = "",
) -> Notice:
    """The deployment as GitHub shows it: one a workflow run and purpose, found again by whoever does it again."""
    if forge is None:
        return Notice(place=place)
    deployment = forge.deploy(
        ref=tag,
        environment=place.environment,
        key=key_of(project, place, model, to, purpose=purpose),
        description=f"{purpose or 'deploy'} {model.name} {to.version}",
        production=place.stage is not None and place.stage == model.table.stages[-1],
    )
    return Notice(place=place, forge=forge, deployment=deployment, log_url=project.context.run_url)


def key_of(project: Project, place: Place, model: Model, to: Deployed, *, purpose: str = "") -> str:
    """Names a deployment of this workflow run."""
    from mlci.plugins.forges.releases import deployment_key  # noqa: PLC0415 - heavy, and laptops need none of it

    run = f"{project.context.run_id or 'local'}{f'/{purpose}' if purpose else ''}"
    return deployment_key(model.name, to.version, place.name, to.digest, run)


def _previous(project: Project, place: Place, status: TargetStatus, to: Deployed, registry: Registry) -> str | None:
    """The version that was served before this deployment, also where an earlier try of it has switched already."""
    if status.current != to:
        return status.current.version if status.current else None
    earlier = read_deployment(project)
    ours = earlier and (earlier.target, earlier.model, earlier.digest) == (place.name, registry.model, to.digest)
    if earlier and ours and not (earlier.reason or "").startswith(ROLLBACK):
        return earlier.previous
    found = below(registry, place.stage, status) if place.stage else None
    return found.version if found else None
