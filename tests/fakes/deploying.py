"""A team with three released versions of a model and a folder to serve from, on a fake GitHub or on a laptop."""

from __future__ import annotations

import copy
import io
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from fakes.comparisons import measured
from fakes.github.state import Asset, Deployment, Release
from fakes.github_server import GitHubServer, github_server
from fakes.github_server import Repository as Hosted
from fakes.repositories import ENVIRON, Repository, repository
from mlci.actions import Actions
from mlci.core.documents import encode
from mlci.core.release import Release as Document
from mlci.core.release import Verification
from mlci.plugins.forges.client import Client
from mlci.plugins.forges.patience import Patience
from mlci.plugins.forges.releases import GitHubReleases
from mlci.plugins.targets.interface import Deployed, Package, Target, TargetSite, TargetStatus
from mlci.project import Invocation, Project
from mlci.releasing import folder as layout
from mlci.releasing.deploying import Place, forge_of, open_place
from mlci.releasing.gathering import describe

TOKEN = "ghs_deployingDEPLOYING0123456789"
VERSIONS = ("v1.0.0", "v1.1.0", "v2.0.0")
CONFIG = """
[runs.churn]
command = ["true"]
artifacts = ["model.bin"]

[models.churn]
profile = "default"
stages = ["staging", "production"]

[targets.staging]
kind = "folder"
stage = "staging"
options = { path = "../served/staging" }

[targets.production]
kind = "folder"
stage = "production"
url = "https://models.example.com/churn"
options = { path = "../served/production" }

[targets.stageless]
kind = "folder"
options = { path = "../served/stageless" }

[baseline]
store = "folder"
options = { path = "baselines" }
"""


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Killer:
    """Raises at the call of that index, before or after it has happened; without an index it only counts.

    `kind` is which calls count: those of a "target", of a "forge", or any.
    """

    at: int | None = None
    late: bool = True
    kind: str | None = None
    error: BaseException = field(default_factory=Killed)
    calls: int = 0

    def around(self, kind: str, call: Callable[[], Any]) -> Any:
        """Make a call."""
        if self.kind not in (None, kind):
            return call()
        mine = self.calls == self.at
        self.calls += 1
        if mine and not self.late:
            raise self.error
        try:
            return call()
        finally:
            if mine:
                raise self.error


@dataclass
class KillingPatience(Patience):
    """Patience whose calls count for a killer; waits take no time."""

    killer: Killer = field(default_factory=Killer)

    def call(self, what: str, attempt: Any, *, adopt: Any = None) -> Any:
        """As `Patience.call`."""
        return self.killer.around("forge", lambda: super(KillingPatience, self).call(what, attempt, adopt=adopt))


@dataclass(frozen=True)
class KilledTarget:
    """A target whose calls count for a killer."""

    name: ClassVar[str] = "folder"
    stages: ClassVar[bool] = True

    inner: Target
    killer: Killer

    @property
    def site(self) -> TargetSite:
        """Of the target."""
        return self.inner.site

    def status(self, model: str) -> TargetStatus:
        """As `Target.status`."""
        found: TargetStatus = self.killer.around("target", lambda: self.inner.status(model))
        return found

    def upload(self, package: Package) -> None:
        """As `Target.upload`."""
        self.killer.around("target", lambda: self.inner.upload(package))

    def switch(self, model: str, to: Deployed, *, expected: Deployed | None) -> None:
        """As `Target.switch`."""
        self.killer.around("target", lambda: self.inner.switch(model, to, expected=expected))

    def describe(self) -> str:
        """As `Target.describe`."""
        return self.inner.describe()


