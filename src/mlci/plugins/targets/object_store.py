"""A target in an object store, through fsspec: S3, Google Cloud Storage, Azure, a file system, memory."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import urlsplit

from mlci.core import versions
from mlci.errors import DeployError
from mlci.plugins.targets import manifest, rules
from mlci.plugins.targets.interface import Deployed, Package, TargetSite, TargetStatus
from mlci.plugins.targets.refusals import refusals

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure"}
_S3, _LOCAL = ("s3", "s3a"), ("file", "local")
_CONFLICTS = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
_CHUNK = 1024 * 1024
_HINT = "Credentials come from the environment, as the store's own tools read them; see docs/reference/targets.md."
_Write = Callable[[bytes], None]


@dataclass(frozen=True, kw_only=True)
class ObjectStoreTarget:
    """Keeps `URL/MODEL/VERSION/FILE`; `URL/MODEL/current.json` names the version that is served.

    On S3 the pointer is written with If-Match (If-None-Match for the first): of two that switch at once one is refused
    by the store. Elsewhere it is read before and after: two that write in the same instant may both believe it.

    Args:
        url: Such as "s3://bucket/models"; a path without a scheme is seen from the checkout.
        options: Of fsspec's file system, such as {"endpoint_url": "..."}; no credentials.
        conditional: False for S3 servers that do not know If-Match: then as elsewhere.
        site: Where mlci runs.
    """

    name: ClassVar[str] = "object-store"
    stages: ClassVar[bool] = True

    url: str = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    conditional: bool = True
    site: TargetSite

    def status(self, model: str) -> TargetStatus:
        """What is there, see `Target.status`."""
        with self._refusals():
            return self._opened().status(model)

    def upload(self, package: Package) -> None:
        """Write a version, its manifest last, and read it back, see `Target.upload`."""
        with self._refusals():
            rules.check_package(package)
            store = self._opened()
            held = rules.is_held(package, store.status(package.model).kept)
            if not held:
                store.put(package)
            store.check(package)
            if not held:
                content = manifest.encode(manifest.manifest_of(package))
                store.write(f"{store.root}/{package.model}/{package.version}/{rules.MANIFEST}", content)

    def switch(self, model: str, to: Deployed, *, expected: Deployed | None) -> None:
        """Write the pointer, see `Target.switch`."""
        with self._refusals():
            rules.check_version(to.version)
            store = self._opened()
            write = store.pointer_writer(model)  # what is read from here on is not newer than what it replaces
            if not rules.may_switch(store.status(model), to, expected):
                return
            try:
                write(manifest.encode(manifest.Pointer(version=to.version, digest=to.digest)))
            except OSError as error:
                if not _is_conflict(error):
                    raise
            current = store.current(model)
            if current != to:
                raise rules.conflict(to, expected, current)

    def describe(self) -> str:
        """The URL, without what might be secret in it."""
        parts = urlsplit(self.url)
        return f"object store {parts.scheme or 'file'}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @property
    def _protocol(self) -> str:
        return self.url.partition("://")[0] if "://" in self.url else "file"

    def _refusals(self) -> Any:  # noqa: ANN401 - a context manager
        return refusals(self, extra=_EXTRAS.get(self._protocol), hint=_HINT)

    def _opened(self) -> _Store:
        import fsspec  # noqa: PLC0415 - slow, and only for this target

        url = self.url if "://" in self.url else str(self.site.folder / self.url)
        if "::" in self._protocol:
            raise DeployError("URLs of several file systems in a row are not supported")
        fresh = {"skip_instance_cache": True, "use_listings_cache": False}
        files, root = fsspec.core.url_to_fs(url, **{**fresh, **self.options})
        return _Store(
            files=files,
            root=root.rstrip("/"),
            conditional=self.conditional and self._protocol in _S3,
            renames=self._protocol in _LOCAL,
            warn=self.site.warn,
        )


@dataclass(frozen=True)
class _Store:
    files: Any  # fsspec.AbstractFileSystem
    root: str
    conditional: bool
    renames: bool  # a write is not atomic, a rename is
    warn: Callable[[str], None]

    def status(self, model: str) -> TargetStatus:
        rules.check_model(model)
        current = self.current(model)
        try:
            listed = self.files.ls(f"{self.root}/{model}", detail=False)
        except FileNotFoundError:
            listed = []
        names = [name for path in listed if versions.parse(name := path.rstrip("/").rpartition("/")[2])]
        paths = [f"{self.root}/{model}/{name}/{rules.MANIFEST}" for name in names]
        contents = self.files.cat(paths, on_error="return") if paths else {}
        kept = []
        for path, name in zip(paths, names, strict=True):
            data = contents.get(path) or contents.get(path.lstrip("/"))
            if isinstance(data, Exception) and not isinstance(data, FileNotFoundError):
                raise data
            if isinstance(data, bytes):
                kept.append(manifest.read_manifest(data, path, model=model, version=name).deployed)
        return TargetStatus(current=current, kept=rules.sorted_by_version(kept))

    def current(self, model: str) -> Deployed | None:
        path = self._pointer(model)
        try:
            return manifest.read_pointer(self.files.cat_file(path), path)
        except FileNotFoundError:
            return None

    def put(self, package: Package) -> None:
        folder = f"{self.root}/{package.model}/{package.version}"
        self.files.makedirs(folder, exist_ok=True)
        for file in package.files:
            self.files.put_file(str(package.folder / file.name), f"{folder}/{file.name}")

    def check(self, package: Package) -> None:
        """Read every file back."""
        for file in package.files:
            path = f"{self.root}/{package.model}/{package.version}/{file.name}"
            with self.files.open(path, "rb") as stored:
                size, digest = 0, hashlib.sha256()
                while chunk := stored.read(_CHUNK):
                    size += len(chunk)
                    digest.update(chunk)
            rules.check_file(file, size, digest.hexdigest(), "there")

    def write(self, path: str, content: bytes) -> None:
        if not self.renames:
            self.files.pipe_file(path, content)
            return
        temporary = f"{path}.{uuid.uuid4().hex}.tmp"
        self.files.pipe_file(temporary, content)
        self.files.mv(temporary, path)

    def pointer_writer(self, model: str) -> _Write:
        """Writes the pointer in place of the one that is there now, as far as the store can tell them apart."""
        rules.check_model(model)
        path = self._pointer(model)
        if not self.conditional:
            return lambda content: self.write(path, content)
        bucket, _, key = path.partition("/")
        try:
            condition = {"IfMatch": self.files.call_s3("head_object", Bucket=bucket, Key=key)["ETag"]}
        except FileNotFoundError:
            condition = {"IfNoneMatch": "*"}
        return lambda content: self.files.call_s3("put_object", Bucket=bucket, Key=key, Body=content, **condition)

    def _pointer(self, model: str) -> str:
        return f"{self.root}/{model}/current.json"


def _is_conflict(error: OSError) -> bool:
    """Whether S3 refused because the pointer is no longer what was read."""
    code = getattr(error.__cause__, "response", {}).get("Error", {}).get("Code")
    return isinstance(error, FileExistsError) or code in _CONFLICTS
