"""`mlci baseline`: keeps the main branch's records, and shows what is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from mlci.admission import check_may_save
from mlci.commands.completion import run_names
from mlci.commands.plan import plan_for
from mlci.commands.run import check_trusted, jobs_option
from mlci.config import seconds
from mlci.context import Context
from mlci.core.documents import Record, encode
from mlci.errors import StoreError
from mlci.evidence import kept_predictions
from mlci.measuring import How, measure
from mlci.plots import kept_plots
from mlci.plugins.forges.interface import Forge, WorkflowRun
from mlci.posting.received import measured_commit, receive
from mlci.project import Invocation, Project
from mlci.pruning import prune
from mlci.releasing.gathering import fill_store
from mlci.render.text import plain
from mlci.running.plan import only_named
from mlci.running.session import Options


def save(project: Project) -> list[Record]:
    """Save the records that succeeded; refused in CI outside of the default branch.

    Raises:
        StoreError: Refused, with the reason, or the store cannot be reached.
    """
    document, _ = project.workspace.records()
    good = [record for record in document.records if record.status == "succeeded"]
    for warning in check_may_save(project.context, good):
        project.invocation.say(warning)
    if not good:
        return []
    # First what is large: a record whose artifacts are not there yet could not be released.
    fill_store(project, good)
    return project.store.save(good, blobs=_blobs(project, good))


def adopt(
    project: Project, forge: Forge, *, workflow: str | None = None, artifact: str = "mlci"
) -> tuple[list[Record], str | None]:
    """Save what a pull request of this repository measured, where merging it made the very same tree.

    The trees compared are of commits that the forge names: the commit that was pushed, the head that was measured and,
    as far as the record claims one, the test merge. All that this event would run must be in the record.

    Args:
        project: Where.
        forge: Whom to ask.
        workflow: The file of `.github/workflows/` whose runs count; None: the one that runs now.
        artifact: What its runs leave.

    Returns:
        The records, and why none was adopted.

    Raises:
        StoreError: This is no push to the default branch, or the store cannot be reached.
        ForgeError: The forge is out of reach.
    """
    context = project.context
    if context.event != "push" or not context.on_default_branch or context.sha is None:
        raise StoreError(f"only a push to the default branch adopts a record, not {context.event} on {context.ref}")
    path = f".github/workflows/{workflow}" if workflow else context.workflow_path
    profile = project.profile(None)
    wanted = {run.name for run in plan_for(project, profile).selected}
    pushed = forge.commit(context.sha)
    if pushed is None:
        return [], f"GitHub does not know the commit {context.sha[:10]}"
    reason = "no pull request of this repository brought this commit"
    for pull in forge.pulls_of_commit(context.sha):
        if not pull.merged or pull.head_repository_id != context.repository_id:
            continue
        head = forge.commit(pull.head_sha)
        if head is None or head.tree != pushed.tree:
            reason = f"pull request {pull.number} measured another tree than was pushed"
            continue
        reason = f"no run of {path} on pull request {pull.number} measured all that this event would run"
        for run in forge.workflow_runs(pull.head_sha):
            ours = run.repository_id == run.head_repository_id == context.repository_id
            if not ours or (run.event, run.path, run.conclusion) != ("pull_request", path, "success"):
                continue
            good, contents = _measured(forge, run, artifact, pushed.tree)
            if wanted and wanted <= {record.name for record in good if record.profile == profile}:
                for content in contents:
                    project.workspace.bring(content)
                blobs = _blobs(project, good)
                return project.store.save([_as_pushed(context, record, run) for record in good], blobs=blobs), None
    return [], reason


def measure_missing(project: Project, names: Sequence[str], options: Options) -> tuple[Record, ...]:
    """Measure runs that have no baseline at the merge base, as this job's own are started: `.mlci/baseline.json`.

    Raises:
        ConfigError: `[baseline] carry` leaves the repository.
        UsageError: Code of a fork would run with the rights of this repository.
        CancelledError: mlci was told to stop.
    """
    check_trusted(project.context, allowed=options.allow_fork_code)
    on_runner = project.invocation.actions.enabled
    how = How(
        profile=project.profile(options.profile),
        python=options.python,
        jobs=str(options.jobs),
        limit_s=seconds(project.config.settings.baseline.limit),
        tell=lambda line: click.echo(line, err=not on_runner),
    )
    return measure(project, names, how) if names else ()


def _measured(forge: Forge, run: WorkflowRun, artifact: str, tree: str) -> tuple[list[Record], tuple[bytes, ...]]:
    """What a workflow run measured, predicted and drew, if all of it succeeded and is about `tree`."""
    received = receive(forge, run, artifact)
    document = received.document
    if document is None or any(record.status not in ("succeeded", "skipped") for record in document.records):
        return [], ()
    claimed = measured_commit(document.records)
    measured = forge.commit(claimed) if claimed else None
    if measured is None or measured.tree != tree or any(record.origin.dirty for record in document.records):
        return [], ()
    return [record for record in document.records if record.status == "succeeded"], received.contents


def _blobs(project: Project, records: Sequence[Record]) -> dict[str, bytes]:
    """What the store keeps beside `records`."""
    return kept_predictions(project, records) | kept_plots(project, records)


def _as_pushed(context: Context, record: Record, run: WorkflowRun) -> Record:
    """The record as one of the pushed commit."""
    origin = msgspec.structs.replace(
        record.origin,
        commit=context.sha,
        branch=context.branch,
        event=context.event,
        repository_id=context.repository_id,
        run_id=context.run_id,
        run_attempt=context.run_attempt,
        workflow=context.workflow,
        run_url=run.url,
    )
    return msgspec.structs.replace(record, origin=origin)


@click.group("baseline")
def command() -> None:
    """Save, show, list and prune baselines: the main branch's records.

    \b
    Examples:
      mlci baseline save             after mlci run and mlci record, on the main branch
      mlci baseline adopt            on a push: instead of training the merged commit again
      mlci baseline measure          in a job that compares: what has no baseline yet, at the merge base
      mlci baseline show churn --json
      mlci baseline list
      mlci baseline prune --keep 365d --dry-run
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


