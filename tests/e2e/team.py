"""A team with a model in a repository: git server, fake GitHub, example workflows as they are but for UNKNOWN."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from e2e.runner import ROOT, Finished, Installed, act
from fakes.git_server import READ, WRITE, GitServer, git_server
from fakes.github.state import Status
from fakes.github_server import GitHubServer, Pull, github_server
from fakes.github_server import Repository as Hosted
from fakes.repositories import Repository, repository

EXAMPLES = ROOT / "examples/workflows"
# What act takes for a mistake, as a GitHub Enterprise Server does: deploy.yml says what comes of leaving it out.
UNKNOWN = re.compile(r"^ +deployment: false.*\n", re.MULTILINE)
CONFIG = """
[runs.train]
script = "train.py"
seeds = [0, 1]
metrics = ["metrics.json"]

[metrics.accuracy]
max-regression = 0.01
"""
TRAIN = """
import json, os
seed = int(os.environ["MLCI_SEED"])
with open({trace!r}, "a") as trace:
    held = [name for name in os.environ if "TOKEN" in name or name.startswith("ACTIONS_")]
    print(os.environ["GITHUB_RUN_ID"], os.environ["GITHUB_JOB"], {author!r}, *held, file=trace)
{code}
json.dump({{"accuracy": {accuracy} + seed / 1000, "loss": 1 - {accuracy}}}, open({file!r}, "w"))
"""


@dataclass(frozen=True)
class Shown:
    """A moment of a pull request: the comments by their ids, and the newest status of a commit."""

    comments: dict[int, str]
    newest: Status | None

    @property
    def comment(self) -> str:
        """The only comment."""
        [body] = self.comments.values()
        return body

    @property
    def status(self) -> Status:
        """The status, which is there."""
        assert self.newest
        return self.newest


@dataclass
class Team:
    """The repository team/models, a stranger's fork of it, and every workflow run so far."""

    scratch: Path
    installed: Installed
    server: GitServer
    api: GitHubServer
    github: Hosted
    fork: Hosted
    work: Repository
    finished: list[Finished] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def train(self, accuracy: float, *, author: str = "us", code: str = "", file: str = "metrics.json") -> str:
        """A training script that reaches `accuracy`. It leaves a trace, then does `code`, then is done."""
        trace = str(self.scratch / "trace")
        return TRAIN.format(trace=trace, author=author, code=code, accuracy=accuracy, file=file)

    @property
    def executed(self) -> set[tuple[str, ...]]:
        """Which code ran: in which workflow run and job, whose, and what it held of the job's rights."""
        return {tuple(line.split()) for line in (self.scratch / "trace").read_text().splitlines()}

    def commit(self, message: str, files: dict[str, str]) -> str:
        """Commit files on what is checked out; the commit."""
        for name, text in files.items():
            place = self.work.folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        self.work.git("add", "--all")
        self.work.git("commit", "--quiet", "--message", message)
        return self.work.git("rev-parse", "HEAD")

    def push(self, source: str, ref: str) -> None:
        """Have the server's ref, as GitHub's own refs are set: without a token."""
        self.work.git("push", "--quiet", "--force", str(self.server.folder()), f"{source}:{ref}")

    def propose(self, number: int, branch: str, files: dict[str, str], *, fork: bool = False) -> Pull:
        """Open a pull request of one commit on main, or push one more commit to it."""
        pull = self.github.pulls.get(number)
        self.work.git("switch", "--quiet", *((branch,) if pull else ("--create", branch, "main")))
        head = self.commit(f"Change {', '.join(files)}", files)
        if not fork:
            self.push(head, f"refs/heads/{branch}")
        self.push(head, f"refs/pull/{number}/head")
        if pull is None:
            pull = self.github.pull(
                number, head_sha=head, head_ref=branch, head_repository=self.fork if fork else self.github
            )
        pull.head_sha = head
        pull.merge_commit_sha = self.merge(pull, f"Merge {head} into {pull.base_sha}")
        self.push(pull.merge_commit_sha, f"refs/pull/{number}/merge")
        return pull

    def merge(self, pull: Pull, message: str) -> str:
        """A commit that merges a pull request into main, which stays where it is."""
        self.work.git("switch", "--quiet", "--detach", "main")
        self.work.git("merge", "--quiet", "--no-ff", "--message", message, pull.head_sha)
        return self.work.git("rev-parse", "HEAD")

    def run(
        self,
        event: str,
        workflow: str,
        *,
        at: str,
        pull: Pull | None = None,
        labels: Sequence[str] = (),
        enterprise: bool = False,
        environ: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Finished:
        """Run an example workflow on an event at a commit.

        Args:
            event: Its name.
            workflow: The example's.
            at: GITHUB_SHA.
            pull: The pull request that the event is of.
            labels: More labels of machines.
            enterprise: Whether the API has the address that an Enterprise Server gives it.
            environ: More variables of every step.
            more: Of the event's payload.
        """
        fork = pull is not None and pull.head_repository is not self.github
        token = f"ghs_canary{len(self.tokens)}CANARYcanary0123456789"
        self.tokens.append(token)
        rights: dict[str, Any] = permissions(self.work.folder / ".github/workflows" / workflow)
        if fork:
            rights = dict.fromkeys(rights, "read")
        self.api.token(token, default="none", **rights)
        self.server.tokens[token] = WRITE if rights.get("contents") == "write" else READ
        hosted = self.github.workflow_run(
            41 + len(self.finished),
            event=event,
            head_sha=pull.head_sha if pull else at,
            head_branch=pull.head_ref if pull else "main",
            head_repository=pull.head_repository if pull else None,
            path=f".github/workflows/{workflow}",
            status="in_progress",
        )
        payload: dict[str, Any] = {"repository": repository_payload(self.github), **more}
        if pull:
            payload |= {"action": "synchronize", "number": pull.number, "pull_request": self.pull_payload(pull)}
        self.work.git("switch", "--quiet", "--detach", at)
        finished = act(
            event,
            payload,
            repository=self.work.folder,
            scratch=self.scratch / f"run-{hosted.id}",
            token=token,
            server=self.server.url,
            workflow=workflow,
            ours=self.installed.ours,
            api=f"{self.api.url}/api/v3" if enterprise else self.api.url,
            artifacts=self.api.url,
            run_id=hosted.id,
            labels=("ubuntu-latest", *labels),
            environ={**self.installed.environ, **(environ or {})},
            fetches=True,
        )
        hosted.status, hosted.conclusion = "completed", "success" if finished.succeeded else "failure"
        self.finished.append(finished)
        return finished

    def pull_payload(self, pull: Pull) -> dict[str, Any]:
        """A pull request in an event."""
        head = pull.head_repository
        return {
            "number": pull.number,
            "state": pull.state,
            "labels": [{"name": name} for name in pull.labels],
            "merge_commit_sha": pull.merge_commit_sha,
            "head": {"ref": pull.head_ref, "sha": pull.head_sha, "repo": head and repository_payload(head)},
            "base": {"ref": pull.base_ref, "sha": pull.base_sha, "repo": repository_payload(self.github)},
        }

    def shown(self, sha: str, pull: Pull | None = None, identity: str = "main") -> Shown:
        """What people see now at a commit and on a pull request, of the configuration with this `id`."""
        comments = [
            item
            for item in self.github.comments.values()
            if pull and item.number == pull.number and f"<!-- mlci:1 id={identity} " in item.body
        ]
        statuses = [item for item in self.github.statuses if item.sha == sha and item.context == f"mlci/{identity}"]
        # Tables are padded to the width of their longest cell.
        bodies = {item.id: re.sub(" {2,}", " ", item.body) for item in comments}
        return Shown(bodies, statuses[-1] if statuses else None)

    def baselines(self) -> list[str]:
        """What the branch mlci-data holds."""
        server = Repository(self.server.folder())
        return server.git("ls-tree", "-r", "--name-only", "mlci-data").splitlines()

    def leaks(self) -> list[str]:
        """Where a token can be read that should be nowhere: logs, files, comments, statuses, addresses."""
        texts = {f"log {place}": finished.log for place, finished in enumerate(self.finished)}
        texts |= {f"comment {item.id}": item.body for item in self.github.comments.values()}
        texts |= {f"status {item.id}": f"{item.description} {item.target_url}" for item in self.github.statuses}
        texts |= {f"git {path}": path for _, path in self.server.requests}
        texts |= {f"api {item.path}": f"{item.path} {item.query}" for item in self.api.requests}
        files = [file for file in self.scratch.rglob("*") if file.is_file() and not file.is_symlink()]
        texts |= {str(file): file.read_bytes().decode(errors="replace") for file in files}
        basic = [base64.b64encode(f"x-access-token:{token}".encode()).decode() for token in self.tokens]
        return [where for where, text in texts.items() if any(token in text for token in (*self.tokens, *basic))]


def permissions(workflow: Path) -> dict[str, str]:
    """What the jobs of a workflow may do, all together: a token is the whole run's here, and one job's on GitHub."""
    found: dict[str, str] = {}
    for job in yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values():
        for name, level in job["permissions"].items():
            key = name.replace("-", "_")
            found[key] = max(found.get(key, "none"), level, key=["none", "read", "write"].index)
    return found


def repository_payload(hosted: Hosted) -> dict[str, Any]:
    """A repository in an event."""
    return {
        "id": hosted.id,
        "name": hosted.name,
        "full_name": hosted.full_name,
        "default_branch": hosted.default_branch,
        "owner": {"login": hosted.owner.login},
    }


@contextmanager
def team(scratch: Path, installed: Installed, config: str = CONFIG) -> Iterator[Team]:
    """A team whose main branch has a script that reaches an accuracy of 0.9, and all example workflows."""
    with git_server(scratch / "server") as server, github_server() as api:
        url = server.create()
        work = repository(scratch / "work")
        copies = Path(shutil.copytree(EXAMPLES, work.folder / ".github/workflows"))
        for file in copies.iterdir():
            file.write_text(UNKNOWN.sub("", file.read_text(encoding="utf-8")), encoding="utf-8")
        work.git("remote", "add", "origin", url)
        github = api.repository(git=server.folder(), permissions={"ada": "write"})
        github.workflows = {file.name for file in EXAMPLES.iterdir()}
        fork = api.repository("stranger/models", fork=True)
        made = Team(scratch, installed, server, api, github, fork, work)
        made.commit(
            "Train a model",
            {
                "mlci.toml": config,
                "train.py": made.train(0.9),
                "requirements.txt": "",
                ".gitignore": "metrics.json\n",
            },
        )
        made.push("main", "refs/heads/main")
        yield made
