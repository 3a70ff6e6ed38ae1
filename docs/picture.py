"""Draws docs/images: the report of `mlci demo`, on a terminal and as a comment. `python docs/picture.py` does it."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from mlci.actions import Actions
from mlci.commands.report import meta_of
from mlci.core.documents import Comparison, RecordsDocument
from mlci.posting.source import marker_for
from mlci.project import Invocation, Project
from mlci.render.comment import comment
from mlci.render.report import Meta

IMAGES = Path(__file__).parent / "images"
LINES, COLUMNS = 22, 178
WIDTH, HEIGHT, MARGIN = 7.83, 18, 16  # of a character at 13 px, in pixels
COLOURS = {"regressed": "#ff7b72", "fail": "#ff7b72", "improved": "#7ee787", "pass": "#7ee787"}
MONOSPACE = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace"
SANS = "-apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
RUN = "https://github.com/team/models/actions/runs/41"


def report(demo: Path) -> list[str]:
    """The report's first lines on a terminal."""
    mlci = [sys.executable, "-m", "mlci", "-C", str(demo), "report"]
    done = subprocess.run(mlci, check=True, capture_output=True, text=True)
    return [line[:COLUMNS] for line in done.stdout.splitlines()[:LINES]]


def terminal(lines: list[str]) -> str:
    """The lines as a picture, one text element each."""
    rows = []
    for number, line in enumerate(lines):
        colour = next(
            (colour for word, colour in COLOURS.items() if f", {word}" in line or f": {word}" in line), "#e6edf3"
        )
        bold = ' font-weight="bold"' if number == 0 else ""
        y = MARGIN + HEIGHT * (number + 0.8)
        rows.append(
            f'<text x="{MARGIN}" y="{y:.0f}" fill="{colour}"{bold} xml:space="preserve">{html.escape(line)}</text>'
        )
    width, height = 2 * MARGIN + WIDTH * max(map(len, lines)), 2 * MARGIN + HEIGHT * len(lines)
    return svg("The report of mlci demo: one metric worse than allowed", width, height, "#0d1117", MONOSPACE, rows)


def opened(demo: Path) -> tuple[Project, Comparison, RecordsDocument, Meta]:
    """What the demo compared, as on a runner."""
    project = Project.open(
        Invocation(environ=os.environ, folder=demo, config_file=None, say=print, actions=Actions({}, sys.stdout))
    )
    comparison, records = project.workspace.comparison()
    return project, comparison, records, replace(meta_of(project, records), run_url=RUN, files_url=f"{RUN}#artifacts")


def posted(demo: Path, pictures: str | None = None) -> str:
    """The Markdown of the comment that `mlci comment` posts of the same."""
    project, comparison, records, meta = opened(demo)
    marker = marker_for(project, meta.commit)
    return comment(comparison, records.records, meta=meta, marker=marker, pictures=pictures)


def bubble(markdown: str) -> str:
    """The comment as a picture, its sections folded as they are at first; understands what mlci writes there."""
    rows, y, widest = [], 0.0, 0
    for size, step, indent, line in _shown(markdown):
        y += step
        style = ' font-weight="600"' if size > 14 else ""  # noqa: PLR2004 - the heading
        rows.append(
            f'<text x="{MARGIN + indent}" y="{y:.0f}" font-size="{size}" fill="#1f2328"{style} '
            f'xml:space="preserve">{_spans(line)}</text>'
        )
        widest = max(widest, indent + round(len(re.sub(r"`|\[|\]\([^)]*\)", "", line)) * size * 0.51))
    return svg("The comment of mlci on a pull request", 2 * MARGIN + widest, y + MARGIN, "#ffffff", SANS, rows)


def _shown(markdown: str) -> Iterator[tuple[int, float, int, str]]:
    """(size, step down, indent, text) of each line in sight."""
    folded = False
    for line in markdown.splitlines():
        summary = re.match(r"<details><summary>(.*)</summary>", line)
        if summary:
            yield 14, 26, 0, f"▸ {summary[1]}"
            folded = True
        elif line == "</details>":
            folded = False
        elif line.startswith("### "):
            yield 18, 34, 0, line.removeprefix("### ")
        elif line.startswith("- ") and not folded:
            yield 14, 28, 12, f"• {line.removeprefix('- ')}"
        elif line and not folded and not line.startswith("<!--"):
            yield 14, 24, 0, line.strip()


def _spans(line: str) -> str:
    """A line with code and links in their looks."""
    parts = []
    for code, text, rest in re.findall(r"`([^`]+)`|\[([^\]]+)\]\([^)]*\)|([^`\[]+)", line):
        if code:
            parts.append(f'<tspan font-family="{MONOSPACE}" font-size="12" fill="#57606a">{html.escape(code)}</tspan>')
        elif text:
            parts.append(f'<tspan fill="#0969da">{html.escape(text)}</tspan>')
        else:
            parts.append(html.escape(rest))
    return "".join(parts)


def svg(title: str, width: float, height: float, ground: str, font: str, rows: list[str]) -> str:
    """Rows of text on a ground."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
            f"<title>{title}</title>",
            f'<rect width="100%" height="100%" rx="8" fill="{ground}" stroke="#8b949e"/>',
            f'<g font-family="{font}" font-size="13">',
            *rows,
            "</g>",
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "demo"
        subprocess.run(
            [sys.executable, "-m", "mlci", "demo", "--into", str(made)], check=True, stdout=subprocess.DEVNULL
        )
        (IMAGES / "report.svg").write_text(terminal(report(made)), encoding="utf-8")
        (IMAGES / "comment.svg").write_text(bubble(posted(made)), encoding="utf-8")
