"""Documents that targets keep: read strictly, by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.packages import package
from mlci.errors import DeployError
from mlci.plugins.targets import manifest
from mlci.plugins.targets.interface import Deployed, TargetStatus

POINTER = b'{"version": "v1.0.0", "digest": "aa", "format": 1}'


def test_manifest__and_back(tmp_path: Path) -> None:
    made = manifest.manifest_of(package(tmp_path))
    data = manifest.encode(made)
    assert manifest.read_manifest(data, "it", model="churn", version="v1.0.0") == made
    assert data == manifest.encode(made)
    with pytest.raises(DeployError, match=r"it is of churn v1\.0\.0"):
        manifest.read_manifest(data, "it", model="ranking")
    with pytest.raises(DeployError, match="cannot be the name"):
        manifest.read_manifest(data.replace(b"card.md", b"../c.md"), "it")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"{", "it cannot be read"),
        (b"\xff", "it cannot be read"),
        (POINTER.replace(b"aa", b"\xff"), "it cannot be read"),
        (POINTER.replace(b"digest", b"digset"), "digset"),
        (POINTER.replace(b"1}", b"2}"), "it has format 2; this mlci reads 1"),
        (POINTER.replace(b"v1.0.0", b"../../x"), "is not a version"),
        (b" " * (manifest.MAX_BYTES + 1), "larger than"),
    ],
)
def test_read_pointer__refuses(data: bytes, words: str) -> None:
    with pytest.raises(DeployError, match=words):
        manifest.read_pointer(data, "it")


def test_read_status() -> None:
    one = Deployed(version="v1.0.0", digest="aa")
    assert manifest.read_status(b'{"current": null}', "it") == TargetStatus(current=None)
    both = b'{"current": {"version": "v1.0.0", "digest": "aa"}, "kept": [{"version": "v1.0.0", "digest": "aa"}]}'
    assert manifest.read_status(both, "it") == TargetStatus(current=one, kept=(one,))
    with pytest.raises(DeployError, match="names 'latest', which is not a version"):
        manifest.read_status(both.replace(b"v1.0.0", b"latest"), "it")
    with pytest.raises(DeployError, match="`current`"):
        manifest.read_status(b"{}", "it")
