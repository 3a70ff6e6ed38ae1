"""Takes docs/images/comment-*.png: the comment of `mlci demo` with its pictures, in a browser, light and dark."""

from __future__ import annotations

import base64
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

from markdown_it import MarkdownIt
from picture import IMAGES, opened, posted  # type: ignore[import-not-found]  # it lies beside this script
from playwright.sync_api import sync_playwright

from mlci.plugins.stores.pictures import path
from mlci.posting.pictures import exhibited
from mlci.render.exhibition import section

CHROMIUM = "/usr/bin/chromium"
WIDTH, HEIGHT = 880, 300
SHOTS: tuple[tuple[str, Literal["light", "dark"], float], ...] = (
    ("light", "light", 1.5),
    ("dark", "dark", 1.5),
    ("table", "light", 1.0),
)
# What fonts without emoji have.
MARKS = {"❌": ("✖", "#d1242f"), "✅": ("✔", "#1a7f37"), "⚠️": ("⚠", "#9a6700")}
# What GitHub's page makes of a comment, as far as ours go.
STYLE = """
:root { color-scheme: light dark; --text: #1f2328; --muted: #59636e; --line: #d1d9e0; --head: #f6f8fa; --ground: #fff;
  --code: #818b981f; --link: #0969da }
@media (prefers-color-scheme: dark) { :root { --text: #f0f6fc; --muted: #9198a1; --line: #3d444d; --head: #151b23;
  --ground: #0d1117; --code: #656c7633; --link: #4493f8 } }
body { margin: 16px; background: var(--ground); color: var(--text); font: 14px/1.5 "DejaVu Sans", sans-serif }
article { border: 1px solid var(--line); border-radius: 6px; overflow: hidden }
header { padding: 8px 16px; background: var(--head); border-bottom: 1px solid var(--line); color: var(--muted) }
main { padding: 16px } h3 { margin: 0 0 12px; font-size: 1.25em; line-height: 1.25 } a { color: var(--link) }
p, ul, table { margin: 0 0 12px } ul { padding-left: 2em } details { margin-bottom: 4px } summary { cursor: pointer }
details[open] > summary { margin-bottom: 8px }
code { padding: .2em .4em; border-radius: 6px; background: var(--code); font: 85% "DejaVu Sans Mono", monospace;
  white-space: break-spaces }
table { display: block; width: max-content; max-width: 100%; overflow: auto; border-collapse: collapse }
th, td { padding: 6px 13px; border: 1px solid var(--line); text-align: left } img { max-width: 100% }
"""


def page(markdown: str, pictures: tuple[bytes, ...]) -> str:
    """The comment as a page, with its pictures in place of their addresses."""
    body = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    for content in pictures:
        body = body.replace(address(content), f"data:image/png;base64,{base64.b64encode(content).decode()}")
    for mark, (drawn, colour) in MARKS.items():
        body = body.replace(mark, f'<span style="color: {colour}">{drawn}</span>')
    return (
        f'<!doctype html><meta charset="utf-8"><title>Comment</title><style>{STYLE}</style><article>'
        f"<header><b>github-actions</b> commented</header><main>{body}</main></article>"
    )


def address(content: bytes) -> str:
    """Where a picture would be."""
    return f"https://github.com/team/models/blob/{'a' * 40}/{path(content)}?raw=true"


def main() -> None:
    """Run the demo and take the pictures."""
    with tempfile.TemporaryDirectory() as scratch:
        demo = Path(scratch) / "demo"
        command = [sys.executable, "-m", "mlci", "demo", "--into", str(demo)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        project, comparison, records, meta = opened(demo)
        drawn = exhibited(project, comparison, records.records, meta)
        comment = page(posted(demo, section(drawn, address, meta, opened=True)), drawn.contents)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        for name, scheme, sharp in SHOTS:
            context = browser.new_context(
                color_scheme=scheme, viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=sharp
            )
            shown = context.new_page()
            shown.set_content(comment)
            if name == "table":
                shown.get_by_text("Pictures (").click()
                shown.get_by_text("Gated metrics (").click()
            shown.screenshot(path=IMAGES / f"comment-{name}.png", full_page=True)
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
