"""`mlci dispatch`: turns `/mlci run SHA` in a comment into a workflow run without rights, for people who may push."""

from __future__ import annotations

import re

import click

from mlci.context import Context
from mlci.errors import ForgeError
from mlci.plugins.forges.interface import Forge
from mlci.project import Invocation, Project
from mlci.render.text import plain

_REQUEST = re.compile(r"\s*/mlci run (?P<sha>[0-9a-f]{40})\s*")
_MAY = ("admin", "write")


def requested(context: Context) -> tuple[str | None, str | None]:
    """The commit that the event's comment asks to run, or why it asks for none; pure."""
    if context.event != "issue_comment":
        return None, f"the event is {context.event}, not issue_comment"
    if context.pull_request is None:
        return None, "the comment is not on a pull request"
    found = _REQUEST.fullmatch(context.comment or "")
    if not found:
        return None, "the comment is not `/mlci run` and the 40 digits of a commit"
    return found["sha"], None


def dispatch(context: Context, forge: Forge, workflow: str) -> str:
    """Start `workflow` on the default branch for the commit that was asked for; what happened, in a line.

    Raises:
        ForgeError: The commit is not the head of the open pull request.
    """
    sha, reason = requested(context)
    if sha is None or context.pull_request is None:
        return f"nothing to do: {reason}"
    author = context.comment_author or ""
    if (
        not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,99})(?:\[bot\])?", author)
        or forge.permission(author) not in _MAY
    ):
        # No failure: anybody may write a comment, and none of them should turn a workflow red.
        return f"nothing to do: {plain(author, limit=80)} may not start runs: it takes write access to the repository"
    # Asked right before, so that what runs is what was looked at: a head can move after the comment.
    pull = forge.pull(context.pull_request)
    if not pull.open:
        raise ForgeError(f"pull request {pull.number} is closed")
    if pull.head_sha != sha:
        raise ForgeError(
            f"{sha[:10]} is not the head of pull request {pull.number}, which is {pull.head_sha[:10]}",
            hint="Look at the new commit, then name it in a new comment.",
        )
    forge.dispatch(workflow, forge.default_branch(), {"pull-request": str(pull.number), "sha": sha})
    return f"started {workflow} for pull request {pull.number} at {sha[:10]}"


@click.command("dispatch")
@click.option("--workflow", required=True, metavar="FILE", help="A file of .github/workflows/ with workflow_dispatch.")
@click.pass_obj
def command(invocation: Invocation, workflow: str) -> None:
    """Start a workflow for a pull request when somebody with write access asks in a comment.

    On issue_comment: the whole comment is `/mlci run` and the 40 digits of the pull request's head commit. The workflow
    gets the inputs pull-request and sha. Nothing of the pull request is run here.

    \b
    Examples:
      mlci dispatch --workflow mlci-requested.yml
    """
    project = Project.open(invocation)
    click.echo(dispatch(project.context, project.forge, workflow))
