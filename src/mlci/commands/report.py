"""`mlci report`: the comparison as people read it, on a terminal and as Markdown."""

from __future__ import annotations

import sys

import click

from mlci.core.documents import Comparison, RecordsDocument, encode
from mlci.project import Invocation, Project
from mlci.render import markdown, terminal
from mlci.render.report import Meta
from mlci.workspace import REPORT


def write_report(project: Project, comparison: Comparison, records: RecordsDocument) -> str:
    """Write `report.md`; returns it."""
    text = markdown.report(comparison, records.records, meta=meta_of(project, records))
    project.workspace.write(REPORT, text)
    return text


def meta_of(project: Project, records: RecordsDocument) -> Meta:
    """What the report says beside the numbers."""
    first = records.records[0] if records.records else None
    in_ci = project.context.in_actions
    return Meta(
        id=project.config.settings.id,
        commit=first.origin.commit if first else None,
        profile=first.profile if first else "default",
        run_url=project.context.run_url,
        command="mlci ci" if first is None else " && ".join(_commands(records)) or "mlci run",
        artifact="the workflow's artifact" if in_ci else f"{project.workspace.folder.name}/",
    )


def _commands(records: RecordsDocument) -> list[str]:
    """One command that runs what did not succeed, or everything."""
    bad = [
        record.command for record in records.records if record.status not in ("succeeded", "skipped") and record.command
    ]
    return bad[:1] or [command for command in [_whole(records)] if command]


def _whole(records: RecordsDocument) -> str:
    profile = records.records[0].profile if records.records else "default"
    return "mlci run" if profile == "default" else f"mlci run --profile {profile}"


@click.command("report")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the Markdown of the pull request.")
@click.option("--json", "as_json", is_flag=True, help="Print comparison.json.")
@click.pass_obj
def command(invocation: Invocation, as_markdown: bool, as_json: bool) -> None:
    """Write .mlci/report.md and show the report."""
    project = Project.open(invocation)
    comparison, records = project.workspace.comparison()
    text = write_report(project, comparison, records)
    if as_json:
        click.echo(encode(comparison).decode())
    elif as_markdown:
        click.echo(text)
    else:
        colour = sys.stdout.isatty() and "NO_COLOR" not in invocation.environ
        click.echo(terminal.report(comparison, records.records, meta=meta_of(project, records), colour=colour))
