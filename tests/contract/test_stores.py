"""What every store does, over every store."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from fakes.git_server import GitServer, git_server
from fakes.records import record
from fakes.repositories import ENVIRON, Repository, repository
from mlci.core.documents import PredictionsFile, Record, encode
from mlci.errors import StoreError
from mlci.plugins import registry
from mlci.plugins.stores.folder import FolderStore
from mlci.plugins.stores.git_branch import GitBranchStore
from mlci.plugins.stores.interface import Entry, Site, Store

A, B, C = "a" * 40, "b" * 40, "ab" + "c" * 38
PREDICTIONS = b"id,prediction\n" + b"1,0.5\n" * 1000 + bytes(range(256))
SHA256 = hashlib.sha256(PREDICTIONS).hexdigest()
BLOB = f"blobs/{SHA256[:2]}/{SHA256}"
JUNE = datetime(2024, 6, 1, tzinfo=UTC)


@dataclass
class Bench:
    """A kind of store: `store()` opens it anew, `put` writes bytes behind its back."""

    store: Callable[[], Store]
    put: Callable[[str, bytes], None]
    warnings: list[str] = field(default_factory=list)


def predicting(kept: Record, content: bytes = PREDICTIONS) -> Record:
    """The record with `content` as its predictions."""
    file = PredictionsFile(path="p.csv", sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    return msgspec.structs.replace(kept, predictions=(file,))


def made_in(month: int, commit: str = A, name: str = "churn", profile: str = "full") -> Record:
    return record(name, commit=commit, created_at=f"2024-{month:02}-01T12:00:00Z", profile=profile)


@pytest.fixture
def clone(tmp_path: Path) -> Repository:
    made = repository(tmp_path / "clone")
    made.commit()
    return made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with git_server(tmp_path / "served") as running:
        yield running


@pytest.fixture(params=["folder", "local branch", "http remote", "http remote without filters"])
def bench(request: pytest.FixtureRequest, clone: Repository, tmp_path: Path, server: GitServer) -> Bench:
    warnings: list[str] = []
    site = Site(folder=clone.folder, environ=ENVIRON, warn=warnings.append)
    if request.param == "folder":

        def put_file(path: str, data: bytes) -> None:
            file = clone.folder / "records" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)

        return Bench(lambda: FolderStore(path="records", site=site), put_file, warnings)
    if request.param != "local branch":
        url = server.create(filters=request.param != "http remote without filters")
        clone.git("remote", "add", "origin", url)

    def put_in_branch(path: str, data: bytes) -> None:
        other = Repository(tmp_path / "other")
        if not other.folder.exists():
            url = str(clone.folder) if request.param == "local branch" else str(server.folder())
            clone.clone(other.folder, url, "--branch=mlci-data")
        other.git("pull", "--quiet")
        (other.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (other.folder / path).write_bytes(data)
        other.git("add", ".")
        other.git("commit", "--quiet", "-m", "By hand")
        other.git("push", "--quiet", "origin", "mlci-data")

    return Bench(lambda: GitBranchStore(site=site), put_in_branch, warnings)


def test_save__is_found_again(bench: Bench) -> None:
    kept = record(value=float("nan"), created_at="2024-05-01T12:00:00+00:00")
    assert bench.store().save([kept]) == [kept]
    found = bench.store().find("churn", "full", [A])
    assert found is not None
    assert encode(found) == encode(kept)


def test_save__nothing(bench: Bench) -> None:
    assert bench.store().save([]) == []
    assert list(bench.store().entries()) == []


def test_save__again_changes_nothing(bench: Bench) -> None:
    records = [record(), record("ranking", value=float("nan"))]
    assert len(bench.store().save(records)) == 2
    assert bench.store().save(records) == []


def test_save__tells_only_what_changed(bench: Bench) -> None:
    bench.store().save([record()])
    assert bench.store().save([record(), record(commit=B)]) == [record(commit=B)]


def test_save__the_newer_wins_in_either_order(bench: Bench) -> None:
    old, new = record(value=0.1, run_id="9"), record(value=0.2, run_id="10")
    first, second = record(commit=B, value=0.1, run_id="9"), record(commit=B, value=0.2, run_id="10")
    store = bench.store()
    store.save([old, second])
    assert store.save([new, first]) == [new]
    assert store.find("churn", "full", [A]) == new
    assert store.find("churn", "full", [B]) == second


def test_save__two_of_one_place_at_once(bench: Bench) -> None:
    new, old = record(run_id="2"), record(run_id="1")
    assert bench.store().save([new, old]) == [new]


def test_save__names_at_the_edge(bench: Bench) -> None:
    names = ["0", "A.b_c-d", "con.json", "x" * 64]
    kept = [record(name, profile=name) for name in names]
    assert bench.store().save(kept) == kept
    assert [entry.run for entry in bench.store().entries()] == names


@pytest.mark.parametrize("refused", [record("../up"), record(commit=None)], ids=["name", "no commit"])
def test_save__all_or_none(bench: Bench, refused: Record) -> None:
    with pytest.raises(StoreError, match="commit"):
        bench.store().save([record(), refused])
    assert list(bench.store().entries()) == []


def test_find__the_first_commit_that_has_one(bench: Bench) -> None:
    bench.store().save([record(commit=A), record(commit=B)])
    many = [f"{number:040x}" for number in range(100)]
    assert bench.store().find("churn", "full", [C, B, A]) == record(commit=B)
    assert bench.store().find("churn", "full", [*many, A, B]) == record(commit=A)


def test_find__only_that_run_and_profile(bench: Bench) -> None:
    bench.store().save([record("churn", profile="full")])
    assert bench.store().find("churn", "smoke", [A]) is None
    assert bench.store().find("ranking", "full", [A]) is None
    assert bench.store().find("churn", "full", [B, C]) is None
    assert bench.store().find("churn", "full", []) is None


def test_reading__an_empty_store(bench: Bench) -> None:
    assert bench.store().find("churn", "full", [A]) is None
    assert bench.store().history("churn", "full", [A], 20) == []
    assert bench.store().blob(SHA256) is None
    assert bench.store().prune(JUNE, []) == []
    assert list(bench.store().entries()) == []


def test_entries__in_order_and_only_records(bench: Bench) -> None:
    bench.store().save([record("ranking", commit=C), record(commit=B), record(commit=A)])
    bench.put("README.md", b"Hello")
    bench.put("runs/churn/notes.txt", b"Hello")
    bench.put(f"runs/churn/full/zz/{A}.json", b"{}")
    assert list(bench.store().entries()) == [
        Entry("churn", "full", A),
        Entry("churn", "full", B),
        Entry("ranking", "full", C),
    ]
    bench.store().save([record("new")])
    assert len(list(bench.store().entries())) == 4


def test_find__a_damaged_record_is_skipped(bench: Bench) -> None:
    bench.store().save([record(commit=A), record(commit=C)])
    path = f"runs/churn/full/{A[:2]}/{A}.json"
    bench.put(path, b"{")
    assert bench.store().find("churn", "full", [A, C]) == record(commit=C)
    assert len(bench.warnings) == 1
    assert path in bench.warnings[0]


def test_save__replaces_a_damaged_record(bench: Bench) -> None:
    bench.store().save([record()])
    bench.put(f"runs/churn/full/{A[:2]}/{A}.json", b"{")
    assert bench.store().save([record()]) == [record()]
    assert bench.store().find("churn", "full", [A]) == record()


def test_history__leaves_out_what_is_half_written(bench: Bench) -> None:
    bench.store().save([record(commit=commit) for commit in (A, B, C)])
    whole = encode(record(commit=B))
    path = f"runs/churn/full/{B[:2]}/{B}.json"
    bench.put(path, whole[: len(whole) // 2])
    assert bench.store().history("churn", "full", [A, B, C], 3) == [record(commit=A), record(commit=C)]
    assert len(bench.warnings) == 1
    assert path in bench.warnings[0]


def test_history__the_nearest_in_the_order_of_the_commits(bench: Bench) -> None:
    bench.store().save([record(commit=A), record(commit=B), record(commit=C), record("ranking", commit=A)])
    unknown = [f"{number:040x}" for number in range(100)]
    store = bench.store()
    assert store.history("churn", "full", [C, *unknown, A, B], 2) == [record(commit=C), record(commit=A)]
    assert store.history("churn", "full", [B, A], 20) == [record(commit=B), record(commit=A)]
    assert store.history("churn", "full", [A], 0) == []
    assert store.history("churn", "smoke", [A, B], 2) == []


def test_blob__is_what_was_saved_with_the_record(bench: Bench) -> None:
    kept = predicting(record())
    assert bench.store().save([kept], blobs={SHA256: PREDICTIONS}) == [kept]
    assert bench.store().blob(SHA256) == PREDICTIONS
    assert bench.store().save([kept], blobs={SHA256: PREDICTIONS}) == []
    assert list(bench.store().entries()) == [Entry("churn", "full", A)]


def test_blob__that_the_record_came_without_is_added(bench: Bench) -> None:
    bench.store().save([predicting(record())])
    assert bench.store().blob(SHA256) is None
    assert bench.store().save([predicting(record())], blobs={SHA256: PREDICTIONS}) == []
    assert bench.store().blob(SHA256) == PREDICTIONS


def test_blob__of_another_packing_is_left_as_it_is(bench: Bench) -> None:
    bench.store().save([record()])
    bench.put(BLOB, zlib.compress(PREDICTIONS, 1))
    bench.store().save([predicting(record(commit=B))], blobs={SHA256: PREDICTIONS})
    assert bench.store().blob(SHA256) == PREDICTIONS
    assert bench.warnings == []


def test_blob__that_is_damaged_is_none_until_it_is_saved_again(bench: Bench) -> None:
    bench.store().save([record()])
    assert bench.store().blob(SHA256) is None
    assert bench.warnings == []
    bench.put(BLOB, zlib.compress(PREDICTIONS)[:-1])
    assert bench.store().blob(SHA256) is None
    assert len(bench.warnings) == 1
    assert BLOB in bench.warnings[0]
    assert bench.store().save([], blobs={SHA256: PREDICTIONS}) == []
    assert bench.store().blob(SHA256) == PREDICTIONS


def test_save__refuses_content_of_another_digest(bench: Bench) -> None:
    with pytest.raises(StoreError, match="digest"):
        bench.store().save([record()], blobs={"0" * 64: PREDICTIONS})
    assert list(bench.store().entries()) == []


def test_prune__removes_what_is_old_but_the_last_and_the_spared(bench: Bench) -> None:
    bench.store().save(
        [
            *(made_in(1, A), made_in(2, B), made_in(7, C)),
            *(made_in(1, A, "ranking"), made_in(2, B, "ranking")),
            made_in(1, A, profile="smoke"),
        ]
    )
    going = [Entry("churn", "full", B)]
    assert bench.store().prune(JUNE, [A], dry_run=True) == going
    assert len(list(bench.store().entries())) == 6
    assert bench.store().prune(JUNE, [A]) == going
    assert bench.store().prune(JUNE, [A]) == []
    assert bench.store().find("churn", "full", [B]) is None
    assert bench.store().prune(JUNE, []) == [Entry("churn", "full", A), Entry("ranking", "full", A)]
    assert list(bench.store().entries()) == [
        Entry("churn", "full", C),
        Entry("churn", "smoke", A),
        Entry("ranking", "full", B),
    ]


def test_prune__takes_the_blobs_that_nobody_names_any_more(bench: Bench) -> None:
    own, shared = b"of the old one alone", b"of both"
    digests = {content: hashlib.sha256(content).hexdigest() for content in (own, shared)}
    bench.store().save(
        [predicting(made_in(1, A), own), predicting(made_in(2, B), shared), predicting(made_in(3, C), shared)],
        blobs={sha256: content for content, sha256 in digests.items()},
    )
    assert bench.store().prune(JUNE, []) == [Entry("churn", "full", A), Entry("churn", "full", B)]
    assert bench.store().blob(digests[own]) is None
    assert bench.store().blob(digests[shared]) == shared


def test_describe__names_the_place(bench: Bench) -> None:
    assert any(word in bench.store().describe() for word in ("records", "mlci-data"))


@pytest.mark.parametrize("name", ["folder", "git-branch"])
def test_stores__register_under_their_names(name: str) -> None:
    assert registry.plugin_class("stores", name).name == name
