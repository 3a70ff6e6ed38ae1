"""What a forge is: pull requests with comments, commits with statuses, workflow runs with artifacts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

State = Literal["success", "failure", "error", "pending"]
Conclusion = Literal["success", "failure", "neutral"]


@dataclass(frozen=True, kw_only=True)
class Pull:
    """A pull request as the forge has it now."""

    number: int
    open: bool
    head_sha: str
    head_repository_id: str | None  # None: the fork is gone
    base_sha: str
    base_ref: str
    merge_sha: str | None  # the test merge while it is open, the commit on the base branch once it is merged
    merged: bool = False
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Comment:
    """A comment on a pull request."""

    id: int
    author: str | None
    body: str  # reads back as "" for seconds after it was posted
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Status:
    """One status of a commit, under a context that stays the same."""

    context: str
    state: State
    description: str
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """A line of a check run that points into a file."""

    path: str
    line: int
    level: Literal["failure", "warning", "notice"]
    message: str
    title: str | None = None


@dataclass(frozen=True, kw_only=True)
class CheckRun:
    """A check run to show beside the status."""

    name: str
    sha: str
    conclusion: Conclusion
    title: str
    summary: str
    external_id: str  # tells ours from another's
    url: str | None = None
    annotations: tuple[Annotation, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WorkflowRun:
    """A run of a workflow, by ids that nobody can choose."""

    id: int
    attempt: int
    event: str
    path: str  # of the workflow's file
    head_sha: str
    head_branch: str | None
    head_owner: str | None
    head_repository_id: str | None
    repository_id: str | None
    url: str | None = None
    status: str | None = None  # "completed" once it has ended
    conclusion: str | None = None


@dataclass(frozen=True, kw_only=True)
class StoredArtifact:
    """What a workflow run left."""

    id: int
    name: str
    size: int  # bytes, zipped
    expired: bool


@dataclass(frozen=True, kw_only=True)
class CommitInfo:
    """A commit's place in history."""

    sha: str
    tree: str
    parents: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class BranchRights:
    """What stands between a token and a branch.

    Args:
        rules: The types of the rules of rulesets; None: they could not be read.
        required_checks: The statuses and check runs that a merge waits for.
        protected: Whether it has branch protection of the older kind, whose details take an administrator.
    """

    rules: tuple[str, ...] | None
    required_checks: tuple[str, ...] = ()
    protected: bool = False


@dataclass(frozen=True, kw_only=True)
class Rights:
    """What a forge tells of a token's rights in a repository; None is what it does not tell.

    Args:
        default_branch: Its name.
        private: Whether strangers see nothing.
        role: Of the account whose token it is: admin, maintain, push, triage or pull.
        scopes: Of a classic token; no other kind is told.
        date: The server's time, as HTTP spells it.
        branches: By name.
        default_permissions: What a job may that asks for nothing: read or write.
    """

    default_branch: str | None = None
    private: bool = False
    role: str | None = None
    scopes: tuple[str, ...] | None = None
    date: str | None = None
    branches: Mapping[str, BranchRights]
    default_permissions: str | None = None


class Forge(Protocol):
    """What mlci asks of a forge.

    Every method raises ForbiddenError, naming the missing permission, where the token may not do it, and
    ForgeError where the forge refuses or stays out of reach. What only reads, sets or removes is tried again
    through passing faults; what creates is never repeated before a look whether the first try arrived.
    """

    def pause(self, tries: int) -> bool:
        """Wait before the next look at what may lag behind; False where the deadline leaves no time."""
        ...

    def viewer(self) -> str:
        """The login whose token this is."""
        ...

    def pull(self, number: int) -> Pull:
        """One pull request."""
        ...

    def pulls(self, head: str) -> list[Pull]:
        """The open pull requests of a head, "owner:branch"."""
        ...

    def pulls_of_commit(self, sha: str) -> list[Pull]:
        """The pull requests that brought a commit, or contain it."""
        ...

    def comments(self, number: int) -> list[Comment]:
        """Every comment on a pull request, oldest first."""
        ...

    def create_comment(
        self, number: int, body: str, *, adopt: Callable[[Sequence[Comment]], Comment | None]
    ) -> Comment:
        """Post a comment; after an ambiguous failure `adopt` picks ours from what is there, or None."""
        ...

    def edit_comment(self, comment: Comment, body: str) -> Comment | None:
        """Replace a comment's body; None where somebody has deleted it."""
        ...

    def delete_comment(self, comment: Comment) -> None:
        """Remove a comment; one that is gone already is no error."""
        ...

    def statuses(self, sha: str) -> list[Status]:
        """The statuses of a commit, newest first."""
        ...

    def set_status(self, sha: str, status: Status) -> None:
        """Set the status of a commit."""
        ...

    def set_check_run(self, check: CheckRun) -> None:
        """Create the check run, or update the one with its external id."""
        ...

    def permission(self, login: str) -> str:
        """What a user may do in the repository: admin, write, read or none."""
        ...

    def commit(self, sha: str) -> CommitInfo | None:
        """A commit, or None where the forge has none of that id."""
        ...

    def merge_base(self, base: str, head: str) -> str | None:
        """The merge base of two commits."""
        ...

    def workflow_run(self, run_id: int) -> WorkflowRun:
        """One workflow run."""
        ...

    def workflow_runs(self, head_sha: str) -> list[WorkflowRun]:
        """The workflow runs of a head, newest first."""
        ...

    def artifacts(self, run_id: int) -> list[StoredArtifact]:
        """What a workflow run left, newest first."""
        ...

    def download(self, artifact: StoredArtifact, to: Path, *, max_bytes: int) -> None:
        """Fetch an artifact's zip file."""
        ...

    def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        """Start a workflow by workflow_dispatch."""
        ...

    def default_branch(self) -> str:
        """The name of the default branch."""
        ...

    def commit_files(
        self, branch: str, parent: str | None, files: Mapping[str, bytes | None], message: str
    ) -> str | None:
        """Write `files` of `branch` in a commit that the forge signs; None where it is no longer at `parent`.

        Those given as None are removed. With `parent` None the branch is made, with nothing but `files` and no history.
        """
        ...
