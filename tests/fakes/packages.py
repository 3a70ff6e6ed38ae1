"""Packages to deploy."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mlci.plugins.targets.interface import Deployed, Package, PackageFile


def package(folder: Path, version: str = "v1.0.0", *, model: str = "churn", **files: bytes) -> Package:
    """A package of `files` (names with `__` for the dot), by default a model, a card and an empty file."""
    contents = {name.replace("__", "."): content for name, content in files.items()} or {
        "model.bin": b"weights of " + version.encode(),
        "card.md": f"# {version}\n".encode(),
        "empty.txt": b"",
    }
    place = folder / f"{model}-{version}"
    place.mkdir(parents=True, exist_ok=True)
    listed = []
    for name, content in contents.items():
        (place / name).write_bytes(content)
        listed.append(PackageFile(name=name, size=len(content), sha256=hashlib.sha256(content).hexdigest()))
    sums = "".join(f"{file.sha256}  {file.name}\n" for file in listed)
    digest = hashlib.sha256(sums.encode()).hexdigest()
    return Package(model=model, version=version, digest=digest, folder=place, files=tuple(listed))


def deployed(item: Package) -> Deployed:
    """The version that a package is."""
    return Deployed(version=item.version, digest=item.digest)
