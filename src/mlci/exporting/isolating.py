"""A clean copy of a repository's files, made anew for every execution at one and the same path."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mlci import git
from mlci.errors import GitError, UsageError

_MAX_FILES = 100_000
_MAX_BYTES = 4 * 1024**3
# Of what lies in no git repository; and what no execution is asked for.
_NOT_COPIED = frozenset({".git", ".hg", ".mlci", ".mlci-reuse", ".venv", "venv", "node_modules", ".tox", ".mypy_cache"})
_NOT_WRITTEN = frozenset({".git", ".mlci", "__pycache__", ".ipynb_checkpoints"})
_HINT = "Name what is not needed in .gitignore."

Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class Copy:
    """The place where executions happen, and what each of them left."""

    source: Path
    folder: Path  # holds the tree and what was kept
    environ: Mapping[str, str] = field(repr=False)
    carried: Sequence[Path] = ()  # of `source`, though git does not hold them

    @property
    def tree(self) -> Path:
        """The copy."""
        return self.folder / "tree"

    def renew(self, more: Mapping[str, bytes]) -> dict[str, Stamp]:
        """Make the copy anew, with further files; what lies there, by path."""
        shutil.rmtree(self.tree, ignore_errors=True)
        self.tree.mkdir(parents=True)
        files = size = 0
        for name in _files(self.source, self.environ):
            files, size = files + 1, size + _copied(self.source / name, self.tree / name)
            if files > _MAX_FILES or size > _MAX_BYTES:
                most = f"{_MAX_FILES:,} files or {_MAX_BYTES // 1024**3} GiB"
                raise UsageError(f"the repository is larger than {most}: it is not copied for --check", hint=_HINT)
        for place in self.carried:
            _carry(place, self.tree / place.relative_to(self.source))
        self._adopt_history()
        for name, content in more.items():
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return self.stamps()

    def stamps(self) -> dict[str, Stamp]:
        """Every file of the copy, with what shows whether it was written."""
        found: dict[str, Stamp] = {}
        ahead = [self.tree]
        while ahead:
            with os.scandir(ahead.pop()) as entries:
                for entry in entries:
                    if entry.name in _NOT_WRITTEN:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        ahead.append(Path(entry.path))
                    elif entry.is_file(follow_symlinks=False):
                        stat = entry.stat(follow_symlinks=False)
                        name = Path(entry.path).relative_to(self.tree).as_posix()
                        found[name] = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
                        if len(found) > 2 * _MAX_FILES:
                            raise UsageError(f"more than {2 * _MAX_FILES:,} files: they are not compared", hint=_HINT)
        return found

    def keep(self, names: Sequence[str], into: str) -> dict[str, Path]:
        """Take files out of the copy."""
        kept = {}
        for name in names:
            target = self.folder / into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            kept[name] = Path(shutil.move(self.tree / name, target))
        return kept

    def _adopt_history(self) -> None:
        """Let git say there what it says in the source: its commit, and what is not committed."""
        common = git.common_folder(self.source, self.environ)
        head = git.head(self.source, self.environ).commit if common else None
        made = git.Git(self.tree, self.environ)
        try:
            made.run("init", "--quiet", "--template=", ".")
            if common and head:
                alternates = self.tree / ".git/objects/info/alternates"
                alternates.parent.mkdir(parents=True, exist_ok=True)
                alternates.write_bytes(os.fsencode(common / "objects") + b"\n")
                made.run("update-ref", "--no-deref", "HEAD", head)
                made.run("read-tree", "HEAD")
        except GitError:
            return  # it is a convenience for code that asks for the commit


@contextmanager
def copied(source: Path, environ: Mapping[str, str], carried: Sequence[Path] = ()) -> Iterator[Copy]:
    """A place for copies of the repository at `source`."""
    with tempfile.TemporaryDirectory(prefix="mlci-export-", ignore_cleanup_errors=True) as folder:
        yield Copy(source, Path(folder).resolve(), environ, carried)


def _files(source: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """What belongs to the repository: tracked, or neither tracked nor ignored; all of a folder without git."""
    if git.top_level(source, environ) is not None:
        listed = git.Git(source, environ).output("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        for path in dict.fromkeys(map(os.fsdecode, filter(None, listed.split(b"\0")))):
            if not {".git", ".mlci"} & set(PurePosixPath(path).parts):
                yield path
        return
    for folder, folders, names in os.walk(source):
        folders[:] = sorted(name for name in folders if name not in _NOT_COPIED)
        for name in sorted(names):
            yield Path(folder, name).relative_to(source).as_posix()


def _copied(source: Path, target: Path) -> int:
    """Copy one file or link, unless it is gone; its size."""
    try:
        if source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source.readlink())
            return 0
        if not source.is_file():  # a submodule, or removed
            return 0
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
        return target.stat().st_size
    except OSError as error:
        raise UsageError(f"{source.name}: cannot be copied: {error.strerror or error}") from None


def _carry(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, symlinks=True)
    elif source.is_file() and not target.exists():
        _copied(source, target)
