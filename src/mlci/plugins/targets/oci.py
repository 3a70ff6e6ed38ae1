"""A target in an OCI registry: an artifact a version, which `oras pull` and every registry's tools understand.

The distribution API takes six requests; a small client on `requests` does them within our own deadlines and shows no
credentials, where the `oras` package brings Docker's configuration files, its own retries and its own log lines.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from mlci.core import versions
from mlci.errors import DeployError
from mlci.plugins.targets import http, manifest, rules
from mlci.plugins.targets.interface import Deployed, Package, TargetSite, TargetStatus
from mlci.plugins.targets.oci_registry import MANIFEST_TYPE, Registry
from mlci.plugins.targets.refusals import refusals

ARTIFACT_TYPE = "application/vnd.mlci.model.v1"
_EMPTY = b"{}"
_EMPTY_TYPE, _FILE_TYPE = "application/vnd.oci.empty.v1+json", "application/octet-stream"
_CURRENT = "current"
_TITLE, _VERSION, _DIGEST = "org.opencontainers.image.title", "org.opencontainers.image.version", "mlci.digest"
_NAME = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
_LOCATION = re.compile(r"(?P<host>[A-Za-z0-9.-]+(?::\d{1,5})?|\[[0-9a-fA-F:]+\](?::\d{1,5})?)/(?P<path>\S+)")


@dataclass(frozen=True, kw_only=True)
class OciTarget:
    """Keeps `REPOSITORY/MODEL:VERSION`, an artifact with a layer a file; the tag `current` names the one served.

    Blobs are addressed by their digest and the registry checks it. Tags have no compare-and-swap in the distribution
    API: `current` is read before and after it is written, two that write in the same instant may both believe it.

    Args:
        repository: Host and path, such as "registry.example/team/models"; the model's name is appended.
        plain_http: Without TLS, for a registry on this machine.
        deadline_s: For one request and its repeats, in seconds.
        site: Where mlci runs; MLCI_OCI_USERNAME and MLCI_OCI_PASSWORD are read from its environment.
    """

    name: ClassVar[str] = "oci"
    stages: ClassVar[bool] = True

    repository: str
    plain_http: bool = False
    deadline_s: float = 120.0
    site: TargetSite

    def status(self, model: str) -> TargetStatus:
        """What is there, see `Target.status`."""
        with refusals(self):
            return _status(self._registry(model))

    def upload(self, package: Package) -> None:
        """Push an artifact and read it back, see `Target.upload`."""
        with refusals(self):
            rules.check_package(package)
            registry = self._registry(package.model)
            held = rules.is_held(package, _status(registry).kept)
            if not held:
                for file in package.files:
                    _put_missing(registry, file.sha256, package.folder / file.name)
                _put_missing(registry, _sha256(_EMPTY), _EMPTY)
            for file in package.files:
                size, found = registry.measure_blob(f"sha256:{file.sha256}")
                rules.check_file(file, size, found, "there")
            if not held:
                content = _manifest(package)
                registry.put_manifest(package.version, content)
                if registry.manifest(package.version) != content:
                    raise DeployError(f"the manifest of {package.version} is another one there")

    def switch(self, model: str, to: Deployed, *, expected: Deployed | None) -> None:
        """Move the tag `current`, see `Target.switch`."""
        with refusals(self):
            rules.check_version(to.version)
            registry = self._registry(model)
            if not rules.may_switch(_status(registry), to, expected):
                return
            content = registry.manifest(to.version)
            if content is None or _deployed(content) != to:
                raise DeployError(f"{to.version} is another one there")
            registry.put_manifest(_CURRENT, content)
            current = _at(registry, _CURRENT)
            if current != to:
                raise rules.conflict(to, expected, current)

    def describe(self) -> str:
        """The repository, in words."""
        return f"OCI registry {self.repository.rpartition('@')[2]}"

    def _registry(self, model: str) -> Registry:
        rules.check_model(model)
        found = _LOCATION.fullmatch(f"{self.repository.rstrip('/')}/{model}")
        if not found or not _NAME.fullmatch(found["path"]):
            raise DeployError(
                f"{model} cannot be pushed there: an OCI repository is HOST/PATH, the path in lower case",
                hint="Credentials belong into MLCI_OCI_USERNAME and MLCI_OCI_PASSWORD.",
            )
        return Registry(
            base=f"{'http' if self.plain_http else 'https'}://{found['host']}",
            repository=found["path"],
            user=self.site.environ.get("MLCI_OCI_USERNAME", ""),
            password=self.site.environ.get("MLCI_OCI_PASSWORD", ""),
            web=http.Web(deadline_s=self.deadline_s),
        )


def _status(registry: Registry) -> TargetStatus:
    tags = [tag for tag in registry.tags() if versions.parse(tag)]
    # The manifest says its version: a tag that was moved by hand to another one is not that version.
    kept = [item for tag in tags if (item := _at(registry, tag)) and item.version == tag]
    return TargetStatus(current=_at(registry, _CURRENT), kept=rules.sorted_by_version(kept))


def _at(registry: Registry, tag: str) -> Deployed | None:
    content = registry.manifest(tag)
    return _deployed(content) if content is not None else None


def _deployed(content: bytes) -> Deployed | None:
    """The version that a manifest says it is; None for an artifact of somebody else."""
    try:
        found: Any = msgspec.json.decode(content)
        notes = found["annotations"]
        version, digest = notes[_VERSION], notes[_DIGEST]
    except (msgspec.DecodeError, UnicodeDecodeError, LookupError, TypeError):
        return None
    return Deployed(version=str(version), digest=str(digest)) if versions.parse(str(version)) else None


def _put_missing(registry: Registry, sha256: str, content: Any) -> None:  # noqa: ANN401 - bytes or a path
    if not registry.has_blob(f"sha256:{sha256}"):
        registry.put_blob(f"sha256:{sha256}", content)


def _manifest(package: Package) -> bytes:
    return manifest.encode(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": ARTIFACT_TYPE,
            "config": {"mediaType": _EMPTY_TYPE, "digest": f"sha256:{_sha256(_EMPTY)}", "size": len(_EMPTY)},
            "layers": [
                {
                    "mediaType": _FILE_TYPE,
                    "digest": f"sha256:{file.sha256}",
                    "size": file.size,
                    "annotations": {_TITLE: file.name},
                }
                for file in package.files
            ],
            "annotations": {_TITLE: package.model, _VERSION: package.version, _DIGEST: package.digest},
        }
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
