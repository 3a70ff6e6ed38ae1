"""A team with a pull request, on a fake GitHub: a checkout, a baseline, and what a job measured."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import msgspec

from fakes.comparisons import measured
from fakes.github_server import GitHubServer, Pull, WorkflowRun, github_server
from fakes.github_server import Repository as Hosted
from fakes.repositories import ENVIRON, Repository, repository
from mlci.actions import Actions
from mlci.core.documents import Record, RecordsDocument, encode
from mlci.plugins.forges.client import Client
from mlci.plugins.forges.github import GitHubForge
from mlci.plugins.forges.patience import Patience
from mlci.project import Invocation, Project
from mlci.workspace import RECORDS

TOKEN = "ghs_canaryCANARYcanary0123456789"
CONFIG = """
[runs.train]
command = ["true"]

[metrics.accuracy]
max-regression = 0.01

[baseline]
store = "folder"
options = { path = "baselines" }
"""


@dataclass
class Clock:
    """Time that passes only when somebody waits."""

    now: float = 0.0
    waits: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        """Let it pass."""
        self.waits.append(seconds)
        self.now += seconds


@dataclass
class Scene:
    """What there is before mlci posts: pull request 7 of "team/models", measured by workflow run 41, attempt 1."""

    folder: Path
    server: GitHubServer
    github: Hosted
    fork: Hosted
    work: Repository
    main: str
    head: str
    merge: str
    pull: Pull
    clock: Clock = field(default_factory=Clock)
    said: list[str] = field(default_factory=list)
    attempt_s: float = 30.0  # of the forge, for one request
    deadline_s: float = 120.0  # and for all requests together

    def environ(self, event: str = "pull_request", run: int = 41, attempt: int = 1, **payload: Any) -> dict[str, str]:
        """The environment of a job of `event`, for the pull request unless `payload` is given."""
        head = self.pull.head_repository
        given = payload or {
            "number": 7,
            "pull_request": {
                "number": 7,
                "head": {
                    "ref": self.pull.head_ref,
                    "sha": self.head,
                    "repo": head and {"id": head.id, "owner": {"login": head.owner.login}},
                },
                "base": {"ref": "main", "sha": self.main},
            },
        }
        file = self.folder / f"event-{event}.json"
        file.write_text(json.dumps({"repository": {"id": self.github.id, "default_branch": "main"}, **given}))
        return ENVIRON | {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(file),
            "GITHUB_REPOSITORY": "team/models",
            "GITHUB_REPOSITORY_ID": str(self.github.id),
            "GITHUB_REF": "refs/pull/7/merge" if event == "pull_request" else "refs/heads/main",
            "GITHUB_SHA": self.merge if event == "pull_request" else self.main,
            "GITHUB_RUN_ID": str(run),
            "GITHUB_RUN_ATTEMPT": str(attempt),
            "GITHUB_WORKFLOW_REF": "team/models/.github/workflows/mlci.yml@refs/heads/main",
            "GITHUB_API_URL": self.server.url,
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
        }

    def project(self, environ: Mapping[str, str] | None = None, stream: TextIO | None = None) -> Project:
        """The project as a command opens it; what it tells the runner is in `stream`."""
        given = environ or self.environ()
        self.stream = io.StringIO()
        return Project.open(
            Invocation(
                environ=given,
                folder=self.work.folder,
                config_file=None,
                say=self.said.append,
                actions=Actions(given, stream or self.stream),
            )
        )

    def forge(self, token: str = TOKEN) -> GitHubForge:
        """The forge, whose waits take no time."""
        clock = self.clock
        patience = Patience(self.deadline_s, clock=lambda: clock.now, sleep=clock.sleep, jitter=lambda: 0.5)
        return GitHubForge(Client(self.server.url, token, patience, self.attempt_s), "team/models")

    def reset(self) -> None:
        """Forget what was posted and said; what was arranged stays."""
        for kept in (self.github.comments, self.github.check_runs):
            kept.clear()
        self.github.statuses.clear()
        self.github.dispatches.clear()
        self.said.clear()
        self.server.before = None
        self.server.arm()
        self.pull.head_sha, self.pull.state = self.head, "open"

    def measure(self, *records: Record, **metrics: float) -> RecordsDocument:
        """Leave a record of the pull request's test merge in the workspace."""
        given = records or (measured(commit=self.merge, metrics=metrics or {"accuracy": 0.8}),)
        document = RecordsDocument(made_from=("0" * 64,), records=given)
        folder = self.work.folder / ".mlci"
        folder.mkdir(exist_ok=True)
        (folder / RECORDS).write_bytes(encode(document))
        return document

    def configure(self, text: str) -> None:
        """Put another configuration into the checkout."""
        (self.work.folder / "mlci.toml").write_text(text)

    def ran(self, data: bytes | None = None, *, fork: bool = True, name: str = "mlci", **fields: Any) -> WorkflowRun:
        """A workflow run that measured the head and left an artifact, zipped, if `data` is given."""
        given: dict[str, Any] = {
            "id": 41,
            "event": "pull_request",
            "head_sha": self.head,
            "head_branch": self.pull.head_ref,
            "head_repository": self.fork if fork else None,
        }
        run = self.github.workflow_run(**given | fields)
        if data is not None:
            self.github.artifact(run, name, data)
        return run

    @property
    def comments(self) -> list[str]:
        """The bodies of the comments on the pull request, oldest first."""
        return [item.body for _, item in sorted(self.github.comments.items()) if item.number == self.pull.number]

    @property
    def statuses(self) -> dict[str, tuple[str, str]]:
        """State and description of the newest status of each context, on the head."""
        return {
            item.context: (item.state, item.description or "") for item in self.github.statuses if item.sha == self.head
        }

    @property
    def summary(self) -> str:
        """The job summary."""
        path = self.folder / "summary.md"
        return path.read_text() if path.exists() else ""


def zipped(compression: int = zipfile.ZIP_DEFLATED, **files: bytes | str) -> bytes:
    """A zip as upload-artifact makes it; in a name `__` stands for the dot."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "."), data)
    return buffer.getvalue()


def record_file(*records: Record, **changes: Any) -> bytes:
    """A record.json."""
    return encode(msgspec.structs.replace(RecordsDocument(made_from=("0" * 64,), records=records), **changes))


@contextmanager
def scene(folder: Path, *, fork: bool = False) -> Iterator[Scene]:
    """A pull request that lowers accuracy from 0.9, from a branch of the repository or of a fork."""
    work = repository(folder / "work")
    (work.folder / "mlci.toml").write_text(CONFIG)
    (work.folder / ".gitignore").write_text("baselines/\n")
    work.git("add", "--all")
    main = work.commit()
    work.git("switch", "--quiet", "--create", "deeper-trees")
    head = work.commit("model.py")
    work.git("switch", "--quiet", "--detach", "main")
    work.git("merge", "--quiet", "--no-ff", "--message", "Merge", "deeper-trees")
    merge = work.git("rev-parse", "HEAD")
    with github_server() as server:
        server.token(TOKEN)
        github = server.repository("team/models", git=work.folder / ".git", permissions={"ada": "write"})
        stranger = server.repository("stranger/models", fork=True)
        pull = github.pull(
            7,
            head_sha=head,
            head_ref="deeper-trees",
            head_repository=stranger if fork else github,
            base_sha=main,
            merge_commit_sha=merge,
        )
        made = Scene(folder, server, github, stranger, work, main, head, merge, pull)
        made.project(made.environ()).store.save([measured(commit=main, metrics={"accuracy": 0.9})])
        yield made
