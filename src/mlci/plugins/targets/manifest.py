"""The small JSON documents that targets keep beside the files, read as strictly as anything from outside."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from mlci.core import versions
from mlci.errors import DeployError
from mlci.plugins.targets import rules
from mlci.plugins.targets.interface import Deployed, Package, PackageFile, TargetStatus

FORMAT = 1
MAX_BYTES = 1024 * 1024
T = TypeVar("T", bound=msgspec.Struct)


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a version is made of; its presence says that the version is whole."""

    model: str
    version: str
    digest: str
    files: tuple[PackageFile, ...]
    format: int = FORMAT

    @property
    def deployed(self) -> Deployed:
        """Which version it is."""
        return Deployed(version=self.version, digest=self.digest)


class Pointer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which version is served."""

    version: str
    digest: str
    format: int = FORMAT

    @property
    def deployed(self) -> Deployed:
        """Which version it is."""
        return Deployed(version=self.version, digest=self.digest)


def manifest_of(package: Package) -> Manifest:
    """What a package is made of."""
    return Manifest(model=package.model, version=package.version, digest=package.digest, files=package.files)


def encode(document: object) -> bytes:
    """JSON that a person can read; the same bytes for the same content."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def read_manifest(data: bytes, what: str, *, model: str | None = None, version: str | None = None) -> Manifest:
    """The manifest in `data`, of that model and version where they are given.

    Raises:
        DeployError: It is something else; `what` names it.
    """
    found = _read(data, Manifest, what)
    for name in (file.name for file in found.files):
        rules.check_file_name(name)
    if (model or found.model, version or found.version) != (found.model, found.version):
        raise DeployError(f"{what} is of {found.model} {found.version}")
    return found


def read_pointer(data: bytes, what: str) -> Deployed:
    """The version that a pointer names."""
    return _read(data, Pointer, what).deployed


def read_status(data: bytes, what: str) -> TargetStatus:
    """What somebody else's program says that it holds: `{"current": {"version", "digest"} | null, "kept": [...]}`."""
    found = _decode(data, TargetStatus, what)
    for item in (*found.kept, *filter(None, [found.current])):
        if versions.parse(item.version) is None:
            raise DeployError(f"{what} names {item.version!r}, which is not a version")
    return TargetStatus(current=found.current, kept=rules.sorted_by_version(found.kept))


def _read(data: bytes, kind: type[T], what: str) -> T:
    found: Any = _decode(data, kind, what)
    if found.format != FORMAT:
        raise DeployError(f"{what} has format {found.format}; this mlci reads {FORMAT}", hint="Use a newer mlci.")
    rules.check_version(found.version)
    return found  # type: ignore[no-any-return]


def _decode(data: bytes, kind: Any, what: str) -> Any:  # noqa: ANN401 - of that kind
    if len(data) > MAX_BYTES:
        raise DeployError(f"{what} is larger than {MAX_BYTES:,} bytes")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DeployError(f"{what} cannot be read: {error}") from None
