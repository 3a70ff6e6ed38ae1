"""Carries the checkpoint of an execution that did not succeed to the next attempt of the very same execution.

A folder is moved whole or not at all, so whatever ends mlci in between, a checkpoint lies in one of two places: where
the run reads it, or kept by its key. In the workspace's `checkpoints/`:

    kept/PROFILE/RUN/[seed-N/]   KEY/, the checkpoint, and attempts.json, what led to it
    folders/ID/                  holder.json, who is at work in one of the runs' folders; aside/, what was found there
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from mlci.config import Config, Run
from mlci.core.documents import FORMAT, Attempt, Document, decode, encode
from mlci.errors import DocumentError
from mlci.running import folders
from mlci.workspace import Workspace, write_atomically

RESUME = "MLCI_RESUME"  # "1" for an attempt that finds a checkpoint, else not set
_FOLDER = "checkpoints"
_ATTEMPTS, _HOLDER, _ASIDE = "attempts.json", "holder.json", "aside"
_MAX_ATTEMPTS = 20
# Both become paths, and a cache that others can write to may have brought the file.
_Key = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
_Place = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9](?!.*\.\.)[A-Za-z0-9._/-]{0,200}$")]


class Attempts(Document, frozen=True):
    """`attempts.json`: whose the kept checkpoint is, and the attempts that led to it."""

    key: _Key
    attempts: tuple[Attempt, ...]
    format: int = FORMAT


class _Begun(Document, frozen=True):
    """An attempt that has begun and not ended."""

    place: _Place
    key: _Key
    started_at: str
    run_url: str | None = None


class Holder(Document, frozen=True):
    """`holder.json`: who is at work in a folder; nobody, once an execution has succeeded there."""

    begun: _Begun | None
    format: int = FORMAT


D = TypeVar("D", bound=Document)


@dataclass(frozen=True)
class Start:
    """What an attempt begins with.

    Args:
        attempts: The earlier ones, the oldest first; with none it begins anew.
        notes: What a reader should know.
    """

    attempts: tuple[Attempt, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """The checkpoint of one execution.

    Args:
        folder: Where the run writes and reads it; nothing else may lie there.
        shown: The same relative to the repository.
        root: The workspace's folder for checkpoints.
        place: Of the execution in `root/kept`.
    """

    folder: Path
    shown: str
    root: Path
    place: str

    def begin(self, key: str, *, started_at: str, run_url: str | None = None) -> Start:
        """Put the checkpoint of `key` where the run finds it, and write down that an attempt has begun.

        Without one the folder is empty afterwards, so that a run that goes on from whatever it finds begins anew too.

        Args:
            key: What `key_of` says of the execution.
            started_at: Now, in ISO 8601.
            run_url: The page of the workflow run.
        """
        notes: list[str] = []
        try:
            last = self._read(self._desk / _HOLDER, Holder, notes)
            if last and last.begun:
                notes += self._keep_lost(last.begun)
            if folders.holds(self.folder):
                folders.discard(self._desk / _ASIDE)
                folders.move(self.folder, self._desk / _ASIDE)
                if not last:
                    aside = (self._desk / _ASIDE).relative_to(self.root.parent.parent).as_posix()
                    notes.append(f"{self.shown}: what lay there is no checkpoint of mlci's: moved to {aside}")
            begun = _Begun(place=self.place, key=key, started_at=started_at, run_url=run_url)
            self._write(self._desk / _HOLDER, Holder(begun=begun))
            found = self._read(self._kept / _ATTEMPTS, Attempts, notes)
            if found and found.key == key and folders.is_folder(self._kept / key):
                folders.move(self._kept / key, self.folder)
                return Start(found.attempts, tuple(notes))
            if found:
                notes.append(f"{self.shown}: the checkpoint that is kept is of other code, inputs or parameters")
        except OSError as error:
            notes.append(self._failure("restored", error))
        return Start((), tuple(notes))

    def keep(self, key: str, attempt: Attempt) -> tuple[str, ...]:
        """Keep what an attempt left that did not succeed; returns notes.

        Only when there is something to keep does the checkpoint of another key go.
        """
        notes: list[str] = []
        kept = self._kept / key
        try:
            if self.folder.is_symlink() or self.folder.is_file():
                return (f"{self.shown}: no checkpoint is kept, since it is no folder",)
            if folders.holds(self.folder):
                folders.discard(kept)
                folders.move(self.folder, kept)
            found = self._read(self._kept / _ATTEMPTS, Attempts, notes)
            mine = found.attempts if found and found.key == key else ()
            if folders.is_folder(kept):
                # Whoever is killed between these lines comes here again with the same attempt.
                earlier = [item for item in mine if item.started_at != attempt.started_at]
                listed = (*earlier, attempt)[-_MAX_ATTEMPTS:]
                self._write(self._kept / _ATTEMPTS, Attempts(key=key, attempts=listed))
                self._remove_all_but(key, _ATTEMPTS)
            elif mine:
                self._remove_all_but()
            (self._desk / _HOLDER).unlink(missing_ok=True)
        except OSError as error:
            notes.append(self._failure("kept", error))
        return tuple(notes)

    def drop(self) -> tuple[str, ...]:
        """Forget it, since the execution has succeeded; returns notes. The folder stays as the run left it."""
        try:
            self._remove_all_but()
            self._write(self._desk / _HOLDER, Holder(begun=None))
        except OSError as error:
            return (self._failure("removed", error),)
        return ()

    def _keep_lost(self, begun: _Begun) -> tuple[str, ...]:
        """Keep what an attempt left during which mlci itself was killed: of this execution, or of another one."""
        lost = Attempt(status="crashed", started_at=begun.started_at, duration_s=0.0, run_url=begun.run_url)
        return dataclasses.replace(self, place=begun.place).keep(begun.key, lost)

    @property
    def _kept(self) -> Path:
        return self.root / "kept" / self.place

    @property
    def _desk(self) -> Path:
        return self.root / "folders" / hashlib.sha256(self.shown.encode()).hexdigest()[:16]

    def _read(self, path: Path, kind: type[D], notes: list[str]) -> D | None:
        try:
            return decode(path.read_bytes(), kind, name=path.name)
        except FileNotFoundError:
            return None
        except DocumentError as error:
            notes.append(f"{self.shown}: a checkpoint may be lost: {error.message}")
            return None

    def _write(self, path: Path, document: Document) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, encode(document))

    def _remove_all_but(self, *names: str) -> None:
        for path in list(self._kept.iterdir()) if self._kept.is_dir() else ():
            if path.name not in names:
                folders.discard(path)

    def _failure(self, what: str, error: OSError) -> str:
        return (
            f"{self.shown}: the checkpoint could not be {what}: {error.strerror or 'files are missing or unreadable'}"
        )


def of(config: Config, run: Run, seed: int | None, workspace: Workspace) -> Checkpoint | None:
    """The checkpoint of one execution of `run`, where it has one.

    Raises:
        ConfigError: What is configured holds more than checkpoints.
    """
    if run.table.checkpoint is None:
        return None
    folder, root = (run.cwd / run.table.checkpoint).resolve(), workspace.folder / _FOLDER
    inside = [path.resolve() for path in (run.cwd, run.path, config.root, root) if path]
    if any(path.is_relative_to(folder) for path in inside):
        raise config.error(
            f"runs.{run.group}.checkpoint",
            f"expected a folder of checkpoints alone, got {run.table.checkpoint!r}",
            hint="It is moved into the workspace when the run does not succeed.",
        )
    return Checkpoint(
        folder=folder,
        shown=folder.relative_to(config.repository).as_posix(),
        root=root,
        place="/".join([run.profile, run.name, *([f"seed-{seed}"] if seed is not None else [])]),
    )


def key_of(run: Run, parameters: Mapping[str, Any], seed: int | None, inputs: Mapping[str, str]) -> str:
    """What a checkpoint must share with the attempt that goes on from it.

    Args:
        run: The run.
        parameters: Those that it receives.
        seed: The seed of this execution.
        inputs: The fingerprints of its source, its table and its inputs.
    """
    whole = [run.name, run.profile, dict(parameters), seed, dict(inputs)]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
