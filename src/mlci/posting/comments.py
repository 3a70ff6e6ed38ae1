"""One comment an id on a pull request, whatever else happens to it at the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from mlci.core import marker as markers
from mlci.core.marker import Marker
from mlci.plugins.forges.interface import Comment, Forge, Pull

Mode = Literal["always", "on-change", "on-failure", "never"]
_LOOKS = 5  # at a comment of ours whose body is not there yet


@dataclass(frozen=True, kw_only=True)
class Posted:
    """What became of a comment.

    Args:
        comment: It, where there is one.
        reason: Why nothing was written; None where something was.
    """

    comment: Comment | None = None
    reason: str | None = None


def post_comment(
    forge: Forge,
    pull: Pull,
    body: str,
    mine: Marker,
    *,
    wanted: bool,
    pause: Callable[[int], bool] = lambda _tries: False,
) -> Posted:
    """Make the one comment of `mine.id` on `pull` say `body`.

    Ours is a comment that has the id's marker on its last line and was written by this token's login. Of several,
    which two jobs at once can make, one stays. A comment of a newer run stays as it is.

    Args:
        forge: Where.
        pull: On what; its head was `mine.head` when the event was looked up.
        body: The whole comment, its last line `mine`.
        mine: Who speaks.
        wanted: Whether to comment where there is no comment yet; one that is there is always kept up to date.
        pause: Waits before another look at a body that GitHub does not show yet; False where no time is left.
    """
    author = forge.viewer()

    def adopted(found: Sequence[Comment]) -> Comment | None:
        return next(iter(_of(found, author, mine.id)), None)

    moved = _moved(forge, pull, mine)
    if moved:
        return Posted(reason=moved)
    # The last look before writing: a run that is newer, but has not posted yet, will find our comment and replace it.
    ours = _settled(forge, pull.number, author, mine.id, pause)
    if any(_age(comment) > mine.age for comment in ours):
        return Posted(comment=_keeper(ours), reason="a newer run has reported already")
    if not ours:
        if not wanted:
            return Posted(reason="there is nothing that the configuration wants said")
        made = forge.create_comment(pull.number, body, adopt=adopted)
        # Another job may have done the same meanwhile. The answer counts: a list may not show ours yet.
        ours = [made, *(item for item in _of(forge.comments(pull.number), author, mine.id) if item.id != made.id)]
    keeper = _keeper(ours)
    kept: Comment | None = keeper
    if _age(keeper) <= mine.age and keeper.body != body:
        kept = forge.edit_comment(keeper, body)
        if kept is None:  # somebody has deleted it since
            kept = forge.create_comment(pull.number, body, adopt=adopted)
    for comment in ours:
        if comment.id != keeper.id and _age(comment) <= mine.age:
            forge.delete_comment(comment)
    return Posted(comment=kept)


def _settled(forge: Forge, number: int, author: str, id: str, pause: Callable[[int], bool]) -> list[Comment]:  # noqa: A002
    """Our comments; a fresh one can read back empty, so that one of our login without a body is looked at again."""
    for tries in range(_LOOKS):
        found = forge.comments(number)
        ours = _of(found, author, id)
        if ours or not any(item.author == author and not item.body for item in found) or not pause(tries):
            break
    return ours


def _of(comments: Sequence[Comment], author: str, id: str) -> list[Comment]:  # noqa: A002 - the configuration's key
    return [item for item in comments if item.author == author and _has(item, id)]


def _has(comment: Comment, id: str) -> bool:  # noqa: A002 - the configuration's key
    found = markers.find(comment.body)
    return found is not None and found.id == id


def _age(comment: Comment) -> tuple[int, int]:
    found = markers.find(comment.body)
    return found.age if found else (0, 0)


def _keeper(comments: Sequence[Comment]) -> Comment:
    """The one that stays: of the newest run, and of equal ones the first.

    Whoever asks gets the same answer, so that two jobs that clean up at once never delete each other's.
    """
    return max(comments, key=lambda comment: (_age(comment), -comment.id))


def _moved(forge: Forge, pull: Pull, mine: Marker) -> str | None:
    """Why the pull request is no longer the one that was measured."""
    now = forge.pull(pull.number)
    if not now.open:
        return f"pull request {pull.number} was closed meanwhile"
    if mine.head and now.head_sha != mine.head:
        return f"the head of pull request {pull.number} has moved to {now.head_sha[:10]}"
    return None
