"""Metrics and files of two executions: equal, the same in other bytes, different, or nobody can tell."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pytest

from mlci.core.documents import Metric
from mlci.exporting.agreeing import Left, Row, rows

NAN = float("nan")


def left(folder: Path, files: dict[str, bytes] | None = None, **metrics: float) -> Left:
    folder.mkdir(exist_ok=True)
    found = {}
    for name, content in (files or {}).items():
        found[name] = folder / name
        found[name].write_bytes(content)
    return Left(metrics=tuple(Metric(name=name, value=value) for name, value in metrics.items()), files=found)


def verdicts(found: tuple[Row, ...]) -> dict[str, str]:
    return {row.name: row.verdict for row in found}


def unasked() -> Left:
    raise AssertionError("the notebook runs again only where something differs")


def test_rows__equal_things_need_no_second_execution_of_the_notebook(tmp_path: Path) -> None:
    one, other = (left(tmp_path / name, {"a": b"1"}, x=0.1, y=NAN) for name in "ab")
    assert verdicts(rows(one, other, unasked, 0)) == {"x": "equal", "y": "equal", "a": "equal"}


def test_rows__a_tolerance_is_relative(tmp_path: Path) -> None:
    one, other = left(tmp_path / "a", x=100.0, y=1.0), left(tmp_path / "b", x=100.5, y=1.5)
    found = rows(one, other, lambda: one, 0.01)
    assert verdicts(found) == {"x": "within-tolerance", "y": "differs"}
    assert found[1].detail == "1.0 of the notebook, 1.5 of the script"


def test_rows__what_differs_between_two_executions_of_the_notebook_tells_nothing(tmp_path: Path) -> None:
    one = left(tmp_path / "a", {"log": b"1", "fixed": b"1"}, time=1.0, acc=0.5)
    again = left(tmp_path / "b", {"log": b"2", "fixed": b"1"}, time=2.0, acc=0.5)
    script = left(tmp_path / "c", {"log": b"3", "fixed": b"2"}, time=3.0, acc=0.6)
    expected = {"time": "unstable", "log": "unstable", "acc": "differs", "fixed": "differs"}
    assert verdicts(rows(one, script, lambda: again, 0)) == expected


def test_rows__what_only_one_of_them_has(tmp_path: Path) -> None:
    one, other = left(tmp_path / "a", {"a": b""}, x=1.0), left(tmp_path / "b", {"b": b""}, y=1.0)
    expected = {"x": "missing", "y": "extra", "a": "missing", "b": "extra"}
    assert verdicts(rows(one, other, lambda: one, 0)) == expected


def zipped(folder: Path, date: int, content: str) -> bytes:
    path = folder / f"{date}{content}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("member", (date, 1, 1, 0, 0, 0)), content)
    return path.read_bytes()


def test_rows__containers_are_compared_by_what_they_hold(tmp_path: Path) -> None:
    one = left(
        tmp_path / "a",
        {
            "a.npz": zipped(tmp_path, 2020, "x"),
            "b.npz": zipped(tmp_path, 2020, "x"),
            "c.gz": gzip.compress(b"x", mtime=1),
            "d.json": b'{"a": 1, "b": 2}',
            "e.json": b'{"a": 1}',
            "f.txt": b"one\ntwo\n",
            "g.pkl": b"\x80\x04\x8c\x01a.",
        },
    )
    other = left(
        tmp_path / "b",
        {
            "a.npz": zipped(tmp_path, 2021, "x"),
            "b.npz": zipped(tmp_path, 2021, "y"),
            "c.gz": gzip.compress(b"x", mtime=2),
            "d.json": json.dumps({"b": 2, "a": 1}).encode(),
            "e.json": b'{"a": 2}',
            "f.txt": b"one\nTWO\n",
            "g.pkl": b"\x80\x04\x8c\x01\xffb.",
        },
    )
    found = rows(one, other, lambda: one, 0)
    assert verdicts(found) == {
        "a.npz": "same-content",
        "b.npz": "differs",
        "c.gz": "same-content",
        "d.json": "same-content",
        "e.json": "differs",
        "f.txt": "differs",
        "g.pkl": "not-comparable",
    }
    assert found[5].detail == "not the same text, first in line 2"


BROKEN = {
    "zip": b"PK\x03\x04 broken",
    "gzip": b"\x1f\x8b broken",
    "parquet": b"PAR1 broken",
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_rows__broken_containers_are_no_traceback(tmp_path: Path, content: bytes) -> None:
    names = ("a.zip", "a.parquet", "a.json")
    one = left(tmp_path / "a", dict.fromkeys(names, content))
    other = left(tmp_path / "b", dict.fromkeys(names, content + b"\xff"))
    assert set(verdicts(rows(one, other, lambda: one, 0)).values()) <= {"not-comparable", "differs"}
