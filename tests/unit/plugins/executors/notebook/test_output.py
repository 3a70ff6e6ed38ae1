from __future__ import annotations

import copy
import json
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbclient import NotebookClient

from mlci.core.redaction import Redactor
from mlci.plugins.executors.interface import OutputLimits
from mlci.plugins.executors.notebook.output import CellOutputs, OutputCollector

PLAIN = Redactor(())


def message(kind: str, display_id: str | None = None, **content: Any) -> dict[str, Any]:
    if display_id:
        content["transient"] = {"display_id": display_id}
    return {"header": {"msg_type": kind}, "content": content}


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    return message("stream", name=name, text=text)


def display(text: str, display_id: str | None = None, kind: str = "display_data") -> dict[str, Any]:
    return message(kind, display_id, data={"text/plain": text}, metadata={})


def picture(size: int) -> dict[str, Any]:
    return message("display_data", data={"image/png": "A" * size, "text/plain": "<Figure>"}, metadata={})


def error(evalue: str = "no", traceback: Iterable[str] = ("Traceback", "ValueError: no")) -> dict[str, Any]:
    return message("error", ename="ValueError", evalue=evalue, traceback=list(traceback))


def clear(*, wait: bool) -> dict[str, Any]:
    return message("clear_output", wait=wait)


def run(cell: CellOutputs, messages: Iterable[dict[str, Any]]) -> None:
    for each in messages:
        cell.message(each)
    cell.finish()


def collected(
    folder: Path, *messages: dict[str, Any], cell: int = 1 << 20, redactor: Redactor = PLAIN
) -> tuple[list[Any], OutputCollector]:
    outputs: list[Any] = ["left over from the last execution"]
    collector = OutputCollector(folder, OutputLimits(cell=cell), redactor)
    run(collector.cell(12, outputs), messages)
    return outputs, collector


def brief(outputs: list[Any]) -> list[str]:
    """Streams as `name:text`, others as their plain text or value."""
    return [
        f"{output['name']}:{output['text']}"
        if output["output_type"] == "stream"
        else output["evalue"]
        if output["output_type"] == "error"
        else output["data"].get("text/plain")
        for output in outputs
    ]


def test_message__every_kind_is_a_valid_output(tmp_path: Path) -> None:
    result = message(
        "execute_result", data={"text/plain": "2", "application/json": {"a": [1]}}, metadata={"m": 1}, execution_count=3
    )
    outputs, collector = collected(tmp_path, stream("a\n"), picture(9), result, error())
    cell = nbformat.v4.new_code_cell(outputs=outputs)
    nbformat.validate(nbformat.v4.new_notebook(cells=[cell]))
    assert [output.output_type for output in outputs] == ["stream", "display_data", "execute_result", "error"]
    assert outputs[2] == {
        "output_type": "execute_result",
        "data": {"text/plain": "2", "application/json": {"a": [1]}},
        "metadata": {"m": 1},
        "execution_count": 3,
    }
    assert outputs[3] == {
        "output_type": "error",
        "ename": "ValueError",
        "evalue": "no",
        "traceback": ["Traceback", "ValueError: no"],
    }
    assert (collector.spilled, collector.notes, list(tmp_path.iterdir())) == ((), (), [])


def test_message__what_is_no_output_is_left_alone(tmp_path: Path) -> None:
    outputs, _ = collected(
        tmp_path, message("status", execution_state="busy"), message("comm_open", data={}), message("execute_input")
    )
    assert outputs == []


def test_message__streams_in_a_row_become_one(tmp_path: Path) -> None:
    outputs, _ = collected(
        tmp_path, stream("a"), stream("b\n"), stream("e", "stderr"), stream("c"), display("x"), stream("d")
    )
    assert brief(outputs) == ["stdout:ab\n", "stderr:e", "stdout:c", "x", "stdout:d"]


def test_message__a_progress_bar_is_its_last_state(tmp_path: Path) -> None:
    bars = [stream(f"\r{percent}% |{'#' * percent}", "stderr") for percent in range(101)]
    outputs, _ = collected(tmp_path, *bars, stream("\r\n", "stderr"))
    assert brief(outputs) == [f"stderr:100% |{'#' * 100}\n"]


@settings(deadline=None)
@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\b\x1b"), min_size=1, max_size=20), min_size=1)
)
def test_message__any_chunks_give_their_concatenation(chunks: list[str]) -> None:
    outputs, _ = collected(Path("unused"), *map(stream, chunks))
    assert brief(outputs) == ["stdout:" + "".join(chunks)]


