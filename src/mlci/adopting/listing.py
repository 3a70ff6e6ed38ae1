"""The files of somebody's repository: those that git knows or would take, and no more of them than can be looked at."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mlci.core.metric import listed as words
from mlci.errors import UsageError
from mlci.git import Git, top_level

MAX_FILES = 50_000
MAX_READ = 20 * 1024 * 1024  # of any file
MAX_TEXT = 512 * 1024  # of a file that people write
# Other people's code, and what tools leave behind: should somebody have committed it.
_NOT_OURS = words(
    ".ipynb_checkpoints .mlci .nox .tox .venv __pycache__ env node_modules site-packages third_party vendor venv",
    "virtualenv lightning_logs mlruns wandb",
)


@dataclass(frozen=True)
class Listing:
    """A repository's files by their paths from its top, with forward slashes."""

    root: Path
    files: tuple[str, ...]
    left_out: int = 0  # files beyond `MAX_FILES`, or of names that no configuration can hold

    @cached_property
    def _set(self) -> frozenset[str]:
        return frozenset(self.files)

    @cached_property
    def _folders(self) -> frozenset[str]:
        found = {""}
        for path in self.files:
            folder = posixpath.dirname(path)
            while folder not in found:
                found.add(folder)
                folder = posixpath.dirname(folder)
        return frozenset(found)

    def __contains__(self, path: str) -> bool:
        """Whether it is a file or a folder here."""
        return path in self._set or path in self._folders

    def is_file(self, path: str) -> bool:
        """Whether git has this file, or would take it."""
        return path in self._set

    def inside(self, folder: str) -> list[str]:
        """The files right in a folder, "" being the top."""
        return [path for path in self.files if posixpath.dirname(path) == folder]

    def data(self, path: str, limit: int = MAX_TEXT) -> bytes | None:
        """A file's content; None where it is none, a link, larger than `limit`, or cannot be read."""
        place = self.root / path
        try:
            if not self.is_file(path) or place.is_symlink() or place.stat().st_size > limit:
                return None
            with place.open("rb") as file:
                found = file.read(limit + 1)
        except OSError:
            return None
        return found if len(found) <= limit else None

    def size(self, path: str) -> int:
        """A file's size, no more than is ever read of one."""
        try:
            return min((self.root / path).lstat().st_size, MAX_READ)
        except OSError:
            return 0

    def text(self, path: str, limit: int = MAX_TEXT) -> str | None:
        """A file's content as text; None where `data` is."""
        found = self.data(path, limit)
        return None if found is None else found.decode("utf-8-sig", "replace")


def listed(folder: Path, environ: Mapping[str, str]) -> Listing:
    """The files of the repository that `folder` lies in; what git ignores is none of them.

    Raises:
        UsageError: There is no repository.
    """
    root = top_level(folder, environ)
    if root is None:
        raise UsageError(
            f"{folder.name or folder} lies in no git repository",
            hint="mlci compares commits: run `git init` and commit your code first.",
        )
    said = Git(root, environ).output("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
    paths = sorted(item.decode("utf-8", "surrogateescape") for item in said.split(b"\0") if item)
    own = [path for path in paths if not _NOT_OURS & set(path.split("/")[:-1])]
    usable = [path for path in own if path.isprintable() and "\\" not in path]
    return Listing(root.resolve(), tuple(usable[:MAX_FILES]), left_out=len(own) - len(usable[:MAX_FILES]))
