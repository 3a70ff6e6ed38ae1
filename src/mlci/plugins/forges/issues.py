"""Issues on GitHub: made once, found again by who wrote them and what their last line says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlci.plugins.forges.answers import at, number, text
from mlci.plugins.forges.client import Client, NotFoundError
from mlci.plugins.forges.github import GitHubForge

LABEL = "mlci"
_NEEDS = "issues: write"
_LOOKS = 3  # at a list that may be stale, and at a body that is not there yet


@dataclass(frozen=True, kw_only=True)
class Issue:
    """An issue as the forge has it."""

    number: int
    open: bool
    title: str
    body: str  # reads back as "" for seconds after it was made
    author: str | None
    url: str | None = None


@dataclass(frozen=True)
class GitHubIssues:
    """The issues of one repository; every method may be repeated.

    Args:
        client: Sends the requests.
        repository: "owner/name".
    """

    client: Client
    repository: str

    def viewer(self) -> str:
        """The login whose token this is."""
        return GitHubForge(self.client, self.repository).viewer()

    def ours(self, author: str, title: str, is_ours: Callable[[str], bool]) -> list[Issue]:
        """The issues, open or closed, that `author` wrote and whose body `is_ours`; the first one first.

        A fresh one can read back without a body: while there is no other of ours, one of that author and `title` that
        has none is looked at again.
        """
        for tries in range(_LOOKS):
            by_author = self._by(author)
            found = [issue for issue in by_author if is_ours(issue.body)]
            unsure = any(issue.title == title and not issue.body for issue in by_author)
            if found or not unsure or not self.client.patience.pause(tries):
                break
        return found

    def create(self, title: str, body: str, *, adopt: Callable[[], Issue | None]) -> Issue:
        """Open an issue; after an ambiguous failure `adopt` looks for it first."""

        def look() -> Issue | None:
            for tries in range(_LOOKS):
                found = adopt()
                if found is not None or not self.client.patience.pause(tries):
                    return found
            return None

        # A label is for people to filter by: a token without push access loses it, and anybody may take it off.
        given = {"title": title, "body": body, "labels": [LABEL]}
        made = self.client.create(self._path("issues"), given, needs=_NEEDS, adopt=look)
        return made if isinstance(made, Issue) else _issue(made)

    def update(self, issue: Issue, *, title: str, body: str, open: bool) -> Issue | None:  # noqa: A002 - GitHub's word
        """Make an issue say this and be open or closed; None where somebody has deleted it."""
        given: dict[str, Any] = {"title": title, "body": body}
        if issue.open != open:
            given |= {"state": "open"} if open else {"state": "closed", "state_reason": "completed"}
        return self._patch(issue, given)

    def close_as_duplicate(self, issue: Issue) -> None:
        """Close an issue that another one stands for."""
        self._patch(issue, {"state": "closed", "state_reason": "not_planned"})

    def _patch(self, issue: Issue, given: dict[str, Any]) -> Issue | None:
        try:
            return _issue(self.client.send("PATCH", self._path(f"issues/{issue.number}"), given, needs=_NEEDS))
        except NotFoundError:
            return None

    def _by(self, author: str) -> list[Issue]:
        found = self.client.pages(self._path("issues"), needs=_NEEDS, state="all", creator=author)
        # A pull request is an issue to this API. Whose it is, is checked here too: an old server ignores `creator`.
        issues = [_issue(item) for item in found if at(item, "pull_request") is None]
        return sorted((issue for issue in issues if issue.author == author), key=lambda issue: issue.number)

    def _path(self, path: str) -> str:
        return f"/repos/{self.repository}/{path}"


def _issue(item: Any) -> Issue:  # noqa: ANN401 - JSON
    return Issue(
        number=number(item, "number"),
        open=text(item, "state") == "open",
        title=text(item, "title") or "",
        body=text(item, "body") or "",
        author=text(item, "user", "login"),
        url=text(item, "html_url"),
    )
