"""What an interpreter has installed beyond names and versions: folders of the repository, and code built from it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Installed:
    """What versions do not tell of an environment."""

    roots: tuple[Path, ...] = ()  # folders that .pth files add to the path, as editable installations do
    built: tuple[tuple[str, str], ...] = ()  # distribution -> digest, of those that no index vouches for


@cache
def look(python: str) -> Installed:
    """What lies in the environment of the interpreter `python`.

    A distribution that was installed from a folder, an archive or a version control system keeps its version while its
    code changes; its RECORD holds the digest of every file.
    """
    roots: list[Path] = []
    built: dict[str, str] = {}
    for packages in _site_packages(Path(python)):
        for file in sorted(packages.glob("*.pth")):
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            roots += [Path(line) for line in lines if line and not line.startswith("import") and Path(line).is_dir()]
        for told in sorted(packages.glob("*.dist-info/direct_url.json")):
            record = told.with_name("RECORD")
            content = told.read_bytes() + (record.read_bytes() if record.is_file() else b"")
            built[told.parent.name.partition("-")[0].lower().replace("_", "-")] = hashlib.sha256(content).hexdigest()
    return Installed(tuple(root.resolve() for root in roots), tuple(sorted(built.items())))


def _site_packages(python: Path) -> list[Path]:
    prefix = python.parent.parent
    return sorted([*prefix.glob("lib/python*/site-packages"), *prefix.glob("Lib/site-packages")])
