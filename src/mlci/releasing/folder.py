"""A release as a flat folder: its files, `release.json`, and `SHA256SUMS` over all of them, whose digest names it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlci.core.documents import decode, digest, encode
from mlci.core.release import Release
from mlci.errors import DeployError, DocumentError
from mlci.plugins.targets.interface import Package, PackageFile, sha256_of
from mlci.workspace import write_atomically

FOLDER = "release"
RELEASE, SUMS, SIGNATURE = "release.json", "SHA256SUMS", "model.sig"
_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9][A-Za-z0-9._-]{0,199})")
_MAX_FILES = 990  # GitHub takes 1,000 a release
_MAX_DOCUMENT = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class ReleaseFolder:
    """A release whose files were all found to be what `SHA256SUMS` says."""

    folder: Path
    release: Release
    digest: str

    def package(self, folder: Path | None = None) -> Package:
        """What a target gets: every file but the signature, and `SHA256SUMS` itself."""
        names = [*sorted(sums(self.folder)), SUMS]
        files = tuple(
            PackageFile(name=name, size=path.stat().st_size, sha256=sha256_of(path))
            for name, path in ((name, self.folder / name) for name in names)
            if path.is_file()
        )
        return Package(
            model=self.release.model,
            version=self.release.version,
            digest=self.digest,
            folder=folder or self.folder,
            files=files,
        )


def write(folder: Path, release: Release) -> str:
    """Write `release.json` and `SHA256SUMS` beside the files; the release's digest."""
    write_atomically(folder / RELEASE, encode(release))
    names: Sequence[str] = sorted(path.name for path in folder.iterdir() if path.name not in (SUMS, SIGNATURE))
    lines = [f"{sha256_of(folder / name)}  {name}\n" for name in names if not name.startswith(".")]
    data = "".join(sorted(lines, key=lambda line: line[66:])).encode()
    write_atomically(folder / SUMS, data)
    return digest(data)


def read(folder: Path) -> ReleaseFolder:
    """Read and check a release; nothing of it is used before all of it is as its sums say.

    Raises:
        DeployError: A file is missing, is another, or was not there to be summed.
        DocumentError: `release.json` is not one.
    """
    listed = sums(folder)
    for name, expected in listed.items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise DeployError(f"{name}: it is in {SUMS}, and not in {folder.name}/", hint="Fetch the release again.")
        if sha256_of(path) != expected:
            raise DeployError(f"{name}: not what {SUMS} says", hint="Fetch the release again; nothing was deployed.")
    unknown = [path.name for path in folder.iterdir() if path.name not in {*listed, SUMS, SIGNATURE}]
    if unknown:
        raise DeployError(f"{min(unknown)}: it is in {folder.name}/, and not in {SUMS}")
    if RELEASE not in listed:
        raise DeployError(f"{SUMS} does not name {RELEASE}")
    data = (folder / RELEASE).read_bytes()
    release = decode(data, Release, name=RELEASE)
    for file in release.files:
        if listed.get(file.name) != file.sha256:
            raise DocumentError(f"{RELEASE}: {file.name}: its sha256 is not that of {SUMS}")
    return ReleaseFolder(folder=folder, release=release, digest=digest((folder / SUMS).read_bytes()))


def sums(folder: Path) -> dict[str, str]:
    """`SHA256SUMS`, by name.

    Raises:
        DeployError: There is none, or a line of it is not one.
    """
    path = folder / SUMS
    if not path.is_file():
        raise DeployError(
            f"{folder.name}/{SUMS}: there is none", hint="Make it with `mlci release`, or name a release."
        )
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        match = _LINE.fullmatch(line)
        if not match or match[2] in found or len(found) >= _MAX_FILES:
            raise DeployError(f"{SUMS}: not a list of digests: {line[:80]!r}")
        found[match[2]] = match[1]
    return found