def test_message__half_a_surrogate_pair_can_be_written(tmp_path: Path) -> None:
    outputs, _ = collected(
        tmp_path, stream("a\ud800b"), message("display_data", data={"text/html": "\udc00"}, metadata={})
    )
    assert json.dumps(outputs, ensure_ascii=False).encode("utf-8")


def test_clear_output__at_once_or_with_the_next_output(tmp_path: Path) -> None:
    assert collected(tmp_path, stream("a"), clear(wait=False), stream("b"))[0][0]["text"] == "b"
    assert collected(tmp_path, stream("a"), clear(wait=True))[0][0]["text"] == "a"
    outputs, _ = collected(tmp_path, stream("a"), display("x"), clear(wait=True), display("y"), stream("b"))
    assert brief(outputs) == ["y", "stdout:b"]


def test_update__outputs_of_this_and_of_earlier_cells(tmp_path: Path) -> None:
    first: list[Any] = []
    second: list[Any] = []
    collector = OutputCollector(tmp_path, OutputLimits(), PLAIN)
    run(collector.cell(1, first), [display("0%", "bar"), display("other", "else")])
    run(collector.cell(2, second), [display("50%", "bar"), display("100%", "bar", kind="update_display_data")])
    assert (brief(first), brief(second)) == (["100%", "other"], ["100%"])


def test_update__what_was_cleared_or_never_shown_is_no_more(tmp_path: Path) -> None:
    update = display("new", "bar", kind="update_display_data")
    outputs, _ = collected(tmp_path, update, display("old", "bar"), clear(wait=False), update, display("kept"))
    assert brief(outputs) == ["kept"]


def test_update__too_large_for_its_place_is_spilled(tmp_path: Path) -> None:
    update = display("y" * 900, "bar", kind="update_display_data")
    outputs, collector = collected(tmp_path, stream("x" * 400), display("small", "bar"), update, cell=1000)
    assert outputs[1]["data"]["text/plain"].startswith(
        "[an output of 900 bytes (text/plain) is left out here: all of it is"
    )
    assert collector.spilled == ("outputs-in-full/cell-0012.txt", "outputs-in-full/cell-0012.jsonl")
    assert "y" * 900 in (tmp_path / collector.spilled[1]).read_text()


TEXTS = st.text("ab\n", min_size=1, max_size=3)
IDS = st.sampled_from([None, "one", "two"])
MESSAGES = st.one_of(
    st.builds(stream, TEXTS, st.sampled_from(["stdout", "stderr"])),
    st.builds(display, TEXTS, IDS, st.sampled_from(["display_data", "update_display_data"])),
    st.builds(clear, wait=st.booleans()),
    st.builds(error, TEXTS),
)


