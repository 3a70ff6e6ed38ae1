"""A store in a folder, for teams that share a disk and for trying things out."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mlci.core.documents import Record, encode
from mlci.errors import StoreError
from mlci.plugins.stores import layout
from mlci.plugins.stores.interface import Entry, Site


@dataclass(frozen=True, kw_only=True)
class FolderStore:
    """Keeps records as files; each appears whole or not at all.

    Of two processes that save one (run, profile, commit) in the same instant either may win.

    Args:
        path: The folder, absolute or as seen from the checkout; made when something is saved.
        site: Where mlci runs.
    """

    name: ClassVar[str] = "folder"

    path: str
    site: Site

    def save(self, records: Sequence[Record]) -> list[Record]:
        """Keep `records`, see `Store.save`."""
        with self._refusals():
            changed = {
                path: record
                for path, record in layout.by_path(records).items()
                if layout.supersedes(record, self._read(path))
            }
            written: list[tuple[Path, Path]] = []
            try:
                for path, record in changed.items():
                    final = self._folder / path
                    final.parent.mkdir(parents=True, exist_ok=True)
                    written.append((final.with_name(f".{uuid.uuid4().hex}.tmp"), final))
                    written[-1][0].write_bytes(encode(record))
                for temporary, final in written:
                    temporary.replace(final)
            finally:
                for temporary, _ in written:
                    temporary.unlink(missing_ok=True)
        return list(changed.values())

    def find(self, run: str, profile: str, commits: Sequence[str]) -> Record | None:
        """The nearest record, see `Store.find`."""
        with self._refusals():
            found = (self._read(layout.path(run, profile, commit)) for commit in commits)
            return next((record for record in found if record is not None), None)

    def entries(self) -> Iterator[Entry]:
        """Every record, see `Store.entries`."""
        with self._refusals():
            files = sorted(self._folder.glob(f"{layout.ROOT}/*/*/*/*.json"))
        for file in files:
            entry = layout.entry(file.relative_to(self._folder).as_posix())
            if entry is not None:
                yield entry

    def describe(self) -> str:
        """The folder, in words."""
        return f"folder {self.path}"

    @property
    def _folder(self) -> Path:
        return self.site.folder / self.path

    def _read(self, path: str) -> Record | None:
        try:
            data = (self._folder / path).read_bytes()
        except FileNotFoundError:
            return None
        return layout.read(data, path=path, warn=self.site.warn)

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"baseline store: {self.describe()}: {error.strerror or error}",
                hint="Check that the folder exists and that you may write there.",
            ) from None
