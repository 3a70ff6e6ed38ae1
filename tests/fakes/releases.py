"""A team that releases a model: a repository whose main branch is measured, on a laptop or with a GitHub."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fakes.command_line import Done, Workbench, workbench
from fakes.git_server import WRITE, git_server
from fakes.github_server import GitHubServer, github_server
from fakes.repositories import Repository
from mlci.actions import Actions
from mlci.plugins.forges.client import Client
from mlci.plugins.forges.patience import Patience
from mlci.project import Invocation, Project
from mlci.releasing import folder as layout

TOKEN = "ghs_releases"
CONFIG = """
[runs.churn]
command = ["python", "train.py"]
metrics = ["metrics.json"]
artifacts = ["model.bin", "golden.jsonl"]
inputs = ["train.py"]

[models.churn]
golden = "golden.jsonl"
golden-count = 2
license = "apache-2.0"
stages = ["production"]

[metrics.accuracy]
max-regression = 0.01

[artifacts]
store = "../artifacts"

[baseline]
store = "folder"
options = { path = "baselines" }
"""
TRAIN = """
import json
ACCURACY = {accuracy}
json.dump({{"accuracy": ACCURACY}}, open("metrics.json", "w"))
open("model.bin", "wb").write(b"model" + str(ACCURACY).encode())
with open("golden.jsonl", "w") as file:
    for number in range(5):
        file.write(json.dumps({{"id": f"c{{number}}", "input": [number], "prediction": number * ACCURACY}}) + "\\n")
"""


IGNORED = "baselines/\n*.json\n*.jsonl\nmodel.bin\n"


@dataclass
class Team:
    """A repository whose main branch is measured."""

    bench: Workbench
    environ: dict[str, str]

    def copy(self, folder: Path) -> Team:
        """The same at another place."""
        return Team(self.bench.copy(folder), self.environ)

    def measure(self, accuracy: float, message: str = "Train") -> str:
        """Commit a model, run it, and save its baseline; the commit."""
        self.bench.write(train__py=TRAIN.format(accuracy=accuracy))
        commit = self.bench.commit(message)
        for command in (["run"], ["record"], ["baseline", "save"]):
            done = self.bench.mlci(*command)
            assert done.code == 0, done.err
        return commit

    def release(self, *arguments: str) -> Done:
        """Run `mlci release`."""
        return self.bench.mlci("release", *arguments, **self.environ)

    def tags(self) -> dict[str, str]:
        """The annotated tags of the clone, and their commits."""
        lines = self.bench.repository.git("for-each-ref", "--format=%(refname:strip=2) %(*objectname)", "refs/tags")
        return dict(line.split(" ") for line in lines.splitlines())

    @property
    def folder(self) -> Path:
        """Where `mlci release` puts a release."""
        return self.bench.folder / ".mlci" / layout.FOLDER


@dataclass
class Hosted(Team):
    """The same with a remote and a GitHub."""

    server: GitHubServer
    bare: Repository

    @property
    def state(self) -> Any:
        """What the GitHub holds."""
        return self.server.snapshot()

    def project(self) -> Project:
        """The project in this process, whose waits for GitHub take no time."""
        environ = self.bench.environ | self.environ
        project = Project.open(
            Invocation(
                environ=environ,
                folder=self.bench.folder,
                config_file=None,
                say=lambda _line: None,
                actions=Actions(environ, io.StringIO()),
            )
        )
        waited = [0.0]
        patience = Patience(clock=lambda: waited[0], sleep=lambda s: waited.__setitem__(0, waited[0] + s))
        project.__dict__["client"] = (Client(self.server.url, TOKEN, patience, 1.0), "team/models")
        return project

    def forget(self) -> None:
        """Undo everything that releases make."""
        here = self.server.repositories["team/models"]
        here.releases.clear()
        here.deployments.clear()
        for repository in (self.bare, self.bench.repository):
            for tag in repository.git("tag", "--list").split():
                repository.git("tag", "--delete", tag)
        self.server.arm()


def local_team(folder: Path) -> Team:
    """A team without a remote."""
    bench = workbench(folder)
    bench.write(mlci__toml=CONFIG, __gitignore=IGNORED)
    return Team(bench, {})


@contextmanager
def hosted_team(folder: Path, like: Team | None = None) -> Iterator[Hosted]:
    """A team with a remote and a GitHub; its first commit, or that of a local team, is measured and pushed."""
    team = like.copy(folder) if like else local_team(folder)
    if not like:
        team.measure(0.9)
    with git_server(folder / "server") as git, github_server() as server:
        url = git.create()
        server.token(TOKEN)
        server.repository("team/models", git=git.folder())
        environ = {
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": "workflow_dispatch",
            "GITHUB_REPOSITORY": "team/models",
            "GITHUB_API_URL": server.url,
            "GITHUB_SERVER_URL": url.rsplit("/", 2)[0],
        }
        made = Hosted(team.bench, environ, server, Repository(git.folder()))
        made.bench.repository.git("remote", "add", "origin", url)
        made.bench.repository.git("push", "--quiet", "origin", "main")
        git.tokens = {TOKEN: WRITE}
        yield made
