"""A repository with a run that says `reuse = true`, executed as mlci would: watched, its outputs collected."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from fakes.runs import configured
from mlci.core.documents import Environment, Origin, RunResult, Status
from mlci.core.documents import Outputs as Kept
from mlci.plugins.executors.interface import Job
from mlci.running import outputs
from mlci.running.inputs import fingerprint
from mlci.running.reuse import Key, Miss, Request, Reuse, make, observe_environ

SCRIPT = '[runs.train]\nscript = "train.py"\nreuse = true\n'
NOTEBOOK = '[runs.train]\nnotebook = "train.ipynb"\nreuse = true\n'
ENVIRONMENT = Environment(python="3.12.1", packages={"scikit-learn": "1.5.0"})
ORIGIN = Origin(commit="abcdef0123", dirty=False, branch="main", event="local", created_at="2026-01-01")


@dataclass
class Scene:
    """One checkout; what is asked of the run may be changed between executions."""

    folder: Path
    table: str = SCRIPT + "inputs = []\n"
    environ: dict[str, str] = field(default_factory=dict)
    environment: Environment = ENVIRONMENT
    parameters: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None
    trusted: bool = True
    origin: Origin = ORIGIN
    status: Status = "succeeded"
    cache: Path | None = None

    @property
    def outputs(self) -> Path:
        """The run's folder of the workspace."""
        return self.folder / ".mlci/outputs/train"

    def write(self, **files: str) -> Scene:
        """Write files; in a name `__` stands for the dot."""
        for name, text in files.items():
            path = self.folder / name.replace("__", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return self

    def key(self) -> Key:
        """The key of the run as everything is now."""
        config, runs = configured(self.folder, self.table)
        run = runs["train"]
        self.outputs.mkdir(parents=True, exist_ok=True)
        script = (sys.executable, str(run.path), *run.table.args)
        command = tuple(sys.executable if word == "python" else word for word in run.table.command or ())
        job = Job(
            name=run.name,
            label=run.name,
            source=run.source,
            cwd=run.cwd,
            environ={"HOME": str(self.folder.parent / "home"), "PATH": "/usr/bin:/bin"} | self.environ | run.table.env,
            outputs=self.outputs,
            repository=config.repository,
            python=sys.executable,
            argv=command or (script if run.kind == "script" else ()),
        )
        return make(
            Request(
                config=config,
                run=run,
                job=job,
                seed=self.seed,
                parameters=self.parameters,
                environment=self.environment,
                inputs=fingerprint(config, run),
            )
        )

    def reuse(self, **environ: str) -> Reuse:
        """The cache, for the event as it is now."""
        named = {"MLCI_REUSE_DIR": str(self.cache)} if self.cache else {}
        return Reuse.open(
            named | environ,
            root=self.folder,
            workspace=self.folder / ".mlci",
            origin=self.origin,
            trusted=self.trusted,
        )

    def execute(self, **environ: str) -> str | None:
        """Run the script or command and keep its result; what `keep` says."""
        key = self.key()
        run, log = key.request.run, self.outputs / "observed.log"
        log.unlink(missing_ok=True)
        before = outputs.begun(run.table, run.cwd)
        handed = observe_environ(key.request.job.environ, log)
        with (self.outputs / "output.log").open("wb") as file:
            subprocess.run(key.request.job.argv, cwd=run.cwd, env=handed, check=True, stdout=file)
        collected = outputs.collect(
            run.table,
            cwd=run.cwd,
            repository=key.request.config.repository,
            before=before,
            folder=self.outputs,
            workspace=self.folder / ".mlci",
            logged=self.outputs / "metrics.jsonl",
            notebook=None,
        )
        assert collected.problems == ()
        result = RunResult(
            name=run.name,
            profile=run.profile,
            seed=self.seed,
            status=self.status,
            parameters=self.parameters,
            duration_s=41.2,
            metrics=collected.metrics,
            artifacts=collected.artifacts,
            outputs=Kept(log="outputs/train/output.log", plots=collected.plots),
            inputs=key.request.inputs,
        )
        return self.reuse(**environ).keep(key, result, log=log, collected=collected)

    def take(self) -> RunResult | Miss:
        """What `Reuse.take` says now."""
        return self.reuse().take(self.key())

    def hit(self) -> bool:
        """Whether the result is taken."""
        return isinstance(self.take(), RunResult)

    def reasons(self) -> tuple[str, ...]:
        """Why there is no result to take."""
        missed = self.take()
        assert isinstance(missed, Miss)
        return missed.reasons

    def by(self, *, trusted: bool, **origin: Any) -> Scene:
        """The same for another event."""
        self.trusted, self.origin = trusted, msgspec.structs.replace(self.origin, **origin)
        return self


def scene(folder: Path, table: str = "inputs = []\n", kind: str = SCRIPT, **files: str) -> Scene:
    """A new scene whose run says `table` beside what it is."""
    made = Scene(folder / "repository", kind + table)
    (folder / "repository").mkdir()
    return made.write(**({"train__py": "print('trained')\n"} if kind == SCRIPT else {}) | files)
