"""`mlci promote`: serves a deployed version once it is verified, and takes back one that is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from mlci.core.release import Deployment
from mlci.errors import ConflictError, DeployError, DocumentError, MlciError, VerifyError, WorkspaceError
from mlci.plugins.targets.interface import Deployed
from mlci.project import Invocation, Project
from mlci.releasing.deploying import (
    DEPLOYMENT,
    OVERRIDE,
    Place,
    announce,
    forge_of,
    open_place,
    outputs_of,
    read_deployment,
    write_deployment,
)
from mlci.releasing.models import Model, find_model, registry_of
from mlci.releasing.stages import put_into_stage, registered

if TYPE_CHECKING:
    from mlci.plugins.forges.releases import GitHubReleases


def promote(project: Project, place: Place, *, forge: GitHubReleases | None, digest: str | None = None) -> Deployment:
    """Serve what was deployed, if `verification.json` says that it predicts what the lab did.

    Args:
        project: Whose workspace holds both documents; nothing else of it is read.
        place: Where.
        forge: Who shows the deployment.
        digest: Of the release that is meant; None: what `deployment.json` says.

    Raises:
        WorkspaceError: There is no deployment, or it is another one.
        VerifyError: The verification failed or is missing; the version before is served, if there was one.
        ConflictError: Somebody else deployed in the meantime.
        DeployError: The target refuses, or is out of reach.
    """
    document = _deployment(project, place, digest)
    model = find_model(project, document.model)
    to = Deployed(version=document.version, digest=document.digest)
    from mlci.releasing.verification import load  # noqa: PLC0415 - only here

    try:
        load(project, document.digest)
    except (VerifyError, DocumentError) as error:
        # First what is served: neither tags nor GitHub need be in reach for that.
        served = _taken_back(project, place, model, document, error)
        raise _told(project, place, model, document, served, error, forge) from None
    tag = registered(registry_of(project, model), document.version).tag
    notice = announce(project, forge, place, model, to, tag.name)
    with notice.failing():
        current = place.target.status(model.name).current
        if current != to and (current.version if current else None) != document.previous:
            raise ConflictError(
                f"{place.name} serves {_named(current)}, not {document.previous or 'nothing'} as when "
                f"{document.version} was deployed: somebody else was first",
                hint=f"If {document.version} should still be served, deploy it again.",
            )
        place.target.switch(model.name, to, expected=current)
    if place.stage:
        message = f"{model.name} {to.version} is served by {place.name}"
        if (document.reason or "").startswith(OVERRIDE):
            message += f"\n\nAgainst the order of stages: {(document.reason or '').removeprefix(OVERRIDE)}"
        put_into_stage(project, forge, model, place.stage, tag.commit, message)
    notice.say("success", f"{model.name} {to.version} is served")
    return write_deployment(project, msgspec.structs.replace(document, state="current"))


def _deployment(project: Project, place: Place, digest: str | None) -> Deployment:
    document = read_deployment(project)
    if document is None:
        raise WorkspaceError(f".mlci/{DEPLOYMENT}: there is none", hint="Make it with `mlci deploy`.")
    if document.target != place.name:
        raise WorkspaceError(f".mlci/{DEPLOYMENT} is of the target {document.target}, not of {place.name}")
    if digest not in (None, document.digest):
        raise WorkspaceError(f".mlci/{DEPLOYMENT} is of the release {document.digest[:12]}, not of {digest[:12]}")
    return document


def _taken_back(
    project: Project, place: Place, model: Model, document: Deployment, error: MlciError
) -> Deployed | None:
    """Serve the version before again, if this one is served; what is served then."""
    to = Deployed(version=document.version, digest=document.digest)
    try:
        status = place.target.status(model.name)
        served = status.current
        back = next((item for item in status.kept if item.version == document.previous), None)
        if served == to and back is not None:
            place.target.switch(model.name, back, expected=to)
            served = back
    except DeployError:
        project.invocation.say(f"{model.name} {to.version} should not be served: {error.message}")
        raise
    switched = document.state in ("current", "rolled-back")
    override = (document.reason or "").startswith(OVERRIDE)
    write_deployment(
        project,
        msgspec.structs.replace(
            document,
            state="rolled-back" if switched and served != to else "failed",
            reason=document.reason if override else _first_line(error),
        ),
    )
    return served


def _told(
    project: Project,
    place: Place,
    model: Model,
    document: Deployment,
    served: Deployed | None,
    error: MlciError,
    forge: GitHubReleases | None,
) -> VerifyError:
    """Tell GitHub and the tags; the failure, which says what is served now."""
    to, why = Deployed(version=document.version, digest=document.digest), _first_line(error)
    now = f"{place.name} serves {_named(served)}"
    if served == to:
        now += " all the same: there is no version before it to go back to"
    try:
        registry = registry_of(project, model)
        own = registered(registry, to.version).tag
        held = registry.stages.get(place.stage) if place.stage else None
        if place.stage and held and served and held.commit == own.commit and served.version == document.previous:
            commit = registered(registry, served.version).tag.commit
            put_into_stage(project, forge, model, place.stage, commit, f"{to.version} was taken back: {why}")
        notice = announce(project, forge, place, model, to, own.name)
        notice.say("failure", f"{model.name} {to.version}: {now}; {why}")
    except MlciError as unsaid:
        project.invocation.say(f"neither tags nor GitHub may know of the failure: {unsaid.message}")
    return VerifyError(f"{model.name} {to.version} is not promoted, {now}:\n  {error.message}", hint=error.hint)


def _first_line(error: MlciError) -> str:
    return error.message.partition("\n")[0]


def _named(deployed: Deployed | None) -> str:
    return deployed.version if deployed else "nothing"


@click.command("promote")
@click.option("--target", required=True, envvar="MLCI_TARGET", help="The target of the deployment.")
@click.option("--digest", envvar="MLCI_DIGEST", help="The release's digest as the deploying job said it.")
@click.pass_obj
def command(invocation: Invocation, target: str, digest: str | None) -> None:
    """Serve what `mlci deploy` put there, if `mlci verify` passed.

    Reads .mlci/deployment.json and .mlci/verification.json, which must be of the same release, and nothing else. Puts
    the version into the target's stage, as a git tag. Where the verification failed or is missing, the version before
    is served again, and the exit code is 7.

    \b
    Examples:
      mlci promote --target production
    """
    project = Project.open(invocation)
    place = open_place(project, target)
    done = promote(project, place, forge=forge_of(project), digest=digest)
    invocation.actions.set_outputs(outputs_of(done))
    click.echo(f"{place.name} serves {done.model} {done.version}")
