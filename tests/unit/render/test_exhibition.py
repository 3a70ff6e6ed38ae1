from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from mlci.render.exhibition import Drawing, Exhibition, Plot, section
from mlci.render.report import Meta

META = Meta(files_url="https://github.com/team/models/actions/runs/1#artifacts")
HOSTILE = [
    '" onerror="alert(1)',
    "'><script>alert(1)</script>",
    "](https://evil.example) ![x](https://evil.example/x.png)",
    "a | b \\| c",
    "` `` ``` @team #1 www.example.com https://example.com",
    "</details></picture><!-- mlci",
    "line\n\n# heading\n<img src=x>",
    "&quot; &#34; &lt;img&gt;",
    "\x00\x1b[2J\u202e\ud800",
]
TAGS = {"details", "summary", "p", "picture", "source", "img", "code", "a", "table", "thead", "tbody", "tr", "th", "td"}


def address(content: bytes) -> str:
    return f"https://github.com/team/models/blob/abc/{content.decode()}.png?raw=true"


def exhibition(name: str = "accuracy") -> Exhibition:
    chart = Drawing(b"chart", f"The change of {name}", 760, b"dark")
    plot = Plot(name, name, Drawing(b"before", name, 340), Drawing(b"now", name, 340))
    return Exhibition((chart,), (plot, Plot("train", "new.png", None, Drawing(b"new", "new", 340))), more=3)


class Images(HTMLParser):
    """The images of a page, and every other thing that loads something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag in ("img", "source"):
            self.found.append(dict(attributes))


def rendered(text: str) -> Images:
    return Images(str(MarkdownIt("commonmark").enable("table").render(text)))


def test_section__a_chart_in_both_themes_and_plots_beside_the_baseline_s() -> None:
    text = section(exhibition(), address, META, opened=False)
    assert text.startswith("<details><summary>Pictures (3)</summary>\n\n<picture>")
    assert text.endswith("\n\n</details>")
    found = rendered(text).found
    assert found[0] == {"media": "(prefers-color-scheme: dark)", "srcset": address(b"dark")}
    assert found[1] == {"alt": "The change of accuracy", "width": "760", "src": address(b"chart")}
    assert [image["src"] for image in found[2:]] == [address(b"before"), address(b"now"), address(b"new")]
    assert "| `train` `new.png` | – | <img" in text
    assert f"3 more plots in [the workflow run’s artifact]({META.files_url})." in text


def test_section__is_open_where_it_is_to_be_seen_at_once() -> None:
    assert section(exhibition(), address, META, opened=True).startswith("<details open><summary>")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_section__names_are_only_words(text: str) -> None:
    shown = section(exhibition(text), address, META, opened=False)
    page = rendered(shown)
    sources = [image.get("src") or image["srcset"] for image in page.found]
    assert sources == [address(name) for name in (b"dark", b"chart", b"before", b"now", b"new")]
    assert all(set(image) <= {"alt", "width", "src", "media", "srcset"} for image in page.found)
    assert page.tags <= TAGS
    assert shown.count("</details>") == 1 or "`" in shown
    attributes = re.findall(r'alt="([^"]*)"', shown)
    assert not any(set(attribute) & set("<>`|*_[]@\\\n'") for attribute in attributes)
    assert len(shown.splitlines()) == len(section(exhibition(), address, META, opened=False).splitlines())


def test_section__an_alternative_text_reads_as_it_was_said() -> None:
    said = "recall [country=DE] fell by −0.07 (−0.1 … +0.2), at most 2% lower: fails"
    text = section(Exhibition((Drawing(b"chart", said, 760),)), address, META, opened=False)
    assert rendered(text).found[0]["alt"] == said


def test_contents__each_file_once() -> None:
    same = Drawing(b"one", "one", 340)
    assert Exhibition((same,), (Plot("train", "p.png", same, same),)).contents == (b"one",)
