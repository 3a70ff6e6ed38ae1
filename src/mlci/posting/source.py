"""Which record is reported, where its report goes, and how far it is believed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import msgspec

from mlci.config import profile_for
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
    foreign: bool = False
    base_commit: str | None = None
    run_url: str | None = None
    files_url: str | None = None


def own_source(project: Project, forge: Forge, number: int | None) -> Source:
    """The record of this workspace, for the pull request of this event or of that number."""
    context = project.context
    try:
        document, missing = project.workspace.records()[0], None
        claims.check_claims(document)
    except (WorkspaceError, DocumentError) as error:
        document, missing = None, error.message
    wanted = sought(context)
    if number is not None:
        claimed = claims.measured_commit(document.records) if document else None
        wanted = Sought(number=number, sha=context.head_sha if context.in_actions else claimed)
    place = Place(sha=wanted.sha, reason="the token may not read pull requests")
    with permitted(project, "the comment"):
        place = locate(forge, wanted)
    pull = place.pull
    foreign = pull is not None and context.in_actions and pull.head_repository_id != context.repository_id
    base = None
    # Elsewhere the checkout is the pull request's, and says best what it was measured against.
    if pull is not None and context.in_actions and not context.is_pull_request and context.event != "push":
        claimed = claims.measured_commit(document.records) if document else None
        base = claims.base_commit(forge, pull, claimed)
        document = claims.of_commit(document, place.sha) if document else None
    if document and context.in_actions:
        document = _with_forgotten(project, document, context.event)
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
        received=True,
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
    """The records, and a failure for each configured run that they say nothing of: code cannot pass by silence."""
    profile = next((record.profile for record in document.records), profile_for(project.config, event, None))
    have = {record.name for record in document.records}
    origin = document.records[0].origin if document.records else origin_of(project)
    error = Failure(kind="lost", message="it is configured, and the record says nothing of it")
    forgotten = [
        Record(name=name, profile=profile, origin=origin, status="crashed", error=error)
        for name in project.runs(profile)
        if name not in have
    ]
    return msgspec.structs.replace(document, records=(*document.records, *forgotten))
