"""One `git cat-file` that stays: a process a question would take most of the time of a fault test."""

from __future__ import annotations

import re
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

from fakes.repositories import ENVIRON

_FOUND = re.compile(rb"([0-9a-f]{40}) (\w+) (\d+)\n")


@dataclass(frozen=True)
class Object:
    """An object of git; `data` is empty where only its kind was asked for."""

    sha: str
    kind: str
    data: bytes = b""


@dataclass
class Objects:
    """The objects of a repository, by anything that names them; started at the first question."""

    folder: Path
    _process: subprocess.Popen[bytes] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def info(self, name: str) -> Object | None:
        """What a name stands for, without its content; None where there is no such thing."""
        return self._ask("info", name)

    def read(self, name: str) -> Object | None:
        """The same with its content."""
        return self._ask("contents", name)

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self._process is not None:
                self._process.communicate()
                self._process = None

    def _ask(self, command: str, name: str) -> Object | None:
        if "\n" in name or "\0" in name:
            return None
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    ["git", "-C", str(self.folder), "cat-file", "--batch-command"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=ENVIRON,
                )
            asking, answering = self._process.stdin, self._process.stdout
            assert asking is not None
            assert answering is not None
            asking.write(f"{command} {name}\n".encode())
            asking.flush()
            found = _FOUND.fullmatch(answering.readline())
            if found is None:
                return None
            data = b""
            if command == "contents":
                data = answering.read(int(found[3]))
                answering.read(1)
            return Object(found[1].decode(), found[2].decode(), data)
