"""Takes docs/images/dashboard-*.png: a history of two runs, in Chromium. `python docs/screenshots/dashboard.py`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from playwright.sync_api import Browser

from fakes.browser import chromium
from fakes.dashboards import page, usual

IMAGES = Path(__file__).parents[1] / "images"


def shoot(
    browser: Browser, file: Path, name: str, *, colours: Literal["light", "dark"] = "light", chart: bool = False
) -> None:
    """One picture; with `chart` of the first chart, opened, at the record that got worse."""
    context = browser.new_context(
        viewport={"width": 1200, "height": 800 if chart else 720}, color_scheme=colours, reduced_motion="reduce"
    )
    shown = context.new_page()
    shown.goto(file.as_uri())
    shown.wait_for_selector(".card svg")
    if chart:
        shown.locator(".card button").first.click()
        shown.wait_for_selector("#detail-plot .chosen")
        shown.mouse.move(0, 0)
        shown.locator("#point").fill("180")
    shown.wait_for_timeout(500)
    shown.screenshot(path=IMAGES / f"{name}.png", animations="disabled")
    context.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch, chromium() as browser:
        file = Path(scratch) / "history.html"
        file.write_text(page(usual()), encoding="utf-8")
        shoot(browser, file, "dashboard-light")
        shoot(browser, file, "dashboard-dark", colours="dark")
        shoot(browser, file, "dashboard-chart", chart=True)
