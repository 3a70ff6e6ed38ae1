"""The HTML report in a browser: it asks nobody for anything, works by mouse and keyboard, and stays what it is."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from fakes.browser import Open
from fakes.pages import hostile, usual

pytestmark = pytest.mark.xdist_group("chromium")
WITHIN = "document.documentElement.scrollWidth <= innerWidth"


def table(page: Page) -> Locator:
    return page.locator("section", has=page.get_by_role("heading", name="Gated metrics"))


def column(page: Page, place: int) -> list[str]:
    return table(page).locator(f"tbody tr:not([hidden]) td:nth-child({place})").all_inner_texts()


def test_page__is_quiet_and_draws_what_it_says(browse: Open) -> None:
    shown = browse(usual())
    charts = shown.page.locator("figure.chart svg[role=img]")
    expect(charts).to_have_count(3)  # the intervals, and two learning curves
    for chart in charts.all():
        assert chart.get_attribute("aria-label")
    expect(shown.page.get_by_role("heading", level=1)).to_contain_text("fail, blocking: 1 metric worse than allowed")
    assert shown.trouble == []


def test_page__is_whole_without_scripts(browse: Open) -> None:
    page = browse(usual(), scripts=False).page
    assert len(column(page, 2)) == 11
    expect(page.get_by_role("img", name="Baseline: figures/roc.png")).to_be_visible()
    expect(page.get_by_role("img", name="Now: figures/roc.png")).to_be_visible()
    expect(page.locator("button, input")).to_have_count(0)


def test_tables__sort_by_mouse_and_keyboard(browse: Open) -> None:
    page = browse(usual()).page
    header = table(page).get_by_role("columnheader", name="Baseline")
    header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "ascending")
    numbers = [float(text) for text in column(page, 3)]
    assert numbers == sorted(numbers)
    header.get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(header).to_have_attribute("aria-sort", "descending")
    assert [float(text) for text in column(page, 3)] == sorted(numbers, reverse=True)
    table(page).get_by_role("button", name="Metric").press("Space")
    expect(header).not_to_have_attribute("aria-sort", "descending")
    assert column(page, 2)[0].startswith("accuracy")


def test_tables__sort_numbers_by_unit_and_sign(browse: Open) -> None:
    page = browse(usual()).page
    page.evaluate(
        """() => {
            document.body.insertAdjacentHTML("beforeend", "<table id=t><thead><tr><th>A</th></tr></thead><tbody>" +
              ["2 MB", "–", "1 h 05 min", "−3", "900 kB", "3 min 20 s", "1e-3", "45 s"]
                .map((text) => `<tr><td>${text}</td></tr>`).join("") + "</tbody></table>");
            mlci.table(document.getElementById("t"));
        }"""
    )
    page.locator("#t button").click()
    assert page.locator("#t td").all_inner_texts() == [
        *("−3", "1e-3", "45 s", "3 min 20 s", "1 h 05 min", "900 kB", "2 MB", "–")
    ]


def test_tables__filter_and_say_how_many_rows_are_left(browse: Open) -> None:
    page = browse(usual()).page
    field = table(page).get_by_role("searchbox", name="Filter")
    field.fill("COUNTRY x3")
    assert column(page, 2) == ["accuracy [country=X3]"]
    expect(table(page).get_by_role("status")).to_have_text("1 of 11 rows")
    field.fill("")
    assert len(column(page, 2)) == 11


def test_slider__by_arrow_keys_and_side_by_side(browse: Open) -> None:
    page = browse(usual()).page
    slider = page.get_by_role("slider", name="Baseline ↔ now")
    assert page.get_by_role("slider").count() == 1  # the others have one side only
    now = page.get_by_role("img", name="Now: figures/roc.png")
    slider.focus()
    page.keyboard.press("End")
    assert now.evaluate("element => getComputedStyle(element).clipPath").endswith("100%)")
    page.keyboard.press("ArrowLeft")
    assert now.evaluate("element => getComputedStyle(element).clipPath").endswith("99%)")
    before = page.get_by_role("img", name="Baseline: figures/roc.png")
    page.get_by_role("button", name="Side by side").press("Enter")
    expect(slider).to_be_disabled()
    assert now.evaluate("element => getComputedStyle(element).clipPath") == "none"
    left, right = before.bounding_box(), now.bounding_box()
    assert left
    assert right
    assert left["x"] + left["width"] <= right["x"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_colours__follow_the_system_until_they_are_chosen(browse: Open, *, dark: bool) -> None:
    page = browse(usual(), dark=dark).page
    light = "getComputedStyle(document.body).backgroundColor === 'rgb(255, 255, 255)'"
    assert page.evaluate(light) is not dark
    page.get_by_role("button", name="Light colours" if dark else "Dark colours").click()
    assert page.evaluate(light) is dark
    page.reload()
    assert page.evaluate(light) is dark


@pytest.mark.parametrize("make", [usual, hostile])
def test_page__fits_a_phone(browse: Open, make: Callable[[], str]) -> None:
    page = browse(make(), width=360, height=740).page
    for folded in page.locator("summary").all():
        folded.click()
    assert page.evaluate(WITHIN)


def test_page__hostile_words_cells_and_pictures_stay_inert(browse: Open) -> None:
    shown = browse(hostile())
    page = shown.page
    for folded in page.locator("summary").all():
        folded.click()
    for button in page.locator("th button").all():
        button.click()
    page.get_by_text("evil link").first.click()
    expect(page.locator("main")).to_contain_text("</script><script>hacked=1</script>")
    assert page.evaluate("typeof window.hacked") == "undefined"
    assert page.locator("iframe, form, base, object, embed, svg svg, [onerror], [onload], [onclick]").count() == 0
    assert page.locator("script").count() == 4
    assert page.locator("#main").count() == 1
    assert page.evaluate("[...document.links].every((link) => /^(https?:|file:.*#)/.test(link.href))")
    assert shown.trouble == []


def test_page__allows_no_other_script(browse: Open) -> None:
    shown = browse(usual())
    shown.page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.hacked = 1";
            document.body.append(script);
            const image = new Image();
            image.src = "http://127.0.0.1:9/x.png";
            document.body.append(image);
        }"""
    )
    shown.page.wait_for_function("document.images[document.images.length - 1].complete")
    assert shown.page.evaluate("typeof window.hacked") == "undefined"
    assert len(shown.said) == 2
    assert all("Content Security Policy" in line for line in shown.said)


def test_page__has_an_outline(browse: Open) -> None:
    page = browse(usual()).page
    levels = [
        int(tag[1]) for tag in page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map((e) => e.tagName)")
    ]
    assert levels[0] == 1
    assert all(later - level <= 1 for level, later in itertools.pairwise(levels))
    assert levels.count(1) == 1
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    for landmark in ("banner", "navigation", "main"):
        expect(page.get_by_role(landmark)).to_have_count(1)
