from __future__ import annotations

import json
from typing import Any

import jupytext
import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlci.plugins.executors.notebook.positions import line_in_file, line_in_percent_script

SOURCES = st.lists(st.text('ab"\\{[]},:\u00e9\u2028\t ', max_size=6), max_size=5).map("\n".join)
JSON = st.recursive(
    st.none() | st.integers() | st.text('source"cells\\[{', max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["source", "cells", "x"]), inner),
    max_leaves=6,
)


@st.composite
def notebooks(draw: st.DrawFn) -> Any:
    cells = []
    for number, source in enumerate(draw(st.lists(SOURCES, min_size=1, max_size=5))):
        # A line that nobody else has tells whether the right one was found.
        marked = "\n".join(f"<{number}.{at}>{line}" for at, line in enumerate(source.split("\n"), start=1))
        make = draw(st.sampled_from([nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell]))
        cells.append(make(marked, metadata={"x": draw(JSON)}))
    return nbformat.v4.new_notebook(cells=cells, metadata={"cells": draw(JSON), "y": draw(JSON)})


def check(raw: str, notebook: Any) -> None:
    lines = raw.split("\n")
    for cell, node in enumerate(notebook.cells, start=1):
        count = node.source.count("\n") + 1
        for line in range(1, count + 1):
            found = line_in_file(raw, cell, line)
            assert found is not None
            assert f"<{cell - 1}.{line}>" in lines[found - 1]
        assert line_in_file(raw, cell, count + 1) is None
    assert line_in_file(raw, len(notebook.cells) + 1, 1) is None


@settings(deadline=None, max_examples=60)
@given(notebooks())
def test_line_in_file__as_nbformat_writes(notebook: Any) -> None:
    check(nbformat.writes(notebook), notebook)


@settings(deadline=None, max_examples=60)
@given(notebooks(), st.sampled_from([None, 0, 1, 4, "\t"]), st.booleans(), st.booleans(), st.booleans())
def test_line_in_file__as_others_write(
    notebook: Any, indent: Any, ascii_only: bool, split: bool, backwards: bool
) -> None:
    document = json.loads(json.dumps(notebook))
    for cell in document["cells"]:
        if split:
            cell["source"] = cell["source"].splitlines(keepends=True)
    if backwards:
        document["cells"] = [dict(reversed(cell.items())) for cell in document["cells"]]
        document = dict(reversed(document.items()))
    check(json.dumps(document, indent=indent, ensure_ascii=ascii_only), notebook)


def test_line_in_file__strings_that_are_not_lines() -> None:
    raw = json.dumps({"cells": [{"source": ["a", "b\nc", "\n", "", "d\n\ne"]}]}, indent=0)
    at = [line_in_file(raw, 1, line) for line in range(1, 7)]
    assert [None if each is None else raw.split("\n")[each - 1].strip(",") for each in at] == [
        '"a"',
        '"b\\nc"',
        '"d\\n\\ne"',
        '"d\\n\\ne"',
        '"d\\n\\ne"',
        None,
    ]


@pytest.mark.parametrize(
    "raw", ["", "{", "]", "[[", '"', '{"cells": {"source": "a"}}', '{"worksheets": [{"cells": []}]}', "\\"]
)
def test_line_in_file__what_is_no_notebook(raw: str) -> None:
    assert line_in_file(raw, 1, 1) is None


def test_line_in_file__no_such_place() -> None:
    raw = '{"cells": [{"source": "a"}]}'
    assert [line_in_file(raw, *at) for at in [(1, 1), (0, 1), (1, 0), (2, 1), (1, 2)]] == [1, None, None, None, None]


SCRIPT = '''\
#!/usr/bin/env python
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Title
# It isn't code.

# %% tags=["parameters"]
rate = 0.1

# %%

# %matplotlib inline
text = """
# %% not a marker
"""
don_t = "it's"  # it's "fine
# %%time
x = 1

# %% named
    # %%
boom()
'''


def found(script: str) -> list[tuple[str, str | None]]:
    """(a line of a code cell, the line of the script that was found for it)."""
    pairs = []
    for cell, node in enumerate(jupytext.reads(script, fmt="py").cells, start=1):
        for line, text in enumerate(node.source.split("\n"), start=1):
            at = line_in_percent_script(script, cell, line)
            pairs.append((text, None if at is None else script.split("\n")[at - 1]))
    return pairs


def test_line_in_percent_script__every_line_of_every_cell() -> None:
    pairs = found(SCRIPT)
    assert len(pairs) == 13
    assert [(text, at) for text, at in pairs if text and (at is None or text.strip() not in at)] == []
    cells = [cell.source for cell in jupytext.reads(SCRIPT, fmt="py").cells]
    boom = next(at for at, source in enumerate(cells, start=1) if "boom" in source)
    assert line_in_percent_script(SCRIPT, boom, 1) == SCRIPT.split("\n").index("boom()") + 1


@pytest.mark.parametrize(
    ("script", "cell", "line", "expected"),
    [
        ("import os\nx = 1\n\n# %%\ny = 2\n", 1, 2, 2),
        ("import os\nx = 1\n\n# %%\ny = 2\n", 2, 1, 5),
        ("# ---\n# title: a report\n# ---\n\n# %%\ny = 2\n", 2, 1, 6),
        ("# %%\r\nx = 1\r\n\r\n# %%\r\ny = 2\r\n", 2, 1, 5),
        ("# %%\nx = 1\n", 2, 1, None),
        ("# %%\nx = 1\n", 1, 2, None),
        ("# %%\nx = 1\n", 0, 1, None),
    ],
)
def test_line_in_percent_script__cases(script: str, cell: int, line: int, expected: int | None) -> None:
    assert line_in_percent_script(script, cell, line) == expected


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.lists(st.sampled_from(["x = 1", "", "# %%", "# %% [markdown]", '"""', "# don't", "s = '#'"]), max_size=6),
        max_size=4,
    )
)
def test_line_in_percent_script__never_names_another_line(blocks: list[list[str]]) -> None:
    script = "# %%\n" + "\n# %%\n".join("\n".join(block) for block in blocks) + "\n"
    for text, at in found(script):
        assert at is None or text.strip("# ") == at.strip("# ")
