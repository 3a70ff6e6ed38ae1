"""Posts a report wherever its event has a place for it: comment, status, check run."""

from __future__ import annotations

from mlci.core.documents import Comparison, RecordsDocument
from mlci.plugins.forges.interface import Forge, Status
from mlci.posting.comments import Mode, post_comment
from mlci.posting.permissions import permitted
from mlci.posting.pictures import shown
from mlci.posting.source import Source
from mlci.posting.statuses import MAX_DESCRIPTION, check_run_of, context_of, post_status, run_link, status_of
from mlci.project import Project
from mlci.render import comment as rendering
from mlci.render.report import Meta
from mlci.render.text import failed_runs, plain


def post_report(
    project: Project, forge: Forge, source: Source, comparison: Comparison, records: RecordsDocument, meta: Meta
) -> dict[str, str]:
    """Comment, status and check run, each as far as the token may; what is forbidden is said."""
    settings = project.config.settings.report
    status = status_of(project.config.settings.id, comparison, records, meta)
    # The status first: a branch rule may wait for it, whatever becomes of the comment.
    _status(project, forge, source, status)
    wanted = _wanted(settings.comment, comparison, records)
    pictures = shown(project, comparison, records.records, meta) if wanted and source.place.pull else None
    body = rendering.comment(comparison, records.records, meta=meta, marker=source.marker, pictures=pictures)
    outputs = _comment(project, forge, source, body, wanted=wanted)
    sha = source.place.sha
    if settings.check_run and sha is not None:
        check = check_run_of(project, comparison, records, meta, source.marker, sha)
        with permitted(project, "the check run"):
            forge.set_check_run(check)
    return outputs


def post_nothing(project: Project, forge: Forge, source: Source) -> dict[str, str]:
    """Say that there is nothing to report, as loudly as a regression: a required status must not stay silent."""
    reason = source.missing or source.place.reason or "there is no record"
    if source.place.sha is None:
        project.invocation.say(f"nothing posted: {plain(reason)}")
        return {}
    meta = Meta(
        id=project.config.settings.id,
        commit=source.place.sha,
        run_url=run_link(source.run_url, source.marker.attempt),
    )
    description = f"nothing was measured: {plain(reason)}"
    body = rendering.nothing_measured(reason, meta=meta, marker=source.marker)
    project.invocation.actions.append_summary(body)
    project.invocation.actions.annotate("error", description, title="mlci")
    project.invocation.actions.finish()
    project.invocation.say(description)
    status = Status(
        context=context_of(project.config.settings.id),
        state="error",
        description=plain(description, limit=MAX_DESCRIPTION),
        url=meta.run_url,
    )
    _status(project, forge, source, status)
    return _comment(project, forge, source, body, wanted=True)


def _comment(project: Project, forge: Forge, source: Source, body: str, *, wanted: bool) -> dict[str, str]:
    pull, say = source.place.pull, project.invocation.say
    if project.config.settings.report.comment == "never":
        return {}
    if pull is None:
        say(f"no comment: {source.place.reason}")
        return {}
    outputs = {"pull-request": str(pull.number)}
    with permitted(project, "the comment"):
        posted = post_comment(forge, pull, body, source.marker, wanted=wanted, pause=forge.pause)
        if posted.reason:
            say(f"no comment: {posted.reason}")
        url = posted.comment.url if posted.comment else None
        if url and not posted.reason:
            say(f"commented: {plain(url)}")
        if url:
            outputs["comment-url"] = url
    return outputs


def _status(project: Project, forge: Forge, source: Source, status: Status) -> None:
    sha = source.place.sha
    if not project.config.settings.report.status or sha is None:
        return
    with permitted(project, "the status"):
        reason = post_status(forge, sha, status, source.marker.age)
        project.invocation.say(f"no status: {reason}" if reason else f"status {status.context}: {status.state}")


def _wanted(mode: Mode, comparison: Comparison, records: RecordsDocument) -> bool:
    """Whether a pull request without a comment gets one."""
    failed = comparison.blocks or failed_runs(records.records)
    if mode == "on-failure":
        return failed
    if mode == "on-change":
        return (
            failed or comparison.verdict != "pass" or any(delta.verdict != "unchanged" for delta in comparison.deltas)
        )
    return mode == "always"
