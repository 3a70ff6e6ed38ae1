"""`mlci report --html`: from a run that draws, over its baseline, to one file."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.command_line import Workbench, notebook, workbench
from fakes.pages import png

CONFIG = """
[runs.train]
script = "train.py"
metrics = ["metrics.json"]
plots = ["plot.png"]
secrets = ["TOKEN"]

[runs.look]
notebook = "look.ipynb"

[metrics.accuracy]
max-regression = 0.01
"""
TRAIN = """
import base64, json
json.dump({{"accuracy": {accuracy}}}, open("metrics.json", "w"))
open("plot.png", "wb").write(base64.b64decode("{plot}"))
"""


def training(accuracy: float, plot: bytes) -> str:
    return TRAIN.format(accuracy=accuracy, plot=base64.b64encode(plot).decode())


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    bench = workbench(tmp_path)
    bench.write(mlci__toml=CONFIG, train__py=training(0.9, png(1)), __gitignore="metrics.json\nplot.png\n")
    (bench.folder / "look.ipynb").write_text(notebook("print('seen in the page')"))
    bench.commit()
    return bench


def page(bench: Workbench, name: str = ".mlci/report.html") -> str:
    return (bench.folder / name).read_text(encoding="utf-8")


def shows(html: str, plot: bytes) -> bool:
    return f"data:image/png;base64,{base64.b64encode(plot).decode()}" in html


def test_report_html__plots_of_both_sides_and_the_executed_notebook(bench: Workbench) -> None:
    assert bench.mlci("ci", "--no-post").code == 0
    assert shows(page(bench), png(1))
    assert bench.mlci("baseline", "save").code == 0
    bench.repository.git("switch", "--quiet", "--create", "change")
    bench.write(train__py=training(0.8, png(2)))
    bench.commit()
    assert bench.mlci("ci", "--no-post").code == 0
    html = page(bench)
    assert shows(html, png(1))
    assert shows(html, png(2))
    assert html.count('class="sides both"') == 1
    assert "seen in the page" in html
    assert "0.1 worse, at most 0.01 allowed" in html

    done = bench.mlci("report", "--html", "elsewhere.html")
    assert (done.code, done.out) == (0, f"wrote {bench.folder / 'elsewhere.html'}\n")
    assert page(bench, "elsewhere.html") == html

    assert bench.mlci("compare").code == 0
    assert not (bench.folder / ".mlci/report.html").exists()  # it was made from what is gone
    assert bench.mlci("report", "--html").code == 0
    assert page(bench) == html


def test_report_html__where_nothing_can_be_written(bench: Workbench) -> None:
    for command in ("run", "record", "compare"):
        assert bench.mlci(command).code == 0
    done = bench.mlci("report", "--html", "train.py/x.html")
    assert (done.code, "x.html cannot be written: " in done.err) == (2, True)
    assert bench.mlci("report", "--html", "new/folder/x.html").code == 0


def test_ci__a_page_that_cannot_be_made_changes_nothing_else(bench: Workbench) -> None:
    bench.write(train__py=training(0.9, png(1)) + "raise SystemExit(1)\n")
    program = (
        "import sys; from mlci.commands import ci; from mlci.cli import main; ci.write_page = lambda *_: 1 / 0; main()"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, "ci", "--no-post"],
        cwd=bench.folder,
        env=bench.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4  # the run did not succeed
    assert "mlci: no page was written: ZeroDivisionError: division by zero" in done.stderr
    assert "Traceback" not in done.stderr