def by_nbclient(cells: list[list[dict[str, Any]]]) -> list[list[Any]]:
    """The outputs that nbclient makes of the messages of each cell, streams in a row joined."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell() for _ in cells])
    client = NotebookClient(notebook)
    client.reset_execution_trackers()
    for index, messages in enumerate(cells):
        client.clear_before_next_output = False
        for each in messages:
            whole = {**copy.deepcopy(each), "msg_type": each["header"]["msg_type"], "parent_header": {}}
            client.process_message(whole, notebook.cells[index], index)
    found: list[list[Any]] = []
    for cell in notebook.cells:
        outputs: list[Any] = []
        for output in cell.outputs:
            if outputs and output.output_type == "stream" and outputs[-1].get("name") == output.name:
                outputs[-1].text += output.text
            else:
                outputs.append(output)
        found.append(outputs)
    return found


@settings(deadline=None)
@given(st.lists(st.lists(MESSAGES, max_size=8), min_size=1, max_size=3))
def test_message__as_nbclient_does(cells: list[list[dict[str, Any]]]) -> None:
    collector = OutputCollector(Path("unused"), OutputLimits(), PLAIN)
    found: list[list[Any]] = [[] for _ in cells]
    for position, messages in enumerate(cells, start=1):
        run(collector.cell(position, found[position - 1]), messages)
    assert found == by_nbclient(cells)


def test_limit__exactly_reached_cuts_nothing(tmp_path: Path) -> None:
    outputs, collector = collected(tmp_path, stream("é" * 250), stream("x" * 500), cell=1000)
    assert (brief(outputs), collector.spilled) == (["stdout:" + "é" * 250 + "x" * 500], ())


def test_limit__text_keeps_head_and_tail_and_spills_the_whole(tmp_path: Path) -> None:
    printed = "".join(f"line {number}\n" for number in range(10_000))
    chunks = [printed[start : start + 777] for start in range(0, len(printed), 777)]
    outputs, collector = collected(tmp_path, *map(stream, chunks), cell=2000)
    assert (tmp_path / "outputs-in-full/cell-0012.txt").read_text() == printed
    assert collector.spilled == ("outputs-in-full/cell-0012.txt",)
    [text] = [output["text"] for output in outputs]
    head, mark, tail = (part for part in text.partition(next(line for line in text.splitlines(True) if line[0] == "[")))
    assert mark == "[... 94.6 KiB left out here: all of it is in outputs-in-full/cell-0012.txt ...]\n"
    assert printed.startswith(head)
    assert printed.endswith(tail)
    assert 1900 < len(head + tail) <= 2000
    assert (head[-1], tail[:5]) == ("\n", "line ")
    assert collector.notes == ("too much output to keep in the notebook, cell 12: all of it is in outputs-in-full/",)


def test_limit__one_message_over_it(tmp_path: Path) -> None:
    outputs, _ = collected(tmp_path, stream("é" * 5000 + "the end"), cell=1000)
    assert outputs[0]["text"].endswith("the end")
    assert len(outputs[0]["text"]) < 700
    assert (tmp_path / "outputs-in-full/cell-0012.txt").read_text() == "é" * 5000 + "the end"


def test_limit__an_unfinished_line_is_spilled_once(tmp_path: Path) -> None:
    collected(tmp_path, stream("x\n" * 600 + "unfinished"), stream(" and done\n"), stream("after\n"), cell=1000)
    assert (tmp_path / "outputs-in-full/cell-0012.txt").read_text() == "x\n" * 600 + "unfinished and done\nafter\n"


def test_limit__pictures_keep_the_first_and_the_last(tmp_path: Path) -> None:
    pictures = [display(f"{number}" + "." * 299) for number in range(20)]
    outputs, collector = collected(tmp_path, *pictures, cell=1500)
    assert [text.split(".")[0] for text in brief(outputs)] == ["0", "1", "stderr:[", "18", "19"]
    lines = (tmp_path / "outputs-in-full/cell-0012.jsonl").read_text().splitlines()
    assert [json.loads(line)["data"]["text/plain"][:2].strip(".") for line in lines] == [str(n) for n in range(20)]
    assert collector.spilled == ("outputs-in-full/cell-0012.jsonl",)


def test_limit__text_and_pictures_name_both_files(tmp_path: Path) -> None:
    outputs, collector = collected(tmp_path, stream("a" * 600 + "\n"), display("b" * 600), stream("c" * 900), cell=1000)
    assert len(collector.spilled) == 2
    assert "cell-0012.txt and outputs-in-full/cell-0012.jsonl" in outputs[0]["text"]


def test_limit__an_output_over_it_becomes_a_note(tmp_path: Path) -> None:
    outputs, collector = collected(tmp_path, stream("before\n"), picture(5000), stream("after\n"), cell=1000)
    assert brief(outputs) == [
        "stdout:before\n",
        "stderr:[an output of 4.9 KiB (image/png, text/plain) is left out here: "
        "all of it is in outputs-in-full/cell-0012.txt and outputs-in-full/cell-0012.jsonl]\n",
        "stdout:after\n",
    ]
    spilled = json.loads((tmp_path / "outputs-in-full/cell-0012.jsonl").read_text())
    assert len(spilled["data"]["image/png"]) == 5000
    assert (tmp_path / "outputs-in-full/cell-0012.txt").read_text() == "before\nafter\n"
    assert len(collector.notes) == 1


def test_limit__an_error_is_kept_whatever_comes_after(tmp_path: Path) -> None:
    outputs, _ = collected(tmp_path, stream("x" * 900), error("y" * 5000), stream("z" * 5000, "stderr"), cell=1000)
    kinds = [output["output_type"] for output in outputs]
    assert kinds == ["stream", "error", "stream"]
    assert outputs[1]["evalue"] == "y" * 5000


def test_limit__an_error_of_many_megabytes_is_shortened(tmp_path: Path) -> None:
    outputs, _ = collected(tmp_path, error("y" * 4_000_000, ["head"] + ["middle"] * 1_000_000 + ["tail"]))
    assert outputs[0]["evalue"].startswith("yyy")
    assert outputs[0]["traceback"][0].startswith("head\n")
    assert outputs[0]["traceback"][0].endswith("\ntail")
    assert len(json.dumps(outputs)) < 256 * 1024
    [whole] = (tmp_path / "outputs-in-full/cell-0012.jsonl").read_text().splitlines()
    assert len(json.loads(whole)["traceback"]) == 1_000_002


def test_limit__of_the_notebook_leaves_later_cells_a_little(tmp_path: Path) -> None:
    limits = OutputLimits(cell=100_000, total=250_000)
    collector = OutputCollector(tmp_path, limits, PLAIN)
    cells: list[list[Any]] = [[] for _ in range(5)]
    for position, outputs in enumerate(cells, start=1):
        run(collector.cell(position, outputs), [stream("x" * 999 + "\n")] * 90)
    sizes = [sum(len(output["text"]) for output in outputs) for outputs in cells]
    assert sizes[:2] == [90_000, 90_000]
    assert 69_000 < sizes[2] < 71_000
    assert all(15_000 < size < 17_000 for size in sizes[3:])
    assert collector.notes == (
        "too much output to keep in the notebook, cell 3, 4, 5: all of it is in outputs-in-full/",
        "the notebook's outputs have reached 244.1 KiB: from cell 3 on a cell may keep no more than 16.0 KiB",
    )


def test_limit__passed_by_a_little_is_cut_spilled_and_said(tmp_path: Path) -> None:
    outputs, collector = collected(tmp_path, stream("x" * 400), stream("y" * 400), stream("z" * 201), cell=1000)
    assert "[... 1 byte left out here" in outputs[0]["text"]
    assert (len(collector.spilled), len(collector.notes)) == (1, 1)


def test_limit__starts_anew_when_outputs_are_cleared(tmp_path: Path) -> None:
    frames = [each for number in range(50) for each in (clear(wait=True), display(f"{number}" + "." * 600))]
    outputs, collector = collected(tmp_path, *frames, cell=1000)
    assert brief(outputs) == ["49" + "." * 600]
    assert collector.spilled == ()


def test_limit__a_folder_that_cannot_be_written_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / "outputs-in-full").write_text("a file")
    outputs, _ = collected(tmp_path, stream("x" * 5000), cell=1000)
    assert "left out here: it could not be kept: File exists" in outputs[0]["text"]


def test_redaction__everywhere_and_across_messages(tmp_path: Path) -> None:
    heard: list[str] = []
    outputs: list[Any] = []
    collector = OutputCollector(tmp_path, OutputLimits(cell=100), Redactor(("hunter2",)), heard.append)
    run(
        collector.cell(1, outputs),
        [
            stream("it is hun"),
            stream("oops\n", "stderr"),
            stream("ter2\n"),
            display("hunter2"),
            message("display_data", data={"text/html": "<b>hunter2</b>"}, metadata={"who": "hunter2"}),
            error("hunter2", ["at hunter2"]),
            stream("x" * 200),
        ],
    )
    kept = json.dumps(outputs) + "".join(heard) + "".join((tmp_path / name).read_text() for name in collector.spilled)
    assert "hunter2" not in kept
    assert "ter2" not in kept
    assert heard == ["it is ", "oops\n", "***\n", "***\n", "x" * 200]


def test_refresh__shows_the_cell_as_it_stands(tmp_path: Path) -> None:
    outputs: list[Any] = []
    cell = OutputCollector(tmp_path, OutputLimits(), PLAIN).cell(1, outputs)
    cell.message(display("x"))
    cell.message(stream("a\nunfini"))
    cell.refresh()
    assert brief(outputs) == ["x", "stdout:a\nunfini"]
    cell.message(stream("shed\n"))
    cell.finish()
    cell.finish()
    assert brief(outputs) == ["x", "stdout:a\nunfinished\n"]


@pytest.mark.parametrize(
    "flood",
    [
        lambda: (stream(f"line {number}\n") for number in range(40_000)),
        lambda: (stream("x" * 99 + "\n" if number % 7 else "\r") for number in range(100_000)),
        lambda: (stream("e\n", ("stdout", "stderr")[number % 2]) for number in range(20_000)),
        lambda: (picture(30_000) for _ in range(300)),
        lambda: (display("y" * 3000, f"id {number}") for number in range(3000)),
        lambda: (error("z" * 1000) for _ in range(3000)),
    ],
    ids=["lines", "text", "alternating", "pictures", "displays", "errors"],
)
def test_memory__is_bounded_by_the_limit(tmp_path: Path, flood: Any) -> None:
    outputs: list[Any] = []
    collector = OutputCollector(tmp_path, OutputLimits(cell=100_000), PLAIN)
    cell = collector.cell(1, outputs)
    cell.message(stream("warm up\n"))
    tracemalloc.start()
    run(cell, flood())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_500_000
    assert collector.spilled
