"""Documents are written whole or not at all, and one made from something else is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlci.core.documents import Comparison, Origin, PredictionsFile, RecordsDocument, RunsDocument, digest
from mlci.errors import WorkspaceError
from mlci.workspace import COMPARISON, RECORDS, REPORT, RUNS, Workspace, write_atomically

ORIGIN = Origin(commit="a" * 40, dirty=False, branch="main", event="local", created_at="2026-01-01T00:00:00+00:00")
RUNS_DOCUMENT = RunsDocument(origin=ORIGIN, planned=(), runs=())


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / ".mlci")


def write_all(workspace: Workspace) -> None:
    made = workspace.write(RUNS, RUNS_DOCUMENT)
    made = workspace.write(RECORDS, RecordsDocument(records=(), made_from=(made,)))
    workspace.write(COMPARISON, Comparison(current=made, baselines={}, deltas=(), verdict="pass", blocks=False))
    workspace.write(REPORT, "# Report\n")


def names(workspace: Workspace) -> set[str]:
    return {path.name for path in workspace.folder.iterdir()}


def test_write__then_read(workspace: Workspace) -> None:
    write_all(workspace)
    assert workspace.runs()[0] == RUNS_DOCUMENT
    assert workspace.comparison()[0].verdict == "pass"


def test_write__keeps_itself_out_of_git(workspace: Workspace) -> None:
    workspace.write(RUNS, RUNS_DOCUMENT)
    assert (workspace.folder / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize(
    ("written", "left"),
    [(RUNS, {RUNS}), (RECORDS, {RUNS, RECORDS}), (COMPARISON, {RUNS, RECORDS, COMPARISON})],
)
def test_write__removes_what_was_made_from_the_old_one(workspace: Workspace, written: str, left: set[str]) -> None:
    write_all(workspace)
    workspace.write(written, RUNS_DOCUMENT)
    assert names(workspace) == left | {".gitignore"}


def test_records__of_another_run(workspace: Workspace) -> None:
    workspace.write(RUNS, RUNS_DOCUMENT)
    workspace.write(RECORDS, RecordsDocument(records=(), made_from=("0" * 64,)))
    with pytest.raises(WorkspaceError, match=r"record\.json was not made from the run\.json beside it") as caught:
        workspace.records()
    assert caught.value.hint == "Run `mlci record` again."


def test_records__alone_as_a_download_brings_them(workspace: Workspace) -> None:
    workspace.write(RECORDS, RecordsDocument(records=(), made_from=("0" * 64,)))
    assert workspace.records()[0].records == ()


def test_comparison__of_other_records(workspace: Workspace) -> None:
    write_all(workspace)
    other = RecordsDocument(records=(), made_from=())
    (workspace.folder / RUNS).unlink()
    (workspace.folder / RECORDS).write_bytes(b"")
    comparison = (workspace.folder / COMPARISON).read_bytes()
    workspace.write(RECORDS, other)
    (workspace.folder / COMPARISON).write_bytes(comparison)
    with pytest.raises(WorkspaceError, match=r"comparison\.json was not made from the record\.json"):
        workspace.comparison()


def test_runs__none(workspace: Workspace) -> None:
    with pytest.raises(WorkspaceError, match=r"\.mlci/run\.json: there is none") as caught:
        workspace.runs()
    assert caught.value.hint == "Make it with `mlci run`."


def test_outputs__are_empty_again(workspace: Workspace) -> None:
    (workspace.outputs("train", 1) / "old").touch()
    again = workspace.outputs("train", 1)
    assert again.relative_to(workspace.folder).as_posix() == "outputs/train/seed-1"
    assert list(again.iterdir()) == []


def test_write_atomically__a_full_disk_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(b"old")
    with pytest.raises(TypeError):
        write_atomically(path, 3)  # type: ignore[arg-type]  # fails while writing, as a full disk does
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["run.json"]


def test_content__as_the_run_left_them_or_as_they_were_brought(workspace: Workspace) -> None:
    content = b"id,label,prediction\n"
    file = PredictionsFile(path="p.csv", sha256=digest(content), size=len(content), stored="outputs/p.csv")
    assert workspace.content(file) is None
    workspace.bring(content)
    assert workspace.content(file) == content
    (workspace.folder / "brought" / file.sha256).unlink()
    (workspace.folder / "outputs").mkdir()
    (workspace.folder / "outputs/p.csv").write_bytes(content)
    assert workspace.content(file) == content


@pytest.mark.parametrize("stored", ["../p.csv", "/p.csv", "", None])
def test_content__nothing_outside_of_the_workspace(workspace: Workspace, stored: str | None) -> None:
    workspace.prepare()
    (workspace.folder.parent / "p.csv").write_bytes(b"p")
    assert workspace.content(PredictionsFile(path="p.csv", sha256=digest(b"p"), size=1, stored=stored)) is None


@pytest.mark.parametrize("place", ["x" * 300, "\0", "\ud800", "loop", "pipe", "", "device", "folder/../../secret"])
def test_kept__what_is_no_file_of_the_workspace(workspace: Workspace, place: str) -> None:
    workspace.prepare()
    (workspace.folder / "loop").symlink_to("loop")
    (workspace.folder / "device").symlink_to("/dev/zero")
    os.mkfifo(workspace.folder / "pipe")
    (workspace.folder.parent / "secret").write_bytes(b"secret")
    assert workspace.kept(place, limit=100) is None


def test_records__that_are_a_pipe(workspace: Workspace) -> None:
    workspace.prepare()
    os.mkfifo(workspace.path(RECORDS))
    with pytest.raises(WorkspaceError, match=r"record\.json: there is none"):
        workspace.records()
