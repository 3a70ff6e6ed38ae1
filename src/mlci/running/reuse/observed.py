# ruff: noqa: PTH110, PTH112, PTH113, PTH117, PTH118, PTH119, PTH120, PTH208 - to pathlib some of a log's texts are errors
"""Reads what the user's processes were seen to do, and tells whether the key of their run covers it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mlci.core.documents import Document
from mlci.running.inputs import sha256
from mlci.running.reuse.places import LITTER, Places, within

MAX_BYTES = 32 * 1024 * 1024
_SHOWN = 5  # so many of the things that stand against reuse are named
_FILES = ("read", "list", "write", "update", "replace")  # what happens to files, by absolute paths
_CODE = (".py", ".so", ".pyd")
_METADATA = (".egg-info", ".dist-info")
# Programs that libraries ask about the machine, and that tell nothing else.
_HARMLESS = ("lscpu", "uname", "ldconfig", "nproc", "getconf", "sysctl", "arch", "locale", "fc-list", "stty", "tput")


class Dependency(Document, frozen=True):
    """A file or folder of the repository that a run read though no declaration names it."""

    path: str  # relative to the repository
    kind: Literal["file", "names"]  # a file's content, or the names in a folder
    sha256: str | None = None  # None: there is no such file


@dataclass(frozen=True)
class Observed:
    """What a run did beside what it declared."""

    dependencies: tuple[Dependency, ...] = ()
    problems: tuple[str, ...] = ()  # why its result must not be used again
    advice: str | None = None

    @property
    def warning(self) -> str | None:
        """One line for the user, if the result must not be used again."""
        if not self.problems:
            return None
        more = f" and {len(self.problems) - _SHOWN} more" if len(self.problems) > _SHOWN else ""
        said = f"not kept for reuse: {', '.join(self.problems[:_SHOWN])}{more}"
        return f"{said}; {self.advice}" if self.advice else said


def read(log: Path, places: Places) -> Observed:
    """Judge the log that the processes of one run wrote; whatever is wrong with it stands against reuse."""
    try:
        with log.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError:
        data = b""
    lines = data.split(b"\n")
    if not any(line.startswith(b"start ") for line in lines):
        return Observed(problems=("no Python of it could be watched",))
    if len(data) > MAX_BYTES or lines.pop():
        return Observed(problems=("the list of what it did is cut off",))
    judge = _Judge(places)
    for line in lines:
        kind, _, what = line.partition(b" ")
        judge.take(kind.decode("ascii", "replace"), os.fsdecode(what).replace("%0A", "\n").replace("%25", "%"))
    return judge.verdict()


def now(dependency: Dependency, places: Places) -> Dependency:
    """The dependency as it is at present."""
    path = os.path.normpath(os.path.join(places.repository, dependency.path))
    if dependency.kind == "names":
        return Dependency(path=dependency.path, kind="names", sha256=_digest_of_names(path, places))
    try:
        digest = sha256(Path(path)) if within(os.path.realpath(path), (places.repository,)) else None
    except (OSError, ValueError):
        digest = None
    return Dependency(path=dependency.path, kind="file", sha256=digest)


@dataclass
class _Judge:
    """Takes one event after the other, in the order in which they happened."""

    places: Places
    written: set[str] = field(default_factory=set)  # by the run itself
    made: set[str] = field(default_factory=set)  # of these, what was not there before and is not declared
    needed: dict[tuple[str, str], None] = field(default_factory=dict)  # (kind, path) of dependencies
    bound: set[str] = field(default_factory=set)  # its own addresses
    problems: dict[str, str] = field(default_factory=dict)  # what it did -> the kind of advice

    def take(self, kind: str, what: str) -> None:
        handlers: dict[str, Callable[[str], None]] = {
            "start": lambda _: None,
            "read": self._read,
            "list": self._list,
            "write": self._write,
            "update": self._update,
            "replace": self._replace,
            "connect": self._connect,
            "bind": self._bind,
            "lookup": lambda host: self._object(f"looks up {host}"),
            "program": self._program,
        }
        handler = handlers.get(kind)
        if handler is None or (kind in _FILES and not os.path.isabs(what)):
            self._object("what it did could not all be told")
        else:
            handler(what)

    def verdict(self) -> Observed:
        left = [path for path in sorted(self.made) if os.path.lexists(path)]
        for path in left:
            self._object(f"writes {self.places.shown(path)}", "output")
        kinds = set(self.problems.values())
        advice = [
            *(["declare what it reads in `inputs`"] if "input" in kinds else []),
            *(["declare what it writes as metrics, artifacts or plots"] if "output" in kinds else []),
        ]
        found = tuple(
            now(Dependency(path=os.path.relpath(path, self.places.repository), kind=kind), self.places)  # type: ignore[arg-type]
            for kind, path in sorted(self.needed)
        )
        return Observed(found, tuple(self.problems), "; ".join(advice) or None)

    def _read(self, path: str) -> None:
        places, path = self.places, _source(path)
        if self._is_known(path) or within(path, places.caches) or set(Path(path).parts) & set(LITTER):
            return
        if within(path, (places.repository,)):
            if os.path.isdir(path):
                return  # its names are asked for by other means
            if not os.path.exists(path) or path.endswith(_CODE) or _is_metadata(path):
                self.needed["file", path] = None
            else:
                self._object(f"reads {places.shown(path)}", "input")
        elif not within(path, places.installed) and os.path.isfile(path):
            self._object(f"reads {path}", "elsewhere")

    def _list(self, path: str) -> None:
        places = self.places
        if self._is_known(path) or (within(path, (*places.caches, *places.scratch)) and not self._is_inside(path)):
            return
        if self._is_inside(path):
            self.needed["names", path] = None
        elif not within(path, places.installed) and os.path.isdir(path):
            self._object(f"lists {path}", "elsewhere")

    def _write(self, path: str) -> None:
        if self._may_write(path):
            self.written.add(path)
        elif path not in self.written:
            self.written.add(path)
            self.made.add(path)

    def _update(self, path: str) -> None:
        if path in self.written or self._is_scrap(path):
            return
        if self.places.is_output(path):
            self._object(f"adds to {self.places.shown(path)}, which was there before")
        else:
            self._object(f"writes {self.places.shown(path)}", "output")

    def _replace(self, path: str) -> None:
        """Removed, moved away, or given another content; of a folder that goes for all that is below it."""
        if self._may_write(path) or self._was_written(path):
            self.written.add(path)
        elif os.path.lexists(path) and not (os.path.isdir(path) and self.places.leads_to_output(path)):
            self._object(f"writes {self.places.shown(path)}", "output")
        elif not os.path.lexists(path):
            self._object(f"removes {self.places.shown(path)}", "output")
        self.written.add(path)

    def _connect(self, address: str) -> None:
        if address not in self.bound:
            self._object(f"connects to {address}")

    def _bind(self, address: str) -> None:
        if address.startswith(("127.", "::1:", "localhost:")):
            self.bound.add(address)
        else:
            self._object(f"listens on {address}")

    def _program(self, program: str) -> None:
        if os.path.basename(program) not in _HARMLESS:
            self._object(f"starts {os.path.basename(program)}")

    def _is_inside(self, path: str) -> bool:
        return within(path, (self.places.repository,))

    def _is_known(self, path: str) -> bool:
        places = self.places
        if within(path, places.own) or places.is_input(path) or self._was_written(path):
            return True
        # The environment may lie in the repository, and the repository in a folder of the system.
        inside = tuple(folder for folder in places.installed if within(folder, (places.repository,)))
        return within(path, inside) and not within(places.repository, inside)

    def _was_written(self, path: str) -> bool:
        return path in self.written or any(str(parent) in self.written for parent in Path(path).parents)

    def _is_scrap(self, path: str) -> bool:
        places = self.places
        if within(path, places.own) or set(Path(path).parts) & set(LITTER) or within(path, ("/dev", "/proc")):
            return True
        scratch = tuple(folder for folder in (*places.scratch, *places.caches) if within(path, (folder,)))
        # The repository may lie in a folder for temporary files: only what lies below it is scratch then.
        return any(not within(places.repository, (folder,)) or not self._is_inside(path) for folder in scratch)

    def _may_write(self, path: str) -> bool:
        return not self.places.is_input(path) and (self._is_scrap(path) or self.places.is_output(path))

    def _object(self, said: str, advice: str = "") -> None:
        self.problems.setdefault(said, advice)


def _source(path: str) -> str:
    """The module that a file of byte code was made from; any other path as it is."""
    folder, name = os.path.split(path)
    if os.path.basename(folder) == "__pycache__" and ".pyc" in name:
        return os.path.join(os.path.dirname(folder), f"{name.partition('.')[0]}.py")
    return path


def _is_metadata(path: str) -> bool:
    return any(part.endswith(_METADATA) for part in Path(path).parts)


def _digest_of_names(folder: str, places: Places) -> str:
    """Of the names in a folder but for what a run may itself put there; of none where there is no folder."""
    try:
        names = sorted(os.listdir(folder))
    except (OSError, ValueError):
        names = []
    own = (*places.own, *places.hidden, *places.scratch)
    kept = [
        name
        for name in names
        for path in [os.path.join(folder, name)]
        if name not in LITTER and not (places.is_output(path) or places.leads_to_output(path) or path in own)
    ]
    return hashlib.sha256("\0".join(kept).encode("utf-8", "surrogateescape")).hexdigest()
