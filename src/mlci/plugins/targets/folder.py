"""A target in a folder: a server's disk, a shared one, or a laptop's."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mlci.core import versions
from mlci.errors import DeployError
from mlci.plugins.targets import manifest, rules
from mlci.plugins.targets.interface import Deployed, Package, TargetSite, TargetStatus, sha256_of
from mlci.plugins.targets.refusals import refusals

_HINT = "Check that the folder exists and that you may write there."


@dataclass(frozen=True, kw_only=True)
class FolderTarget:
    """Keeps `MODEL/versions/VERSION/FILE`; the link `MODEL/current` points at the version that is served.

    A version is copied under another name and renamed when it is whole, the link is replaced by a rename: a reader sees
    the old or the new. Whoever writes holds a lock on `MODEL/.lock`, which its end releases however it comes.

    Args:
        path: The folder, absolute or as seen from the checkout; made when something is deployed.
        site: Where mlci runs.
    """

    name: ClassVar[str] = "folder"
    stages: ClassVar[bool] = True

    path: str
    site: TargetSite

    def status(self, model: str) -> TargetStatus:
        """What is there, see `Target.status`."""
        with refusals(self, hint=_HINT):
            return self._status(model)

    def upload(self, package: Package) -> None:
        """Copy a version, see `Target.upload`."""
        with refusals(self, hint=_HINT):
            rules.check_package(package)
            final = self._folder(package.model) / "versions" / package.version
            with self._locked(package.model):
                if not rules.is_held(package, self._kept(package.model)):
                    _copy(package, final)
                _check(package, final)

    def switch(self, model: str, to: Deployed, *, expected: Deployed | None) -> None:
        """Point `current` at another version, see `Target.switch`."""
        with refusals(self, hint=_HINT):
            rules.check_version(to.version)
            with self._locked(model):
                if rules.may_switch(self._status(model), to, expected):
                    link = self._folder(model) / ".current.tmp"
                    link.unlink(missing_ok=True)
                    link.symlink_to(Path("versions", to.version))
                    link.replace(self._folder(model) / "current")

    def describe(self) -> str:
        """The folder, in words."""
        return f"folder {self.path}"

    def _folder(self, model: str) -> Path:
        rules.check_model(model)
        return self.site.folder / self.path / model

    def _status(self, model: str) -> TargetStatus:
        kept = self._kept(model)
        try:
            version = (self._folder(model) / "current").readlink().name
        except FileNotFoundError:
            return TargetStatus(current=None, kept=kept)
        current = next((item for item in kept if item.version == version), None)
        if current is None:
            raise DeployError(f"{model}/current points at {version}, which is not there or damaged")
        return TargetStatus(current=current, kept=kept)

    def _kept(self, model: str) -> tuple[Deployed, ...]:
        folder = self._folder(model) / "versions"
        found = []
        for path in folder.iterdir() if folder.is_dir() else ():
            name, file = path.name, path / rules.MANIFEST
            if versions.parse(name) and file.is_file():
                what = f"{model}/versions/{name}/{rules.MANIFEST}"
                found.append(manifest.read_manifest(file.read_bytes(), what, model=model, version=name).deployed)
        return rules.sorted_by_version(found)

    @contextmanager
    def _locked(self, model: str) -> Iterator[None]:
        """Alone among those who write to this model, on this machine or (NFS 4) on others."""
        folder = self._folder(model)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _copy(package: Package, final: Path) -> None:
    """Copy everything under another name, then rename; what a dead process left is replaced."""
    temporary = final.with_name(f".{final.name}.tmp")
    for leftover in (temporary, final):  # `final` without a manifest is nobody's version
        if leftover.exists():
            shutil.rmtree(leftover)
    temporary.mkdir(parents=True)
    for file in package.files:
        shutil.copyfile(package.folder / file.name, temporary / file.name)
    _check(package, temporary)
    (temporary / rules.MANIFEST).write_bytes(manifest.encode(manifest.manifest_of(package)))
    temporary.rename(final)


def _check(package: Package, folder: Path) -> None:
    for file in package.files:
        path = folder / file.name
        if not path.is_file():
            raise DeployError(f"{file.name} of {package.model} {package.version} is missing there")
        rules.check_file(file, path.stat().st_size, sha256_of(path), "there")