@dataclass
class Deployers:
    """The team; `server` is None on a laptop."""

    folder: Path
    work: Repository
    server: GitHubServer | None = None
    commits: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    killer: Killer = field(default_factory=Killer)
    run: int = 41
    attempt_s: float = 5.0  # of the forge, for one request
    _kept: dict[int, Deployment] = field(default_factory=dict)

    @property
    def github(self) -> Hosted:
        """The repository on GitHub."""
        assert self.server is not None
        return self.server.repositories["team/models"]

    @property
    def environ(self) -> dict[str, str]:
        """Of the command."""
        if self.server is None:
            self.work._clock[0] += 60  # each command a minute after the one before
            return self.work.environ
        return ENVIRON | {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": "workflow_dispatch",
            "GITHUB_REPOSITORY": "team/models",
            "GITHUB_RUN_ID": str(self.run),
            "GITHUB_API_URL": self.server.url,
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_TOKEN": TOKEN,
        }

    def project(self) -> Project:
        """As a new process opens it."""
        environ = self.environ
        actions = Actions(environ, io.StringIO())
        project = Project.open(Invocation(environ, self.work.folder, None, self.said.append, actions))
        if self.server is not None:
            now = [0.0]
            patience = KillingPatience(
                clock=lambda: now[0], sleep=lambda s: now.__setitem__(0, now[0] + s), killer=self.killer
            )
            project.__dict__["client"] = (Client(self.server.url, TOKEN, patience, self.attempt_s), "team/models")
        return project

    def opened(self, name: str = "production") -> tuple[Project, Place, GitHubReleases | None]:
        """What a command opens first, with a target that can be killed."""
        project = self.project()
        place = open_place(project, name)
        return project, replace(place, target=KilledTarget(place.target, self.killer)), forge_of(project)

    def release(self, version: str) -> None:
        """Make and publish a version of a commit of its own."""
        commit = self.commits[version] = self.work.commit()
        tag = f"churn@{version}"
        self.work.git("tag", "--annotate", "--message", tag, tag, commit)
        record = measured("churn", commit=commit, metrics={"accuracy": 0.9})
        made = self.folder / "made" / version
        made.mkdir(parents=True)
        (made / "model.bin").write_bytes(f"model {version}".encode())
        files = (describe(made / "model.bin", "artifact", source="model.bin"),)
        document = Document(
            model="churn", version=version, tag=tag, commit=commit, created_at="", record=record, files=files
        )
        layout.write(made, document)
        self.project().store.save([record])
        if self.server is not None:
            self.publish(tag, made)

    def publish(self, tag: str, folder: Path, *, draft: bool = False) -> Release:
        """Put files on GitHub as the release of a tag."""
        github, user = self.github, self.github.owner
        made = Release(github.world.id(), tag, "main", tag, "", draft, False, user, github.now(), github.now())
        for path in sorted(folder.iterdir()):
            kind = "application/octet-stream"
            asset = Asset(github.world.id(), path.name, None, kind, path.read_bytes(), user, github.now())
            made.assets[asset.id] = asset
        github.releases[made.id] = made
        return made

    def lay(self, version: str) -> Path:
        """Leave a version in `.mlci/release/`, as `mlci release` does."""
        to = self.work.folder / ".mlci" / layout.FOLDER
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.folder / "made" / version, to)
        return to

    def digest(self, version: str) -> str:
        """Of a release."""
        return layout.read(self.folder / "made" / version).digest

    def serve(self, version: str, *, target: str = "production", stage: str | None = "production") -> None:
        """Have a version served and in a stage, as an earlier deployment left it."""
        place = open_place(self.project(), target)
        found = layout.read(self.folder / "made" / version)
        place.target.upload(found.package())
        to = Deployed(version=version, digest=found.digest)
        place.target.switch("churn", to, expected=place.target.status("churn").current)
        if stage:
            self.stage(version, stage)

    def stage(self, version: str, stage: str) -> None:
        """Put a version into a stage."""
        count = len([name for name in self.tags if "#" in name]) + 1
        self.work.git("tag", "-a", "-m", "earlier", f"churn#{stage}#{count}", self.commits[version])

    def verify(self, *, passed: bool = True, **changes: Any) -> None:
        """Leave what `mlci verify` says of the deployment that lies here."""
        deployed = self.document
        given: dict[str, Any] = {
            **{name: deployed[name] for name in ("model", "version", "digest")},
            "method": "load",
            "passed": passed,
            "compared": 100,
            "differing": 0 if passed else 3,
            "tolerance": 1e-6,
        }
        (self.work.folder / ".mlci/verification.json").write_bytes(encode(Verification(**given | changes)))

    def status(self, target: str = "production") -> TargetStatus:
        """What a target holds."""
        return open_place(self.project(), target).target.status("churn")

    @property
    def served(self) -> str | None:
        """What production serves."""
        current = self.status().current
        return current.version if current else None

    @property
    def document(self) -> dict[str, Any]:
        """`deployment.json` without its date."""
        path = self.work.folder / ".mlci/deployment.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        return {name: value for name, value in found.items() if name != "created_at"}

    @property
    def tags(self) -> dict[str, str]:
        """Each tag's commit."""
        lines = self.work.git("for-each-ref", "--format=%(refname:strip=2) %(*objectname)", "refs/tags")
        return dict(line.split(" ") for line in lines.splitlines())

    @property
    def states(self) -> list[tuple[str, list[str]]]:
        """The ref of each deployment on GitHub, and the states that it went through."""
        return [(item.ref, [s.state for s in item.statuses]) for item in self.github.deployments.values()]

    def state(self) -> Any:
        """All that a command can have changed."""
        served = self.folder / "served"
        there = {
            str(path.relative_to(served)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
            for path in sorted(served.rglob("*"))
            if path.is_symlink() or path.is_file()
        }
        return self.server.snapshot() if self.server else self.tags, there, self.document

    def keep(self) -> None:
        """Remember what is there now, but for the releases, as what `restore` goes back to."""
        for number, changing in enumerate(self._changing):
            if changing.exists():
                shutil.copytree(changing, self.folder / f"kept-{number}", symlinks=True)
        self._kept = copy.deepcopy(self.github.deployments) if self.server is not None else {}

    def restore(self) -> None:
        """Undo everything since `keep`."""
        for number, changing in enumerate(self._changing):
            shutil.rmtree(changing, ignore_errors=True)
            if (kept := self.folder / f"kept-{number}").exists():
                shutil.copytree(kept, changing, symlinks=True)
        self.said.clear()
        self.killer = Killer()
        if self.server is not None:
            self.github.deployments.clear()
            self.github.deployments.update(copy.deepcopy(self._kept))
            self.server.arm()

    @property
    def _changing(self) -> tuple[Path, ...]:
        return self.folder / "served", self.work.folder / ".mlci", self.work.folder / ".git/refs/tags"


@contextmanager
def deployers(folder: Path, *, hosted: bool = True) -> Iterator[Deployers]:
    """A team whose versions v1.0.0, v1.1.0 and v2.0.0 are released and in staging."""
    work = repository(folder / "work")
    (work.folder / "mlci.toml").write_text(CONFIG)
    (work.folder / ".gitignore").write_text("baselines/\n")
    work.git("add", "--all")
    if not hosted:
        made = Deployers(folder, work)
        for version in VERSIONS:
            made.release(version)
        yield made
        return
    with github_server() as server:
        server.token(TOKEN)
        server.repository("team/models", git=work.folder / ".git")
        made = Deployers(folder, work, server)
        for version in VERSIONS:
            made.release(version)
        yield made
