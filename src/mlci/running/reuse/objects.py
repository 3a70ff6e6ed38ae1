"""A folder of files called after their content, safe for several writers, trimmed to a size by least recent use."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CHUNK = 1024 * 1024
_ROOM = 0.9  # a folder that is too large is trimmed to this part of its size, so as not to trim at each addition
_ABANDONED_S = 3600  # a temporary file of that age has lost its writer


class DamagedError(Exception):
    """A file is not there, or not what its name says."""


@dataclass(frozen=True)
class Objects:
    """One folder."""

    folder: Path

    def put(self, source: Path) -> str:
        """Take in a copy of `source`; the sha256 of what was copied."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with _beside(self.folder / "new") as temporary:
            digest = _copy(source, temporary)
            target = self._path(digest)
            target.parent.mkdir(exist_ok=True)
            temporary.replace(target)
        return digest

    def copy(self, digest: str, target: Path) -> None:
        """Copy what is called `digest` to `target`, a new file.

        Raises:
            DamagedError: It is not there, or not what it was; then it is removed.
        """
        source = self._path(digest)
        try:
            found = _copy(source, target)
        except FileNotFoundError:
            raise DamagedError(f"{digest[:10]} is not there") from None
        if found != digest:
            source.unlink(missing_ok=True)
            raise DamagedError(f"{digest[:10]} is damaged")
        touch(source)

    def _path(self, digest: str) -> Path:
        return self.folder / digest[:2] / digest


def touch(path: Path) -> None:
    """Say that a file was used just now; a folder that cannot be written is used all the same."""
    with contextlib.suppress(OSError):
        os.utime(path)


def trim(folder: Path, max_bytes: int) -> None:
    """Remove the files below `folder` that were used least recently, until they are at most `max_bytes`."""
    files: list[tuple[float, int, Path]] = []
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # another process trims as well
            if path.is_file() and path.name != ".gitignore":
                seen = path.stat()
                if path.name.startswith(".new") and time.time() - seen.st_mtime > _ABANDONED_S:
                    path.unlink()
                else:
                    files.append((seen.st_mtime, seen.st_size, path))
    total = sum(size for _, size, _ in files)
    if total <= max_bytes:
        return
    for _, size, path in sorted(files):
        with contextlib.suppress(OSError):
            path.unlink()
        total -= size
        if total <= _ROOM * max_bytes:
            return


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """The name of a temporary file that is moved to where it belongs, or removed."""
    temporary = target.with_name(f".new-{uuid.uuid4().hex}")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> str:
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("xb") as writing:
        while chunk := reading.read(_CHUNK):
            digest.update(chunk)
            writing.write(chunk)
    return digest.hexdigest()
