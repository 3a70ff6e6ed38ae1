"""`mlci baseline`: keeps the main branch's records, and shows what is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from mlci.admission import check_may_save
from mlci.core.documents import Record, encode
from mlci.errors import StoreError
from mlci.project import Invocation, Project


def save(project: Project) -> list[Record]:
    """Save the records that succeeded; refused in CI outside of the default branch.

    Raises:
        StoreError: Refused, with the reason, or the store cannot be reached.
    """
    document, _ = project.workspace.records()
    good = [record for record in document.records if record.status == "succeeded"]
    for warning in check_may_save(project.context, good):
        project.invocation.say(warning)
    return project.store.save(good) if good else []


@click.group("baseline")
def command() -> None:
    """Save, show and list baselines: the main branch's records.

    \b
    Examples:
      mlci baseline save             after mlci run and mlci record, on the main branch
      mlci baseline show churn --json
      mlci baseline list
    """


@command.command("save")
@click.pass_obj
def save_command(invocation: Invocation) -> None:
    """Save .mlci/record.json as baselines.

    In CI only from an event on the default branch, with a clean tree. Saving again does no harm.
    """
    project = Project.open(invocation)
    saved = save(project)
    where = project.store.describe()
    if not saved:
        click.echo(f"nothing new to save in {where}")
    for record in saved:
        click.echo(f"saved {record.name} ({record.profile}) at {(record.origin.commit or '')[:7]} in {where}")


@command.command("show")
@click.argument("name")
@click.option("--profile", envvar="MLCI_PROFILE", help="The profile; default: the event's.")
@click.option("--json", "as_json", is_flag=True, help="Print the record.")
@click.pass_obj
def show_command(invocation: Invocation, name: str, profile: str | None, as_json: bool) -> None:
    """Show the baseline that the run NAME would be compared with."""
    project = Project.open(invocation)
    found = project.baseline(name, project.profile(profile))
    if found.record is None:
        raise StoreError(f"no baseline of {name}: {found.reason}")
    if as_json:
        click.echo(encode(found.record).decode())
        return
    origin = found.record.origin
    click.echo(
        f"{name} ({found.record.profile}) at {origin.commit}, {found.distance} commits back, {origin.created_at}"
    )
    for metric in found.record.metrics:
        click.echo(f"  {metric.name} = {metric.value:g}")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects.")
@click.pass_obj
def list_command(invocation: Invocation, as_json: bool) -> None:
    """List every stored record."""
    entries: Sequence[object] = list(Project.open(invocation).store.entries())
    if as_json:
        click.echo(json.dumps([vars(entry) for entry in entries]))
        return
    for entry in entries:
        click.echo("  ".join(str(value) for value in vars(entry).values()))
