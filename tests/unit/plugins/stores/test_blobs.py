from __future__ import annotations

import hashlib
import zlib

import pytest

from mlci.errors import StoreError
from mlci.plugins.stores import blobs

CONTENT = b"id,prediction\n1,0.5\n" * 100
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATH = f"blobs/{SHA256[:2]}/{SHA256}"


def unpacked(data: bytes, *, limit: int = 1_000_000) -> tuple[bytes | None, list[str]]:
    warnings: list[str] = []
    return blobs.unpack(data, PATH, limit=limit, warn=warnings.append), warnings


def test_pack__reads_back() -> None:
    [(path, data)] = blobs.pack({SHA256: CONTENT}).items()
    assert path == PATH == blobs.path(SHA256)
    assert blobs.digest(path) == SHA256
    assert len(data) < len(CONTENT)
    assert unpacked(data) == (CONTENT, [])


def test_pack__empty_content() -> None:
    empty = hashlib.sha256(b"").hexdigest()
    [(path, data)] = blobs.pack({empty: b""}).items()
    assert blobs.unpack(data, path, limit=0, warn=pytest.fail) == b""


@pytest.mark.parametrize("sha256", ["0" * 64, "../up", "", SHA256.upper()])
def test_pack__refuses_content_of_another_digest(sha256: str) -> None:
    with pytest.raises(StoreError, match="another digest"):
        blobs.pack({sha256: CONTENT})


def test_pack__refuses_what_could_not_be_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "LIMIT", 1000)
    with pytest.raises(StoreError, match="has 2,000 bytes, at most 1,000 are kept"):
        blobs.pack({SHA256: CONTENT})


@pytest.mark.parametrize("sha256", ["", "a" * 63, "a" * 65, "A" * 64, f"../{'a' * 61}", "a" * 64 + "\n"])
def test_path__of_what_is_no_digest(sha256: str) -> None:
    with pytest.raises(StoreError, match="is not the sha256 of anything"):
        blobs.path(sha256)


@pytest.mark.parametrize(
    "path", ["", "README.md", f"blobs/00/{'a' * 64}", f"blobs/aa/{'a' * 64}.tmp", f"aa/{'a' * 64}"]
)
def test_digest__of_any_other_path(path: str) -> None:
    assert blobs.digest(path) is None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(CONTENT, id="not packed"),
        pytest.param(zlib.compress(CONTENT)[:20], id="half written"),
        pytest.param(zlib.compress(CONTENT)[:-1], id="all but its end"),
        pytest.param(zlib.compress(CONTENT + b"more"), id="of another digest"),
    ],
)
def test_unpack__what_is_damaged(data: bytes) -> None:
    assert unpacked(data) == (None, [f"baseline skipped: {PATH} is damaged"])


def test_unpack__stops_at_the_limit() -> None:
    bomb = zlib.compress(bytes(50_000_000), 9)
    assert unpacked(bomb, limit=1000) == (None, [f"baseline skipped: {PATH} has more than 1,000 bytes"])
    assert unpacked(zlib.compress(CONTENT), limit=len(CONTENT)) == (CONTENT, [])
    assert unpacked(zlib.compress(CONTENT), limit=len(CONTENT) - 1)[0] is None
