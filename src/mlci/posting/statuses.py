"""The verdict as a commit status, and as a check run: under a name that stays, so that branch rules can require it."""

from __future__ import annotations

from mlci.core.documents import Comparison, RecordsDocument
from mlci.core.marker import Marker
from mlci.plugins.forges.interface import Annotation, CheckRun, Forge, Status
from mlci.project import Project
from mlci.publishing import findings
from mlci.render import comment as rendering
from mlci.render.report import Meta
from mlci.render.text import failed_runs, headline, plain

MAX_DESCRIPTION = 140  # characters of a status
_MAX_ANNOTATIONS = 50  # of a check run: what a person may still read


def context_of(id: str) -> str:  # noqa: A002 - the configuration's key
    """The name of the status."""
    return f"mlci/{id}"


def status_of(id: str, comparison: Comparison, records: RecordsDocument, meta: Meta) -> Status:  # noqa: A002
    """The commit status: failure where the gate blocks or a run did not succeed, else success in words that say how."""
    failed = comparison.blocks or failed_runs(records.records)
    return Status(
        context=context_of(id),
        state="failure" if failed else "success",
        description=plain(headline(comparison, records.records), limit=MAX_DESCRIPTION),
        url=meta.run_url,
    )


def post_status(forge: Forge, sha: str, status: Status, run: tuple[int, int]) -> str | None:
    """Set `status` on the commit unless it is set already, or a newer run has set another.

    Args:
        forge: Where.
        sha: The commit.
        status: What to say; its context is mlci's own.
        run: The workflow run and its attempt that speak.

    Returns:
        Why nothing was set; None where it is set.
    """
    newest = next((item for item in forge.statuses(sha) if item.context == status.context), None)
    if newest == status:
        return None
    if newest and _run_of(newest.url) > run:
        return "a newer run has set the status already"
    forge.set_status(sha, status)
    return None


def run_link(run_url: str | None, attempt: int | None) -> str | None:
    """The page of one attempt of a workflow run."""
    return f"{run_url}/attempts/{attempt}" if run_url and attempt else run_url


def _run_of(url: str | None) -> tuple[int, int]:
    """The run and the attempt that a status links to; (0, 0) where it links to something else."""
    _, found, rest = (url or "").partition("/actions/runs/")
    run_id, _, tail = rest.partition("/attempts/")
    number = tail.partition("/")[0] or "1"
    if not found or not (run_id.isascii() and run_id.isdecimal() and number.isascii() and number.isdecimal()):
        return 0, 0
    return int(run_id), int(number)


def check_run_of(
    project: Project, comparison: Comparison, records: RecordsDocument, meta: Meta, marker: Marker, sha: str
) -> CheckRun:
    """The same as a check run: neutral where the gate is undecided and does not block."""
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
