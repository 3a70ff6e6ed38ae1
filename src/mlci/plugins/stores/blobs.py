"""What is too large for a record: content kept once under its sha256, compressed, and never trusted when read."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Mapping

from mlci.errors import StoreError
from mlci.plugins.stores.interface import LIMIT

ROOT = "blobs"
DEPTH = 2  # levels from there to a blob

_LEVEL = 6  # said, so that one content is one file wherever it is written
_PATH = re.compile(rf"{ROOT}/(?P<shard>[0-9a-f]{{2}})/(?P<sha256>[0-9a-f]{{64}})")


def path(sha256: str) -> str:
    """Where content of that digest lies, with forward slashes.

    Raises:
        StoreError: It is no digest.
    """
    found = f"{ROOT}/{sha256[:2]}/{sha256}"
    if not _PATH.fullmatch(found):
        raise StoreError(f"baseline: {sha256[:80]!r} is not the sha256 of anything")
    return found


def digest(path: str) -> str | None:
    """The digest that a blob's path says; None for any other path."""
    found = _PATH.fullmatch(path)
    return found["sha256"] if found and found["sha256"].startswith(found["shard"]) else None


def pack(blobs: Mapping[str, bytes]) -> dict[str, bytes]:
    """What is written of content given by its sha256, by path.

    Raises:
        StoreError: Content of another digest, or larger than is read back.
    """
    packed: dict[str, bytes] = {}
    for sha256, content in blobs.items():
        if len(content) > LIMIT:
            raise StoreError(f"baseline: {sha256[:12]} has {len(content):,} bytes, at most {LIMIT:,} are kept")
        if hashlib.sha256(content).hexdigest() != sha256:
            raise StoreError(f"baseline: content that is called {sha256[:12]} has another digest")
        packed[path(sha256)] = zlib.compress(content, _LEVEL)
    return packed


def unpack(data: bytes, path: str, *, limit: int, warn: Callable[[str], None]) -> bytes | None:
    """The content at `path`, or None and a warning where it is damaged or has more than `limit` bytes."""
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(data, limit + 1)
    except zlib.error:
        content = b""
    if len(content) > limit:
        warn(f"baseline skipped: {path} has more than {limit:,} bytes")
    elif not unpacker.eof or hashlib.sha256(content).hexdigest() != digest(path):
        warn(f"baseline skipped: {path} is damaged")
    else:
        return content
    return None
