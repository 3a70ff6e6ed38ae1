"""Moves and removes folders so that whatever interrupts it leaves each whole, in one place or the other."""

from __future__ import annotations

import errno
import shutil
import stat
from pathlib import Path


def is_folder(path: Path) -> bool:
    """Whether it is a folder itself, and no link to one."""
    return path.is_dir() and not path.is_symlink()


def holds(folder: Path) -> bool:
    """Whether anything is there; an empty folder is as good as none."""
    return any(folder.iterdir()) if is_folder(folder) else folder.is_symlink() or folder.exists()


def move(source: Path, target: Path) -> None:
    """Move a folder to where nothing is, whole or not at all, to another file system too; links stay links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        target.rmdir()
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        partial = target.with_name(f".{target.name}.partial")
        discard(partial)
        shutil.copytree(source, partial, symlinks=True, ignore=_without_content)
        partial.replace(target)
        discard(source)


def _without_content(folder: str, names: list[str]) -> list[str]:
    """Pipes, sockets and devices, which a copy would wait for."""
    copied = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
    return [name for name in names if stat.S_IFMT(Path(folder, name).lstat().st_mode) not in copied]


def discard(path: Path) -> None:
    """Remove it, by one rename first: what is half removed must not be taken for whole."""
    doomed = path.with_name(f".{path.name}.gone")
    _remove(doomed)
    if path.is_symlink() or path.exists():
        path.replace(doomed)
        _remove(doomed)


def _remove(path: Path) -> None:
    if is_folder(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
