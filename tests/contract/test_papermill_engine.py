"""`papermill --engine mlci` leaves the same notebook as papermill's own engine, but where that one is untrue."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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
    "syntax": ["x = = 1", "print('never')"],
    "exits": ["import sys", "sys.exit(0)", "print('never')"],
    "exits-badly": ["import sys", "sys.exit(3)", "print('never')"],
    "input": ["input('name? ')"],
}
STOCK, *_ = ENGINES = ("papermill", "mlci")
# Papermill's own command, as often as there are notebooks; what it would print of an error is of no interest.
COMMANDS = """
import json, sys
from papermill.cli import papermill

def code(arguments):
    try:
        papermill(arguments)
    except SystemExit as end:
        return end.code or 0
    except Exception:
        return 1

print("", json.dumps({name: code(arguments) for name, arguments in json.loads(sys.argv[1]).items()}), sep="\\n")
"""
TAGS = {"parameters": {0: "parameters"}}


@dataclass(frozen=True)
class Ended:
    """Papermill's exit status, and the notebook that it left."""

    code: int
    notebook: Any


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


def told(folder: Path, engine: str, commands: dict[str, list[str]]) -> dict[str, Ended]:
    """What papermill's command leaves when it is given these arguments, one after the other in one process."""
    given = {
        name: [*arguments, *([] if engine == STOCK else ["--engine", engine])] for name, arguments in commands.items()
    }
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps(given)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    codes: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return {
        name: Ended(codes[name], json.loads((folder / arguments[1]).read_text())) for name, arguments in given.items()
    }


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Ended]]:
    """What both engines leave of every notebook, by engine and name: papermill itself takes long to import."""

    def everything(engine: str) -> dict[str, Ended]:
        folder = tmp_path_factory.mktemp(engine)
        options = {"parameters": ["-y", json.dumps(PARAMETERS)]}
        commands = {
            name: [written(folder, name).name, f"{name}-executed.ipynb", "--no-progress-bar", *options.get(name, [])]
            for name in CODE
        }
        return told(folder, engine, commands)

    with ThreadPoolExecutor(2) as both:
        return dict(zip(ENGINES, both.map(everything, ENGINES), strict=True))


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
    "name", [name for name in CODE if name not in ("raises", "syntax", "exits", "exits-badly", "input")]
)
def test_engine__leaves_what_papermill_leaves(ran: dict[str, dict[str, Ended]], name: str) -> None:
    stock, ours = ran[STOCK][name], ran["mlci"][name]
    assert ours.code == stock.code == 0
    assert comparable(ours.notebook) == comparable(stock.notebook)


@pytest.mark.parametrize("name", ["raises", "syntax", "exits-badly", "input"])
def test_engine__an_exception_as_papermill_shows_it(ran: dict[str, dict[str, Ended]], name: str) -> None:
    stock, ours = ran[STOCK][name], ran["mlci"][name]
    assert ours.code == stock.code == 1
    kept, own = comparable(stock.notebook), comparable(ours.notebook)
    assert [cell["outputs"] for cell in own["cells"] if "outputs" in cell] == [
        cell["outputs"] for cell in kept["cells"] if "outputs" in cell
    ]
    assert own["metadata"]["papermill"]["exception"] is True


def test_engine__what_never_ran_is_pending(ran: dict[str, dict[str, Ended]]) -> None:
    statuses = [
        cell["metadata"]["papermill"]["status"]
        for cell in ran["mlci"]["raises"].notebook["cells"]
        if "papermill" in cell["metadata"]
    ]
    assert statuses == ["completed", "completed", "failed", "pending", "pending"]


@pytest.mark.parametrize("name", ["exits"])
def test_engine__a_clean_exit_is_a_success(ran: dict[str, dict[str, Ended]], name: str) -> None:
    assert ran["mlci"][name].code == ran[STOCK][name].code == 0


def test_engine__a_timeout_of_a_cell(tmp_path: Path) -> None:
    cells = [nbformat.v4.new_code_cell("import time; time.sleep(60)")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "slow.ipynb")
    arguments = ["slow.ipynb", "slow-executed.ipynb", "-k", "python3", "--execution-timeout", "1"]
    ended = told(tmp_path, "mlci", {"slow": arguments})["slow"]
    assert ended.code == 1
    assert ended.notebook["metadata"]["papermill"]["exception"] is True
    assert "KeyboardInterrupt" in json.dumps(ended.notebook["cells"])
