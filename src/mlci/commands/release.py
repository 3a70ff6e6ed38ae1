"""`mlci release`: turns a measured commit into a version: a tag, and a release with everything that belongs to it."""

from __future__ import annotations

import json
from typing import Any

import click

from mlci.errors import UsageError
from mlci.project import Invocation, Project
from mlci.releasing import folder as layout
from mlci.releasing.deciding import Decision, Request, decide
from mlci.releasing.deploying import deploy, forge_of, open_place
from mlci.releasing.fetching import fetch
from mlci.releasing.making import Released, release
from mlci.releasing.models import find_model
from mlci.releasing.triggers import check_chain
from mlci.render.text import counted, size


@click.command("release")
@click.option("--model", "name", help="Which; default: the only one.")
@click.option("--version", help="The version, such as v1.2.0.")
@click.option(
    "--bump", type=click.Choice(["major", "minor", "patch", "auto"]), help="Which part to raise; default: auto."
)
@click.option("--commit", help="What to release; default: HEAD.")
@click.option("--override", is_flag=True, help="Release against the policy; the tag says why.")
@click.option("--reason", help="Why, with --override.")
@click.option("--dry-run", is_flag=True, help="Show what would be released, and change nothing.")
@click.option("--local", is_flag=True, help="Only the tag and .mlci/release/, even where there is a token.")
@click.option("--then", type=click.Choice(["deploy"]), help="Go on in the same process: no trigger is needed.")
@click.option("--target", help="Where to, with --then deploy.")
@click.option("--artifact", envvar="MLCI_ARTIFACT", default="mlci", show_default=True, help="The workflow's artifact.")
@click.option("--json", "as_json", is_flag=True, help="Print release.json.")
@click.pass_obj
def command(invocation: Invocation, /, name: str | None, **given: Any) -> None:  # noqa: ANN401 - click's values
    """Release a model: a version of a commit that was measured.

    Only commits of the default branch, with a record of their own that the gate passes against the deployed version.
    Makes an annotated tag, and a GitHub release with the model, its card, record, executed notebook and SHA256SUMS;
    without a token the tag and .mlci/release/. Automatic versions: major where a file or parameter of the model is gone
    or new files came, minor where inputs, parameters or packages changed, else patch.

    \b
    Examples:
      mlci release --dry-run
      mlci release --model churn --bump minor
      mlci release --override --reason "hotfix, see issue 12"
      mlci release --then deploy --target production
    """
    if given["override"] != bool(given["reason"]):
        raise UsageError("--override and --reason go together", hint='Such as --override --reason "hotfix".')
    if bool(given["then"]) != bool(given["target"]):
        raise UsageError("--then deploy and --target go together", hint="Such as --then deploy --target production.")
    if given["version"] and given["bump"]:
        raise UsageError("--version and --bump exclude each other")
    project = Project.open(invocation)
    request = Request(
        version=given["version"],
        bump=None if given["bump"] == "auto" else given["bump"],
        commit=given["commit"],
        override=given["reason"],
        local=given["local"],
        artifact=given["artifact"],
    )
    decision = decide(project, find_model(project, name), request)
    for objection in decision.objections:
        invocation.say(f"overridden: {objection}")
    if given["dry_run"]:
        _show(decision, as_json=given["as_json"])
        return
    if not given["then"]:
        check_chain(project)
    done = release(project, decision, request)
    outputs = {
        "model": done.release.model,
        "version": done.release.version,
        "tag": done.release.tag,
        "digest": done.digest,
    }
    invocation.actions.set_outputs({**outputs, "release-url": done.url or ""})
    for line in done.left_out:
        invocation.say(f"left out: {line}")
    if given["as_json"]:
        click.echo((done.folder / layout.RELEASE).read_text(encoding="utf-8"), nl=False)
        return
    total = size(sum(file.size for file in done.release.files))
    click.echo(f"released {done.release.tag}: {counted(len(done.release.files), 'file')}, {total}, in {done.folder}")
    if done.url:
        click.echo(done.url)
    if given["then"]:
        _deploy(project, done, given["target"])


def _deploy(project: Project, done: Released, target: str) -> None:
    """Put the new release beside what the target serves: the tag's own workflow would never start."""
    place, forge = open_place(project, target), forge_of(project)
    found = fetch(project, forge, tag=done.release.tag)
    document = deploy(project, place, found, find_model(project, done.release.model), forge=forge)
    click.echo(f"{document.model} {document.version} is in {place.name}: {document.state}")


def _show(decision: Decision, *, as_json: bool) -> None:
    if as_json:
        shown = {"model": decision.model.name, "version": str(decision.version), "tag": decision.tag}
        click.echo(json.dumps({**shown, "commit": decision.commit, "objections": list(decision.objections)}))
        return
    before = f", after {decision.previous.version}" if decision.previous else ", the first"
    click.echo(f"would release {decision.tag} at {decision.commit[:10]}{before}")
