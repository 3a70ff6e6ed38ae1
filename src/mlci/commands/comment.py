"""`mlci comment`: posts the report of a record that somebody else's code may have written, and sets the status."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import click
import msgspec

from mlci import posting
from mlci import received as claims
from mlci.commands.compare import compare
from mlci.commands.report import meta_of, terminal_report, write_report
from mlci.config import profile_for
from mlci.core.documents import Comparison, Failure, Origin, Record, RecordsDocument
from mlci.core.marker import Marker
from mlci.errors import DocumentError, ForbiddenError, UsageError, WorkspaceError
from mlci.plugins.forges.interface import Annotation, CheckRun, Forge, Status
from mlci.project import Invocation, Project
from mlci.publishing import findings, publish
from mlci.pull_requests import Place, Sought, locate, sought, sought_by_run
from mlci.render import comment as rendering
from mlci.render.report import Meta
from mlci.render.text import headline, plain
from mlci.workspace import RECORDS, RUNS

_MAX_DESCRIPTION = 140  # characters of a status
_MAX_ANNOTATIONS = 50  # of a check run: what a person may still read
_EVENT = "event"  # the run that the workflow_run event is about


@dataclass(frozen=True, kw_only=True)
class Source:
    """Which record is reported, and what the forge says of it.

    Args:
        place: Where the report goes.
        marker: Who speaks.
        document: The record; None where there is none.
        missing: Why there is none.
        foreign: It is of code that nobody of the repository has reviewed.
        base_commit: What it is compared with; None where the checkout says.
        run_url: The workflow run that measured.
        files_url: Its artifacts.
    """

    place: Place
    marker: Marker
    document: RecordsDocument | None = None
    missing: str | None = None
    foreign: bool = False
    base_commit: str | None = None
    run_url: str | None = None
    files_url: str | None = None


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


def own_source(project: Project, forge: Forge, number: int | None) -> Source:
    """The record of this workspace, for the pull request of this event or of that number."""
    context = project.context
    try:
        document, missing = project.workspace.records()[0], None
        claims.check_claims(document)
    except WorkspaceError as error:
        document, missing = None, error.message
    wanted = sought(context)
    if number is not None:
        claimed = claims.measured_commit(document.records) if document else None
        wanted = Sought(number=number, sha=context.head_sha if context.in_actions else claimed)
    place = Place(sha=wanted.sha, reason="the token may not read pull requests")
    with _Permitted(project, "the comment"):
        place = locate(forge, wanted)
    pull = place.pull
    foreign = pull is not None and context.in_actions and pull.head_repository_id != context.repository_id
    base = None
    # Elsewhere the checkout is the pull request's, and says best what it was measured against.
    if pull is not None and context.in_actions and not context.is_pull_request and context.event != "push":
        claimed = claims.measured_commit(document.records) if document else None
        base = claims.base_commit(forge, pull, claimed)
        document = claims.of_commit(document, place.sha) if document else None
    return Source(
        place=place,
        marker=marker_for(project, place.sha),
        document=document,
        missing=missing,
        foreign=foreign,
        base_commit=base,
        run_url=context.run_url,
        files_url=f"{context.run_url}#artifacts" if context.run_url else None,
    )


def received_source(project: Project, forge: Forge, run_id: int, artifact: str) -> Source:
    """The record that another workflow run left as an artifact, about a head that the forge names.

    Raises:
        DocumentError: The artifact is not what an honest run leaves.
        ForgeError: The forge is out of reach.
    """
    run = forge.workflow_run(run_id)
    place = locate(forge, sought_by_run(run, project.context.repository_id))
    source = Source(
        place=place,
        marker=Marker(id=project.config.settings.id, run_id=run.id, attempt=run.attempt, head=place.sha),
        foreign=run.head_repository_id != project.context.repository_id,
        run_url=run.url,
        files_url=f"{run.url}#artifacts" if run.url else None,
    )
    if place.sha is None:
        return source
    try:
        received = claims.receive(forge, run, artifact)
        if received.document is None:
            return replace(source, missing=received.missing)
        _check_profiles(project, received.document, run.event)
    except DocumentError as error:
        return replace(source, missing=error.message)
    claimed = claims.measured_commit(received.document.records)
    return replace(
        source,
        document=_with_forgotten(project, claims.of_commit(received.document, place.sha), run.event),
        base_commit=claims.base_commit(forge, place.pull, claimed) if place.pull else None,
        files_url=received.url or source.files_url,
    )


def marker_for(project: Project, head: str | None) -> Marker:
    """The marker of this workflow run, or of a laptop."""
    context = project.context
    return Marker(
        id=project.config.settings.id,
        run_id=int(context.run_id) if context.run_id and re.fullmatch(r"\d{1,20}", context.run_id) else 0,
        attempt=context.run_attempt or 0,
        head=head,
    )


def report(project: Project, forge: Forge, source: Source) -> dict[str, str]:
    """Compare again, render, show on the runner, post; the outputs that tell what was posted."""
    if source.document is None:
        return _report_nothing(project, forge, source)
    project = replace(project, base_commit=source.base_commit)
    # What was downloaded is about another machine: a run.json that lies here is not its source.
    if source.base_commit is not None or source.foreign:
        project.workspace.path(RUNS).unlink(missing_ok=True)
        project.workspace.write(RECORDS, source.document)
    comparison = compare(project)
    records = source.document
    meta = source_meta(project, records, source)
    text = write_report(project, comparison, records, meta)
    outputs = post(project, forge, source, comparison, records, meta)
    publish(
        project,
        comparison,
        records,
        markdown=text,
        terminal=terminal_report(project, comparison, records, meta),
        echo=click.echo,
        outputs=outputs,
    )
    return outputs


def source_meta(project: Project, records: RecordsDocument, source: Source) -> Meta:
    """What the report says beside the numbers: of the workflow run that measured, as the forge knows it."""
    meta = meta_of(project, records)
    return replace(
        meta,
        commit=source.place.sha or meta.commit,
        run_url=posting.run_link(source.run_url, source.marker.attempt),
        files_url=source.files_url,
        foreign=source.foreign,
    )


def post(
    project: Project, forge: Forge, source: Source, comparison: Comparison, records: RecordsDocument, meta: Meta
) -> dict[str, str]:
    """Comment, status and check run, each as far as the token may; what is forbidden is said."""
    settings = project.config.settings.report
    body = rendering.comment(comparison, records.records, meta=meta, marker=source.marker)
    status = status_of(project.config.settings.id, comparison, records, meta)
    outputs = _comment(project, forge, source, body, wanted=_wanted(settings.comment, comparison, records))
    _status(project, forge, source, status)
    sha = source.place.sha
    if settings.check_run and sha is not None:
        check = _check_run(project, comparison, records, meta, source.marker, sha)
        with _Permitted(project, "the check run"):
            forge.set_check_run(check)
    return outputs


def status_of(id: str, comparison: Comparison, records: RecordsDocument, meta: Meta) -> Status:  # noqa: A002
    """The commit status: failure where the gate blocks or a run did not succeed, else success in words that say how."""
    failed = comparison.blocks or any(
        record.error or record.status not in ("succeeded", "skipped") for record in records.records
    )
    line = headline(comparison, records.records)
    return Status(
        context=f"mlci/{id}",
        state="failure" if failed else "success",
        description=line if len(line) <= _MAX_DESCRIPTION else f"{line[: _MAX_DESCRIPTION - 1]}…",
        url=meta.run_url,
    )


class _Permitted:
    """Turns a missing permission into a warning, unless the configuration wants it to be an error."""

    def __init__(self, project: Project, what: str) -> None:
        self._project, self._what = project, what

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        if not isinstance(error, ForbiddenError) or self._project.config.settings.report.on_forbidden == "fail":
            return False
        message = f"{self._what} could not be posted: {error.message}"
        self._project.invocation.say(message)
        if error.hint:
            self._project.invocation.say(error.hint)
        self._project.invocation.actions.annotate("warning", f"{message}. {error.hint or ''}", title="mlci")
        return True


def _comment(project: Project, forge: Forge, source: Source, body: str, *, wanted: bool) -> dict[str, str]:
    pull, say = source.place.pull, project.invocation.say
    if project.config.settings.report.comment == "never":
        return {}
    if pull is None:
        say(f"no comment: {source.place.reason}")
        return {}
    with _Permitted(project, "the comment"):
        posted = posting.post_comment(forge, pull, body, source.marker, wanted=wanted, pause=forge.pause)
        if posted.reason:
            say(f"no comment: {posted.reason}")
        url = posted.comment.url if posted.comment else None
        if url and not posted.reason:
            say(f"commented: {plain(url)}")
        return {"pull-request": str(pull.number), **({"comment-url": url} if url else {})}
    return {"pull-request": str(pull.number)}


def _status(project: Project, forge: Forge, source: Source, status: Status) -> None:
    sha = source.place.sha
    if not project.config.settings.report.status or sha is None:
        return
    with _Permitted(project, "the status"):
        reason = posting.post_status(forge, sha, status, source.marker.age)
        project.invocation.say(f"no status: {reason}" if reason else f"status {status.context}: {status.state}")


def _report_nothing(project: Project, forge: Forge, source: Source) -> dict[str, str]:
    """Say that there is nothing to report, as loudly as a regression: a required status must not stay silent."""
    reason = source.missing or source.place.reason or "there is no record"
    if source.place.sha is None:
        project.invocation.say(f"nothing posted: {plain(reason)}")
        return {}
    meta = Meta(
        id=project.config.settings.id,
        commit=source.place.sha,
        run_url=posting.run_link(source.run_url, source.marker.attempt),
    )
    description = f"nothing was measured: {plain(reason)}"
    body = rendering.nothing_measured(reason, meta=meta, marker=source.marker)
    outputs = _comment(project, forge, source, body, wanted=True)
    status = Status(
        context=f"mlci/{project.config.settings.id}",
        state="error",
        description=description if len(description) <= _MAX_DESCRIPTION else f"{description[: _MAX_DESCRIPTION - 1]}…",
        url=meta.run_url,
    )
    _status(project, forge, source, status)
    project.invocation.actions.append_summary(body)
    project.invocation.actions.annotate("error", description, title="mlci")
    project.invocation.actions.finish()
    project.invocation.say(description)
    return outputs


def _wanted(mode: posting.Mode, comparison: Comparison, records: RecordsDocument) -> bool:
    """Whether a pull request without a comment gets one."""
    failed = comparison.blocks or any(record.status not in ("succeeded", "skipped") for record in records.records)
    if mode == "on-failure":
        return failed
    if mode == "on-change":
        return (
            failed or comparison.verdict != "pass" or any(delta.verdict != "unchanged" for delta in comparison.deltas)
        )
    return mode == "always"


def _check_run(
    project: Project, comparison: Comparison, records: RecordsDocument, meta: Meta, marker: Marker, sha: str
) -> CheckRun:
    status = status_of(project.config.settings.id, comparison, records, meta)
    neutral = status.state == "success" and comparison.verdict != "pass"
    found = [
        Annotation(
            path=place.file, line=place.line or 1, level="failure", message=plain(text), title=plain(place.title)
        )
        for _, text, place in findings(project, comparison, records)
        if place.file
    ]
    summary = rendering.comment(comparison, records.records, meta=meta, marker=None, limit=rendering.CHECK_LIMIT // 4)
    left_out = len(found) - _MAX_ANNOTATIONS
    if left_out > 0:
        summary += f"\n{left_out} more annotations were left out.\n"
    return CheckRun(
        name=status.context,
        sha=sha,
        conclusion="neutral" if neutral else "success" if status.state == "success" else "failure",
        title=status.description,
        summary=summary,
        external_id=f"{marker.id}/{marker.run_id}/{marker.attempt}",
        url=status.url,
        annotations=tuple(found[:_MAX_ANNOTATIONS]),
    )


def _check_profiles(project: Project, document: RecordsDocument, event: str) -> None:
    """Refuse records under a profile of the run's own choosing: one without a baseline has nothing to fail."""
    profile = profile_for(project.config, event, None)
    for record in document.records:
        if record.profile != profile:
            raise DocumentError(
                f"{RECORDS}: {record.name} was run under the profile {record.profile!r}; the default branch's "
                f"configuration gives {event} the profile {profile!r}"
            )


