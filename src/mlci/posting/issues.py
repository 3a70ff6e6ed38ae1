"""One issue a monitor, whatever else happens to it at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlci.core import monitoring
from mlci.core.monitoring import IssueMarker
from mlci.plugins.forges.issues import GitHubIssues, Issue


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What became of an issue.

    Args:
        issue: It, where there is one.
        done: What was done, in a word; None: nothing.
        reason: Why nothing was done.
    """

    issue: Issue | None = None
    done: str | None = None
    reason: str | None = None


def keep_issue(issues: GitHubIssues, title: str, body: str, mine: IssueMarker, *, wanted: bool) -> Kept:
    """Make the one issue of a monitor say `body`, open while it is wanted.

    Ours is an issue that has the monitor's marker on its last line and was written by this token's login. A closed one
    is opened again rather than another one made, so that a monitor has one issue for good, with its history. Of
    several, which two jobs at once can make, the first one stays. What a newer run wrote stays as it is.

    Args:
        issues: Where.
        title: Always the same for a monitor.
        body: The whole text, its last line `mine`.
        mine: Who speaks.
        wanted: Whether the model is unhealthy.
    """
    author = issues.viewer()

    def ours() -> list[Issue]:
        return issues.ours(author, title, lambda body: mine.same_watch(monitoring.find(body)))

    def make() -> Issue:
        return issues.create(title, body, adopt=lambda: next(iter(ours()), None))

    there = ours()
    if any(_age(issue) > mine.age for issue in there):
        return Kept(issue=_keeper(there), reason="a newer run has reported already")
    if not wanted and not any(issue.open for issue in there):
        return Kept(issue=_keeper(there) if there else None, reason="the model is healthy")
    done = None
    if not there:
        made = make()
        done = "opened"
        # Another job may have done the same meanwhile. The answer counts: a list may not show ours yet.
        there = [made, *(issue for issue in ours() if issue.number != made.number)]
    keeper = _keeper(there)
    kept: Issue | None = keeper
    if _age(keeper) <= mine.age and (keeper.title, keeper.body, keeper.open) != (title, body, wanted):
        done = ("updated" if keeper.open else "reopened") if wanted else "closed"
        kept = issues.update(keeper, title=title, body=body, open=wanted)
        if kept is None and wanted:  # somebody has deleted it since
            kept, done = make(), "opened"
    for issue in there:
        if issue.number != keeper.number and issue.open and _age(issue) <= mine.age:
            issues.close_as_duplicate(issue)
    return Kept(issue=kept, done=done, reason=None if done else "it says so already")


def _keeper(issues: Sequence[Issue]) -> Issue:
    """The one that stays: the first, so that two jobs that clean up at once never close each other's."""
    return min(issues, key=lambda issue: issue.number)


def _age(issue: Issue) -> tuple[int, int]:
    found = monitoring.find(issue.body)
    return found.age if found else (0, 0)
