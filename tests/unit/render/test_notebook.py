from __future__ import annotations

from pathlib import Path

import nbformat
import nbformat.v4 as nb
import pytest

from mlci.render.notebook import html


def notebook(source: str) -> str:
    return str(nbformat.writes(nb.new_notebook(cells=[nb.new_code_cell(source)])))


def test_html__a_template_in_the_checkout_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "basic").mkdir()
    (tmp_path / "basic/conf.json").write_text('{"base_template": "base", "mimetypes": {"text/html": true}}')
    (tmp_path / "basic/index.html.j2").write_text("{{ cycler.__init__.__globals__.os.mkdir('ran') }}")
    monkeypatch.chdir(tmp_path)
    assert "x = 1" in html(notebook("# x = 1"))
    assert not (tmp_path / "ran").exists()
