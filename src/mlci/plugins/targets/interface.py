"""What a deploy target is: it takes the files of a release beside the current ones, switches to them, and back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

_CHUNK = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class PackageFile:
    """A file to deploy."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Package:
    """The files of one release, on disk and checked against their digests.

    Args:
        model: Its name, of letters, digits, "-" and "_".
        version: Such as "v1.2.0".
        digest: The sha256 of the release's SHA256SUMS: two packages of one digest are the same.
        folder: Where the files lie, flat.
        files: Every one of them.
    """

    model: str
    version: str
    digest: str
    folder: Path
    files: tuple[PackageFile, ...]


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """A version that a target holds."""

    version: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class TargetStatus:
    """What a target holds of a model.

    Args:
        current: What it serves; None before the first deployment.
        kept: Every version that it could serve now, `current` among them.
    """

    current: Deployed | None
    kept: tuple[Deployed, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TargetSite:
    """Where mlci runs: what every target is given beside its own options.

    Args:
        folder: The user's checkout; relative paths of options are seen from here.
        environ: mlci's own environment, credentials of the target among it.
        warn: Takes one line for the user.
    """

    folder: Path
    environ: Mapping[str, str] = field(repr=False)
    warn: Callable[[str], None] = lambda _line: None


class Target(Protocol):
    """Serves models.

    A target is a frozen dataclass whose fields are its options, and `site`. Every method raises DeployError, with one
    line that names the target, where it cannot be reached, refuses, or lacks credentials, and ConflictError where
    somebody else switched first. All of them may be repeated: after a crash the same calls end in the same state.
    """

    name: ClassVar[str]

    @property
    def stages(self) -> bool:
        """Whether `upload` leaves what is served as it is; where not, a deployment takes effect at once."""
        ...

    @property
    def site(self) -> TargetSite:
        """Where mlci runs."""
        ...

    def status(self, model: str) -> TargetStatus:
        """What is there."""
        ...

    def upload(self, package: Package) -> None:
        """Put a version beside the current one and check it by digest where it now lies; one that is there is kept."""
        ...

    def switch(self, model: str, to: Deployed, *, expected: Deployed | None) -> None:
        """Serve `to`, which was uploaded, in place of `expected`; in one step, and not if something else is served.

        Serving `to` already is no error.
        """
        ...

    def describe(self) -> str:
        """Where models go, in words, without credentials."""
        ...


def sha256_of(path: Path) -> str:
    """The digest of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
