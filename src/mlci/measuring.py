"""Measures the merge base in this very job, so that the first pull request has something to be compared with."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from mlci import process
from mlci.checkout import carried, carry, checked_out
from mlci.config.loading import FILE, PYPROJECT
from mlci.core.documents import Failure, Outputs, Record, RecordsDocument
from mlci.core.record import fold, kept_beside
from mlci.errors import CancelledError, DocumentError, MlciError, WorkspaceError
from mlci.project import Invocation, Project, origin_of
from mlci.render.text import plain
from mlci.running import interpreter
from mlci.running.own_code import elsewhere
from mlci.workspace import BASELINE, Workspace

_ERROR = re.compile(r"error: (.*)")


@dataclass(frozen=True, kw_only=True)
class How:
    """How the runs of the merge base are started: as this job's own.

    Args:
        profile: The profile in force.
        python: The interpreter that the command line asks for.
        jobs: How many at once, as `-j` takes it.
        limit_s: For all of them together, in seconds.
        tell: Takes one line of what they print.
    """

    profile: str
    python: str | None
    jobs: str
    limit_s: float
    tell: Callable[[str], None] = field(repr=False)


def measure(project: Project, names: Sequence[str], how: How) -> tuple[Record, ...]:
    """Run `names` at the merge base and add what came of it to `baseline.json`, failures with their reasons.

    Nothing is saved to the store. What was measured of this commit before, and succeeded, is not measured again.

    Args:
        project: This job's; its history knows the merge base.
        names: Runs that have no baseline.
        how: How they are started.

    Returns:
        The records of `names`, as far as there is a merge base at all.

    Raises:
        ConfigError: `[baseline] carry` leaves the repository.
        CancelledError: mlci was told to stop.
    """
    places = carried(project.config, project.config.settings.baseline.carry)
    commit = next(iter(project.history.commits), None)
    if commit is None:
        return ()
    known = {
        record.name: record
        for record in project.workspace.measured_baseline()
        if record.origin.commit == commit and record.profile == how.profile and record.status == "succeeded"
    }
    due = [name for name in names if name not in known]
    if due:
        with project.invocation.actions.group(f"The merge base {commit[:7]}"), project.invocation.actions.inert():
            known |= _Measurement(project, commit, how, time.monotonic() + how.limit_s).of(due, places)
        project.workspace.write(BASELINE, RecordsDocument(made_from=(), records=tuple(known.values())))
    return tuple(known[name] for name in names)


@dataclass(frozen=True)
class _Measurement:
    """One measurement of a commit, until a deadline in seconds of `time.monotonic`."""

    project: Project
    commit: str
    how: How
    deadline: float

    def of(self, names: Sequence[str], places: Sequence[Path]) -> dict[str, Record]:
        """A record for each of `names`; what keeps all of them from being measured fails each."""
        project = self.project
        try:
            with checked_out(project.config, self.commit, project.context, project.invocation.environ) as top:
                for line in carry(project.config, places, top):
                    self.how.tell(f"not carried: {line}")
                return self._run(names, top)
        except CancelledError:
            raise
        except MlciError as error:
            return {name: self._failed(name, error.message) for name in names}

    def _run(self, names: Sequence[str], top: Path) -> dict[str, Record]:
        base = Project.open(self._invocation(top))
        there = base.runs(self.how.profile)
        found = {name: self._failed(name, "it has no such run") for name in names if name not in there}
        for python, group in self._by_interpreter([name for name in names if name in there]).items():
            found |= self._run_with(python, group, base, top)
        return found

    def _invocation(self, top: Path) -> Invocation:
        """The start of an mlci in the checkout: nobody's pull request, and with no token."""
        config, ours = self.project.config, self.project.invocation
        root = top / config.root.relative_to(config.repository)
        environ = {
            name: value
            for name, value in process.child_environ(ours.environ).items()
            if not name.startswith(("GITHUB_", "MLCI_"))
        }
        file = root / os.path.relpath(ours.config_file, config.root) if ours.config_file else None
        expected = [file] if file else [root / FILE, root / PYPROJECT]
        written = ours.config_file or config.root / FILE
        if not any(path.exists() for path in expected) and written.is_file() and root.is_dir():
            # The change that brings mlci: what it runs may have been there before.
            shutil.copyfile(written, expected[0])
        return dataclasses.replace(ours, environ=environ, folder=root, config_file=file)

    def _by_interpreter(self, names: Sequence[str]) -> dict[str, list[str]]:
        """The names by the interpreter that this job runs them with."""
        project = self.project
        runs = project.runs(self.how.profile)
        found: dict[str, list[str]] = defaultdict(list)
        for name in names:
            python, _ = interpreter.find(
                project.config.root,
                asked=self.how.python,
                configured=runs[name].table.python,
                environ=project.invocation.environ,
            )
            found[python].append(name)
        return found

    def _run_with(self, python: str, names: Sequence[str], base: Project, top: Path) -> dict[str, Record]:
        repository, start = self.project.config.repository, base.invocation
        own = elsewhere(python, start.environ.get("PYTHONPATH", ""), repository, top)
        lines = _Lines(self.how.tell)
        cancellation = process.Cancellation()
        with cancellation.listening():
            done = process.supervise(
                # Not what lies in the checkout, nor what its PYTHONPATH names, is mlci.
                [sys.executable, "-E", "-P", "-m", "mlci", *self._arguments(python, names, start)],
                cwd=start.folder,
                environ={**start.environ, **({"PYTHONPATH": own} if own else {})},
                on_output=lines.feed,
                timeout_s=max(0.0, self.deadline - time.monotonic()),
                cancellation=cancellation,
            )
        lines.end()
        if done.cancelled:
            raise CancelledError("stopped while the merge base was measured")
        if done.timed_out:
            reason = f"not done within the {self.project.config.settings.baseline.limit} of baseline.limit"
        else:
            reason = lines.error or f"mlci exited {done.returncode} there"
        records = {record.name: record for record in _records(base.workspace) if record.profile == self.how.profile}
        return {
            name: self._kept(records[name], base.workspace)
            if name in records and (records[name].status == "succeeded" or not done.timed_out)
            else self._failed(name, reason)
            for name in names
        }

    def _arguments(self, python: str, names: Sequence[str], start: Invocation) -> list[str]:
        file = ["--config", os.path.relpath(start.config_file, start.folder)] if start.config_file else []
        follow = ["--follow"] if self.project.invocation.actions.enabled else []
        how = ["--profile", self.how.profile, "--python", python, "-j", self.how.jobs]
        return ["-C", str(start.folder), *file, "run", *how, *follow, "--", *names]

    def _kept(self, record: Record, workspace: Workspace) -> Record:
        """The record without what goes away with the checkout; predictions and plots go to this job's workspace."""
        for item in kept_beside(record):
            content = workspace.content(item)
            if content is not None:
                self.project.workspace.bring(content)
        return msgspec.structs.replace(
            record,
            origin=msgspec.structs.replace(record.origin, run_url=self.project.context.run_url),
            artifacts=tuple(msgspec.structs.replace(item, stored=None) for item in record.artifacts),
            outputs=tuple(Outputs(plots=item.plots) for item in record.outputs),
            predictions=tuple(msgspec.structs.replace(item, stored=None) for item in record.predictions),
        )

    def _failed(self, name: str, reason: str) -> Record:
        here = origin_of(self.project)
        return Record(
            name=name,
            profile=self.how.profile,
            origin=msgspec.structs.replace(here, commit=self.commit, dirty=False, branch=None),
            status="failed",
            error=Failure(kind="environment", message=reason),
        )


def _records(workspace: Workspace) -> Sequence[Record]:
    try:
        document, _ = workspace.runs()
        return fold([document], complete=False)[0]
    except (WorkspaceError, DocumentError):
        return ()


@dataclass
class _Lines:
    """What a process prints, line by line and harmless, and the error that mlci ends with."""

    tell: Callable[[str], None]
    error: str | None = None
    _rest: bytes = b""

    def feed(self, chunk: bytes) -> None:
        """Tell the lines that are whole, and pieces of one that has no end."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._tell(line)
        if len(self._rest) > 64 * 1024:
            self.end()

    def end(self) -> None:
        """Tell what is left."""
        if self._rest:
            self._tell(self._rest)
        self._rest = b""

    def _tell(self, line: bytes) -> None:
        text = plain(line.decode("utf-8", "replace"))
        found = _ERROR.fullmatch(text)
        self.error = found[1] if found else self.error
        self.tell(f"merge base | {text}")
