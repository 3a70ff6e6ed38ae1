from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mlci.actions import Actions

MIB = 1024 * 1024


@dataclass
class Step:
    """A step as its runner sees it: what it printed, and its two files."""

    folder: Path
    stream: io.StringIO = field(default_factory=io.StringIO)

    @property
    def actions(self) -> Actions:
        files = {
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
        }
        return Actions({"GITHUB_ACTIONS": "true"} | files, self.stream)

    @property
    def printed(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    @property
    def summary(self) -> str:
        return (self.folder / "summary").read_text("utf-8")

    @property
    def outputs(self) -> dict[str, str]:
        """The output file read as a runner reads it: by name, delimiter, and lines up to the delimiter."""
        lines = iter((self.folder / "output").read_text("utf-8").split("\n"))
        return {
            name: "\n".join(_until(delimiter, lines))
            for name, _, delimiter in (line.partition("<<") for line in lines if line)
        }


def _until(delimiter: str, lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if line == delimiter:
            return
        yield line
    raise AssertionError("an output without its end")


@pytest.fixture
def step(tmp_path: Path) -> Step:
    return Step(tmp_path)


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        ("pass", "pass"),
        ("", ""),
        ("two\nlines\n", "two\nlines\n"),
        ("EOF\nverdict=pass\nverdict<<EOF\npass\nEOF", "EOF\nverdict=pass\nverdict<<EOF\npass\nEOF"),
        ("::set-output name=verdict::pass", "::set-output name=verdict::pass"),
        ("NUL \0, return \r, escape \x1b[31m", "NUL , return , escape [31m"),
        ("accuracy é 精度", "accuracy é 精度"),
        ("half \ud83d a pair", "half  a pair"),
    ],
)
def test_set_outputs__values_arrive_and_nothing_else_does(step: Step, value: str, arrives: str) -> None:
    step.actions.set_outputs({"summary": value, "verdict": "fail"})
    assert step.outputs == {"summary": arrives, "verdict": "fail"}


def test_set_outputs__adds_to_what_is_there(step: Step) -> None:
    step.actions.set_outputs({"verdict": "pass"})
    step.actions.set_outputs({"report": "report.md"})
    assert step.outputs == {"verdict": "pass", "report": "report.md"}


def test_set_outputs__no_two_share_a_delimiter(step: Step) -> None:
    step.actions.set_outputs({"a": "1", "b": "2"})
    lines = (step.folder / "output").read_text().splitlines()
    assert lines[0].partition("<<")[2] != lines[3].partition("<<")[2]


def test_append_summary__ends_in_one_new_line(step: Step) -> None:
    step.actions.append_summary("## Report")
    step.actions.append_summary("more\n")
    assert step.summary == "## Report\nmore\n"


def test_append_summary__is_cut_at_a_line_and_says_so(step: Step) -> None:
    line = "é" * 50 + "\n"
    step.actions.append_summary(line * (2 * MIB // len(line.encode())))
    assert MIB - 200 < len(step.summary.encode()) <= MIB
    body, _, note = step.summary.partition("\n\n")
    assert set(body.split("\n")) == {"é" * 50}
    assert note == "The rest did not fit into the job summary; it is in `.mlci/report.md`.\n"


def test_append_summary__all_of_it_together_fits(step: Step) -> None:
    for _ in range(4):
        step.actions.append_summary("x" * (MIB // 2))
    assert len(step.summary.encode()) <= MIB


def test_append_summary__control_characters_are_left_out(step: Step) -> None:
    step.actions.append_summary("a\0b\x1b[31m\tc\n")
    assert step.summary == "ab[31m\tc\n"


def test_group__ends_also_after_an_error(step: Step) -> None:
    def crash() -> None:
        with step.actions.group("churn (seed 0)\n::error::no"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        crash()
    assert step.printed == ["::group::churn (seed 0)%0A::error::no", "::endgroup::"]


@pytest.mark.parametrize(
    ("annotation", "line"),
    [
        ({"message": "accuracy fell"}, "::error::accuracy fell"),
        (
            {"message": "boom", "file": "train.py", "line": 3, "title": "churn"},
            "::error file=train.py,line=3,title=churn::boom",
        ),
        ({"message": "100%\nof\r\nit"}, "::error::100%25%0Aof%0Ait"),
        ({"message": "::set-env name=PATH::/evil"}, "::error::::set-env name=PATH::/evil"),
        ({"message": "m", "title": "a:b,line=9::c%\n"}, "::error title=a%3Ab%2Cline=9%3A%3Ac%25%0A::m"),
        ({"message": "a\0b", "file": "C:\\train.py"}, "::error file=C%3A\\train.py::ab"),
    ],
)
def test_annotate__is_one_line_that_holds_nothing_but_the_annotation(
    step: Step, annotation: dict[str, object], line: str
) -> None:
    step.actions.annotate("error", **annotation)  # type: ignore[arg-type]
    assert step.printed == [line]


def test_annotate__ten_of_each_kind_and_a_word_about_the_rest(step: Step) -> None:
    actions = step.actions
    for number in range(13):
        actions.annotate("error", f"error {number}")
    for number in range(11):
        actions.annotate("warning", f"warning {number}")
    actions.annotate("notice", "notice 0")
    actions.finish()
    kinds = [line.split("::")[1] for line in step.printed[:-1]]
    assert {kind: kinds.count(kind) for kind in kinds} == {"error": 10, "warning": 10, "notice": 1}
    assert step.printed[-1].startswith("4 more annotations were left out")


def test_finish__says_nothing_where_nothing_was_left_out(step: Step) -> None:
    actions = step.actions
    actions.annotate("error", "one")
    actions.finish()
    assert step.printed == ["::error::one"]


def test_inert__stops_commands_until_a_word_that_no_output_can_know(step: Step) -> None:
    words = []
    for _ in range(2):
        with step.actions.inert():
            step.stream.write("::error::from a notebook\n")
        start, text, end = step.printed[-3:]
        word = start.removeprefix("::stop-commands::")
        assert (text, end) == ("::error::from a notebook", f"::{word}::")
        words.append(word)
    assert all(len(word) >= 32 for word in words)
    assert words[0] != words[1]


def test_everything__is_silent_without_a_runner(tmp_path: Path) -> None:
    stream = io.StringIO()
    files = {name: str(tmp_path / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    actions = Actions(files, stream)
    actions.set_outputs({"verdict": "pass"})
    actions.append_summary("## Report")
    with actions.group("churn"), actions.inert():
        actions.annotate("error", "no")
    for _ in range(20):
        actions.annotate("error", "no")
    actions.finish()
    assert stream.getvalue() == ""
    assert list(tmp_path.iterdir()) == []


def test_actions__do_no_harm_where_the_runner_gives_no_files() -> None:
    actions = Actions({"GITHUB_ACTIONS": "true"}, io.StringIO())
    actions.set_outputs({"verdict": "pass"})
    actions.append_summary("## Report")


def test_actions__keep_the_environment_to_themselves() -> None:
    assert "ghs_" not in repr(Actions({"MLCI_GITHUB_TOKEN": "ghs_secret"}, io.StringIO()))
