"""Reads what an API answered, every level of which may be missing or of another type."""

from __future__ import annotations

from typing import Any

from mlci.errors import ForgeError


def at(value: Any, *path: str) -> Any:  # noqa: ANN401 - JSON
    """What lies at `path`, or None."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def text(value: Any, *path: str) -> str | None:  # noqa: ANN401 - JSON
    """The text or whole number at `path` as text, or None."""
    found = at(value, *path)
    if isinstance(found, str):
        return found
    return str(found) if isinstance(found, int) and not isinstance(found, bool) else None


def required(value: Any, *path: str) -> str:  # noqa: ANN401 - JSON
    """The same; a ForgeError where there is none."""
    found = text(value, *path)
    if not found:
        raise ForgeError(f"GitHub's answer lacks {'.'.join(path)}")
    return found


def number(value: Any, *path: str) -> int:  # noqa: ANN401 - JSON
    """The whole number at `path`; a ForgeError where there is none."""
    found = at(value, *path)
    if not isinstance(found, int) or isinstance(found, bool):
        raise ForgeError(f"GitHub's answer lacks {'.'.join(path)}")
    return found
