"""Spares an execution whose result is known, and keeps a result for the next time."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mlci import userlib
from mlci.config import size
from mlci.config.tables import SIZE_PATTERN
from mlci.core.documents import Origin, RunResult
from mlci.errors import ConfigError, UsageError
from mlci.running import outputs
from mlci.running.inputs import fingerprint
from mlci.running.reuse import key as keys
from mlci.running.reuse import observed
from mlci.running.reuse.entries import Entries, Entry
from mlci.running.reuse.key import Key
from mlci.running.reuse.objects import DamagedError, Objects, touch, trim
from mlci.running.reuse.places import Places, within
from mlci.workspace import write_atomically

FOLDER = ".mlci-reuse"  # not in the workspace, which travels from job to job as an artifact
VARIABLE = "MLCI_OBSERVE"
_MAX = "5G"
_OBSERVING = Path(userlib.__file__).parent / "observing"


def observe_environ(environ: Mapping[str, str], log: Path) -> dict[str, str]:
    """`environ` so that every Python that starts in it writes to `log` what it does."""
    path = [str(_OBSERVING), *filter(None, [environ.get("PYTHONPATH")])]
    return {**environ, "PYTHONPATH": os.pathsep.join(path), VARIABLE: str(log)}


@dataclass(frozen=True)
class Miss:
    """Nothing to take, and why."""

    reasons: tuple[str, ...]  # one line each, what changed


@dataclass(frozen=True)
class Reuse:
    """What earlier runs left, for one event."""

    folder: Path
    workspace: Path
    origin: Origin
    trusted: bool  # the default branch's event, or a laptop
    max_bytes: int

    @classmethod
    def open(cls, environ: Mapping[str, str], *, root: Path, workspace: Path, origin: Origin, trusted: bool) -> Reuse:
        """The folder that `MLCI_REUSE_DIR` names, by default one of its own beside the configuration.

        Args:
            environ: For MLCI_REUSE_DIR and MLCI_REUSE_MAX.
            root: The configuration's folder.
            workspace: The folder of the workspace, which stored paths are relative to.
            origin: Of this event.
            trusted: Whether its results may serve the default branch.

        Raises:
            UsageError: MLCI_REUSE_MAX is no size.
        """
        most = environ.get("MLCI_REUSE_MAX") or _MAX
        if not re.search(SIZE_PATTERN, most):
            raise UsageError(f'MLCI_REUSE_MAX: expected a size such as "5G", got {most!r}')
        folder = root / (environ.get("MLCI_REUSE_DIR") or FOLDER)
        return cls(Path(os.path.abspath(folder)), workspace, origin, trusted, size(most))  # noqa: PTH100 - links stay

    def take(self, key: Key) -> RunResult | Miss:
        """The kept result of `key`, its files put where a run would have left them; or what has changed since."""
        reasons: tuple[str, ...] = ()
        places = self._places(key)
        for path, entry in self._entries.of(key):
            if entry.key != key.digest:
                continue
            changed = [old for old in entry.dependencies if observed.now(old, places) != old]
            if changed:
                reasons = reasons or tuple(_changed(dependency) for dependency in changed)
                continue
            try:
                self._restore(entry, key, places)
            except DamagedError as error:
                path.unlink(missing_ok=True)
                reasons = (f"what was kept is incomplete: {error}",)
                continue
            except OSError as error:
                return Miss((f"what is kept cannot be put in its place: {error.strerror}",))
            touch(path)
            return self._reused(entry, key)
        nearest = None if reasons else self._entries.nearest(key)
        if nearest is not None:
            reasons = keys.changes(nearest.parts, key.parts)
        return Miss(reasons or ("no result of it is kept",))

    def keep(self, key: Key, result: RunResult, *, log: Path, collected: outputs.Collected) -> str | None:
        """Keep a result, its executed notebook, log and outputs, if nothing stands against using it again.

        Args:
            key: As it was before the run.
            result: What came of it; only one that succeeded is kept.
            log: What `observe_environ` had its processes write.
            collected: What the run left behind.

        Returns:
            One line for the user where it succeeded and is not kept.
        """
        if result.status != "succeeded" or result.reused:
            return None
        seen = observed.read(log, self._places(key))
        warning = seen.warning or _started_blind(key) or self._moved(key, seen)
        if collected.doubtful:
            warning = warning or "not kept for reuse: what it wrote is not all known; name it in `metrics`"
        if warning:
            return warning
        try:
            return self._write(key, result, seen.dependencies, log=log, produced=collected.written)
        except OSError as error:
            return f"not kept for reuse: {self.folder.name} cannot be written: {error.strerror}"
        except UnicodeEncodeError:
            return "not kept for reuse: the name of a file is no Unicode"

    @property
    def _objects(self) -> Objects:
        return Objects(self.folder / "objects")

    @property
    def _entries(self) -> Entries:
        return Entries(self.folder / "entries", self.trusted, self.origin.repository_id)

    def _places(self, key: Key) -> Places:
        request = key.request
        return Places.of(request.config, request.run, request.job, request.inputs, (self.workspace, self.folder))

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        ignore = self.folder / ".gitignore"
        if not ignore.exists():
            write_atomically(ignore, b"*\n")

    def _write(
        self,
        key: Key,
        result: RunResult,
        dependencies: tuple[observed.Dependency, ...],
        *,
        log: Path,
        produced: Sequence[Path],
    ) -> str | None:
        request = key.request
        cwd = request.run.cwd
        kept = [path for path in sorted(request.job.outputs.rglob("*")) if path.is_file() and path != log]
        total = sum(path.stat().st_size for path in [*produced, *kept])
        if total > self.max_bytes:
            return f"not kept for reuse: {total:,} bytes are more than MLCI_REUSE_MAX"
        self._prepare()
        entry = Entry(
            key=key.digest,
            parts=key.parts,
            dependencies=dependencies,
            result=result,
            outputs={path.relative_to(request.job.outputs).as_posix(): self._objects.put(path) for path in kept},
            produced={Path(os.path.relpath(path, cwd)).as_posix(): self._objects.put(path) for path in produced},
            origin=self.origin,
            trusted=self.trusted,
        )
        self._entries.write(entry, key)
        trim(self.folder, self.max_bytes)
        return None

    def _moved(self, key: Key, seen: observed.Observed) -> str | None:
        """What was changed by somebody while the run was under way: nobody knows which content it has read."""
        request = key.request
        try:
            inputs = fingerprint(request.config, request.run)
        except (ConfigError, OSError):
            inputs = {}
        modified = [name for name, digest in request.inputs.items() if inputs.get(name) != digest]
        for dependency in seen.dependencies:
            path = request.config.repository / dependency.path
            if dependency.kind == "file" and path.exists() and path.stat().st_mtime_ns > key.made_at_ns:
                modified.append(dependency.path)
        return f"not kept for reuse: {modified[0]} was changed while it ran" if modified else None

    def _restore(self, entry: Entry, key: Key, places: Places) -> None:
        """Copy every file beside its place, and move them there when all are whole."""
        folder, cwd = key.request.job.outputs, key.request.run.cwd
        targets = {_below(folder, name): digest for name, digest in entry.outputs.items()}
        for name, digest in entry.produced.items():
            target = Path(os.path.normpath(cwd / name))
            real = str(target.parent.resolve() / target.name)
            if not places.is_output(real) or not within(real, (places.repository,)):
                raise DamagedError(f"{name} is no declared output")
            targets[target] = digest
        staged: dict[Path, Path] = {}
        try:
            for number, (target, digest) in enumerate(targets.items()):
                target.parent.mkdir(parents=True, exist_ok=True)
                staged[target] = target.with_name(f".mlci-{os.getpid()}-{number}")
                self._objects.copy(digest, staged[target])
            for target, temporary in staged.items():
                temporary.replace(target)
        finally:
            for temporary in staged.values():
                temporary.unlink(missing_ok=True)

    def _reused(self, entry: Entry, key: Key) -> RunResult:
        origin = entry.origin
        where = origin.commit[:7] if origin.commit else origin.created_at
        dirty = " and changes to it" if origin.commit and origin.dirty else ""
        return msgspec.structs.replace(
            entry.result,
            reused=True,
            inputs=key.request.inputs,
            environment=key.request.environment,
            notes=(f"reused: unchanged since {where}{dirty}, saved {entry.result.duration_s:.0f} s",),
            attempts=(),
            cost=None,
        )


def _started_blind(key: Key) -> str | None:
    """A command that is no Python of the run's is not watched itself, though Pythons that it starts are."""
    request = key.request
    argv = request.job.argv
    if request.run.kind != "command" or (argv and argv[0] == request.job.python):
        return None
    return f"not kept for reuse: {argv[0]} is not the run's Python, and what it reads is not seen"


def _changed(dependency: observed.Dependency) -> str:
    what = "the names in " if dependency.kind == "names" else "module " if dependency.path.endswith(".py") else ""
    return f"{what}{dependency.path} changed"


def _below(folder: Path, name: str) -> Path:
    target = Path(os.path.normpath(folder / name))
    if target == folder or not target.is_relative_to(folder):
        raise DamagedError(f"{name} leaves the run's folder")
    return target
