"""What npm brings: the script that pages draw with, made again byte by byte, and a second opinion on accessibility."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fakes.browser import Open
from fakes.pages import hostile, usual

ROOT = Path(__file__).parents[2]
PAGES = "src/mlci/render/pages"
pytestmark = pytest.mark.xdist_group("chromium")


@pytest.fixture(scope="module")
def charts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The npm project, installed as its lock says."""
    root = tmp_path_factory.mktemp("repository")
    (root / PAGES).mkdir(parents=True)
    folder = shutil.copytree(ROOT / "charts", root / "charts", ignore=shutil.ignore_patterns("node_modules"))
    npm = shutil.which("npm")
    if npm is None or subprocess.run([npm, "ci", "--silent"], cwd=folder, check=False).returncode != 0:
        pytest.skip("npm could not install what charts are made of")
    return folder


def test_charts__built_again_are_the_same(charts: Path) -> None:
    subprocess.run(["npm", "run", "--silent", "build"], cwd=charts, check=True, capture_output=True)
    for name in ("charts.js", "charts.LICENSES.txt"):
        assert (charts.parent / PAGES / name).read_bytes() == (ROOT / PAGES / name).read_bytes()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("make", [usual, hostile])
def test_report__axe_has_nothing_against_it(charts: Path, browse: Open, make: Callable[[], str], *, dark: bool) -> None:
    page = browse(make(), dark=dark).page
    page.evaluate("document.querySelectorAll('details').forEach((element) => { element.open = true; })")
    page.evaluate((charts / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run().then(({violations}) => violations)")
    assert [(item["id"], [node["html"][:300] for node in item["nodes"][:3]]) for item in found] == []