@command.command("adopt")
@click.option(
    "--workflow", metavar="FILE", help="Whose runs on pull requests count; default: the workflow that runs now."
)
@click.option("--artifact", envvar="MLCI_ARTIFACT", default="mlci", show_default=True, help="The artifact's name.")
@click.pass_obj
def adopt_command(invocation: Invocation, workflow: str | None, artifact: str) -> None:
    """Save what the merged pull request measured, if the pushed tree is the very same.

    On a push to the default branch, for a pull request of this repository that this or the named workflow measured, by
    ids. Sets the output `adopted` to true or false and exits 0 either way, so that a job that trains can depend on it.
    """
    project = Project.open(invocation)
    saved, reason = adopt(project, project.forge, workflow=workflow, artifact=artifact)
    invocation.actions.set_outputs({"adopted": "true" if reason is None else "false"})
    if reason:
        click.echo(f"nothing adopted: {reason}")
    for record in saved:
        click.echo(f"adopted {record.name} ({record.profile}) at {(record.origin.commit or '')[:7]}")


@command.command("measure")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=run_names)
@click.option("--profile", envvar="MLCI_PROFILE", help="The profile; default: the event's.")
@click.option("--python", envvar="MLCI_PYTHON", help="The interpreter of the runs, or its environment's folder.")
@jobs_option
@click.pass_obj
def measure_command(invocation: Invocation, /, names: tuple[str, ...], profile: str | None, **options: Any) -> None:  # noqa: ANN401
    """Run what has no baseline at the merge base, into .mlci/baseline.json.

    In a temporary checkout, for at most `[baseline] limit`, as `mlci ci` does with `missing = "run"`. Only this
    workspace's comparisons use it; it is never saved. Exits 0 also where that fails: the comparison says why.
    """
    project = Project.open(invocation)
    wanted = only_named(plan_for(project, project.profile(profile)), names).selected
    lacking = [run.name for run in wanted if project.baseline(run.name, run.profile).record is None]
    asked = Options(profile=profile, **options)
    for record in measure_missing(project, lacking, asked):
        said = f": {plain(record.error.message)}" if record.error else ""
        click.echo(f"{record.name} at the merge base {(record.origin.commit or '')[:7]}: {record.status}{said}")
    if not lacking:
        click.echo("every run has a baseline")


@command.command("show")
@click.argument("name", shell_complete=run_names)
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


@command.command("prune")
@click.option("--keep", metavar="DURATION", help="The age from which records go; default: [baseline] keep.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.pass_obj
def prune_command(invocation: Invocation, keep: str | None, *, dry_run: bool) -> None:
    """Remove old records, and the predictions that only they name.

    Never the last record of a run and profile, nor one of a commit that a tag names. In CI only on the default branch.
    Nothing that others are reading or writing is disturbed; doing it again does no harm.
    """
    project = Project.open(invocation)
    gone = prune(project, keep=keep, now=datetime.now(UTC), dry_run=dry_run)
    for entry in gone:
        click.echo(f"{'would remove' if dry_run else 'removed'} {entry.run} ({entry.profile}) at {entry.commit[:7]}")
    if not gone:
        click.echo(f"no record is old enough to go in {project.store.describe()}")
