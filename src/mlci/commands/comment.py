"""`mlci comment`: posts the report of a record that somebody else's code may have written, and sets the status."""

from __future__ import annotations

import re
from dataclasses import replace

import click

from mlci.commands.compare import compare
from mlci.commands.report import meta_of, terminal_report, write_report
from mlci.core.documents import RecordsDocument
from mlci.core.prediction_files import PARQUET
from mlci.errors import ConfigError, UsageError
from mlci.plugins.forges.interface import Forge
from mlci.posting.pictures import with_curves, would_show
from mlci.posting.post import post_nothing, post_report
from mlci.posting.pull_requests import locate, sought
from mlci.posting.source import Source, marker_for, own_source, received_source
from mlci.posting.statuses import run_link, status_of
from mlci.project import Invocation, Project
from mlci.publishing import publish
from mlci.render import comment as rendering
from mlci.render.report import Meta
from mlci.workspace import BASELINE, RECORDS, RUNS

_EVENT = "event"  # the run that the workflow_run event is about


def comment(
    project: Project, forge: Forge, *, from_run: str | None = None, artifact: str = "mlci", number: int | None = None
) -> dict[str, str]:
    """Post the report of this workspace, or of what another workflow run left; the step's outputs.

    Raises:
        UsageError: What was asked for cannot be.
        ForgeError: The forge is out of reach, or forbids what the configuration says must not be forbidden.
    """
    if from_run and number is not None:
        raise UsageError("--from-run finds the pull request itself", hint="Leave --pull-request out.")
    if from_run:
        return report(project, forge, received_source(project, forge, _run_id(project, from_run), artifact))
    return report(project, forge, own_source(project, forge, number))


def report(project: Project, forge: Forge, source: Source) -> dict[str, str]:
    """Compare again, render, show on the runner, post; the outputs that tell what was posted."""
    if source.document is None:
        return post_nothing(project, forge, source)
    project = replace(project, base_commit=source.base_commit)
    if source.foreign:
        # What a fork says of the merge base is no baseline.
        project.workspace.path(BASELINE).unlink(missing_ok=True)
    if source.received:
        # It is about another machine: a run.json that lies here is not its source.
        project.workspace.path(RUNS).unlink(missing_ok=True)
        for content in source.contents:
            # What Parquet unpacks to is only claimed by the file itself: a stranger's is not opened.
            if not (source.foreign and content.startswith(PARQUET)):
                project.workspace.bring(content)
    project.workspace.write(RECORDS, source.document)
    comparison = compare(project)
    records = source.document
    meta = source_meta(project, records, source)
    text = write_report(project, comparison, records, meta)
    publish(
        project,
        comparison,
        records,
        markdown=text,
        terminal=terminal_report(project, comparison, records, meta),
        echo=click.echo,
    )
    outputs = post_report(project, forge, source, comparison, records, meta)
    project.invocation.actions.set_outputs(outputs)
    return outputs


def source_meta(project: Project, records: RecordsDocument, source: Source) -> Meta:
    """What the report says beside the numbers: of the workflow run that measured, as the forge knows it."""
    meta = meta_of(project, records)
    return replace(
        meta,
        commit=source.place.sha or meta.commit,
        run_url=run_link(source.run_url, source.marker.attempt),
        files_url=source.files_url,
        foreign=source.foreign,
        before=with_curves(project, records.records),
    )


def _run_id(project: Project, asked: str) -> int:
    if asked == _EVENT:
        trigger = project.context.trigger
        if trigger is None:
            raise UsageError(
                f"--from-run event: the event {project.context.event} is about no workflow run",
                hint="Start the workflow `on: workflow_run`, or name a run's id.",
            )
        asked = trigger.run_id
    if not re.fullmatch(r"\d{1,18}", asked):
        raise UsageError(f'--from-run: expected a workflow run\'s id or "event", got {asked[:40]!r}')
    return int(asked)


@click.command("comment")
@click.option(
    "--from-run",
    envvar="MLCI_FROM_RUN",
    metavar="event|ID",
    help="Report what this workflow run left as an artifact; event: the run of the workflow_run event.",
)
@click.option(
    "--artifact", envvar="MLCI_ARTIFACT", default="mlci", show_default=True, help="Its name, with --from-run."
)
@click.option(
    "--pull-request", "number", type=click.IntRange(min=1), envvar="MLCI_PULL_REQUEST", help="Instead of the event's."
)
@click.option("--dry-run", is_flag=True, help="Show what would be posted; needs no token.")
@click.pass_obj
def command(invocation: Invocation, from_run: str | None, artifact: str, number: int | None, dry_run: bool) -> None:
    """Post the report: one comment on the pull request, kept up to date, and the commit status mlci/ID.

    Compares .mlci/record.json again and renders anew, whoever wrote it; nothing of it is executed. Where a permission
    is missing it warns, and the report stays in the job summary. Exits 0 whatever the verdict: `mlci gate` decides.

    \b
    Examples:
      mlci comment                       in a job of its own, with the workspace of the job that ran
      mlci comment --from-run event      on workflow_run, for pull requests from forks
      mlci comment --dry-run             on a laptop
    """
    try:
        project = Project.open(invocation)
    except ConfigError as error:
        if from_run is None and not dry_run:
            _say_broken(invocation, error)
        raise
    if dry_run:
        _show(project)
        return
    comment(project, project.forge, from_run=from_run, artifact=artifact, number=number)


def _say_broken(invocation: Invocation, error: ConfigError) -> None:
    """Tell the pull request that its configuration is broken: its status is waited for, its old comment is stale."""
    project = Project.broken(invocation)
    if not project.context.in_actions or not project.context.token:
        return
    place = locate(project.forge, sought(project.context))
    source = Source(
        place=place,
        marker=marker_for(project, place.sha),
        missing=error.message,
        run_url=project.context.run_url,
    )
    post_nothing(project, project.forge, source)


def _show(project: Project) -> None:
    document, _ = project.workspace.records()
    comparison = compare(project)
    meta = replace(meta_of(project, document), before=with_curves(project, document.records))
    head = project.context.head_sha or meta.commit
    pictures = would_show(project, comparison, document.records, meta)
    marker = marker_for(project, head)
    body = rendering.comment(comparison, document.records, meta=meta, marker=marker, pictures=pictures)
    click.echo(body, nl=False)
    status = status_of(project.config.settings.id, comparison, document, meta)
    project.invocation.say(f"would set the status {status.context}: {status.state}: {status.description}")
