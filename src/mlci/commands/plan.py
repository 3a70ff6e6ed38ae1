"""`mlci plan`: shows which runs this event and profile select, and why each other is left out."""

from __future__ import annotations

import json

import click

from mlci.config import Run
from mlci.core.documents import RunResult, RunsDocument
from mlci.errors import StoreError
from mlci.project import Invocation, Project, origin_of
from mlci.render.text import plain
from mlci.running import jobs
from mlci.running.inputs import fingerprint
from mlci.running.plan import Plan, make_plan
from mlci.workspace import RUNS

DEFAULT_RUNNER = "ubuntu-latest"


def plan_for(project: Project, profile: str) -> Plan:
    """The plan for the project's event."""

    def unchanged(run: Run) -> str | None:
        try:
            record = project.baseline(run.name, profile).record
        except StoreError as error:
            project.invocation.say(f"{run.name}: runs, since its baseline cannot be read: {error.message}")
            return None
        if record is None or record.inputs != fingerprint(project.config, run):
            return None
        received, _ = jobs.receivable(project.config, run, run.table.parameters)
        if record.parameters != received:
            return None
        return f"inputs unchanged since the baseline {(record.origin.commit or '')[:7]}"

    return make_plan(project.runs(profile), profile, project.context, unchanged=unchanged)


def save_plan(project: Project, plan: Plan) -> None:
    """Write what is planned as the workspace of a machine that ran nothing: the others' absence is then noticed."""
    skipped = tuple(
        RunResult(name=item.run.name, profile=item.run.profile, status="skipped", reason=item.reason)
        for item in plan.items
        if item.reason
    )
    planned = tuple(run.name for run in plan.selected)
    project.workspace.write(
        RUNS, RunsDocument(origin=origin_of(project), planned=planned, runs=skipped, profile=plan.profile)
    )


def _entry(run: Run, profile: str) -> dict[str, str]:
    # As JSON in a string, so that a label and a list of labels both work with fromJSON in `runs-on`.
    return {"run": run.name, "profile": profile, "runs-on": json.dumps(run.table.runs_on or DEFAULT_RUNNER)}


@click.command("plan")
@click.option("--profile", envvar="MLCI_PROFILE", help="The profile; default: the event's.")
@click.option("--json", "as_json", is_flag=True, help="A matrix for fromJSON: one entry a selected run.")
@click.option("--save", "saving", is_flag=True, help="Also write .mlci/run.json, in which nothing has run yet.")
@click.pass_obj
def command(invocation: Invocation, profile: str | None, as_json: bool, saving: bool) -> None:
    """Show which runs would run, and why each other would not.

    \b
    Examples:
      mlci plan
      mlci plan --json --save      a matrix for other machines; the workspace tells what they owe
    """
    project = Project.open(invocation)
    plan = plan_for(project, project.profile(profile))
    if saving:
        save_plan(project, plan)
    if as_json:
        matrix = json.dumps({"include": [_entry(run, plan.profile) for run in plan.selected]})
        project.invocation.actions.set_outputs({"matrix": matrix})
        click.echo(matrix)
        return
    click.echo(f"profile {plan.profile}, event {plain(project.context.event)}")
    for item in plan.items:
        seeds = f", seeds {', '.join(map(str, item.run.table.seeds))}" if item.run.table.seeds else ""
        mark = "run " if item.selected else "skip"
        click.echo(f"{mark}  {item.run.name}  {plain(item.reason or item.run.source + seeds)}")
