"""What is shown while runs run: a live line on a terminal, groups on a runner, plain lines elsewhere."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest

from mlci.actions import Actions
from mlci.core.documents import Failure, RunResult
from mlci.plugins.executors.interface import Progress
from mlci.running import display as module
from mlci.running.display import Display

DONE = RunResult(name="train", profile="default", status="succeeded", duration_s=2.0)
CELL = Progress(cell=1, cells=3)


def display_on(stream: io.StringIO, *, runner: bool = False, **values: Any) -> Display:
    return Display(stream, Actions({"GITHUB_ACTIONS": "true"} if runner else {}, stream), **{"live": False} | values)


def shown(*said: Progress, result: RunResult = DONE, **values: Any) -> str:
    stream = io.StringIO()
    display = display_on(stream, **values)
    display.start("train")
    for progress in said:
        display.progress("train", progress)
        display.tick()
    display.done("train", result)
    return stream.getvalue()


def text(*lines: str, cell: int = 1) -> Progress:
    return Progress(cell=cell, cells=3, text="".join(f"{line}\n" for line in lines))


def test_display__plain_lines() -> None:
    assert shown(text("not asked for")) == "train: running\ntrain: succeeded in 2.0 s\n"


def test_display__a_live_line_that_is_cleared() -> None:
    written = shown(CELL, live=True)
    assert "train: 0.0 s cell 1/3" in written
    assert written.split("\r")[-1].strip() == "train: succeeded in 2.0 s"


def test_display__a_live_line_of_several() -> None:
    stream = io.StringIO()
    display = display_on(stream, live=True, parallel=True)
    display.waiting = 5
    for label in ("churn", "vision"):
        display.start(label)
    display.progress("churn", CELL)
    display.progress("vision", Progress(text="epoch 1\nepoch 2\n"))
    display.tick()
    assert "2 running: churn cell 1/3, vision epoch 2, 5 waiting" in stream.getvalue()


@pytest.mark.parametrize("said", ["\x1b[2J", "a\nb\x00", "\r\r"])
@pytest.mark.parametrize("follow", [True, False])
def test_display__output_moves_no_cursor(said: str, follow: bool) -> None:
    written = shown(Progress(cell=1, cells=3, text=said), live=True, follow=follow)
    assert not set(written) - set("\r\n") & {chr(code) for code in range(32)}


def test_display__the_error_and_its_cell() -> None:
    error = Failure(kind="exception", message="ValueError: no\nrows", cell=3)
    failed = RunResult(name="train", profile="default", status="failed", error=error)
    assert shown(result=failed).splitlines()[1:] == ["train: failed", "  cell 3: ValueError: no rows"]


def test_display__the_reason_of_a_skip() -> None:
    stream = io.StringIO()
    skipped = RunResult(name="train", profile="default", status="skipped", reason="inputs unchanged")
    display_on(stream).done("train", skipped)
    assert stream.getvalue() == "train: skipped (inputs unchanged)\n"


def test_display__notes() -> None:
    noted = RunResult(name="train", profile="default", status="succeeded", notes=("one process\noutlived it",))
    assert shown(result=noted).splitlines()[1] == "train: one process outlived it"


def test_display__follow() -> None:
    lines = shown(text("loss 1"), text("loss 2"), text("done", cell=2), follow=True).splitlines()
    assert lines[1:-1] == ["cell 1/3", "loss 1", "loss 2", "cell 2/3", "done"]


def test_display__follow_a_script() -> None:
    lines = shown(Progress(text="epoch"), Progress(text=" 1\nepoch 2"), follow=True).splitlines()
    assert lines[1:-1] == ["epoch 1", "epoch 2"]


def test_display__follow_several() -> None:
    stream = io.StringIO()
    display = display_on(stream, parallel=True, follow=True)
    for label in ("a", "b"):
        display.start(label)
    display.progress("a", Progress(text="half of "))
    display.progress("b", Progress(text="whole\n"))
    display.progress("a", Progress(text="a line\n"))
    assert stream.getvalue().splitlines() == ["a: running", "b: running", "b | whole", "a | half of a line"]


def test_display__colours_are_taken_off() -> None:
    said = Progress(text="\x1b[1;31mred\x1b[0m and \x1b[38;2;1;2;3mblue\n")
    assert shown(said, follow=True).splitlines()[1:-1] == ["red and blue"]


def test_display__a_live_line_shows_the_last_whole_line_or_the_bar_that_moves() -> None:
    stream = io.StringIO()
    display = display_on(stream, live=True)
    display.start("train")
    for piece in ("epoch", " 1\nepo", "ch 2\nep"):
        display.progress("train", Progress(text=piece))
    display.tick()
    assert "train: 0.0 s epoch 2 " in stream.getvalue()
    display = display_on(stream, live=True)
    display.start("train")
    display.progress("train", Progress(text="epoch 3\n\r 10%\r 20%"))
    display.tick()
    assert "train: 0.0 s 20% " in stream.getvalue()


def test_display__a_progress_bar_is_one_line() -> None:
    said = [Progress(text=piece) for piece in ("\r 10%", "\r 50%\r", " 90%", "\r100%\n", "\r 1%\r\n")]
    assert shown(*said, follow=True).splitlines()[1:-1] == ["100%", " 1%"]


def test_display__a_group_on_a_runner_whose_text_is_inert() -> None:
    hostile = ["::error::x", "##[error]y", "  ::set-env name=A::b", "::endgroup::"]
    lines = shown(text(*hostile), runner=True).splitlines()
    assert (lines[0], lines[-1]) == ("::group::train", "::endgroup::")
    token = re.fullmatch(r"::stop-commands::([0-9a-f]{32})", lines[1])
    assert token is not None
    assert lines[-2] == f"::{token[1]}::"
    assert lines[2:-2] == [
        "train: running",
        "cell 1/3",
        "::error::x",
        "## [error]y",
        "  ::set-env name=A::b",
        "::endgroup::",
        "train: succeeded in 2.0 s",
    ]


def test_display__what_breaks_in_the_middle_silences_no_later_command() -> None:
    stream = io.StringIO()
    display = display_on(stream, runner=True)
    display.start("train")
    display.close()
    display.actions.annotate("error", "broken")
    last = stream.getvalue().splitlines()[-3:]
    assert re.fullmatch(r"::[0-9a-f]{32}::", last[0])
    assert last[1:] == ["::endgroup::", "::error::broken"]


def test_display__on_a_runner_several_runs_do_not_mix() -> None:
    stream = io.StringIO()
    display = display_on(stream, runner=True, parallel=True)
    for label in ("a", "b"):
        display.start(label)
    for number in range(3):
        for label in ("a", "b"):
            display.progress(label, Progress(text=f"{label} says {number}\n"))
    before = stream.getvalue()
    assert "says" not in before
    display.done("b", DONE)
    display.done("a", DONE)
    lines = [
        line for line in stream.getvalue()[len(before) :].splitlines() if not re.match(r"::(stop|[0-9a-f]{32})", line)
    ]
    assert lines == [
        *("::group::b", "b says 0", "b says 1", "b says 2", "b: succeeded in 2.0 s", "::endgroup::"),
        *("::group::a", "a says 0", "a says 1", "a says 2", "a: succeeded in 2.0 s", "::endgroup::"),
    ]


@pytest.mark.parametrize("parallel", [True, False])
def test_display__head_and_tail_of_a_long_cell(parallel: bool) -> None:
    said = [text(*(f"line {number}" for number in range(1000))), text("next", cell=2)]
    lines = shown(*said, runner=True, parallel=parallel).splitlines()
    assert {"line 0", "line 99", "line 999", "line 900", "cell 2/3", "next"} <= set(lines)
    assert not {"line 100", "line 899"} & set(lines)
    assert "[... 800 lines, 7.2 kB left out here: the executed notebook has them ...]" in lines
    assert lines.index("line 999") + 1 == lines.index("cell 2/3")


def test_display__a_script_s_lines_are_all_shown_within_reason() -> None:
    lines = shown(*(Progress(text=f"step {number}\n") for number in range(5000)), follow=True).splitlines()
    assert len(lines) == 5002


def test_display__what_is_kept_of_a_run_for_its_group_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_GROUP", 1000)
    written = shown(*(Progress(text=f"step {number}\n") for number in range(5000)), runner=True, parallel=True)
    assert "step 0\n" in written
    assert "step 4999\n" in written
    assert re.search(r"\[\.\.\. \d+ lines left out here \.\.\.\]", written)
    assert len(written) < 2000
