"""What holds for every target: which names become paths, that files are what they claim, who may switch."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mlci.core import versions
from mlci.core.registry import MODEL_PATTERN
from mlci.errors import ConflictError, DeployError
from mlci.plugins.targets.interface import Deployed, Package, PackageFile, TargetStatus, sha256_of

MANIFEST = "mlci.json"  # beside a version's files: what they are; written last
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+@=-]{0,199}")


def check_model(model: str) -> None:
    """Refuse what is not a model's name, before it becomes part of a path or a URL."""
    if not re.fullmatch(MODEL_PATTERN, model):
        raise DeployError(f"{model!r} is not a model's name")


def check_version(version: str) -> None:
    """Refuse what is not a version."""
    if versions.parse(version) is None:
        raise DeployError(f"{version!r} is not a version such as v1.2.0")


def check_file_name(name: str) -> None:
    """Refuse a name that could leave its folder, or that is taken."""
    if not _FILE_NAME.fullmatch(name) or name == MANIFEST:
        raise DeployError(f"{name!r} cannot be the name of a deployed file")


def check_package(package: Package) -> None:
    """Refuse a package whose names or files are not what they should be, before anything is sent."""
    check_model(package.model)
    check_version(package.version)
    for file in package.files:
        check_file_name(file.name)
        path = package.folder / file.name
        if path.is_symlink() or not path.is_file():
            raise DeployError(f"{file.name} of {package.model} {package.version} is not in the package")
        check_file(file, path.stat().st_size, sha256_of(path), "here")


def check_file(file: PackageFile, size: int, sha256: str, where: str) -> None:
    """Refuse a file that is another one `where` it lies."""
    if (size, sha256) != (file.size, file.sha256):
        raise DeployError(
            f"{file.name} has another digest {where}: expected sha256 {file.sha256} ({file.size:,} bytes), "
            f"found {sha256} ({size:,} bytes)"
        )


def is_held(package: Package, kept: Iterable[Deployed]) -> bool:
    """Whether the version is there already; one of the same name and another content is refused."""
    found = next((item for item in kept if item.version == package.version), None)
    if found and found.digest != package.digest:
        raise DeployError(
            f"{package.model} {package.version} is there already, made of other files",
            hint="Release a new version: one that was deployed is never overwritten.",
        )
    return found is not None


def may_switch(status: TargetStatus, to: Deployed, expected: Deployed | None) -> bool:
    """Whether there is anything to switch; raises where it must not be."""
    if status.current == to:
        return False
    if status.current != expected:
        raise conflict(to, expected, status.current)
    if to not in status.kept:
        raise DeployError(f"{to.version} cannot be switched to: it was not uploaded, or is another one there")
    return True


def conflict(to: Deployed, expected: Deployed | None, found: Deployed | None) -> ConflictError:
    """Somebody else was first."""
    return ConflictError(
        f"not switched to {to.version}: somebody else switched first, {_named(found)} is served instead of "
        f"{_named(expected)}",
        hint="Look at what is served now, then deploy again if it should still be replaced.",
    )


def sorted_by_version(kept: Iterable[Deployed]) -> tuple[Deployed, ...]:
    """The oldest first."""
    known = [(version, item) for item in kept if (version := versions.parse(item.version))]
    return tuple(item for _, item in sorted(known, key=lambda pair: pair[0]))


def _named(deployed: Deployed | None) -> str:
    return deployed.version if deployed else "nothing"
