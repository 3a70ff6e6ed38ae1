"""Pickles that differ in bytes: the same where only identity of values differs, and no code of theirs ever runs."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import pytest

from mlci.exporting.pickles import same

ONE, TWO = ("fixed acidity".upper() for _ in range(2))  # equal, and two objects


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_same__equal_values_may_be_one_object_or_two(tmp_path: Path, protocol: int) -> None:
    def written(name: str, value: Any) -> Path:
        path = tmp_path / name
        path.write_bytes(pickle.dumps(value, protocol))
        return path

    first = written("first", {"a": [ONE, (ONE, 1)], "b": TWO})
    assert same(first, written("second", {"a": [ONE, (ONE, 1)], "b": ONE})) is True
    assert same(first, written("third", {"a": [ONE, (ONE, 2)], "b": ONE})) is False
    shared = [1]
    assert same(written("shared", [shared, shared]), written("apart", [[1], [1]])) is False


def test_same__reads_past_the_arrays_of_joblib(tmp_path: Path) -> None:
    def written(name: str, text: str, last: float) -> Path:
        arrays = [np.array([[1.5, last]]), np.array(["a", "bc"]), np.array([None, {"x": text}], dtype=object)]
        joblib.dump({"names": [ONE, text], "arrays": arrays}, tmp_path / name)
        return tmp_path / name

    first = written("first", ONE, 2.5)
    assert first.read_bytes() != written("second", TWO, 2.5).read_bytes()
    assert same(first, tmp_path / "second") is True
    assert same(first, written("third", TWO, 3.5)) is False


class Bomb:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


def test_same__runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "bomb").write_bytes(pickle.dumps([Bomb(tmp_path / "left"), ONE, TWO]))
    (tmp_path / "other").write_bytes(pickle.dumps([Bomb(tmp_path / "left"), ONE, ONE]))
    assert same(tmp_path / "bomb", tmp_path / "other") is True
    assert not (tmp_path / "left").exists()


BROKEN = {
    "empty": b"",
    "short": b"\x80\x04",
    "open": b"\x80\x04N",
    "more": b"\x80\x04N.more",
    "memo": b"\x80\x04h\x00.",
    "stack": b"\x80\x04u.",
    "deep": b"\x80\x04" + b"]\x94" * 3000 + b"a" * 2999 + b".",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_same__cannot_tell_of_what_is_broken(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "one").write_bytes(content)
    assert same(tmp_path / "one", tmp_path / "one") is None
