"""What is shown while runs run: a live line on a terminal, groups on a runner, plain lines elsewhere."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from mlci.actions import Actions
from mlci.core.documents import Failure, RunResult
from mlci.plugins.executors.interface import Progress
from mlci.running.display import Display

DONE = RunResult(name="train", profile="default", status="succeeded", duration_s=2.0)


def shown(*, live: bool = False, runner: Path | None = None, text: str = "", result: RunResult = DONE) -> str:
    stream = io.StringIO()
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(runner / "out")} if runner else {}
    display = Display(stream, Actions(environ, stream), live=live)
    with display.running("train") as progress:
        progress(Progress(cell=1, cells=3, text=text))
        display.done("train", result)
    return stream.getvalue()


def test_display__plain_lines() -> None:
    assert shown() == "train: running\ntrain: succeeded in 2.0 s\n"


def test_display__a_live_line_that_is_cleared() -> None:
    written = shown(live=True)
    assert "train: 0.0 s cell 1/3" in written
    assert written.split("\r")[-1].strip() == ""
    assert "train: succeeded in 2.0 s\n" in written


def test_display__a_group_on_a_runner(tmp_path: Path) -> None:
    lines = shown(runner=tmp_path).splitlines()
    assert lines[0] == "::group::train"
    assert lines[-1] == "::endgroup::"
    assert "train: succeeded in 2.0 s" in lines


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb\x00", "\r\r"])
def test_display__output_moves_no_cursor(text: str) -> None:
    written = shown(live=True, text=text)
    assert not set(written) - set("\r\n") & {chr(code) for code in range(32)}


def test_display__the_error_and_its_cell() -> None:
    error = Failure(kind="exception", message="ValueError: no\nrows", cell=3)
    failed = RunResult(name="train", profile="default", status="failed", error=error)
    assert shown(result=failed).splitlines()[1:] == ["train: failed", "  cell 3: ValueError: no rows"]


def test_display__the_reason_of_a_skip() -> None:
    skipped = RunResult(name="train", profile="default", status="skipped", reason="inputs unchanged")
    assert shown(result=skipped).splitlines()[1] == "train: skipped (inputs unchanged)"
