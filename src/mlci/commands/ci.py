"""`mlci ci`: the whole job for an event, each step by the plain function of its own command."""

from __future__ import annotations

from typing import Any

import click

from mlci.checkout import carried
from mlci.commands.baseline import measure_missing, save
from mlci.commands.comment import source_meta
from mlci.commands.compare import compare, wait_option
from mlci.commands.completion import run_names
from mlci.commands.gate import check_gate
from mlci.commands.record import record_own
from mlci.commands.report import terminal_report, write_page, write_report
from mlci.commands.run import check_succeeded, display_for, follow_option, jobs_option, run_all, secrets_option
from mlci.core.documents import Comparison, RecordsDocument
from mlci.errors import ForbiddenError, ForgeError, MlciError
from mlci.posting.post import post_report
from mlci.posting.source import own_source
from mlci.project import Invocation, Project
from mlci.publishing import publish
from mlci.render.text import plain
from mlci.running.display import Display
from mlci.running.session import Options
from mlci.waiting import NO_WAIT, Wait, settled


def ci(project: Project, options: Options, display: Display, *, posting: bool = True, wait: Wait = NO_WAIT) -> None:
    """Run, record, compare, report and post; then gate a candidate, or save the default branch's baseline.

    With `[baseline] missing = "run"` what has no baseline is measured at the merge base before it is compared, unless
    this is the default branch, whose record is the baseline.

    Raises:
        RunsFailedError: A selected run did not succeed; everything else was done first.
        GateFailedError: The gate blocks.
    """
    settings = project.config.settings.baseline
    carried(project.config, settings.carry)  # refused before anything runs
    document = run_all(project, options, display)
    records = record_own(project)
    baselines = settled(project, records.records, wait)
    if settings.missing == "run" and not project.context.on_default_branch:
        good = [item for item in records.records if item.status == "succeeded"]
        lacking = [item.name for item in good if baselines[item.name].record is None]
        measure_missing(project, lacking, options)
        baselines |= {item.name: project.baseline(item.name, item.profile) for item in good if item.name in lacking}
    comparison = compare(project, baselines)
    text = write_report(project, comparison, records)
    publish(
        project,
        comparison,
        records,
        markdown=text,
        terminal=terminal_report(project, comparison, records),
        echo=click.echo,
    )
    if posting:
        project.invocation.actions.set_outputs(_post(project, comparison, records))
    if project.context.on_default_branch:
        for saved in save(project):
            click.echo(f"saved the baseline of {saved.name} in {project.store.describe()}")
    _write_page(project, comparison, records)  # after what others wait for
    check_succeeded(document)
    if project.context.is_candidate:
        check_gate(comparison)


def _write_page(project: Project, comparison: Comparison, records: RecordsDocument) -> None:
    """Write the page; what was measured and decided stands without one, whatever a library makes of its contents."""
    try:
        write_page(project, comparison, records)
    except Exception as error:
        said = error.message if isinstance(error, MlciError) else f"{type(error).__name__}: {error}"
        project.invocation.say(plain(f"no page was written: {said}"))


def _post(project: Project, comparison: Comparison, records: RecordsDocument) -> dict[str, str]:
    """Post the report of this very job, if its event has a place for it and its token may."""
    context = project.context
    pushed = context.event == "push" and not context.on_default_branch
    if not context.in_actions or not context.token or not (context.is_candidate or pushed):
        return {}
    if context.from_fork:
        project.invocation.say("the token of a fork's pull request only reads: a workflow on workflow_run comments")
        return {}
    try:
        source = own_source(project, project.forge, None)
        return post_report(project, project.forge, source, comparison, records, source_meta(project, records, source))
    except ForgeError as error:
        # What was measured and decided stands, whatever the forge does.
        if project.config.settings.report.on_forbidden == "fail" and isinstance(error, ForbiddenError):
            raise
        project.invocation.say(f"nothing posted: {error.message}")
        project.invocation.actions.annotate("warning", f"{error.message}. {error.hint or ''}", title="mlci")
        return {}


@click.command("ci")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=run_names)
@click.option("--profile", envvar="MLCI_PROFILE", help="The profile; default: the event's.")
@click.option("--python", envvar="MLCI_PYTHON", help="The interpreter of the runs, or its environment's folder.")
@jobs_option
@follow_option
@secrets_option
@wait_option
@click.option("--post/--no-post", default=True, help="Comment and set the status, where the token may.")
@click.pass_obj
def command(
    invocation: Invocation,
    /,
    names: tuple[str, ...],
    post: bool,
    wait: Wait,
    **options: Any,  # noqa: ANN401
) -> None:
    """Do the right thing for this event, in one step.

    Pull request and merge queue: plan, run, record, compare, report, post, gate. Push, schedule and dispatch on the
    default branch: the same without post and gate, then save the baseline. Elsewhere: run and report.

    \b
    Examples:
      mlci ci
      mlci ci churn --profile smoke
      mlci ci --wait 10m           where the merge base may still be being measured
      mlci ci --no-post            where another job posts, one that runs no code
    """
    asked = Options(names=names, **options)
    display = display_for(invocation, parallel=asked.jobs != 1, follow=asked.follow)
    ci(Project.open(invocation), asked, display, posting=post, wait=wait)
