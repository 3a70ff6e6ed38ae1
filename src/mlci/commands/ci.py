"""`mlci ci`: the whole job for an event, each step by the plain function of its own command."""

from __future__ import annotations

import click

from mlci.commands.baseline import save
from mlci.commands.compare import compare
from mlci.commands.gate import check_gate
from mlci.commands.record import record_own
from mlci.commands.report import terminal_report, write_report
from mlci.commands.run import check_succeeded, display_for, run_all
from mlci.core.documents import Comparison, Failure, RecordsDocument
from mlci.project import Invocation, Project
from mlci.render.text import regressions, summary_line
from mlci.running.display import Display
from mlci.running.session import Options
from mlci.workspace import RECORDS, REPORT


def ci(project: Project, options: Options, display: Display) -> None:
    """Run, record, compare, report; then gate a candidate, or save the default branch's baseline.

    Raises:
        RunsFailedError: A selected run did not succeed; everything else was done first.
        GateFailedError: The gate blocks.
    """
    document = run_all(project, options, display)
    records = record_own(project)
    comparison = compare(project)
    text = write_report(project, comparison, records)
    _publish(project, comparison, records, text)
    if project.context.on_default_branch:
        for saved in save(project):
            click.echo(f"saved the baseline of {saved.name} in {project.store.describe()}")
    check_succeeded(document)
    if project.context.is_candidate:
        check_gate(comparison)


def _publish(project: Project, comparison: Comparison, records: RecordsDocument, text: str) -> None:
    """Put the report where this event's people look."""
    actions = project.invocation.actions
    summary = summary_line(comparison, records.records)
    actions.append_summary(text)
    for item in records.records:
        if item.error:
            _annotate(project, item.name, item.error)
    for delta in comparison.deltas:
        if delta.gate == "fail":
            actions.annotate("error", delta.reason or f"{delta.metric} got worse", title=f"{delta.run}: {delta.metric}")
    actions.finish()
    actions.set_outputs(
        {
            "verdict": "fail" if comparison.blocks else comparison.verdict,
            "summary": summary,
            "regressions": str(len(regressions(comparison))),
            "record": str(project.workspace.path(RECORDS)),
            "report": str(project.workspace.path(REPORT)),
        }
    )
    with actions.group("Report"), actions.inert():
        click.echo(terminal_report(project, comparison, records))


def _annotate(project: Project, run: str, error: Failure) -> None:
    folder = project.config.root.relative_to(project.config.repository)
    project.invocation.actions.annotate(
        "error",
        error.message,
        file=(folder / error.file).as_posix() if error.file else None,
        # A cell's line is no line of the notebook's file.
        line=error.line if error.cell is None else None,
        title=f"{run}, cell {error.cell}" if error.cell else run,
    )


@click.command("ci")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--profile", envvar="MLCI_PROFILE", help="The profile; default: the event's.")
@click.option("--python", envvar="MLCI_PYTHON", help="The interpreter of the runs, or its environment's folder.")
@click.pass_obj
def command(invocation: Invocation, names: tuple[str, ...], profile: str | None, python: str | None) -> None:
    """Do the right thing for this event, in one step.

    Pull request and merge queue: plan, run, record, compare, report, gate. Push, schedule and dispatch on the default
    branch: the same without the gate, then save the baseline. Elsewhere: run and report.

    \b
    Examples:
      mlci ci
      mlci ci churn --profile smoke
    """
    ci(
        Project.open(invocation),
        Options(names=names, profile=profile, python=python),
        display_for(invocation),
    )
