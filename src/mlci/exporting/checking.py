"""Proves that a script does what its notebook does: runs both as `mlci run` would, in clean copies, and compares."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from mlci.config import DEFAULT_PROFILE, Config, Run, resolve
from mlci.config.loading import of_table
from mlci.config.tables import Only
from mlci.context import Context
from mlci.core.documents import RunResult
from mlci.errors import CancelledError, RunsFailedError, UsageError
from mlci.exporting.agreeing import BAD, GOOD, Left, Row, rows
from mlci.exporting.isolating import Copy, copied
from mlci.process import Cancellation, child_environ
from mlci.project import Invocation, Project, origin_of
from mlci.running import interpreter, outputs
from mlci.running.display import Display
from mlci.running.own_code import elsewhere
from mlci.running.plan import make_plan, only_named
from mlci.running.results import Results
from mlci.running.session import Options, Session
from mlci.workspace import Workspace

_UNCONFIGURED = "notebook"


class Checked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of a check."""

    run: str | None  # the configured run whose outputs were compared; None: everything that was written
    seed: int | None = None
    executions: int = 2
    rows: tuple[Row, ...] = ()
    failure: str = ""  # why the script has not succeeded, where the notebook has

    @property
    def differences(self) -> tuple[str, ...]:
        """One line for each thing in which the two do not agree."""
        said = [
            f"{row.kind} {row.name}: {row.verdict}{': ' + row.detail if row.detail else ''}"
            for row in self.rows
            if row.verdict in BAD
        ]
        return (f"the script did not succeed: {self.failure}", *said) if self.failure else tuple(said)

    @property
    def proves(self) -> bool:
        """Whether anything was the same, and nothing different."""
        return not self.differences and any(row.verdict in GOOD for row in self.rows)


@dataclass(frozen=True)
class Asked:
    """What a check is asked to do.

    Args:
        repository: The top of the repository, or the folder in place of one.
        notebook: The notebook.
        output: Where the script is going to lie.
        text: The script.
        parameters: For both.
        python: The interpreter that the command line asks for.
        run: The configured run that the notebook is.
        config: The configuration of that run.
        carry: Files that git does not hold and an execution needs.
        tolerance: By how much a metric may differ, relative to its value.
    """

    repository: Path
    notebook: Path
    output: Path
    text: str
    parameters: Mapping[str, Any]
    python: str | None
    run: Run | None
    config: Config | None
    carry: tuple[Path, ...]
    tolerance: float


def check(invocation: Invocation, asked: Asked, display: Callable[[], Display]) -> Checked:
    """Run notebook and script and compare what they leave.

    Raises:
        RunsFailedError: The notebook itself does not succeed: there is nothing to compare with.
        UsageError: The script would lie outside of the repository, or that is too large to copy.
        ConfigError: A parameter that nothing can receive.
        EnvironmentMissingError: No interpreter, or one without a kernel.
        CancelledError: mlci was told to stop.
    """
    for path in (asked.notebook, asked.output):
        if not path.is_relative_to(asked.repository):
            raise UsageError(f"{path.name}: outside of the repository, where --check cannot copy it")
    with copied(asked.repository, invocation.environ, asked.carry) as copy:
        cancellation = Cancellation()
        with cancellation.listening():
            return _Check(invocation, asked, copy, display, cancellation).run()


