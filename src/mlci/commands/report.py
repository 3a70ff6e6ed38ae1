"""`mlci report`: the comparison as people read it, on a terminal, as Markdown and as a page."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path

import click

from mlci import workspace
from mlci.config import DEFAULT_PROFILE
from mlci.core.documents import Comparison, RecordsDocument, encode
from mlci.project import Invocation, Project
from mlci.render import markdown, terminal
from mlci.render.report import Meta
from mlci.workspace import REPORT, REPORT_HTML


def write_report(project: Project, comparison: Comparison, records: RecordsDocument, meta: Meta | None = None) -> str:
    """Write `report.md`; returns it."""
    text = markdown.report(comparison, records.records, meta=meta or meta_of(project, records))
    project.workspace.write(REPORT, text)
    return text


def write_page(project: Project, comparison: Comparison, records: RecordsDocument, to: Path | None = None) -> Path:
    """Write the report as one HTML file, `report.html` unless `to` says otherwise; returns where."""
    from mlci.render.pages import report as pages  # noqa: PLC0415 - templates, and few commands need them
    from mlci.shown import shown  # noqa: PLC0415 - likewise

    found = shown(project, comparison, records)
    meta = replace(meta_of(project, records), most_slices=pages.SLICES, before=tuple(found.before.values()))
    html = pages.report(comparison, records.records, meta=meta, shown=found)
    if to is None:
        project.workspace.write(REPORT_HTML, html)
        return project.workspace.path(REPORT_HTML)
    workspace.write_page(to, html)
    return to


def terminal_report(
    project: Project, comparison: Comparison, records: RecordsDocument, meta: Meta | None = None
) -> str:
    """The report for whoever sits before stdout."""
    colour = sys.stdout.isatty() and "NO_COLOR" not in project.invocation.environ
    return terminal.report(comparison, records.records, meta=meta or meta_of(project, records), colour=colour)


def meta_of(project: Project, records: RecordsDocument) -> Meta:
    """What the report says beside the numbers."""
    first = next(iter(records.records), None)
    return Meta(
        id=project.config.settings.id,
        commit=first.origin.commit if first else None,
        profile=first.profile if first else "default",
        run_url=project.context.run_url,
        command=_again(project, records),
        workspace=project.workspace.folder.name,
        uploaded=project.context.in_actions,
    )


def _again(project: Project, records: RecordsDocument) -> str:
    """The command, from the repository's top, that runs what did not succeed, or else everything."""
    failed = [record.command for record in records.records if record.error and record.command]
    profile = next((record.profile for record in records.records), DEFAULT_PROFILE)
    everything = "mlci run" if profile == DEFAULT_PROFILE else f"mlci run --profile {profile}"
    command = failed[0] if failed else everything
    folder = project.config.root.relative_to(project.config.repository).as_posix()
    return command if folder == "." else command.replace("mlci", f"mlci -C {shlex.quote(folder)}", 1)


@click.command("report")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the Markdown of the pull request.")
@click.option("--json", "as_json", is_flag=True, help="Print comparison.json.")
@click.option(
    "--html",
    "page",
    is_flag=False,
    flag_value="",
    metavar="[FILE]",
    help=f"Write a page to open in a browser, with charts, plots and notebooks; default: .mlci/{REPORT_HTML}.",
)
@click.pass_obj
def command(invocation: Invocation, as_markdown: bool, as_json: bool, page: str | None) -> None:
    """Write .mlci/report.md and show the report.

    \b
    Examples:
      mlci report
      mlci report --html                 one file, for the browser
      mlci report --markdown >> "$GITHUB_STEP_SUMMARY"
    """
    project = Project.open(invocation)
    comparison, records = project.workspace.comparison()
    text = write_report(project, comparison, records)
    if page is not None:
        click.echo(f"wrote {write_page(project, comparison, records, Path(invocation.folder, page) if page else None)}")
    elif as_json:
        click.echo(encode(comparison).decode())
    elif as_markdown:
        click.echo(text)
    else:
        click.echo(terminal_report(project, comparison, records))
