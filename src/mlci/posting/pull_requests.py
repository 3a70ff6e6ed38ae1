"""Which pull request an event belongs to: what the event says, then what the forge confirms."""

from __future__ import annotations

from dataclasses import dataclass

from mlci.context import Context
from mlci.plugins.forges.interface import Forge, Pull, WorkflowRun

_BY_HEAD = ("pull_request", "pull_request_target", "push")


@dataclass(frozen=True, kw_only=True)
class Sought:
    """Where a report belongs, as far as the event tells.

    Args:
        sha: The commit that gets the status, and that must be the head of the pull request.
        number: The pull request's.
        head: "owner:branch" to look for it among the open ones; None where `number` is known.
        repository_id: Of the head; None where the event does not say.
        reason: Why no pull request is sought.
    """

    sha: str | None = None
    number: int | None = None
    head: str | None = None
    repository_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a report goes.

    Args:
        pull: The pull request to comment on.
        sha: The commit to set the status of.
        reason: Why there is no comment, or no status.
    """

    pull: Pull | None = None
    sha: str | None = None
    reason: str | None = None


def sought(context: Context) -> Sought:
    """What to look for after `context`; pure."""
    if context.is_pull_request:
        if context.pull_request is None or context.head_sha is None:
            return Sought(reason=f"the payload of {context.event} names no pull request")
        return Sought(sha=context.head_sha, number=context.pull_request, repository_id=context.head_repository_id)
    if context.event == "merge_group":
        # Its commit is no pull request's head: whoever waits in the queue reads the status.
        return Sought(sha=context.head_sha, reason="the merge queue gets a status, not a comment")
    if context.event == "push":
        return _pushed(context)
    if context.event == "issue_comment":
        if context.pull_request is None:
            return Sought(reason="the comment is not on a pull request")
        return Sought(number=context.pull_request)
    if context.event == "workflow_dispatch" and context.pull_request is not None:
        return Sought(sha=context.head_sha, number=context.pull_request)
    return Sought(reason=f"the event {context.event} has no pull request")


def sought_by_run(run: WorkflowRun, repository_id: str | None) -> Sought:
    """What to look for after a workflow run, whose ids come from the forge; pure."""
    if run.repository_id != repository_id:
        return Sought(reason=f"workflow run {run.id} is of repository id {run.repository_id}, this is {repository_id}")
    if run.event == "merge_group":
        return Sought(sha=run.head_sha, reason="the merge queue gets a status, not a comment")
    if run.event not in _BY_HEAD:
        return Sought(reason=f"workflow run {run.id} was started by {run.event}, which has no pull request")
    if not run.head_owner or not run.head_branch or not run.head_repository_id:
        return Sought(reason=f"the repository that workflow run {run.id} was started from is gone")
    return Sought(sha=run.head_sha, head=f"{run.head_owner}:{run.head_branch}", repository_id=run.head_repository_id)


def locate(forge: Forge, wanted: Sought) -> Place:
    """Find and check the pull request: open, with the head that was measured, in the repository that it came from.

    Raises:
        ForgeError: The forge is out of reach, or has no such pull request.
    """
    if wanted.number is not None:
        pull = forge.pull(wanted.number)
    elif wanted.head is not None:
        fitting = [
            pull
            for pull in forge.pulls(wanted.head)
            if (pull.head_sha, pull.head_repository_id) == (wanted.sha, wanted.repository_id)
        ]
        if len(fitting) != 1:
            count = "no open pull request has" if not fitting else f"{len(fitting)} open pull requests have"
            return Place(reason=f"{count} the head {wanted.head} at {(wanted.sha or '')[:10]}")
        [pull] = fitting
    else:
        return Place(sha=wanted.sha, reason=wanted.reason)
    if not pull.open:
        return Place(reason=f"pull request {pull.number} is closed")
    if wanted.repository_id is not None and pull.head_repository_id != wanted.repository_id:
        return Place(reason=f"pull request {pull.number} has its head in another repository")
    if wanted.sha is not None and pull.head_sha != wanted.sha:
        # Whoever looks at the older commit still finds its status there.
        return Place(sha=wanted.sha, reason=f"the head of pull request {pull.number} has moved to {pull.head_sha[:10]}")
    return Place(pull=pull, sha=pull.head_sha)


def _pushed(context: Context) -> Sought:
    if context.branch is None or context.repository is None:
        return Sought(reason="a push of a tag has no pull request")
    if context.branch == context.default_branch:
        return Sought(reason="a push to the default branch has no pull request")
    owner = context.repository.partition("/")[0]
    return Sought(sha=context.sha, head=f"{owner}:{context.branch}", repository_id=context.repository_id)
