"""Puts files into somebody's repository: new ones whole or not at all, and those that are there left as they are."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlci.errors import UsageError
from mlci.workspace import write_atomically

_MAX_BYTES = 1024 * 1024


@dataclass(frozen=True)
class File:
    """A file to write, and what is in its place now."""

    path: str
    text: str
    present: str | None

    @property
    def state(self) -> Literal["new", "same", "different"]:
        """How the two compare."""
        return "new" if self.present is None else "same" if self.present == self.text else "different"

    def diff(self) -> Iterator[str]:
        """What writing it would change, line by line."""
        before = (self.present or "").splitlines()
        name = f"a/{self.path}" if self.present is not None else "/dev/null"
        yield from difflib.unified_diff(before, self.text.splitlines(), name, f"b/{self.path}", lineterm="")


def compared(root: Path, files: Mapping[str, str]) -> list[File]:
    """The files to write beside those that are there.

    Raises:
        UsageError: One would lie outside of the repository, through a link.
    """
    return [File(path, text, _present(root, path)) for path, text in files.items()]


def _present(root: Path, path: str) -> str | None:
    place = root / path
    if not place.parent.resolve().is_relative_to(root) or place.is_symlink():
        raise UsageError(
            f"{path} is a link, or lies behind one", hint="Replace the link: mlci writes no further than here."
        )
    try:
        if place.stat().st_size > _MAX_BYTES:
            return ""
        return place.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def write(root: Path, file: File) -> None:
    """Write one file at once.

    Raises:
        UsageError: The folder cannot be written.
    """
    place = root / file.path
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, file.text.encode())
    except OSError as error:
        raise UsageError(f"{file.path} cannot be written: {error.strerror}") from None
