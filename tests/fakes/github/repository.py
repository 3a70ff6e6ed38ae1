"""A fake repository, and what all repositories of a fake GitHub share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fakes.github.plumbing import Git
from fakes.github.state import (
    Artifact,
    CheckRun,
    Comment,
    Deployment,
    Dispatch,
    Issue,
    Pull,
    Release,
    Status,
    User,
    WorkflowRun,
)


@dataclass
class World:
    """What all repositories of a server share: one clock, one counter, the accounts."""

    users: dict[str, User] = field(default_factory=dict)
    # From here a second passes whenever something is made, so that equal tests see equal times.
    clock: int = 1_714_564_800
    _last: int = 3_000_000_000

    def id(self) -> int:
        """A new id: above all others, and too large for 31 bits, as GitHub's are."""
        self._last += 1
        return self._last

    def user(self, login: str, *, id: int | None = None, type: str = "User") -> User:  # noqa: A002 - GitHub's names
        """The account of this login, made where it is missing; a given `id` holds in any case."""
        found = self.users.get(login.lower())
        if found is None:
            kind = "Bot" if login.endswith("[bot]") else type
            found = self.users[login.lower()] = User(login, self.id() if id is None else id, kind)
        elif id is not None:
            found.id = id
        return found


@dataclass
class Repository:
    """A repository, and how tests arrange and inspect what it holds.

    `permissions` are the rights of accounts, by login; `immutable` makes releases immutable once published, and
    burns their tags; `rules` are those of rulesets by branch, `protected` the older kind of protection with the checks
    that it requires; `default_permissions` are what a job has that asks for none; `workflows` are the file names that
    can be dispatched.
    """

    world: World
    now: Callable[[], str]
    full_name: str
    id: int
    default_branch: str
    git: Git | None
    private: bool
    permissions: dict[str, str]
    created_at: str
    fork: bool = False
    immutable: bool = False
    default_permissions: str = "read"
    rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    protected: dict[str, tuple[str, ...]] = field(default_factory=dict)
    workflows: set[str] = field(default_factory=set)
    immutable_tags: set[str] = field(default_factory=set)
    pulls: dict[int, Pull] = field(default_factory=dict)
    issues: dict[int, Issue] = field(default_factory=dict)
    comments: dict[int, Comment] = field(default_factory=dict)
    statuses: list[Status] = field(default_factory=list)
    check_runs: dict[int, CheckRun] = field(default_factory=dict)
    workflow_runs: dict[int, WorkflowRun] = field(default_factory=dict)
    artifacts: dict[int, Artifact] = field(default_factory=dict)
    dispatches: list[Dispatch] = field(default_factory=list)
    releases: dict[int, Release] = field(default_factory=dict)
    deployments: dict[int, Deployment] = field(default_factory=dict)

    @property
    def owner(self) -> User:
        """Who it belongs to."""
        return self.world.user(self.full_name.partition("/")[0], type="Organization")

    @property
    def name(self) -> str:
        """Its name without the owner."""
        return self.full_name.partition("/")[2]

    def level(self, login: str) -> str:
        """The right of this account here: none, read, write or admin."""
        if login.lower() == self.owner.login.lower():
            return "admin"
        given = {name.lower(): level for name, level in self.permissions.items()}
        return given.get(login.lower(), "none" if self.private else "read")

    def next_number(self) -> int:
        """The number that the next issue or pull request gets."""
        return max([0, *self.pulls, *self.issues]) + 1

    def numbered(self) -> dict[int, Issue | Pull]:
        """Issues and pull requests: they share their numbers."""
        return {**self.issues, **self.pulls}

    def pull(
        self,
        number: int | None = None,
        *,
        head_sha: str,
        head_ref: str,
        head_repository: Repository | None = None,
        base_ref: str = "main",
        base_sha: str | None = None,
        state: str = "open",
        merge_commit_sha: str | None = None,
        labels: tuple[str, ...] = (),
        user: User | str = "contributor",
        **fields: Any,
    ) -> Pull:
        """Open a pull request, from a branch of this repository unless another is given."""
        tip = self.git.resolve(f"refs/heads/{base_ref}") if self.git else None
        now = self.now()
        made = Pull(
            id=self.world.id(),
            number=self.next_number() if number is None else number,
            head_sha=head_sha,
            head_ref=head_ref,
            head_repository=head_repository or self,
            base_ref=base_ref,
            base_sha=base_sha or tip or "b" * 40,
            state=state,
            merge_commit_sha=merge_commit_sha,
            labels=tuple(labels),
            user=self.world.user(user) if isinstance(user, str) else user,
            created_at=now,
            updated_at=now,
            **fields,
        )
        self.pulls[made.number] = made
        return made

    def issue(self, title: str, *, body: str | None = None, login: str = "contributor", **fields: Any) -> Issue:
        """Open an issue."""
        now = self.now()
        user, labels = self.world.user(login), tuple(fields.pop("labels", ()))
        made = Issue(self.world.id(), self.next_number(), title, body, user, labels, now, now, **fields)
        self.issues[made.number] = made
        return made

    def comment(self, number: int, body: str, login: str) -> Comment:
        """Comment on an issue or pull request."""
        now = self.now()
        made = Comment(self.world.id(), number, body, self.world.user(login), now, now)
        self.comments[made.id] = made
        return made

    def workflow_run(
        self,
        id: int | None = None,  # noqa: A002 - GitHub's name
        *,
        event: str,
        head_sha: str,
        head_branch: str | None,
        head_repository: Repository | None = None,
        path: str = ".github/workflows/mlci.yml",
        name: str = "mlci",
        run_attempt: int = 1,
        status: str = "completed",
        conclusion: str | None = "success",
        pull_requests: tuple[Pull, ...] = (),
        actor: str = "contributor",
    ) -> WorkflowRun:
        """Record a run of a workflow."""
        made = WorkflowRun(
            id=self.world.id() if id is None else id,
            event=event,
            head_sha=head_sha,
            head_branch=head_branch,
            head_repository=head_repository or self,
            path=path,
            name=name,
            run_attempt=run_attempt,
            status=status,
            conclusion=conclusion if status == "completed" else None,
            pull_requests=tuple(pull_requests),
            created_at=self.now(),
            actor=self.world.user(actor),
            run_number=len(self.workflow_runs) + 1,
        )
        self.workflow_runs[made.id] = made
        return made

    def artifact(self, run: WorkflowRun, name: str, data: bytes, expired: bool = False) -> Artifact:
        """Store an artifact of a run."""
        made = Artifact(self.world.id(), run, name, data, expired, self.now())
        self.artifacts[made.id] = made
        return made

    def workflow_id(self, file: str) -> int:
        """The number by which the API knows a workflow file."""
        return 700_000 + sum(ord(letter) * (place + 1) for place, letter in enumerate(file)) % 90_000


def opened(git: Path | None) -> Git | None:
    """The bare repository at a path."""
    return None if git is None else Git(git)
