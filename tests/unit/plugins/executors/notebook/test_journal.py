from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlci.plugins.executors.notebook.journal import Journal, recover

STREAM = {"output_type": "stream", "name": "stdout", "text": "hello\n"}


def at(second: int) -> str:
    return f"2024-05-01T10:00:{second:02}+00:00"


def start(cell: int, second: int = 0) -> dict[str, Any]:
    return {"event": "start", "cell": cell, "at": at(second)}


def end(cell: int, second: int = 0, **fields: Any) -> dict[str, Any]:
    return {"event": "end", "cell": cell, "at": at(second), "status": "completed"} | fields


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """As it is written when the execution starts: four cells, all pending."""
    make = nbformat.v4
    cells = [make.new_markdown_cell("# Title"), *(make.new_code_cell(f"x = {number}") for number in range(3))]
    for cell in cells:
        cell.metadata.papermill = {
            "exception": None,
            "start_time": None,
            "end_time": None,
            "duration": None,
            "status": "pending",
        }
    of_notebook = {"start_time": at(0), "end_time": None, "duration": None, "exception": None}
    path = tmp_path / "out.ipynb"
    nbformat.write(make.new_notebook(cells=cells, metadata={"papermill": of_notebook}), path)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.journal"


def write(path: Path, *events: dict[str, Any]) -> None:
    journal = Journal(path)
    for event in events:
        journal.append(event)
    journal.close()


def statuses(node: Any) -> list[str]:
    return [cell.metadata.papermill.status for cell in node.cells]


def test_append__a_line_an_event(path: Path) -> None:
    write(path, start(1), end(1, outputs=[{**STREAM, "text": "é\n\u2028"}]))
    lines = path.read_text().split("\n")
    assert [json.loads(line)["event"] for line in lines[:-1]] == ["start", "end"]
    assert lines[-1] == ""


def test_append__survives_the_kill_of_the_process(path: Path) -> None:
    script = """
        import os, pathlib, signal, sys
        from mlci.plugins.executors.notebook.journal import Journal
        journal = Journal(pathlib.Path(sys.argv[1]))
        journal.append({"event": "start", "cell": 1})
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == '{"event":"start","cell":1}\n'


def test_append__after_a_line_that_was_cut_short(path: Path, notebook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(path)
    write_all = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, data: write_all(file, data[:9]))
        journal.append(start(2))
    journal.append(start(3))
    journal.close()
    assert statuses(recover(path, notebook)) == ["pending", "pending", "failed", "pending"]


def test_journal__belongs_to_one_execution(path: Path) -> None:
    write(path, start(1))
    write(path, start(2))
    assert path.read_text().count("\n") == 1


def test_discard__leaves_nothing(path: Path) -> None:
    journal = Journal(path)
    journal.discard()
    journal.discard()
    assert not path.exists()
    with pytest.raises(ValueError, match=r"out\.journal is closed"):
        journal.append(start(1))


def test_recover__cells_that_ended_started_and_never_did(path: Path, notebook: Path) -> None:
    write(path, start(1, 1), end(1, 1), start(2, 2), end(2, 5, outputs=[STREAM], execution_count=1), start(3, 7))
    node = recover(path, notebook)
    nbformat.validate(node)
    assert statuses(node) == ["completed", "completed", "failed", "pending"]
    done, lost, never = (cell.metadata.papermill for cell in node.cells[1:])
    assert (node.cells[1].outputs, node.cells[1].execution_count) == ([STREAM], 1)
    assert (done.start_time, done.end_time, done.duration, done.exception) == (at(2), at(5), 3.0, False)
    assert (lost.start_time, lost.end_time, lost.duration, lost.exception) == (at(7), None, None, True)
    assert (never.start_time, never.exception) == (None, None)
    assert node.metadata.papermill == {"start_time": at(0), "end_time": at(7), "duration": 7.0, "exception": True}


def test_recover__a_cell_that_failed(path: Path, notebook: Path) -> None:
    write(path, start(2), end(2, status="failed"))
    node = recover(path, notebook)
    assert (node.cells[1].metadata.papermill.exception, node.metadata.papermill.exception) == (True, True)


def test_recover__keeps_what_the_notebook_holds_of_a_running_cell(path: Path, notebook: Path) -> None:
    written = nbformat.read(notebook, as_version=4)
    written.cells[1].outputs = [nbformat.from_dict(STREAM)]
    nbformat.write(written, notebook)
    write(path, start(2))
    assert recover(path, notebook).cells[1].outputs == [STREAM]


def test_recover__nothing_was_wrong(path: Path, notebook: Path) -> None:
    write(path, *(each(cell) for cell in range(1, 5) for each in (start, end)))
    node = recover(path, notebook)
    assert statuses(node) == ["completed"] * 4
    assert node.metadata.papermill.exception is None


@pytest.mark.parametrize("cut", range(1, 40, 7))
def test_recover__the_last_line_is_cut(path: Path, notebook: Path, cut: int) -> None:
    write(path, start(2), end(2), start(3))
    path.write_bytes(path.read_bytes()[:-cut])
    assert statuses(recover(path, notebook)) == ["pending", "completed", "pending", "pending"]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff\x00{",
        b"[" * 100_000,
        b"[]",
        b'{"event": "start"}',
        json.dumps(start(0)).encode(),
        json.dumps(start(5)).encode(),
        json.dumps(start(True)).encode(),
        json.dumps(start(4) | {"at": "yesterday"}).encode(),
        json.dumps(end(4, status="pending")).encode(),
        json.dumps(end(4, outputs={"output_type": "stream"})).encode(),
        json.dumps(end(4, outputs=[{"output_type": "script"}])).encode(),
        json.dumps(end(4, outputs=[{**STREAM, "text": 7}])).encode(),
        json.dumps(end(4, execution_count="1")).encode(),
    ],
    ids=lambda line: repr(line[:60]),
)
def test_recover__what_is_no_event_is_passed_over(path: Path, notebook: Path, line: bytes) -> None:
    write(path, start(2))
    path.write_bytes(line + b"\n" + path.read_bytes() + line + b"\n" + json.dumps(end(2)).encode() + b"\n" + line)
    assert statuses(recover(path, notebook)) == ["pending", "completed", "pending", "pending"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(st.binary(max_size=60) | st.text('{}[]":,eventclas012\n').map(str.encode))
def test_recover__whatever_the_journal_holds(path: Path, notebook: Path, garbage: bytes) -> None:
    path.write_bytes(garbage)
    assert statuses(recover(path, notebook)) == ["pending"] * 4


def test_recover__one_of_them_cannot_be_read(path: Path, notebook: Path) -> None:
    assert recover(path, notebook) is None
    write(path, start(1))
    assert recover(path, path.with_name("absent.ipynb")) is None
    notebook.write_text('{"cells": ')
    assert recover(path, notebook) is None
