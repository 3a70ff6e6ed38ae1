"""A store in a folder, for teams that share a disk and for trying things out."""

from __future__ import annotations

import contextlib
import itertools
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from mlci.core.documents import Record, encode
from mlci.errors import StoreError
from mlci.plugins.stores import layout, retention
from mlci.plugins.stores.blobs import ROOT as BLOBS
from mlci.plugins.stores.blobs import digest, pack, unpack
from mlci.plugins.stores.blobs import path as blob_path
from mlci.plugins.stores.interface import LIMIT, NO_BLOBS, Entry, Site


@dataclass(frozen=True, kw_only=True)
class FolderStore:
    """Keeps records as files; each appears whole or not at all.

    Of two processes that save one (run, profile, commit) in the same instant either may win; a blob that is pruned in
    the instant in which another record comes to name it is gone, until that is saved again.

    Args:
        path: The folder, absolute or as seen from the checkout; made when something is saved.
        site: Where mlci runs.
    """

    name: ClassVar[str] = "folder"

    path: str
    site: Site

    def save(self, records: Sequence[Record], *, blobs: Mapping[str, bytes] = NO_BLOBS) -> list[Record]:
        """Keep `records` and `blobs`, see `Store.save`."""
        wanted, packed = layout.by_path(records), pack(blobs)
        with self._refusals():
            changed = {path: record for path, record in wanted.items() if layout.supersedes(record, self._read(path))}
            lacking = {path: data for path, data in packed.items() if self._unpacked(path, LIMIT) is None}
            # Records come first: `prune` looks at blobs before it looks who names them.
            self._write({path: encode(record) for path, record in changed.items()} | lacking)
        return list(changed.values())

    def find(self, run: str, profile: str, commits: Sequence[str]) -> Record | None:
        """The nearest record, see `Store.find`."""
        with self._refusals():
            found = (self._read(layout.path(run, profile, commit)) for commit in commits)
            return next((record for record in found if record is not None), None)

    def history(self, run: str, profile: str, commits: Sequence[str], count: int) -> list[Record]:
        """The nearest records, see `Store.history`."""
        paths = [layout.path(run, profile, commit) for commit in commits]
        with self._refusals():
            nearest = itertools.islice((path for path in paths if (self._folder / path).is_file()), count)
            read = [self._read(path) for path in nearest]
        return [record for record in read if record is not None]

    def blob(self, sha256: str, *, limit: int = LIMIT) -> bytes | None:
        """Content by its digest, see `Store.blob`."""
        with self._refusals():
            return self._unpacked(blob_path(sha256), limit)

    def entries(self) -> Iterator[Entry]:
        """Every record, see `Store.entries`."""
        with self._refusals():
            paths = self._records()
        yield from filter(None, map(layout.entry, paths))

    def prune(self, older_than: datetime, spare: Collection[str], *, dry_run: bool = False) -> list[Entry]:
        """Remove what is old, see `Store.prune`."""
        with self._refusals():
            stored = [path for path in self._files(f"{BLOBS}/*/*") if digest(path)]
            records = (retention.kept(path, self._read(path)) for path in self._records())
            gone, paths = retention.outgoing(records, stored, older_than=older_than, spare=spare)
            for path in () if dry_run else paths:
                (self._folder / path).unlink(missing_ok=True)
        return gone

    def describe(self) -> str:
        """The folder, in words."""
        return f"folder {self.path}"

    @property
    def _folder(self) -> Path:
        return self.site.folder / self.path

    def _files(self, pattern: str) -> list[str]:
        return sorted(file.relative_to(self._folder).as_posix() for file in self._folder.glob(pattern))

    def _records(self) -> list[str]:
        return [path for path in self._files(f"{layout.ROOT}/*/*/*/*.json") if layout.entry(path)]

    def _write(self, files: Mapping[str, bytes]) -> None:
        written: list[tuple[Path, Path]] = []
        try:
            for path, data in files.items():
                final = self._folder / path
                final.parent.mkdir(parents=True, exist_ok=True)
                written.append((final.with_name(f".{uuid.uuid4().hex}.tmp"), final))
                written[-1][0].write_bytes(data)
            for temporary, final in written:
                temporary.replace(final)
        finally:
            for temporary, _ in written:
                temporary.unlink(missing_ok=True)

    def _bytes(self, path: str) -> bytes | None:
        try:
            return (self._folder / path).read_bytes()
        except FileNotFoundError:
            return None

    def _unpacked(self, path: str, limit: int) -> bytes | None:
        data = self._bytes(path)
        return None if data is None else unpack(data, path, limit=limit, warn=self.site.warn)

    def _read(self, path: str) -> Record | None:
        data = self._bytes(path)
        return None if data is None else layout.read(data, path=path, warn=self.site.warn)

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"baseline store: {self.describe()}: {error.strerror or error}",
                hint="Check that the folder exists and that you may write there.",
            ) from None
