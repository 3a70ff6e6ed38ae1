"""`mlci plan`: shows which runs this event and profile select, and why each other is left out."""

from __future__ import annotations

import json

import click

from mlci.config import Run
from mlci.project import Invocation, Project
from mlci.render.text import plain
from mlci.running import jobs
from mlci.running.inputs import fingerprint
from mlci.running.plan import Plan, make_plan


def plan_for(project: Project, profile: str) -> Plan:
    """The plan for the project's event."""

    def unchanged(run: Run) -> str | None:
        record = project.baseline(run.name, profile).record
        if record is None or record.inputs != fingerprint(project.config, run):
            return None
        received, _ = jobs.receivable(project.config, run, run.table.parameters)
        if record.parameters != received:
            return None
        return f"inputs unchanged since the baseline {(record.origin.commit or '')[:7]}"

    return make_plan(project.runs(profile), profile, project.context, unchanged=unchanged)


@click.command("plan")
@click.option("--profile", envvar="MLCI_PROFILE", help="The profile; default: the event's.")
@click.option("--json", "as_json", is_flag=True, help="A matrix for fromJSON: one entry a selected run.")
@click.pass_obj
def command(invocation: Invocation, profile: str | None, as_json: bool) -> None:
    """Show which runs would run, and why each other would not.

    \b
    Examples:
      mlci plan
      echo "matrix=$(mlci plan --json)" >> "$GITHUB_OUTPUT"
    """
    project = Project.open(invocation)
    plan = plan_for(project, project.profile(profile))
    if as_json:
        click.echo(json.dumps({"include": [{"run": run.name, "profile": plan.profile} for run in plan.selected]}))
        return
    click.echo(f"profile {plan.profile}, event {plain(project.context.event)}")
    for item in plan.items:
        seeds = f", seeds {', '.join(map(str, item.run.table.seeds))}" if item.run.table.seeds else ""
        mark = "run " if item.selected else "skip"
        click.echo(f"{mark}  {item.run.name}  {plain(item.reason or item.run.source + seeds)}")
