"""Which commits a run may be compared with: the merge base with the base branch, and those before it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mlci import git
from mlci.context import Context
from mlci.errors import GitError

LIMIT = 200  # first-parent commits that are looked at
_DEEPER = (1, 10, 100)  # times the limit: how much history is fetched before giving up
_FETCHED = "refs/mlci/base"
_FETCH = ("fetch", "--quiet", "--filter=tree:0", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
_TEST_MERGE = re.compile(r"refs/pull/\d+/merge")


@dataclass(frozen=True, kw_only=True)
class History:
    """The commits whose records may be a baseline; the distance of a record is the index of its commit.

    Args:
        merge_base: The newest of them; where several are equally good, one of the base branch's own.
        commits: It and its first-parent ancestors, the nearest first; never the commit that is checked out.
        reason: What is not known, or not simple, in a line; None where all is clear.
    """

    merge_base: str | None = None
    commits: tuple[str, ...] = ()
    reason: str | None = None


def baseline_history(
    repository: Path,
    context: Context,
    branch: str,
    environ: Mapping[str, str],
    *,
    remote: str = "origin",
    limit: int = LIMIT,
) -> History:
    """The commits that may serve HEAD as a baseline; what cannot be known is said in `reason`, never guessed.

    The base is the first parent of a pull request's test merge; else whichever of the event's base and the branch that
    it names has the nearer merge base, for an event keeps its base when a branch is rebased; else whichever of the
    local and the remote-tracking branch has. On the base branch itself it is HEAD's first parent. A shallow clone stays
    as it is: what it lacks is fetched, commits only, into a private repository.

    Args:
        repository: The user's checkout.
        context: The event.
        branch: The base branch, for events that name no base.
        environ: The environment to start git with.
        remote: Where missing history comes from.
        limit: The most commits to return.
    """
    clone = git.Git(repository, environ)
    head = clone.answer("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if head is None:
        return History(reason=f"{repository} is not a git repository, or has no commit yet")
    try:
        search = _Search.of(clone, head, context, branch=branch, remote=remote, limit=limit)
        if search.complete:
            return search.answer(clone)
        source = git.remote(repository, remote, environ, token=context.token, server_url=context.server_url)
        if source is None:
            return _noting(search.answer(clone), f"there is no remote {remote!r} to fetch history from")
        with git.private_repository(repository, "history", environ, source.config) as private:
            return search.answer_with_fetches(clone, private, source.name)
    except GitError as error:
        return History(reason=f"the history could not be read: {error.message}")


def history_from(
    repository: Path,
    commit: str,
    context: Context,
    environ: Mapping[str, str],
    *,
    remote: str = "origin",
    limit: int = LIMIT,
) -> History:
    """`commit` and its first-parent ancestors, wherever HEAD is.

    Args:
        repository: The user's checkout; what it lacks of the history is fetched into a private repository.
        commit: A commit of the remote, by its whole id.
        context: The event.
        environ: The environment to start git with.
        remote: Where missing history comes from.
        limit: The most commits to return.
    """
    clone = git.Git(repository, environ)
    try:
        source = git.remote(repository, remote, environ, token=context.token, server_url=context.server_url)
        if source is None:
            return _first_parents(clone, commit, limit)
        with git.private_repository(repository, "history", environ, source.config) as private:
            done = git.talk(private, *_FETCH, f"--depth={limit}", source.name, f"+{commit}:{_FETCHED}")
            if done.returncode == 0:
                return _first_parents(private, commit, limit)
            return _noting(_first_parents(clone, commit, limit), private.complaint(done))
    except GitError as error:
        return History(reason=f"the history could not be read: {error.message}")


def _first_parents(view: git.Git, commit: str, limit: int) -> History:
    listed = view.answer("rev-list", "--first-parent", f"--max-count={limit}", commit, "--")
    if not listed:
        return History(reason=f"the base {commit[:10]} is not known here")
    commits = tuple(listed.split())
    cut = len(commits) < limit and _parents(view, commits[-1])
    reason = f"the history before {commits[-1][:10]} is not known here" if cut else None
    return History(merge_base=commit, commits=commits, reason=reason)


@dataclass(frozen=True, kw_only=True)
class _Search:
    """One question to the history.

    Args:
        head: The commit that is checked out.
        parents: Its parents.
        base: By what the base is fetched: a commit, or a branch's full name.
        branch: The full name of the branch that an event's base is of: it has moved on since, or is gone.
        tips: What is at hand of the base: commits that HEAD's merge base is sought with.
        complete: The clone has all that the answer depends on.
        test_merge: HEAD merges a pull request into its first parent.
        edge: Commits at which a shallow clone ends.
        limit: The most commits to return.
    """

    head: str
    parents: tuple[str, ...]
    base: str
    branch: str | None
    tips: tuple[str, ...]
    complete: bool
    test_merge: bool
    edge: tuple[str, ...]
    limit: int

    @classmethod
    def of(cls, clone: git.Git, head: str, context: Context, *, branch: str, remote: str, limit: int) -> _Search:
        """What to look for, from the event and from what the clone holds."""
        parents = _parents(clone, head)
        test_merge = _is_test_merge(context, head, parents)
        moving = None
        if test_merge:
            base, places = parents[0], [parents[0]]
        elif context.is_candidate and context.base_sha:
            base, places = context.base_sha, [context.base_sha]
            if context.is_pull_request and context.base_ref:
                moving = f"refs/heads/{context.base_ref}"
                places.append(f"refs/remotes/{remote}/{context.base_ref}")
        else:
            base = f"refs/heads/{branch}"
            places = [base, f"refs/remotes/{remote}/{branch}"]
        found = [clone.answer("rev-parse", "--verify", "--quiet", f"{place}^{{commit}}") for place in places]
        common = git.common_folder(clone.folder, clone.environ)
        shallow = common / "shallow" if common else Path()
        edge = tuple(shallow.read_text().split()) if shallow.is_file() else ()
        return cls(
            head=head,
            parents=parents,
            base=base,
            branch=moving,
            tips=tuple(dict.fromkeys(tip for tip in found if tip)),
            # An event's base that a force-push took out of the branch is not in any clone.
            complete=not edge and any(found[:1] if moving else found),
            test_merge=test_merge,
            edge=edge,
            limit=limit,
        )

    def answer(self, view: git.Git) -> History:
        """The answer from what is in `view`."""
        if not self.tips and not self.test_merge:
            return History(reason=f"{self._base_name} is not known here")
        merge_base, note = (self.parents[0], None) if self.test_merge else self._merge_base(view)
        if merge_base is None:
            return History(reason=note)
        if merge_base == self.head:
            if not self.parents:
                return History(reason="HEAD is the first commit of its branch")
            merge_base = self.parents[0]
        found = _first_parents(view, merge_base, self.limit)
        if not found.commits:
            note = f"the history before {merge_base[:10]} is not known here"
            return History(merge_base=merge_base, commits=(merge_base,), reason=note)
        return replace(found, reason=found.reason or note)

    def answer_with_fetches(self, clone: git.Git, private: git.Git, remote: str) -> History:
        """The answer from the clone and, step by step, from more of the remote's history."""
        history = History()
        for depth in (self.limit * factor for factor in _DEEPER):
            fetched, complaint = self._fetch(private, remote, depth)
            if complaint:
                return _noting(self.answer(clone), complaint)
            with _both(clone, private) as view:
                history = replace(self, tips=tuple(dict.fromkeys((*self.tips, *fetched)))).answer(view)
            if history.merge_base or not (private.folder / "shallow").is_file():
                return history
        return _noting(history, f"looked at {self.limit * _DEEPER[-1]} commits")

    def _fetch(self, private: git.Git, remote: str, depth: int) -> tuple[list[str], str | None]:
        """Fetch the history of the base and of the clone's edge; the commits of the base, or why there is none."""
        # Below a test merge only its first parent matters, and the merge itself may be gone from the server.
        edge = () if self.test_merge else self.edge
        edges = [f"+{commit}:refs/mlci/{commit}" for commit in edge]
        fetched: list[str] = []
        complaint = None
        for source in filter(None, (self.base, self.branch)):
            done = git.talk(private, *_FETCH, f"--depth={depth}", remote, f"+{source}:{_FETCHED}", *edges)
            if done.returncode == 0:
                fetched.append(private.run("rev-parse", "--verify", _FETCHED))
            else:
                complaint = complaint or f"more of it could not be fetched: {private.complaint(done)}"
        return fetched, None if fetched else complaint

    def _merge_base(self, view: git.Git) -> tuple[str | None, str | None]:
        """The merge base that is nearest to HEAD, and what there is to say about it."""
        found: list[tuple[int, str, str | None]] = []
        for tip in self.tips:
            done = view.attempt("merge-base", "--all", self.head, tip)
            if done.returncode not in (0, 1):
                raise GitError(view.complaint(done))
            bases = done.stdout.decode().split()
            if bases:
                best, note = self._best(view, tip, bases)
                ahead = int(view.run("rev-list", "--count", f"{best}..{self.head}"))
                found.append((ahead, best, note))
        if not found:
            return None, f"HEAD and {self._base_name} have no common history"
        if self.branch:  # may have taken HEAD in since
            found = [item for item in found if item[1] != self.head] or found
        return min(found, key=lambda item: item[0])[1:]

    def _best(self, view: git.Git, tip: str, bases: list[str]) -> tuple[str, str | None]:
        """Of several merge bases the newest that the base branch was at itself, where it is measured; else git's."""
        if len(bases) == 1:
            return bases[0], None
        own = view.run("rev-list", "--first-parent", f"--max-count={self.limit}", tip, "--").split()
        best = next((commit for commit in own if commit in bases), None)
        said = "the newest on the branch itself" if best else "git's best"
        return best or bases[0], f"HEAD and {self._base_name} have {len(bases)} merge bases; {said} is used"

    @property
    def _base_name(self) -> str:
        branch = self.base.removeprefix("refs/heads/")
        return f"branch {branch}" if branch != self.base else f"the base {self.base[:10]}"


