"""`papermill --engine mlci` leaves the same notebook as papermill's own engine, but where that one is untrue."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("papermill")]

PARAMETERS = {
    "text": 'with "quotes", \\ and ü\nnew line',
    "number": 3,
    "fraction": 0.25,
    "yes": True,
    "none": None,
    "some": [1, "two", {"three": 3.0}],
    "table": {"a": {"b": [None, False]}},
}
CODE: dict[str, list[str]] = {
    "parameters": [
        "text = number = fraction = yes = none = some = table = 0",
        "print(repr((text, number, fraction, yes, none, some, table)))",
    ],
    "results": ["1 + 1", "'text'", "None", "_1 + 1", "x = 2; x"],
    "streams": [
        "import sys\nprint('out')\nprint('err', file=sys.stderr)\nsys.stdout.flush(); sys.stderr.flush()",
        "for i in range(5):\n    print(i, end=' ', flush=True)",
    ],
    "displays": [
        "from IPython.display import HTML, Markdown, JSON, display, clear_output, update_display\nHTML('<b>x</b>')",
        "display(Markdown('*a*'), JSON({'a': [1]}))\nprint('between')\ndisplay({'text/plain': 'raw'}, raw=True)",
        "handle = display('first', display_id=True)\nprint('x')\nhandle.update('second')",
        "print('gone')\nclear_output()\nprint('stays')",
        "print('gone later')\nclear_output(wait=True)\nprint('replaced')",
        "display('once', display_id='shared')",
        "display('again', display_id='shared')",
    ],
    "pictures": [
        "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show()",
        "plt.figure(figsize=(1, 1))",
    ],
    "magics": ["%%capture seen\nprint('hidden')", "seen.stdout", "%%bash\necho from bash", "!echo from shell", "?len"],
    "async": ["import asyncio\nawait asyncio.sleep(0.01)\nprint('awaited')", "", "   \n"],
    "raises": ["print('before')", "def f(n):\n    return 1 / n\nf(0)", "print('never')"],
    "expected": ["1 / 0", "print('goes on')"],
    "syntax": ["x = = 1", "print('never')"],
    "exits": ["import sys", "sys.exit(0)", "print('never')"],
    "exits-badly": ["import sys", "sys.exit(3)", "print('never')"],
    "input": ["input('name? ')"],
}
TAGS = {"parameters": {0: "parameters"}, "expected": {0: "raises-exception"}}


def written(folder: Path, name: str) -> Path:
    cells = [nbformat.v4.new_code_cell(source, id=f"c{i}") for i, source in enumerate(CODE[name])]
    for position, tag in TAGS.get(name, {}).items():
        cells[position].metadata["tags"] = [tag]
    cells.insert(1, nbformat.v4.new_markdown_cell("# Title", id="m"))
    cells.append(nbformat.v4.new_raw_cell("raw", id="r"))
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = folder / f"{name}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec, "own": [1]}), path)
    return path


def run(source: Path, engine: str | None, *options: str) -> tuple[int, Any]:
    """Papermill's exit status and the notebook that it left."""
    output = source.with_name(f"{source.stem}-{engine}.ipynb")
    command = [sys.executable, "-m", "papermill", source.name, output.name, "--no-progress-bar", *options]
    done = subprocess.run(
        [*command, *(["--engine", engine] if engine else [])],
        cwd=source.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert output.exists(), done.stderr
    return done.returncode, json.loads(output.read_text())


def comparable(notebook: Any) -> Any:
    """Without times and process ids, streams in one piece."""
    plain = copy.deepcopy(notebook)
    about = plain["metadata"]["papermill"]
    for key in ("start_time", "end_time", "duration", "output_path"):
        assert key in about
        about[key] = None
    for cell in plain["cells"]:
        cell["id"] = None  # of the injected cell, at random
        cell["metadata"]["execution"] = sorted(cell["metadata"].get("execution", {}))
        for key in ("start_time", "end_time", "duration"):
            assert key in cell["metadata"].get("papermill", {key: 0})
            cell["metadata"].get("papermill", {})[key] = None
        if "outputs" in cell:
            cell["outputs"] = coalesced(cell["outputs"])
    return plain


def coalesced(outputs: list[Any]) -> list[Any]:
    found: list[Any] = []
    for output in outputs:
        if output["output_type"] == "stream":
            output["text"] = "".join(output["text"]).replace("\r\n", "\n")  # as a terminal shows it
            if found and found[-1].get("name") == output["name"]:
                found[-1]["text"] += output["text"]
                continue
        output.get("metadata", {})
        found.append(output)
    text = json.dumps(found)
    # The file of a cell's code is named after the kernel's process.
    return list(json.loads(text))


@pytest.mark.parametrize(
    "name", [name for name in CODE if name not in ("raises", "syntax", "exits", "exits-badly", "expected", "input")]
)
def test_engine__leaves_what_papermill_leaves(tmp_path: Path, name: str) -> None:
    source = written(tmp_path, name)
    options = ["-y", json.dumps(PARAMETERS)] if name == "parameters" else []
    stock, ours = run(source, None, *options), run(source, "mlci", *options)
    assert ours[0] == stock[0] == 0
    assert comparable(ours[1]) == comparable(stock[1])


@pytest.mark.parametrize("name", ["raises", "syntax", "exits-badly", "input"])
def test_engine__an_exception_as_papermill_shows_it(tmp_path: Path, name: str) -> None:
    source = written(tmp_path, name)
    (code, stock), (our_code, ours) = run(source, None), run(source, "mlci")
    assert our_code == code == 1
    kept, own = comparable(stock), comparable(ours)
    assert [cell["outputs"] for cell in own["cells"] if "outputs" in cell] == [
        cell["outputs"] for cell in kept["cells"] if "outputs" in cell
    ]
    assert own["metadata"]["papermill"]["exception"] is True


def test_engine__what_never_ran_is_pending(tmp_path: Path) -> None:
    _, notebook = run(written(tmp_path, "raises"), "mlci")
    statuses = [
        cell["metadata"]["papermill"]["status"] for cell in notebook["cells"] if "papermill" in cell["metadata"]
    ]
    assert statuses == ["completed", "completed", "failed", "pending", "pending"]


@pytest.mark.parametrize("name", ["exits"])
def test_engine__a_clean_exit_is_a_success(tmp_path: Path, name: str) -> None:
    source = written(tmp_path, name)
    assert run(source, "mlci")[0] == run(source, None)[0] == 0


def test_engine__a_timeout_of_a_cell(tmp_path: Path) -> None:
    source = tmp_path / "slow.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import time; time.sleep(60)")]), source)
    code, notebook = run(source, "mlci", "-k", "python3", "--execution-timeout", "1")
    assert code == 1
    assert notebook["metadata"]["papermill"]["exception"] is True
    assert "KeyboardInterrupt" in json.dumps(notebook["cells"])
