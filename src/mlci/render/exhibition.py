"""Pictures in a comment as GitHub's Markdown: their addresses are mlci's own, and names in them are only words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mlci.render.markdown import code, link
from mlci.render.report import Meta
from mlci.render.text import counted, plain

TITLE = "Pictures"

_MAX_ALT = 800  # characters
_SPECIAL = re.compile(r"[^\w ,.;:()–−+…’%-]|_|:(?=\w|/)")


@dataclass(frozen=True)
class Drawing:
    """One picture.

    Args:
        light: PNG; for both themes where there is no other.
        alt: What it shows, in words.
        width: At which it is shown, in pixels of CSS.
        dark: PNG for dark themes.
    """

    light: bytes
    alt: str
    width: int
    dark: bytes | None = None


@dataclass(frozen=True)
class Plot:
    """A plot that a run declared, beside the baseline's."""

    run: str
    path: str
    before: Drawing | None
    now: Drawing | None


@dataclass(frozen=True)
class Exhibition:
    """All pictures of one comment.

    Args:
        charts: What mlci drew.
        plots: What the runs drew.
        more: How many plots there are besides.
    """

    charts: tuple[Drawing, ...] = ()
    plots: tuple[Plot, ...] = ()
    more: int = 0

    @property
    def contents(self) -> tuple[bytes, ...]:
        """The files, each once."""
        plots = (side for plot in self.plots for side in (plot.before, plot.now) if side)
        return tuple(dict.fromkeys(file for item in (*self.charts, *plots) for file in (item.light, item.dark) if file))


def section(shown: Exhibition, address: Callable[[bytes], str], meta: Meta, *, opened: bool) -> str:
    """The pictures as one part of a comment.

    Args:
        shown: At least one picture.
        address: Where a content of it is to be had.
        meta: What the report says beside the numbers.
        opened: Whether it is to be seen at once.
    """
    blocks = [_image(chart, address) for chart in shown.charts]
    if shown.plots:
        blocks.append("\n".join(["| Plot | Baseline | Now |", "|---|---|---|", *_rows(shown.plots, address)]))
    if shown.more:
        blocks.append(f"{counted(shown.more, 'more plot')} {elsewhere(meta)}.")
    body = "\n\n".join(blocks)
    count = len(shown.charts) + len(shown.plots)
    return f"<details{' open' if opened else ''}><summary>{TITLE} ({count})</summary>\n\n{body}\n\n</details>"


def elsewhere(meta: Meta) -> str:
    """Where pictures are that a comment does not show."""
    return f"in {link('the workflow run’s artifact', meta.files_url)}" if meta.files_url else "beside the report"


def _rows(plots: tuple[Plot, ...], address: Callable[[bytes], str]) -> Iterator[str]:
    for plot in plots:
        name = f"{code(plot.run)} {code(plot.path)}".replace("|", "\\|")
        before, now = (_image(side, address) if side else "–" for side in (plot.before, plot.now))
        yield f"| {name} | {before} | {now} |"


def _image(drawing: Drawing, address: Callable[[bytes], str]) -> str:
    image = f'<img alt="{_attribute(drawing.alt)}" width="{drawing.width}" src="{address(drawing.light)}">'
    if drawing.dark is None:
        return image
    dark = f'<source media="(prefers-color-scheme: dark)" srcset="{address(drawing.dark)}">'
    return f"<picture>{dark}{image}</picture>"


def _attribute(words: str) -> str:
    """Words as an attribute's value, in which neither HTML nor Markdown finds anything to read."""
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", plain(words, limit=_MAX_ALT))
