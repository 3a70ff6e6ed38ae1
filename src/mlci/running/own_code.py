"""Code of a checkout that its interpreter imports from outside of the working directory, as another checkout has it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mlci.running.reuse import installed

_PACKAGES = ("lib/python*/site-packages", "Lib/site-packages")


def elsewhere(python: str, path: str, repository: Path, other: Path) -> str:
    """The PYTHONPATH with which `python` imports from `other` what it would import from `repository`.

    What was installed from the repository, editable or not, is found there first, for site-packages come later.

    Args:
        python: The interpreter.
        path: Its PYTHONPATH, or "".
        repository: The top of one checkout.
        other: The top of another.
    """
    found = [*filter(None, path.split(os.pathsep)), *map(str, _installed_from(python, repository))]
    return os.pathsep.join(dict.fromkeys(_moved(entry, repository, other) for entry in found))


def _installed_from(python: str, repository: Path) -> Iterator[Path]:
    """The folders of the repository in which packages lie that the interpreter has."""
    yield from (root for root in installed.look(python).roots if root.is_relative_to(repository))
    prefix = Path(python).parent.parent
    for pattern in _PACKAGES:
        for told in sorted(prefix.glob(f"{pattern}/*.dist-info/direct_url.json")):
            project = _folder(told)
            if project is not None and project.is_relative_to(repository):
                source = project / "src"
                yield source if source.is_dir() else project


def _folder(told: Path) -> Path | None:
    """Where a distribution was installed from, if that is a folder (PEP 610)."""
    try:
        said = json.loads(told.read_bytes())
        url = urlsplit(said["url"]) if "dir_info" in said else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Path(unquote(url.path)).resolve() if url and url.scheme == "file" else None


def _moved(entry: str, repository: Path, other: Path) -> str:
    place = Path(entry).resolve() if os.path.isabs(entry) else None  # noqa: PTH117 - "" and "." are no places
    if place is None or not place.is_relative_to(repository):
        return entry
    return str(other / place.relative_to(repository))
