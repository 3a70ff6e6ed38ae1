"""Takes docs/images/page-*.png: the HTML report of `mlci demo`, in Chromium. `python docs/screenshots/report.py`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

IMAGES = Path(__file__).parents[1] / "images"
# Name, width, height, colours, and what is scrolled to.
SHOTS = (
    ("page-light", 1200, 780, "light", None),
    ("page-dark", 1200, 780, "dark", None),
    ("page-plots", 1200, 620, "light", "#plots"),
    ("page-phone", 360, 740, "light", None),
)


def measured(folder: Path) -> Path:
    """The page of a run of the demo whose plots differ from the baseline's."""
    mlci = [sys.executable, "-m", "mlci"]
    subprocess.run([*mlci, "demo", "--into", str(folder)], check=True, stdout=subprocess.DEVNULL)
    # The demo changes a threshold, which its plot does not show: another depth it does.
    config = folder / "mlci.toml"
    config.write_text(config.read_text(encoding="utf-8").replace("depth = 6", "depth = 2"), encoding="utf-8")
    for command in (["run", "--python", sys.executable], ["record"], ["compare"], ["report", "--html"]):
        subprocess.run([*mlci, "-C", str(folder), *command], check=True, stdout=subprocess.DEVNULL)
    return folder / ".mlci/report.html"


def shoot(browser: Browser, page: Path) -> None:
    """Every picture, in a window of its own."""
    for name, width, height, colours, place in SHOTS:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if colours == "dark" else "light",
            reduced_motion="reduce",
        )
        shown = context.new_page()
        shown.goto(f"{page.as_uri()}{place or ''}")
        shown.wait_for_selector("figure.chart svg")
        shown.screenshot(path=IMAGES / f"{name}.png", animations="disabled")
        context.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        shoot(chromium, measured(Path(scratch) / "demo"))
        chromium.close()
