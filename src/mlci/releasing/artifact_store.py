"""Keeps artifacts by their content, `<store>/<aa>/<sha256>`, in a folder or behind any URL that fsspec knows."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlci.errors import StoreError
from mlci.plugins.targets.interface import sha256_of


@dataclass(frozen=True)
class ArtifactStore:
    """One store.

    Args:
        url: A folder, or a URL such as "s3://bucket/models".
        options: Of the file system behind it.
    """

    url: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def put(self, path: Path, sha256: str) -> str:
        """Keep a file; where it lies then. One that is there already is not sent again.

        Raises:
            StoreError: The file is not what `sha256` says, or the store cannot be reached.
        """
        if sha256_of(path) != sha256:
            raise StoreError(f"{path.name} is no longer what was recorded (sha256 {sha256[:12]})", hint="Run again.")
        system, place = self._opened(sha256)
        try:
            if not system.exists(place):
                # A reader sees the whole file or none: where writes are not atomic, the move is.
                temporary = f"{place}.{uuid.uuid4().hex}.part"
                system.makedirs(place.rpartition("/")[0], exist_ok=True)
                system.put_file(str(path), temporary)
                system.mv(temporary, place)
        except Exception as error:
            raise self._failed(error) from None
        return self.where(sha256)

    def get(self, sha256: str, to: Path) -> bool:
        """Fetch what was kept under `sha256` and check it; False where there is none.

        Raises:
            StoreError: What is there is something else, or the store cannot be reached.
        """
        system, place = self._opened(sha256)
        try:
            if not system.exists(place):
                return False
            system.get_file(place, str(to))
        except Exception as error:
            raise self._failed(error) from None
        if sha256_of(to) != sha256:
            to.unlink()
            raise StoreError(f"artifact store {self.url}: {sha256[:12]} holds something else", hint="Remove it there.")
        return True

    def where(self, sha256: str) -> str:
        """The URL or path of an artifact."""
        return f"{self.url.rstrip('/')}/{sha256[:2]}/{sha256}"

    def _opened(self, sha256: str) -> tuple[Any, str]:
        import fsspec  # noqa: PLC0415 - heavy, and only releases need it

        try:
            return fsspec.core.url_to_fs(self.where(sha256), **self.options)  # type: ignore[no-any-return]
        except (ImportError, ValueError) as error:
            raise StoreError(
                f"artifact store {self.url}: {error}", hint='Install what it needs, such as pip install "mlci[s3]".'
            ) from None

    def _failed(self, error: Exception) -> StoreError:
        # The libraries behind fsspec raise whatever they like; their words may hold a signed URL, their names do not.
        return StoreError(
            f"artifact store {self.url} cannot be used ({type(error).__name__})", hint="See its credentials."
        )
