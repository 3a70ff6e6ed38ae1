"""What the fake GitHub remembers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fakes.github.repository import Repository

LEVELS = ("none", "read", "write", "admin")


@dataclass
class User:
    """An account."""

    login: str
    id: int
    type: str = "User"


@dataclass
class Token:
    """A credential: what its permissions let it do, as whom, and where (`repository`: nowhere else).

    `scopes` are those of a classic token, which GitHub tells in a header.
    """

    value: str
    login: str
    permissions: dict[str, str]
    default: str = "write"
    installation: bool = True
    repository: str | None = None
    scopes: tuple[str, ...] | None = None

    def allows(self, permission: str, level: str) -> bool:
        """Whether it has this permission at this level or above."""
        return LEVELS.index(self.permissions.get(permission, self.default)) >= LEVELS.index(level)


@dataclass
class Request:
    """A request as it came; `status` is what was answered, None if the client got no whole answer."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    token: str | None
    headers: Mapping[str, str] = field(repr=False)
    status: int | None = None


@dataclass
class Pull:
    """A pull request. `head_repository` None: its fork is gone."""

    id: int
    number: int
    head_sha: str
    head_ref: str
    head_repository: Repository | None
    base_ref: str
    base_sha: str
    state: str
    merge_commit_sha: str | None
    labels: tuple[str, ...]
    user: User
    created_at: str
    title: str = "Change the model"
    body: str | None = None
    draft: bool = False
    merged_at: str | None = None
    updated_at: str = ""
    closed_at: str | None = None


@dataclass
class Issue:
    """An issue that is no pull request."""

    id: int
    number: int
    title: str
    body: str | None
    user: User
    labels: tuple[str, ...]
    created_at: str
    updated_at: str
    state: str = "open"
    state_reason: str | None = None
    closed_at: str | None = None


@dataclass
class Comment:
    """A comment on an issue or pull request."""

    id: int
    number: int
    body: str
    user: User
    created_at: str
    updated_at: str


@dataclass
class Status:
    """A commit status."""

    id: int
    sha: str
    state: str
    context: str
    description: str | None
    target_url: str | None
    user: User
    created_at: str


@dataclass
class CheckRun:
    """A check run; `output` as the last request gave it, `annotations` of all requests."""

    id: int
    name: str
    head_sha: str
    status: str = "queued"
    conclusion: str | None = None
    details_url: str | None = None
    external_id: str = ""
    started_at: str | None = None
    completed_at: str | None = None
    output: dict[str, Any] = field(default_factory=dict)
    annotations: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class WorkflowRun:
    """A run of a workflow."""

    id: int
    event: str
    head_sha: str
    head_branch: str | None
    head_repository: Repository
    path: str
    name: str
    run_attempt: int
    status: str
    conclusion: str | None
    pull_requests: tuple[Pull, ...]
    created_at: str
    actor: User
    run_number: int = 1


@dataclass
class Artifact:
    """An artifact of a run; `data` is its zip."""

    id: int
    run: WorkflowRun
    name: str
    data: bytes = field(repr=False)
    expired: bool
    created_at: str


@dataclass
class Dispatch:
    """A `workflow_dispatch`, or (`workflow` None) a `repository_dispatch`."""

    workflow: str | None
    ref: str | None = None
    inputs: dict[str, Any] = field(default_factory=dict)
    event_type: str | None = None
    client_payload: dict[str, Any] = field(default_factory=dict)


@dataclass
class Asset:
    """A file of a release."""

    id: int
    name: str
    label: str | None
    content_type: str
    data: bytes = field(repr=False)
    user: User
    created_at: str


@dataclass
class Release:
    """A release; `immutable` binds once it is published, `latest` is what `make_latest` last said."""

    id: int
    tag_name: str
    target_commitish: str
    name: str | None
    body: str | None
    draft: bool
    prerelease: bool
    user: User
    created_at: str
    published_at: str | None = None
    immutable: bool = False
    latest: bool = True
    assets: dict[int, Asset] = field(default_factory=dict)


@dataclass
class DeploymentStatus:
    """One state that a deployment went through."""

    id: int
    state: str
    description: str
    target_url: str
    log_url: str
    environment: str
    environment_url: str
    user: User
    created_at: str


@dataclass
class Deployment:
    """A deployment; `statuses` in order."""

    id: int
    sha: str
    ref: str
    task: str
    environment: str
    payload: Any
    description: str | None
    user: User
    created_at: str
    transient: bool = False
    production: bool = False
    statuses: list[DeploymentStatus] = field(default_factory=list)