def _with_forgotten(project: Project, document: RecordsDocument, event: str) -> RecordsDocument:
    """The records, and a failure for each run that the default branch configures and they say nothing of."""
    profile = profile_for(project.config, event, None)
    have = {record.name for record in document.records}
    origin = document.records[0].origin if document.records else _no_origin(event)
    error = Failure(kind="lost", message="the default branch configures this run, and the record says nothing of it")
    forgotten = [
        Record(name=name, profile=profile, origin=origin, status="crashed", error=error)
        for name in project.runs(profile)
        if name not in have
    ]
    return msgspec.structs.replace(document, records=(*document.records, *forgotten))


def _no_origin(event: str) -> Origin:
    return Origin(
        commit=None, dirty=False, branch=None, event=event, created_at=datetime.now(UTC).isoformat(timespec="seconds")
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
    project = Project.open(invocation)
    if dry_run:
        _show(project)
        return
    comment(project, project.forge, from_run=from_run, artifact=artifact, number=number)


def _show(project: Project) -> None:
    document, _ = project.workspace.records()
    comparison = compare(project)
    meta = meta_of(project, document)
    head = project.context.head_sha or meta.commit
    click.echo(rendering.comment(comparison, document.records, meta=meta, marker=marker_for(project, head)), nl=False)
    status = status_of(project.config.settings.id, comparison, document, meta)
    project.invocation.say(f"would set the status {status.context}: {status.state}: {status.description}")
