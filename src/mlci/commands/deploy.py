"""`mlci deploy`: puts a release beside what a target serves, or in its place; runs no model code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mlci.commands.promote import promote
from mlci.core.documents import encode
from mlci.core.release import Deployment
from mlci.errors import UsageError, VerifyError
from mlci.project import Invocation, Project
from mlci.releasing.deploying import Place, deploy, forge_of, open_place, outputs_of
from mlci.releasing.fetching import fetch
from mlci.releasing.models import find_model


@click.command("deploy")
@click.option("--target", required=True, envvar="MLCI_TARGET", help="Where to, a table of [targets].")
@click.option("--release", "tag", envvar="MLCI_RELEASE", metavar="TAG", help="Which; default: see below.")
@click.option("--model", envvar="MLCI_MODEL", help="Of which model; default: the only one.")
@click.option(
    "--switch",
    type=click.Choice(["after-verification", "immediately"]),
    help="When it is served; default: as the target is configured.",
)
@click.option("--then", type=click.Choice(["verify", "promote"]), help="Go on in the same process: for laptops.")
@click.option("--override", is_flag=True, help="Deploy against the order of stages; the stage's tag says why.")
@click.option("--reason", help="Why, with --override.")
@click.option("--json", "as_json", is_flag=True, help="Print deployment.json.")
@click.pass_obj
def command(invocation: Invocation, /, target: str, tag: str | None, model: str | None, **given: Any) -> None:  # noqa: ANN401 - click's values
    """Deploy a release: .mlci/deployment.json.

    Downloads the release's own files and checks every digest before anything else; without a token it is the release
    in .mlci/release/. Without --release: what lies there, else the latest version. The version is put beside the one
    that is served, and `mlci promote` switches once `mlci verify` has passed. Runs no model code, unless --then asks.

    \b
    Examples:
      mlci deploy --target production
      mlci deploy --target staging --release churn@v1.2.0
      mlci deploy --target production --then promote     deploy, verify and promote on a laptop
    """
    if given["override"] != bool(given["reason"]):
        raise UsageError("--override and --reason go together", hint='Such as --override --reason "hotfix".')
    project = Project.open(invocation)
    place, forge = open_place(project, target), forge_of(project)
    found = fetch(project, forge, tag=tag, model=model)
    known = find_model(project, found.release.model)
    document = deploy(project, place, found, known, forge=forge, switch=given["switch"], override=given["reason"])
    invocation.actions.set_outputs(outputs_of(document))
    click.echo(encode(document).decode() if given["as_json"] else _told(document, place))
    if given["then"]:
        _verify(project, found.folder, target, promoted=given["then"] == "promote")
    if given["then"] == "promote":
        done = promote(project, place, forge=forge)
        click.echo(f"{place.name} serves {done.model} {done.version}")


def _verify(project: Project, folder: Path, target: str, *, promoted: bool) -> None:
    """Prove it in this process; where it is promoted next, that says what a failure means."""
    from mlci.commands.verify import verified  # noqa: PLC0415 - other uses of deploy run no model code at all
    from mlci.releasing.verification import Request, check  # noqa: PLC0415 - likewise

    try:
        check(verified(project, folder, Request(target=target)))
    except VerifyError as error:
        if not promoted:
            raise
        project.invocation.say(error.message)


def _told(document: Deployment, place: Place) -> str:
    where = f"{place.name} ({place.target.describe()})"
    if document.state == "current":
        return f"{where} serves {document.model} {document.version}; `mlci verify` proves it"
    served = f"beside {document.previous}, which is served" if document.previous else "and nothing is served yet"
    return f"{document.model} {document.version} is in {where}, {served}; `mlci verify`, then `mlci promote`"
