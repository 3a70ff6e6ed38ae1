"""Takes docs/images/comment-*.png: the comment of `mlci demo`, with pictures. `python docs/screenshots/comment.py`."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Literal

from markdown_it import MarkdownIt
from playwright.sync_api import sync_playwright

from mlci.actions import Actions
from mlci.commands.report import meta_of
from mlci.core.documents import Comparison, RecordsDocument
from mlci.plugins.stores.pictures import path
from mlci.posting.pictures import exhibited
from mlci.posting.source import marker_for
from mlci.project import Invocation, Project
from mlci.render.comment import comment
from mlci.render.exhibition import section
from mlci.render.report import Meta

IMAGES = Path(__file__).parents[1] / "images"
RUN = "https://github.com/team/models/actions/runs/41"
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


def opened(demo: Path) -> tuple[Project, Comparison, RecordsDocument, Meta]:
    """What the demo compared, as on a runner."""
    project = Project.open(
        Invocation(environ=os.environ, folder=demo, config_file=None, say=print, actions=Actions({}, sys.stdout))
    )
    comparison, records = project.workspace.comparison()
    return project, comparison, records, replace(meta_of(project, records), run_url=RUN, files_url=f"{RUN}#artifacts")


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
        shown = section(drawn, address, meta, opened=True)
        marker = marker_for(project, meta.commit)
        markdown = comment(comparison, records.records, meta=meta, marker=marker, pictures=shown)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, scheme, sharp in SHOTS:
            context = browser.new_context(
                color_scheme=scheme, viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=sharp
            )
            tab = context.new_page()
            tab.set_content(page(markdown, drawn.contents))
            if name == "table":
                tab.get_by_text("Pictures (").click()
                tab.get_by_text("Gated metrics (").click()
            tab.screenshot(path=IMAGES / f"comment-{name}.png", full_page=True)
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
