"""The CI event as a value: read once from the environment and the event's payload, then passed around."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlci.core import strict_json
from mlci.errors import DocumentError

_MAX_PAYLOAD = 25 * 1024 * 1024  # GitHub cuts payloads at 25 MB
_PULL_REQUEST = ("pull_request", "pull_request_target")
MAIN_EVENTS = ("push", "schedule", "workflow_dispatch")  # whose results can be the default branch's
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """The workflow run whose end is a `workflow_run` event."""

    run_id: str
    attempt: int
    event: str


@dataclass(frozen=True, kw_only=True)
class Context:
    """One event of GitHub Actions, or a laptop (`event` is "local")."""

    event: str = "local"
    repository: str | None = None  # owner/name
    repository_id: str | None = None
    sha: str | None = None
    ref: str | None = None
    branch: str | None = None
    base_sha: str | None = None
    base_ref: str | None = None  # the branch that a pull request wants to change
    head_sha: str | None = None
    head_branch: str | None = None
    head_owner: str | None = None
    head_repository_id: str | None = None
    default_branch: str | None = None
    pull_request: int | None = None
    labels: tuple[str, ...] = ()
    comment: str | None = None  # the text of the event's comment
    comment_author: str | None = None
    trigger: Trigger | None = None
    run_id: str | None = None
    run_attempt: int | None = None
    workflow: str | None = None
    workflow_path: str | None = None
    run_url: str | None = None
    api_url: str = "https://api.github.com"
    server_url: str = "https://github.com"
    token: str | None = field(default=None, repr=False)
    in_actions: bool = False

    @property
    def is_pull_request(self) -> bool:
        """Whether the event belongs to a pull request."""
        return self.event in _PULL_REQUEST

    @property
    def is_candidate(self) -> bool:
        """Whether the event asks to be let into a branch: a pull request, also on request, or a merge queue."""
        return self.is_pull_request or self.event == "merge_group" or self._on_request

    @property
    def on_default_branch(self) -> bool:
        """Whether the event is one whose results are the default branch's."""
        return (
            self.event in MAIN_EVENTS
            and not self._on_request
            and self.default_branch is not None
            and self.ref == f"refs/heads/{self.default_branch}"
        )

    @property
    def from_fork(self) -> bool:
        """Whether the head lies in another repository, or in one that is gone."""
        known = self.head_repository_id is not None and self.head_repository_id == self.repository_id
        return (self.is_pull_request or self.event == "workflow_run") and not known

    @property
    def _on_request(self) -> bool:
        return self.event == "workflow_dispatch" and self.pull_request is not None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Context:
        """The event of `environ`; a payload that is absent or garbled only leaves fields empty."""
        token = environ.get("MLCI_GITHUB_TOKEN") or environ.get("GITHUB_TOKEN") or None
        if environ.get("GITHUB_ACTIONS") != "true":
            return cls(token=token)
        payload = _Payload(_read(environ.get("GITHUB_EVENT_PATH")))
        event = environ.get("GITHUB_EVENT_NAME") or "unknown"
        repository = environ.get("GITHUB_REPOSITORY") or None
        server_url = environ.get("GITHUB_SERVER_URL") or cls.server_url
        run_id = environ.get("GITHUB_RUN_ID") or None
        ref = environ.get("GITHUB_REF") or payload.text("ref")
        branch = _branch(ref)
        return cls(
            event=event,
            repository=repository,
            repository_id=environ.get("GITHUB_REPOSITORY_ID") or payload.text("repository", "id"),
            sha=_commit(environ.get("GITHUB_SHA")),
            ref=ref,
            branch=branch,
            base_sha=payload.commit("pull_request", "base", "sha") or payload.commit("merge_group", "base_sha"),
            base_ref=payload.text("pull_request", "base", "ref") or _branch(payload.text("merge_group", "base_ref")),
            head_sha=payload.commit("pull_request", "head", "sha")
            or payload.commit("merge_group", "head_sha")
            or payload.commit("workflow_run", "head_sha")
            or payload.commit("inputs", "sha"),
            head_branch=payload.text("pull_request", "head", "ref") or payload.text("workflow_run", "head_branch"),
            head_owner=payload.text("pull_request", "head", "repo", "owner", "login")
            or payload.text("workflow_run", "head_repository", "owner", "login"),
            head_repository_id=payload.text("pull_request", "head", "repo", "id")
            or payload.text("workflow_run", "head_repository", "id"),
            # A schedule runs on the default branch only, and its payload does not say which that is.
            default_branch=payload.text("repository", "default_branch") or (branch if event == "schedule" else None),
            pull_request=payload.number("pull_request", "number")
            or (payload.number("issue", "number") if payload.at("issue", "pull_request") else None)
            or _integer(payload.text("inputs", "pull-request")),
            labels=payload.names("pull_request", "labels"),
            comment=payload.text("comment", "body"),
            comment_author=payload.text("comment", "user", "login"),
            trigger=payload.trigger(),
            run_id=run_id,
            run_attempt=_integer(environ.get("GITHUB_RUN_ATTEMPT")),
            workflow=environ.get("GITHUB_WORKFLOW") or None,
            workflow_path=_workflow_path(environ.get("GITHUB_WORKFLOW_REF"), repository),
            run_url=f"{server_url}/{repository}/actions/runs/{run_id}" if repository and run_id else None,
            api_url=environ.get("GITHUB_API_URL") or cls.api_url,
            server_url=server_url,
            token=token,
            in_actions=True,
        )


@dataclass(frozen=True)
class _Payload:
    """An event's payload, every level of which may be missing or of another type."""

    value: object

    def at(self, *path: str) -> object:
        value: object = self.value
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def text(self, *path: str) -> str | None:
        value = self.at(*path)
        if isinstance(value, str):
            # JSON can spell half of a surrogate pair, which nothing could write.
            return value.encode("utf-8", "replace").decode() or None
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else None

    def commit(self, *path: str) -> str | None:
        return _commit(self.text(*path))

    def number(self, *path: str) -> int | None:
        value = self.at(*path)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def trigger(self) -> Trigger | None:
        run_id, event = self.text("workflow_run", "id"), self.text("workflow_run", "event")
        if not run_id or not event:
            return None
        return Trigger(run_id=run_id, attempt=self.number("workflow_run", "run_attempt") or 1, event=event)

    def names(self, *path: str) -> tuple[str, ...]:
        items = self.at(*path)
        named = (_Payload(item).text("name") for item in items) if isinstance(items, list) else ()
        return tuple(name for name in named if name)


def _read(path: str | None) -> object:
    if not path:
        return None
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MAX_PAYLOAD + 1)
        return strict_json.loads(data, name=path, max_bytes=_MAX_PAYLOAD)
    except (OSError, DocumentError):
        return None


def _commit(text: str | None) -> str | None:
    return text if text and _COMMIT.fullmatch(text) else None


def _branch(ref: str | None) -> str | None:
    return ref.removeprefix("refs/heads/") if ref and ref.startswith("refs/heads/") else None


def _workflow_path(reference: str | None, repository: str | None) -> str | None:
    """The workflow's file, from "owner/name/.github/workflows/mlci.yml@refs/heads/main"."""
    path, at, _ = (reference or "").partition("@")
    return path.removeprefix(f"{repository}/") if at and repository and path.startswith(f"{repository}/") else None


def _integer(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() else None
