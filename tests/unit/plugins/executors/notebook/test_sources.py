"""Which parameters a notebook's code would receive from papermill's injected cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fakes.command_line import notebook
from mlci.errors import UsageError
from mlci.plugins.executors.notebook.sources import load, refused


def cells(*sources: str, tagged: int | None = None) -> list[dict[str, Any]]:
    return [
        {
            "cell_type": "code",
            "source": source,
            "metadata": {"tags": ["parameters"]} if position == tagged else {},
        }
        for position, source in enumerate(sources)
    ]


RECEIVED = {
    "declared and read": cells("seed = 0", "print(seed)", tagged=0),
    "read though not declared": cells("print(seed)"),
    "read before it is assigned anew": cells("seed = 0", "seed = seed + 1", tagged=0),
    "read in a function": cells("seed = 0", "def f():\n    return seed", tagged=0),
    "read after magics": cells("seed = 0", "%matplotlib inline\n!ls\nprint(seed)", tagged=0),
    "named in a string": cells("seed = 0", "globals()['seed']", tagged=0),
    "a cell that is no Python": cells("seed = 0", "%%bash\necho {seed} | (", tagged=0),
}
LOST = {
    "assigned again": (
        cells("seed = 0", "seed = 1\nprint(seed)", tagged=0),
        "a cell after the parameters assigns 'seed' again, so the value given would be lost",
    ),
    "assigned without a parameters cell": (
        cells("seed = 0\nprint(seed)"),
        "a cell after the parameters assigns 'seed' again, so the value given would be lost",
    ),
    "never read": (cells("seed = 0", "print(1)", tagged=0), "no code after its parameters cell reads 'seed'"),
    "not there at all": (cells("print(1)"), "no code in the notebook reads 'seed'"),
    "read before the parameters cell only": (
        cells("print(seed)", "other = 1", tagged=1),
        "no code in the notebook reads 'seed'",
    ),
    "in Markdown only": ([{"cell_type": "markdown", "source": "seed", "metadata": {}}], "no code in the notebook"),
}


@pytest.mark.parametrize("code", RECEIVED.values(), ids=RECEIVED)
def test_refused__received(code: list[dict[str, Any]]) -> None:
    assert refused(code, ["seed"]) == {}


@pytest.mark.parametrize(("code", "reason"), LOST.values(), ids=LOST)
def test_refused__lost(code: list[dict[str, Any]], reason: str) -> None:
    assert reason in refused(code, ["seed"])["seed"]


def test_load__an_ipynb(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text(notebook("print(1)"))
    assert [cell.source for cell in load(tmp_path / "a.ipynb").cells] == ["print(1)"]


def test_load__a_percent_script(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('# %% tags=["parameters"]\nseed = 0\n\n# %%\nprint(seed)\n')
    loaded = load(tmp_path / "a.py")
    assert [cell.source for cell in loaded.cells] == ["seed = 0", "print(seed)"]
    assert refused(loaded.cells, ["seed"]) == {}


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"cells": 3}', "\x00"])
def test_load__what_is_no_notebook_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.ipynb").write_text(text)
    with pytest.raises(UsageError, match=r"^a\.ipynb: not a notebook: [^\n]+$"):
        load(tmp_path / "a.ipynb")
