"""Draws docs/images/report.svg: the report of `mlci demo`, as a terminal shows it. `python docs/picture.py`."""

from __future__ import annotations

import html
import subprocess
import sys
import tempfile
from pathlib import Path

TARGET = Path(__file__).parent / "images/report.svg"
LINES, COLUMNS = 22, 160
WIDTH, HEIGHT, MARGIN = 7.83, 18, 16  # of a character at 13 px, in pixels
COLOURS = {"regressed": "#ff7b72", "fail": "#ff7b72", "improved": "#7ee787", "pass": "#7ee787"}


def report() -> list[str]:
    """The report's first lines, from a demo that runs now."""
    with tempfile.TemporaryDirectory() as folder:
        mlci = [sys.executable, "-m", "mlci"]
        subprocess.run([*mlci, "demo", "--into", f"{folder}/demo"], check=True, stdout=subprocess.DEVNULL)
        done = subprocess.run([*mlci, "-C", f"{folder}/demo", "report"], check=True, capture_output=True, text=True)
    return [line[:COLUMNS] for line in done.stdout.splitlines()[:LINES]]


def svg(lines: list[str]) -> str:
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
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img">',
            "<title>The report of mlci demo: one metric worse than allowed</title>",
            '<rect width="100%" height="100%" rx="8" fill="#0d1117"/>',
            '<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="13">',
            *rows,
            "</g>",
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    TARGET.write_text(svg(report()), encoding="utf-8")
