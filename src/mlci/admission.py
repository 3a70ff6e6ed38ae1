"""Which records may become baselines: in CI only what the default branch of the repository itself measured."""

from __future__ import annotations

from collections.abc import Sequence

from mlci.context import Context
from mlci.core.documents import Record
from mlci.errors import StoreError


def check_may_save(context: Context, records: Sequence[Record]) -> list[str]:
    """Refuse records that must not become baselines.

    The event of `context` comes from the runner, the origin of a record from whoever ran the code; where they
    disagree the record is refused. Repositories are compared by id, as a fork can take any name.

    Args:
        context: The event that saves.
        records: What it would save.

    Returns:
        One line for each thing that the user should know though it is allowed.

    Raises:
        StoreError: One may not be saved; the message says why.
    """
    if not context.in_actions:
        return [
            f"{record.name}: saved from a tree with uncommitted changes" for record in records if record.origin.dirty
        ]
    if not context.on_default_branch:
        raise StoreError(
            f"baselines are saved by the default branch only, not by {context.event} on {context.ref}",
            hint="Save in a workflow for push, schedule or workflow_dispatch on the default branch.",
        )
    for record in records:
        objection = _objection(context, record)
        if objection:
            raise StoreError(f"baseline of {record.name!r} not saved: {objection}")
    return []


def _objection(context: Context, record: Record) -> str | None:
    origin = record.origin
    if origin.commit is None:
        return "it names no commit"
    if origin.dirty:
        return "it was measured with uncommitted changes to tracked files"
    if context.sha is None or origin.commit != context.sha:
        return f"it was measured at {origin.commit[:10]}, this event is at {(context.sha or 'no commit')[:10]}"
    if context.run_id is None or origin.run_id != context.run_id:
        return f"it comes from workflow run {origin.run_id}, this is {context.run_id}"
    if origin.event != context.event:
        return f"it comes from the event {origin.event!r}, this is {context.event!r}"
    if context.repository_id is None or origin.repository_id != context.repository_id:
        return f"it comes from repository id {origin.repository_id}, this is {context.repository_id}"
    return None
