from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup

from fakes.pages import code, ipynb, rendered, shows
from mlci.errors import DocumentError
from mlci.render.pages.notebooks import Notebook, _exporter, _Renderer

PIXEL = "iVBORw0KGgo="


def text(made: Notebook) -> list[str]:
    """The parts without mark-up."""
    return [" ".join(part.striptags().split()) if isinstance(part, Markup) else f"({part})" for part in made.parts]


def test_notebook__sources_and_outputs() -> None:
    stream = {"output_type": "stream", "name": "stdout", "text": ["1\n", "2\n"]}
    cells = (
        {"cell_type": "markdown", "source": ["# Title\n", "Words"], "metadata": {}},
        code("print(1)", stream, shows(text_plain="'repr'", text_html="<table><tr><td>cell</td></tr></table>")),
    )
    made = rendered(ipynb(*cells))
    assert text(made) == ["Title Words", "In [1]: print(1) 1 2 cell"]
    assert "<h3>Title</h3>" in str(made.parts[0])
    assert '<span class="nb">print</span>' in str(made.parts[1])
    assert made.size == sum(map(len, made.parts))


@pytest.mark.parametrize(
    ("html", "left"),
    [
        ("<p onclick=x style=y id=z class='k page'>a</p>", '<p>a</p>'),
        ("<span class='k page data n2 ansi-red-fg'>a</span>", '<span class="k n2 ansi-red-fg">a</span>'),
        ("a<script>b</script><style>c</style><svg><text>d</text></svg><iframe>e</iframe>", "a"),
        ("<a href='javascript:x'>a</a>", '<a rel="noopener noreferrer">a</a>'),
        ("<a href='//example.com'>a</a>", '<a rel="noopener noreferrer">a</a>'),
        ("<a href='https://example.com'>a</a>", '<a href="https://example.com" rel="noopener noreferrer">a</a>'),
        ("<img src='https://example.com/a.png' alt=b>", '<img alt="b">'),
        ("<img src='data:image/svg+xml;base64,AAAA' alt=b>", '<img alt="b">'),
        ("<img src='data:image/gif;base64,AAAA'>", ' src="data:image/gif;base64,AAAA"'),
        ("<form action=x><input><button>a</button></form>", "a"),
        ("<meta http-equiv=refresh><base href=x><link href=x><nav>a</nav>", "a"),
        ("<h1>a</h1><h6>b</h6>", "<h3>a</h3><h3>b</h3>"),
    ],
)  # fmt: skip
def test_notebook__of_html_only_what_reads_is_left(html: str, left: str) -> None:
    shown = str(rendered(ipynb(code("", shows(text_html=html)))).parts[0])
    assert left in re.sub(r"\n", "", shown)
    assert not re.search(r"<(?:script|style|svg|iframe|form|input|button|meta|base|link|nav)|on\w+=|style=|id=", shown)


def test_notebook__pictures_of_two_kinds_and_no_other() -> None:
    kinds = {"image_png": PIXEL, "image_jpeg": PIXEL, "image_svg+xml": "<svg/>", "application_javascript": "x"}
    for kind, content in kinds.items():
        [part] = rendered(ipynb(code("", shows(**{kind: content})))).parts
        drawn = f'src="data:{kind.replace("_", "/")};base64,{PIXEL}"' in str(part)
        assert drawn is (content == PIXEL)
        assert ("not shown here: " in str(part)) is not drawn


def test_notebook__what_failed_and_both_ends_within_the_size() -> None:
    error = {"output_type": "error", "ename": "E", "evalue": "e", "traceback": ["\x1b[31mE\x1b[0m: bad"]}
    cells = [code(f"cell_{index}") for index in range(40)]
    cells[20] = code("broken", error)
    made = rendered(ipynb(*cells), budget=1600)
    found = text(made)
    assert made.size <= 1600
    assert found[0] == "In [1]: cell_0"
    assert found[-1] == "In [1]: cell_39"
    assert "In [1]: broken E: bad" in found
    assert sum(int(part.split()[0][1:]) for part in found if part.startswith("(")) == 40 - len(found) + 2
    assert '<span class="ansi-red-fg">E</span>' in "".join(map(str, made.parts))


