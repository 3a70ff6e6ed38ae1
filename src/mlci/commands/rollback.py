"""`mlci rollback`: serves the last verified version before the current one again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from mlci.core import versions
from mlci.core.documents import encode
from mlci.core.registry import Registry
from mlci.core.release import Deployment
from mlci.errors import DeployError, PolicyError, UsageError
from mlci.plugins.targets.interface import Deployed, TargetStatus
from mlci.project import Invocation, Project
from mlci.releasing.deploying import (
    ROLLBACK,
    Place,
    announce,
    forge_of,
    key_of,
    open_place,
    outputs_of,
    read_deployment,
    write_deployment,
)
from mlci.releasing.models import Model, find_model, registry_of
from mlci.releasing.stages import below, put_into_stage, registered, verified

if TYPE_CHECKING:
    from mlci.plugins.forges.releases import GitHubReleases

_PURPOSE = "rollback"


def rollback(
    project: Project, place: Place, model: Model, *, forge: GitHubReleases | None, version: str | None = None
) -> Deployment:
    """Go back to `version`, or to the last verified one before what is served.

    Raises:
        DeployError: There is nothing to go back to, or the target refuses or is out of reach.
        PolicyError: The version was never verified there.
        ConflictError: Somebody else deployed in the meantime.
        ForgeError: The forge refuses, or is out of reach.
    """
    status = place.target.status(model.name)
    if status.current is None:
        raise DeployError(f"{place.name} serves no version of {model.name}")
    registry = registry_of(project, model)
    unfinished = _under_way(project, place, model, status, forge) if version is None else None
    to = unfinished or _destination(place, registry, status, version)
    tag = registered(registry, to.version).tag
    notice = announce(project, forge, place, model, to, tag.name, purpose=_PURPOSE)
    earlier, left = read_deployment(project), status.current.version
    if status.current == to:
        # Switched by a try that did not live to write it down.
        ours = earlier is not None and _is_ours(earlier, place, model) and earlier.digest == to.digest
        left = earlier.previous or left if ours and earlier else left
    else:
        notice.say("in_progress", f"going back from {left} to {model.name} {to.version}")
    document = Deployment(
        model=model.name,
        version=to.version,
        digest=to.digest,
        target=place.name,
        state="uploaded",
        previous=left,
        stage=place.stage,
        url=place.table.url,
        reason=f"{ROLLBACK}{left}",
    )
    # Before anything changes: without a forge it is what tells the next try where this one was going.
    write_deployment(project, document)
    with notice.failing():
        place.target.switch(model.name, to, expected=status.current)
    if place.stage:
        message = f"{model.name} {to.version} is served by {place.name} again, in place of {left}"
        put_into_stage(project, forge, model, place.stage, tag.commit, message)
    notice.say("success", f"{model.name} {to.version} is served again")
    return write_deployment(project, msgspec.structs.replace(document, state="current"))


def _under_way(
    project: Project, place: Place, model: Model, status: TargetStatus, forge: GitHubReleases | None
) -> Deployed | None:
    """Where an earlier try of this very rollback was going: what is served now does not tell whether it had switched.

    With a forge it is the deployment of the same workflow run, else the document that every try writes first.
    """
    if forge is not None:
        keys = {key_of(project, place, model, item, purpose=_PURPOSE): item for item in status.kept}
        found = (keys.get(item.key or "") for item in forge.deployments(place.environment))
        return next((item for item in found if item is not None), None)
    earlier = read_deployment(project)
    if earlier is None or earlier.state != "uploaded" or not _is_ours(earlier, place, model):
        return None
    return next((item for item in status.kept if item.digest == earlier.digest), None)


def _is_ours(document: Deployment, place: Place, model: Model) -> bool:
    """Whether a document is of a rollback of this model here."""
    there = (document.target, document.model) == (place.name, model.name)
    return there and (document.reason or "").startswith(ROLLBACK)


def _destination(place: Place, registry: Registry, status: TargetStatus, version: str | None) -> Deployed:
    """Where to go back to."""
    kept = ", ".join(item.version for item in status.kept)
    commits = verified(registry, place.stage) if place.stage else []
    if version is not None:
        asked = versions.parse(version if version.startswith("v") else f"v{version}")
        found = next((item for item in status.kept if versions.parse(item.version) == asked), None)
        if asked is None or found is None:
            raise UsageError(f"--to: {place.name} keeps no version {version[:40]!r}", hint=f"It keeps: {kept}.")
        held = {item.commit for item in registry.history if item.stage == place.stage}
        if place.stage and registered(registry, found.version).tag.commit not in held:
            raise PolicyError(
                f"{found.version} has never been verified in {place.stage}", hint="Deploy and verify it instead."
            )
        return found
    if status.current is None or place.stage is None:
        raise UsageError(
            f"{place.name} has no stage, so nothing says which version was verified there",
            hint=f"Say --to with one of: {kept}.",
        )
    if registered(registry, status.current.version).tag.commit in commits[:-1]:
        # Gone back to already by a try that did not live to say so, or another target of the stage is ahead.
        raise UsageError(
            f"{place.name} serves {status.current.version}, and the tags say that {place.stage} holds a later one",
            hint=f"Say --to with one of: {kept}.",
        )
    back = below(registry, place.stage, status)
    if back is None:
        raise DeployError(
            f"{place.name} keeps no verified version before {status.current.version}", hint=f"It keeps: {kept}."
        )
    return back


@click.command("rollback")
@click.option("--target", required=True, envvar="MLCI_TARGET", help="Where.")
@click.option("--model", envvar="MLCI_MODEL", help="Of which model; default: the only one.")
@click.option("--to", "version", envvar="MLCI_TO", metavar="VERSION", help="Which version; default: the last verified.")
@click.option("--json", "as_json", is_flag=True, help="Print deployment.json.")
@click.pass_obj
def command(invocation: Invocation, target: str, model: str | None, version: str | None, as_json: bool) -> None:
    """Serve the last verified version before the current one again.

    The target must still keep it; which versions were verified say the tags of the target's stage. Run again in the
    same workflow run it goes back no further.

    \b
    Examples:
      mlci rollback --target production
      mlci rollback --target production --to v1.2.0
    """
    project = Project.open(invocation)
    place = open_place(project, target)
    done = rollback(project, place, find_model(project, model), forge=forge_of(project), version=version)
    invocation.actions.set_outputs(outputs_of(done))
    if as_json:
        click.echo(encode(done).decode())
    else:
        click.echo(f"{place.name} serves {done.model} {done.version} again, in place of {done.previous}")