@contextmanager
def _both(clone: git.Git, private: git.Git) -> Iterator[git.Git]:
    """The private repository with the objects of the clone beside its own: HEAD need not be on the remote."""
    common = git.common_folder(clone.folder, clone.environ)
    quoted = str(common and common / "objects").replace("\\", "\\\\").replace('"', '\\"')
    yield private.with_variables(GIT_ALTERNATE_OBJECT_DIRECTORIES=f'"{quoted}"')


def _parents(view: git.Git, commit: str) -> tuple[str, ...]:
    """The parents as the commit names them, also where a shallow clone hides them."""
    header, _, _ = view.run("cat-file", "commit", commit).partition("\n\n")
    return tuple(line.removeprefix("parent ") for line in header.splitlines() if line.startswith("parent "))


def _is_test_merge(context: Context, head: str, parents: Sequence[str]) -> bool:
    if not context.is_pull_request or len(parents) != 2:  # noqa: PLR2004 - a merge of two
        return False
    named = head == context.sha and bool(_TEST_MERGE.fullmatch(context.ref or ""))
    return named or parents[1] == context.head_sha


def _noting(history: History, note: str) -> History:
    """`history` with why it could not be completed; one that is complete needs no excuse."""
    return replace(history, reason=f"{history.reason}; {note}" if history.reason else None)
