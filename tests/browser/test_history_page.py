"""The dashboard in a browser: it draws what is seen, is searched, read by keyboard, and stays inert."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from fakes.browser import Open
from fakes.dashboards import HOME, page, usual
from fakes.dashboards import hostile as hostile_page
from fakes.pages import HOSTILE

pytestmark = pytest.mark.xdist_group("chromium")
USUAL = page(usual())


def cards(shown: Page) -> list[str]:
    return shown.locator(".card:visible h3").all_inner_texts()


def points(shown: Page, column: int) -> list[str]:
    return shown.locator(f"#points tbody td:nth-child({column})").all_inner_texts()


def test_dashboard__is_quiet_and_draws_what_is_seen(browse: Open) -> None:
    shown = browse(USUAL)
    first = shown.page.locator(".card svg[role=img]").first
    expect(first).to_have_attribute(
        "aria-label", re.compile(r"^accuracy of churn: last 0\.9\d+ · .* · higher is better")
    )
    # What is far below is drawn when it comes into view.
    last = shown.page.locator(".card").last
    expect(last.locator("svg")).to_have_count(0)
    last.scroll_into_view_if_needed()
    expect(last.locator("svg")).to_have_count(1)
    assert shown.trouble == []


def test_dashboard__marks_regressions_acceptances_releases_and_upgrades(browse: Open) -> None:
    shown = browse(USUAL).page
    accuracy, f1 = (
        shown.locator(".card", has=shown.get_by_role("button", name=name, exact=True)).first
        for name in ("accuracy", "f1")
    )
    expect(accuracy.locator("[class^=mark-fail] path")).to_have_count(1)
    expect(f1.locator("[class^=mark-accepted] path")).to_have_count(1)
    expect(accuracy.locator("svg .changed line")).to_have_count(1)
    expect(accuracy.locator("svg .released line")).to_have_count(3)
    accuracy.get_by_role("button").click()
    for label in ("v1.0.0", "v1.1.0", "v1.2.0 production"):
        expect(shown.locator("#detail-plot svg text", has_text=label)).to_be_visible()
    notes = [note for note in points(shown, 6) if "released" in note]
    assert notes == ["released: churn@v1.2.0; released: churn#production#1"]


def test_dashboard__is_searched(browse: Open) -> None:
    shown = browse(USUAL).page
    everything = cards(shown)
    shown.get_by_role("searchbox").fill("churn f1")
    assert cards(shown) == ["f1"]
    expect(shown.locator("#shown")).to_have_text(re.compile(r"^1 of \d+ charts$"))
    expect(shown.get_by_role("heading", name="ranking")).to_be_hidden()
    shown.get_by_role("searchbox").fill("country=fr")
    assert cards(shown) == ["accuracy [country=FR]"] * 2  # folded until somebody asks for it
    shown.get_by_role("searchbox").fill("")
    assert set(everything) <= set(cards(shown))


def test_dashboard__shows_as_many_records_as_are_asked_for(browse: Open) -> None:
    shown = browse(USUAL).page
    expect(shown.locator("section.run p").first).to_contain_text("300 of the last 300")
    shown.get_by_label("Records").select_option("50")
    expect(shown.locator("section.run p").first).to_contain_text("50 of the last 50")
    shown.locator(".card button").first.click()
    assert len(points(shown, 1)) == 50
    expect(shown.locator(".pages")).to_be_hidden()


def test_dashboard__opens_and_is_read_by_keyboard(browse: Open) -> None:
    shown = browse(USUAL)
    button = shown.page.locator(".card button").first
    button.focus()
    shown.page.keyboard.press("Enter")
    slider = shown.page.get_by_label("Point", exact=True)
    expect(shown.page.locator("#detail-plot .chosen")).to_have_count(1)
    newest = slider.get_attribute("aria-valuetext") or ""
    assert newest.startswith(points(shown.page, 3)[0])
    slider.press("ArrowLeft")
    expect(slider).not_to_have_attribute("aria-valuetext", newest)
    expect(shown.page.locator("#detail-point")).to_contain_text(points(shown.page, 1)[1])
    shown.page.keyboard.press("Escape")
    expect(shown.page.locator("#detail")).to_be_hidden()
    expect(button).to_be_focused()
    assert shown.trouble == []


def test_dashboard__table_says_the_same_in_pages_and_sorts(browse: Open) -> None:
    shown = browse(USUAL).page
    shown.locator(".card button").first.click()
    assert len(points(shown, 1)) == 100
    expect(shown.locator("#page-place")).to_have_text("1 to 100 of 300")
    shown.get_by_role("button", name="After").click()
    expect(shown.locator("#page-place")).to_have_text("101 to 200 of 300")
    shown.get_by_role("columnheader", name="Value").get_by_role("button").press("Enter")
    values = [float(text) for text in points(shown, 3)]
    assert values == sorted(values)
    assert "worse than allowed" in " ".join(points(shown, 6)[:10])
    link = shown.locator("#points tbody a").first
    assert re.fullmatch(rf"{HOME}/commit/[0-9a-f]{{40}}", link.get_attribute("href") or "")


@pytest.mark.parametrize(("width", "dark"), [(390, False), (1200, True)], ids=["phone", "dark"])
def test_dashboard__fits(browse: Open, width: int, dark: bool) -> None:
    shown = browse(USUAL, width=width, dark=dark).page
    expect(shown.locator(".card svg").first).to_be_visible()
    assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shown.locator(".card button").first.click()
    expect(shown.locator("#detail-plot svg")).to_be_visible()
    assert shown.evaluate("document.getElementById('detail').scrollWidth <= innerWidth")


def test_dashboard__of_hostile_words_is_inert(browse: Open) -> None:
    shown = browse(hostile_page(HOSTILE))
    for button in shown.page.locator(".card:visible button").all()[:3]:
        button.click()
        expect(shown.page.locator("#detail-plot svg")).to_be_visible()
        shown.page.keyboard.press("Escape")
    shown.page.get_by_role("searchbox").fill("<img")
    assert shown.page.evaluate("typeof hacked") == "undefined"
    assert shown.page.locator("#runs img, #runs script, dialog img, dialog script").count() == 0
    assert shown.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert shown.trouble == []
