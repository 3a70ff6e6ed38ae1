"""Which record is reported, where its report goes, and how far it is believed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import msgspec

from mlci.config import Run, profile_for
from mlci.core.documents import Failure, Record, RecordsDocument
from mlci.core.marker import Marker
from mlci.errors import DocumentError, WorkspaceError
from mlci.plugins.forges.interface import Forge
from mlci.posting import received as claims
from mlci.posting.permissions import permitted
from mlci.posting.pull_requests import Place, Sought, locate, sought, sought_by_run
from mlci.project import Project, origin_of
from mlci.workspace import RECORDS


@dataclass(frozen=True, kw_only=True)
class Source:
    """Which record is reported, and what the forge says of it.

    Args:
        place: Where the report goes.
        marker: Who speaks.
        document: The record; None where there is none.
        missing: Why there is none.
        received: It comes from another workflow run.
        contents: What came with it, the contents of the files that it names.
        foreign: It is of code that nobody of the repository has reviewed.
        base_commit: What it is compared with; None where the checkout says.
        run_url: The workflow run that measured.
        files_url: Its artifacts.
    """

    place: Place
    marker: Marker
    document: RecordsDocument | None = None
    missing: str | None = None
    received: bool = False
    contents: tuple[bytes, ...] = ()
    foreign: bool = False
    base_commit: str | None = None
    run_url: str | None = None
    files_url: str | None = None


def own_source(project: Project, forge: Forge, number: int | None) -> Source:
    """The record of this workspace, for the pull request of this event or of that number."""
    context = project.context
    document, missing = None, None
    try:
        document, _ = project.workspace.records()
        claims.check_claims(document)
        project.workspace.measured_baseline()  # it is compared with later, and was written by the same code
    except (WorkspaceError, DocumentError) as error:
        document, there = None, project.workspace.path(RECORDS).exists()
        missing = error.message if there else "the job that runs the code ended before mlci had a record"
    wanted = sought(context)
    if number is not None:
        claimed = claims.measured_commit(document.records) if document else None
        wanted = Sought(number=number, sha=context.head_sha if context.in_actions else claimed)
    place = Place(sha=wanted.sha, reason="the token may not read pull requests")
    with permitted(project, "the comment"):
        place = locate(forge, wanted)
    source = Source(
        place=place,
        marker=marker_for(project, place.sha),
        missing=missing,
        foreign=context.in_actions and _foreign(project, place),
        run_url=context.run_url,
        files_url=f"{context.run_url}#artifacts" if context.run_url else None,
    )
    if document is None or not context.in_actions:
        return replace(source, document=document)
    # On these events the checkout is the pull request's, and says best what it was measured against.
    if context.is_pull_request or context.event == "push" or place.pull is None:
        return replace(source, document=_with_forgotten(project, document, context.event, foreign=source.foreign))
    return _believed(project, forge, source, document, context.event)


def received_source(project: Project, forge: Forge, run_id: int, artifact: str) -> Source:
    """The record that a workflow run left as an artifact, about a head that the forge names.

    Raises:
        ForgeError: The forge is out of reach.
    """
    context = project.context
    run = forge.workflow_run(run_id)
    # Of this very run the event says for which pull request it is.
    own = run.repository_id == context.repository_id and str(run.id) == context.run_id
    place = locate(forge, sought(context) if own else sought_by_run(run, context.repository_id))
    source = Source(
        place=place,
        marker=Marker(id=project.config.settings.id, run_id=run.id, attempt=run.attempt, head=place.sha),
        received=True,
        foreign=_foreign(project, place) or (not own and run.head_repository_id != context.repository_id),
        run_url=run.url,
        files_url=f"{run.url}#artifacts" if run.url else None,
    )
    if place.sha is None:
        return source
    try:
        received = claims.receive(forge, run, artifact)
    except DocumentError as error:
        return replace(source, missing=error.message)
    if received.document is None:
        return replace(source, missing=received.missing)
    source = replace(source, contents=received.contents)
    return _believed(project, forge, source, received.document, run.event)


def _foreign(project: Project, place: Place) -> bool:
    return place.pull is not None and place.pull.head_repository_id != project.context.repository_id


def _believed(project: Project, forge: Forge, source: Source, document: RecordsDocument, event: str) -> Source:
    """What is taken from a record where the checkout is the default branch's: what nobody knows better here."""
    try:
        _check_profiles(project, document, event)
    except DocumentError as error:
        return replace(source, missing=error.message)
    pull, claimed = source.place.pull, claims.measured_commit(document.records)
    measured = claims.of_commit(document, source.place.sha)
    return replace(
        source,
        document=_with_forgotten(project, measured, event, foreign=source.foreign),
        base_commit=claims.base_commit(forge, pull, claimed) if pull else None,
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


def _check_profiles(project: Project, document: RecordsDocument, event: str) -> None:
    """Refuse records under a profile of the run's own choosing: one without a baseline has nothing to fail."""
    profile = profile_for(project.config, event, None)
    for record in document.records:
        if record.profile != profile:
            raise DocumentError(
                f"{RECORDS}: {record.name} was run under the profile {record.profile!r}; the default branch's "
                f"configuration gives {event} the profile {profile!r}"
            )


def _with_forgotten(project: Project, document: RecordsDocument, event: str, *, foreign: bool) -> RecordsDocument:
    """The records, with a failure for each configured run that they say nothing of: code cannot pass by silence.

    Nor can a fork's by leaving out a run that nothing in the default branch's configuration lets it leave out.
    """
    profile = next((record.profile for record in document.records), profile_for(project.config, event, None))
    runs = project.runs(profile)
    silent = Failure(kind="lost", message="it is configured, and the record says nothing of it")
    left_out = Failure(
        kind="lost", message="the record says that it was skipped, which its configuration does not allow"
    )
    records = [
        msgspec.structs.replace(record, status="crashed", error=left_out)
        if foreign and record.status == "skipped" and record.name in runs and not _may_skip(runs[record.name], event)
        else record
        for record in document.records
    ]
    have = {record.name for record in records}
    origin = records[0].origin if records else origin_of(project)
    records += [
        Record(name=name, profile=profile, origin=origin, status="crashed", error=silent)
        for name in runs
        if name not in have
    ]
    return msgspec.structs.replace(document, records=tuple(records))


def _may_skip(run: Run, event: str) -> bool:
    only = run.table.only
    return bool(run.table.needs or only.paths or only.labels or (only.events and event not in only.events))