def test_notebook__what_was_not_reached_comes_last() -> None:
    cells = [code("ran"), *(code(f"never_{index}", count=None) for index in range(30))]
    assert text(rendered(ipynb(*cells), budget=500))[0] == "In [1]: ran"


def test_notebook__of_a_long_text_head_and_tail() -> None:
    long = "".join(f"line {index}\n" for index in range(5000))
    shown = str(rendered(ipynb(code("", {"output_type": "stream", "text": long}))).parts[0])
    assert "line 0\n" in shown
    assert "line 4999\n" in shown
    assert f"[{len(long) - 6000:,} characters left out]" in shown


def test_notebook__a_secret_is_hidden() -> None:
    made = rendered(
        ipynb(code("token = 'hunter2hunter2'", shows(text_plain="hunter2hunter2"))), secrets=("hunter2hunter2",)
    )
    assert "hunter2" not in str(made.parts[0])
    assert "***" in str(made.parts[0])


@pytest.mark.parametrize(
    "cells",
    [
        None,
        [None, 1, "x", {}],
        [{"cell_type": {}, "source": 1, "outputs": {"a": 1}}],
        [code("x", {"output_type": "display_data", "data": [1]}), code("x", {"output_type": "error", "traceback": 1})],
        [code("x", {"output_type": "display_data", "data": {"image/png": "not base64!", "text/plain": 3}})],
        [{"cell_type": "code", "source": "x", "execution_count": {}, "outputs": [None, {"output_type": "stream"}]}],
    ],
)
def test_notebook__of_any_shape(cells: object) -> None:
    made = rendered(ipynb(*cells) if isinstance(cells, list) else b'{"cells": null, "metadata": 3}')
    assert all(isinstance(part, str) for part in made.parts)


@pytest.mark.parametrize("data", [b"", b"[" * 10_000, b"\xff", b'{"cells": [], "cells": []}'])
def test_notebook__that_is_none(data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"executed\.ipynb: "):
        rendered(data)


@pytest.mark.parametrize("language", ["r", "no-such-language", "<script>", 3])
def test_notebook__of_any_language(language: object) -> None:
    assert "x" in text(rendered(ipynb(code("x <- 1"), language_info={"name": language})))[0]


def test_notebook__a_template_in_the_checkout_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """nbconvert takes templates, which are programs, from the folder that it is started in as well."""
    (tmp_path / "basic").mkdir()
    (tmp_path / "basic/conf.json").write_text('{"base_template": "base", "mimetypes": {"text/html": true}}')
    (tmp_path / "basic/index.html.j2").write_text("{{ cycler.__init__.__globals__.os.mkdir('ran') }}")
    monkeypatch.chdir(tmp_path)
    _exporter.cache_clear()
    assert text(rendered(ipynb(code("x")))) == ["In [1]: x"]
    assert not (tmp_path / "ran").exists()


def test_notebook__long_markdown_is_not_parsed() -> None:
    [part] = rendered(ipynb(code("", shows(text_markdown="\\\\(" * 3000)))).parts
    assert "[not shown here: text/markdown]" in str(part)


def test_notebook__of_what_has_no_room_little_is_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    render = _Renderer.cell

    def cell(self: _Renderer, made: Any) -> Markup:
        asked.append(made.source)
        return render(self, made)

    monkeypatch.setattr(_Renderer, "cell", cell)
    wide = [code(f"x = {index}\n" * 500) for index in range(50)]
    assert text(rendered(ipynb(*wide), budget=10_000)) == ["(50 cells left out)"]
    assert len(asked) == 1
    hidden = [code("", shows(text_html=f"<!--{'a' * 9000}-->")) for _ in range(50)]
    assert len(rendered(ipynb(*hidden), budget=10_000).parts) == 5
    asked.clear()
    assert text(rendered(ipynb(code("long", shows(text_html="<div>" * 3000))), budget=10_000)) == ["(1 cell left out)"]
    assert not asked


def test_notebook__no_slow_lexer_is_used() -> None:
    """Those of C and of IPython take seconds for a few thousand blank lines."""
    for language in ("c", "ipython3", "IPython", None):
        blank = code(" \n" * 3000 + "x")
        [part] = rendered(ipynb(blank, language_info={"pygments_lexer": language})).parts
        assert ('<span class="n">x</span>' in str(part)) is (language != "c")
