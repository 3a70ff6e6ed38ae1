"""Files called after their content, and the room that they may take."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from mlci.running.reuse.objects import DamagedError, Objects, trim


def put(folder: Path, content: bytes) -> str:
    source = folder / "source"
    source.write_bytes(content)
    return Objects(folder / "objects").put(source)


def kept(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "source")


def test_put__is_called_after_its_content(tmp_path: Path) -> None:
    digest = put(tmp_path, b"x")
    assert digest == hashlib.sha256(b"x").hexdigest()
    assert put(tmp_path, b"x") == digest
    assert kept(tmp_path) == [tmp_path / "objects" / digest[:2] / digest]


def test_put__mends_what_is_damaged(tmp_path: Path) -> None:
    digest = put(tmp_path, b"x")
    kept(tmp_path)[0].write_bytes(b"y")
    put(tmp_path, b"x")
    Objects(tmp_path / "objects").copy(digest, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"x"


def test_copy__what_is_damaged_is_removed(tmp_path: Path) -> None:
    digest = put(tmp_path, b"x")
    kept(tmp_path)[0].write_bytes(b"")
    with pytest.raises(DamagedError, match="is damaged"):
        Objects(tmp_path / "objects").copy(digest, tmp_path / "a")
    with pytest.raises(DamagedError, match="is not there"):
        Objects(tmp_path / "objects").copy(digest, tmp_path / "b")


def test_trim__what_was_used_least_recently_goes(tmp_path: Path) -> None:
    digests = [put(tmp_path, bytes([number]) * 1000) for number in range(4)]
    for age, digest in enumerate(digests):
        os.utime(tmp_path / "objects" / digest[:2] / digest, (age, age))
    Objects(tmp_path / "objects").copy(digests[0], tmp_path / "copy")
    trim(tmp_path / "objects", 2500)
    assert {path.name for path in kept(tmp_path / "objects")} == {digests[0], digests[3]}


def test_trim__leaves_alone_what_has_room(tmp_path: Path) -> None:
    put(tmp_path, b"x" * 1000)
    trim(tmp_path / "objects", 1000)
    assert len(kept(tmp_path / "objects")) == 1


def test_trim__a_file_whose_writer_is_gone(tmp_path: Path) -> None:
    old, new = tmp_path / ".new-1", tmp_path / ".new-2"
    for path in (old, new):
        path.touch()
    os.utime(old, (time.time() - 7200,) * 2)
    trim(tmp_path, 10)
    assert kept(tmp_path) == [new]
