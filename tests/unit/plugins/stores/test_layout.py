from __future__ import annotations

import pytest

from fakes.records import record
from mlci.core.documents import encode
from mlci.errors import StoreError
from mlci.plugins.stores import layout
from mlci.plugins.stores.interface import Entry

A, B = "a" * 40, "b" * 40


@pytest.mark.parametrize("name", ["a", "0", "A.b_c-d", "x" * 64, "con.json"])
@pytest.mark.parametrize("commit", [A, "0" * 64], ids=["sha1", "sha256"])
def test_path__reads_back_as_an_entry(name: str, commit: str) -> None:
    path = layout.path(name, name, commit)
    assert path == f"runs/{name}/{name}/{commit[:2]}/{commit}.json"
    assert path.count("/") == layout.DEPTH
    assert layout.entry(path) == Entry(name, name, commit)


@pytest.mark.parametrize("name", ["", "..", "a..b", "a/b", ".a", "-a", "x" * 65, "a\n", "a\0", "ä"])
def test_path__names_that_no_record_can_have(name: str) -> None:
    with pytest.raises(StoreError, match="no record can be kept"):
        layout.path(name, "full", A)
    with pytest.raises(StoreError, match="no record can be kept"):
        layout.path("churn", name, A)


@pytest.mark.parametrize("commit", ["", "HEAD", "A" * 40, "a" * 39, "a" * 41, f"../{A}"])
def test_path__commits_that_are_none(commit: str) -> None:
    with pytest.raises(StoreError, match="commit"):
        layout.path("churn", "full", commit)


def test_record_path__without_a_commit() -> None:
    with pytest.raises(StoreError, match="names no commit") as caught:
        layout.record_path(record(commit=None))
    assert "git repository" in str(caught.value.hint)


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        f"runs/churn/full/bb/{A}.json",
        f"runs/churn/full/aa/{A}.txt",
        f"runs/churn/aa/{A}.json",
        "",
    ],
)
def test_entry__of_anything_else(path: str) -> None:
    assert layout.entry(path) is None


OLDER_AND_NEWER = [
    pytest.param({"run_id": "9"}, {"run_id": "10"}, id="run id, as a number"),
    pytest.param({"run_id": "9", "run_attempt": 1}, {"run_id": "9", "run_attempt": 2}, id="attempt"),
    pytest.param({"created_at": "2024-05-01T12:00:00Z"}, {"created_at": "2024-05-01T11:30:00-01:00"}, id="time"),
    pytest.param({"created_at": "2024-05-01T12:00:00"}, {"created_at": "2024-05-01T12:00:01Z"}, id="no zone"),
    pytest.param({"created_at": "2030-01-01T00:00:00Z"}, {"run_id": "1"}, id="laptop, then CI"),
    pytest.param({"created_at": "yesterday"}, {}, id="unreadable time"),
    pytest.param({"created_at": "0001-01-01T00:00:00+10:00"}, {}, id="time before time"),
    pytest.param({"run_id": "9" * 5000}, {"run_id": "1"}, id="hostile run id"),
]


@pytest.mark.parametrize(("older", "newer"), OLDER_AND_NEWER)
def test_supersedes__the_newer(older: dict[str, object], newer: dict[str, object]) -> None:
    old, new = record(value=0.1, **older), record(value=0.2, **newer)  # type: ignore[arg-type]
    assert layout.supersedes(new, old)
    assert not layout.supersedes(old, new)


def test_supersedes__equally_old() -> None:
    assert layout.supersedes(record(value=0.1), record(value=0.2))
    assert not layout.supersedes(record(value=float("nan")), record(value=float("nan")))
    assert layout.supersedes(record(), None)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(b"{", "not JSON", id="cut off"),
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"\xff", "not UTF-8", id="not text"),
        pytest.param(b'{"name": "churn"}', "not a Record", id="fields missing"),
        pytest.param(b'{"format": 99}', "format 99", id="of a newer mlci"),
        pytest.param(b"[" * 100_000, "deep", id="too deep"),
        pytest.param(encode(record(commit=B)), "another run, profile or commit", id="of another commit"),
        pytest.param(encode(record("ranking")), "another run, profile or commit", id="of another run"),
    ],
)
def test_read__damage_is_a_warning(damage: bytes, said: str) -> None:
    warnings: list[str] = []
    path = layout.path("churn", "full", A)
    assert layout.read(damage, path=path, warn=warnings.append) is None
    assert len(warnings) == 1
    assert path in warnings[0]
    assert said in warnings[0]
