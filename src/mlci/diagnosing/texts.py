"""Files of a repository that may be anybody's: a link of it can lead to a device that never ends."""

from __future__ import annotations

from pathlib import Path


def text_in(path: Path, limit: int) -> str | None:
    """The text of a file; None for what is no file, has more than `limit` bytes, or is no UTF-8."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            data = file.read(limit + 1)
        return data.decode() if len(data) <= limit else None
    except (OSError, UnicodeDecodeError):
        return None