@dataclass
class _Check:
    invocation: Invocation
    asked: Asked
    copy: Copy
    display: Callable[[], Display]
    cancellation: Cancellation
    _executions: int = field(default=0, init=False)

    def run(self) -> Checked:
        asked = self.asked
        seed = next(iter(asked.run.table.seeds), None) if asked.run else None
        name = asked.run.name if asked.run else None
        notebook, result = self._execute(script=False)
        if result.status != "succeeded":
            said = result.error.message if result.error else result.reason or result.status
            raise RunsFailedError(
                f"{asked.notebook.name}: the notebook itself does not succeed in a clean copy: {said}",
                hint="Only what git tracks, or does not ignore, is copied, and what [baseline] carry names.",
            )
        script, done = self._execute(script=True)
        if done.status != "succeeded":
            said = done.error.message if done.error else done.reason or done.status
            return Checked(run=name, seed=seed, executions=self._executions, failure=said)
        found = rows(notebook, script, lambda: self._execute(script=False)[0], asked.tolerance)
        return Checked(run=name, seed=seed, executions=self._executions, rows=found)

    def _execute(self, *, script: bool) -> tuple[Left, RunResult]:
        """One execution in a copy that is as clean as the first."""
        asked, copy = self.asked, self.copy
        self._executions += 1
        kept = f"kept-{self._executions}"
        more = {asked.output.relative_to(asked.repository).as_posix(): asked.text.encode()} if script else {}
        before = copy.renew(more)
        project = self._project()
        runs, name = self._runs(project.config, script=script)
        profile = next(iter(runs.values())).profile
        plan = only_named(make_plan(runs, profile, project.context, unchanged=lambda _: None), [name])
        project = dataclasses.replace(project, workspace=Workspace(copy.folder / f"workspace-{self._executions}"))
        results = Results(project.workspace, plan, origin_of(project), tuple(run.name for run in plan.selected), [])
        options = Options(names=(name,), parameters=asked.parameters, python=self._python())
        session = Session(project, options, self.display(), plan, results, self.cancellation)
        session.prepare()
        session.execute()
        if self.cancellation:
            raise CancelledError("stopped; nothing was written")
        needed = {run.name for run in plan.selected} - {name}
        result = next((item for item in results.known if item.name in needed and item.status != "succeeded"), None)
        result = result or next(item for item in results.known if item.name == name)
        after = copy.stamps()
        written = [path for path, stamp in after.items() if before.get(path) != stamp]
        removed = frozenset(before.keys() - after.keys())
        declared = self._declared(runs[name])
        if declared is not None:
            written, removed = [path for path in written if path in declared], frozenset()
        left = Left(metrics=result.metrics, files=copy.keep(written, kept), removed=removed)
        shutil.rmtree(copy.folder / f"workspace-{self._executions}", ignore_errors=True)
        return left, result

    def _project(self) -> Project:
        asked, copy, start = self.asked, self.copy, self.invocation
        python = self._python()
        own = elsewhere(python, start.environ.get("PYTHONPATH", ""), asked.repository, copy.tree)
        hidden = ("GITHUB_", "MLCI_")
        environ = {name: value for name, value in child_environ(start.environ).items() if not name.startswith(hidden)}
        environ |= {"PYTHONHASHSEED": environ.get("PYTHONHASHSEED", "0"), **({"PYTHONPATH": own} if own else {})}
        invocation = dataclasses.replace(start, environ=environ, folder=copy.tree, config_file=None)
        if asked.config is not None:
            file = copy.tree / asked.config.root.relative_to(asked.repository) / "mlci.toml"
            config = of_table(asked.config.tables, path=file, shown=asked.config.shown, repository=copy.tree)
        else:
            source = asked.notebook.relative_to(asked.repository).as_posix()
            table = {"runs": {_UNCONFIGURED: {"notebook": source}}}
            config = of_table(table, path=copy.tree / "mlci.toml", shown="mlci.toml", repository=copy.tree)
        return Project(invocation, config, Context.from_environ(environ), Workspace(copy.folder / "workspace"))

    def _runs(self, config: Config, *, script: bool) -> tuple[dict[str, Run], str]:
        """The runs of the copy, the notebook's turned into a script's if that is asked for."""
        asked = self.asked
        runs = resolve(config, asked.run.profile if asked.run else DEFAULT_PROFILE)
        name = asked.run.name if asked.run else _UNCONFIGURED
        runs = {key: _fresh(run) for key, run in runs.items()}
        run = runs[name]
        if script:
            path = self.copy.tree / asked.output.relative_to(asked.repository)
            source = path.relative_to(config.root).as_posix() if path.is_relative_to(config.root) else path.name
            table = msgspec.structs.replace(run.table, notebook=None, script=source, cell_timeout=None)
            runs[name] = dataclasses.replace(run, kind="script", source=source, path=path, table=table)
        return runs, name

    def _declared(self, run: Run) -> set[str] | None:
        """The files that a configured run names, as they lie there now; None: all count."""
        if self.asked.run is None or not outputs.declared(run.table, run.cwd):
            return None
        found = outputs.snapshot(run.cwd, outputs.declared(run.table, run.cwd))
        tree = self.copy.tree
        return {path.relative_to(tree).as_posix() for path in found if path.is_relative_to(tree)}

    def _python(self) -> str:
        asked = self.asked
        root = asked.config.root if asked.config else asked.repository
        configured = asked.run.table.python if asked.run else None
        environ = self.invocation.environ
        return interpreter.find(root, asked=asked.python, configured=configured, environ=environ)[0]


def _fresh(run: Run) -> Run:
    """The run whatever the event is, executed once, and with nothing of an earlier time."""
    table = msgspec.structs.replace(run.table, seeds=run.table.seeds[:1], only=Only(), reuse=False, checkpoint=None)
    return dataclasses.replace(run, table=table)
