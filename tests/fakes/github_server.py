"""GitHub's HTTP API on loopback: stateful, with scripted faults, checked against GitHub's own OpenAPI description."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from fakes.github.faults import Fault
from fakes.github.http import Handler
from fakes.github.repository import Repository, World, opened
from fakes.github.snapshot import snapshot
from fakes.github.state import (
    Artifact,
    CheckRun,
    Comment,
    Deployment,
    Dispatch,
    Issue,
    Pull,
    Release,
    Request,
    Status,
    Token,
    User,
    WorkflowRun,
)
from fakes.openapi import VARIABLE, OpenApi

__all__ = [
    "Artifact",
    "CheckRun",
    "Comment",
    "Deployment",
    "Dispatch",
    "Fault",
    "GitHubServer",
    "Issue",
    "Pull",
    "Release",
    "Repository",
    "Request",
    "Status",
    "Token",
    "User",
    "WorkflowRun",
    "github_server",
]


@dataclass
class GitHubServer:
    """The state of a fake GitHub.

    It answers under `url`, and under `url`/api/v3 as an Enterprise Server does. A token that is not in `tokens` is
    refused. `requests` lists what came, downloads included; `complaints` what a real GitHub would not have
    understood, or would not have answered: they fail the test. `before` and `after` are called around each request,
    unlocked, so that a second actor can act in between.
    """

    url: str = ""
    tokens: dict[str, Token] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    repositories: dict[str, Repository] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    openapi: OpenApi | None = None
    before: Callable[[Request], None] | None = None
    after: Callable[[Request], None] | None = None
    world: World = field(default_factory=World)
    lock: threading.RLock = field(default_factory=threading.RLock)
    closing: threading.Event = field(default_factory=threading.Event)
    leaving: ExitStack = field(default_factory=ExitStack)  # what ends with the server
    # What faults have in store for what was made: the id, and for how many reads.
    hidden: dict[int, int] = field(default_factory=dict)
    emptied: dict[int, int] = field(default_factory=dict)
    blobs: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    armed_at: int = 0

    @property
    def users(self) -> dict[str, User]:
        """The accounts, by login in lower case."""
        return self.world.users

    def user(self, login: str, *, id: int | None = None, type: str = "User") -> User:  # noqa: A002 - GitHub's names
        """The account of this login, made where it is missing."""
        return self.world.user(login, id=id, type=type)

    def token(
        self,
        value: str,
        login: str = "github-actions[bot]",
        *,
        default: str = "write",
        installation: bool | None = None,
        repository: str | None = None,
        scopes: tuple[str, ...] | None = None,
        **permissions: str,
    ) -> Token:
        """Make a token valid.

        `permissions` such as `contents="read"` are none, read or write, and `default` where they are left out.
        `repository` is the only one where an App's token is more than a stranger's; `scopes` make it a classic one.
        """
        account = self.user(login)
        app = account.type == "Bot" if installation is None else installation
        self.tokens[value] = Token(value, login, permissions, default, app, repository, scopes)
        return self.tokens[value]

    def repository(
        self,
        full_name: str = "team/models",
        *,
        id: int | None = None,  # noqa: A002 - GitHub's name
        default_branch: str = "main",
        git: Path | None = None,
        private: bool = False,
        permissions: dict[str, str] | None = None,
        **fields: Any,
    ) -> Repository:
        """Make a repository; `git` is a bare one on disk."""
        made = Repository(
            world=self.world,
            now=self.now,
            full_name=full_name,
            id=self.id() if id is None else id,
            default_branch=default_branch,
            git=opened(git),
            private=private,
            permissions=dict(permissions or {}),
            created_at=self.now(),
            **fields,
        )
        if made.git is not None:
            self.leaving.callback(made.git.objects.close)
        for login in (*made.permissions, made.owner.login):
            self.user(login)
        self.repositories[full_name] = made
        return made

    def arm(self, *faults: Fault) -> None:
        """Have these faults, and no others, from the next request on: that one is number 0."""
        with self.lock:
            self.faults = list(faults)
            for fault in faults:
                fault.fired = 0
            self.armed_at = len(self.requests)
            self.hidden.clear()
            self.emptied.clear()

    def snapshot(self) -> dict[str, Any]:
        """All that is there now, in plain comparable form, without what differs between equal runs."""
        with self.lock:
            return {name: snapshot(repository) for name, repository in sorted(self.repositories.items())}

    def id(self) -> int:
        """A new id."""
        return self.world.id()

    def tick(self) -> int:
        """A second passes; the time, since the epoch."""
        self.world.clock += 1
        return self.world.clock

    def now(self) -> str:
        """A second passes; the time as the API writes it."""
        return datetime.fromtimestamp(self.tick(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def spent(self, store: dict[int, int], item: int | None) -> bool:
        """Whether a fault is in store for an item; uses it up by one."""
        if not store.get(item or 0):
            return False
        store[item or 0] -= 1
        return True

    def blob_url(self, name: str, data: bytes, content_type: str) -> str:
        """Where bytes can be fetched without a token: signed, as GitHub's storage has it."""
        self.blobs[name] = data, content_type
        return f"{self.url}/_blobs/{name}?se=2099-01-01T00%3A00%3A00Z&sig=c2lnbmVk"


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, state: GitHubServer) -> None:
        self.state = state

        class Bound(Handler):
            server_state = state

        super().__init__(("127.0.0.1", 0), Bound)

    def handle_error(self, request: object, client_address: object) -> None:
        error = sys.exception()
        # Clients of a faulty server hang up.
        if not isinstance(error, ConnectionError):
            self.state.complaints.append(f"the fake itself failed for {client_address}, {request}: {error!r}")


@contextmanager
def github_server() -> Iterator[GitHubServer]:
    """A server on a free port of loopback, until the block ends; then complaints raise."""
    state = GitHubServer()
    description = os.environ.get(VARIABLE, "")
    if description and Path(description).is_file():
        state.openapi = OpenApi.load(description)
    http = _Http(state)
    state.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.closing.set()
        http.shutdown()
        http.server_close()
        thread.join()
        state.leaving.close()
    assert not state.complaints, "GitHub would not understand:\n" + "\n".join(state.complaints)
