"""How metrics went, on a terminal: a chart, or where there is no room a small curve, and a table for each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress, pairwise

from tabulate import tabulate

from mlci.core.trajectory import Point, Trajectory
from mlci.render.sparks import BLOCKS, sparkline
from mlci.render.text import number, pair, plain, signed

SIGNS = f"{BLOCKS}⣿┊▼○±"  # what an encoding must have
_PLAIN_BLOCKS = "_.-~=+*#"  # for terminals that have no others
# So that plotext draws with what an ASCII terminal has.
_FRAME = dict.fromkeys("┌┐└┘┤├┬┴┼", "+") | {"─": "-", "│": "|", "┊": "|"}
_PLAIN = str.maketrans(
    {"−": "-", "∞": "inf", "…": "...", "·": ".", "▼": "v", "○": "o", "±": "+-"}
    | _FRAME
    | dict(zip(BLOCKS, _PLAIN_BLOCKS, strict=True))
)
_NARROWEST, _WIDEST, _HEIGHT = 50, 160, 14  # of a chart, in characters
_FEWEST = 3  # points that are worth a chart
_LARGEST = 1e300  # of which differences can still be told
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MARKS = {"fail": "▼", "regressed": "▼", "accepted": "○"}
_WORDS = {"fail": "worse than allowed", "regressed": "worse beyond noise", "accepted": "accepted"}


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the terminal can show.

    Args:
        width: In characters.
        colours: Whether it has colours.
        ascii_only: Whether its encoding has no blocks.
    """

    width: int = 0
    colours: bool = False
    ascii_only: bool = False


def history(found: Iterable[Trajectory], look: Look) -> str:
    """Each trajectory: its name, its chart from the oldest to the newest, and its points, the newest first."""
    whole = "\n\n".join("\n".join(_lines(item, look)) for item in found)
    return whole.translate(_PLAIN).encode("ascii", "replace").decode() if look.ascii_only else whole


def _lines(found: Trajectory, look: Look) -> list[str]:
    curve = sparkline([point.value for point in reversed(found.points)])
    better = f", {found.direction} is better" if found.direction else ""
    unit = f" in {plain(found.unit)}" if found.unit else ""
    title = f"{plain(found.run)} ({found.profile}): {plain(found.name)}{unit}{better}"
    drawn = _chart(found.points[::-1], look)
    head = [title, *drawn] if drawn else [f"{title}  {curve}"]
    return [*head, *(f"  {row}".rstrip() for row in _table(found.points))]


def _table(points: Sequence[Point]) -> list[str]:
    headers = ["commit", "date", "value", "seeds", "n", "change", "noise", "note"]
    notes = [_note(point) for point in points]
    known = [True, True, True, any(point.seeds for point in points), any(point.n for point in points), True]
    known += [any(point.noise is not None for point in points), any(notes)]
    # As many digits as it takes to see a change.
    values = [pair(old.value, new.value)[1] for new, old in pairwise(points)]
    values.append(number(points[-1].value))
    rows: list[list[str]] = [
        [
            point.commit[:7],
            plain(point.created_at[:10]),
            value,
            str(point.seeds or ""),
            str(point.n or ""),
            "" if point.change is None else signed(point.change),
            "" if point.noise is None else f"±{number(point.noise, 2)}",
            note,
        ]
        for point, value, note in zip(points, values, notes, strict=True)
    ]
    shown = [list(compress(row, known)) for row in (headers, *rows)]
    return tabulate(shown, headers="firstrow", tablefmt="simple", disable_numparse=True).splitlines()


def _note(point: Point) -> str:
    said = [_WORDS[point.mark]] if point.mark else []
    if point.mark == "accepted" and point.reason:
        said = [f"accepted: {plain(point.reason, limit=60)}"]
    return ", ".join([*said, *map(plain, point.releases)])


def _chart(points: Sequence[Point], look: Look) -> list[str]:
    """The points, the oldest first, as plotext draws them; nothing where that would show nothing."""
    drawn = [(place, point) for place, point in enumerate(points) if abs(point.value) < _LARGEST]
    if look.width < _NARROWEST or len(drawn) < _FEWEST:
        return []
    import plotext  # noqa: PLC0415 - for a chart only

    def marker(sign: str, colour: str) -> object:
        return plotext.marker(sign, colour if look.colours else None)

    figure = plotext.figure
    plotext.terminal.limit(False, False)  # it is said how wide the terminal is
    figure.clear()
    figure.theme("colorless")
    figure.plot_size(min(look.width, _WIDEST), _HEIGHT)
    # A value is no change while it is no further than the noise from the one before.
    pairs = ((old[1], new) for old, new in pairwise(drawn))
    band = [(place, old.value, point.noise) for old, (place, point) in pairs if (point.noise or 0) > 0]
    for side in (1, -1) if band else ():
        edge = [(place, value + side * (noise or 0)) for place, value, noise in band]
        figure.draw(figure.signal(*zip(*edge, strict=True), marker=marker("·", "gray")))
    edges = [side * (noise or 0) + value for _, value, noise in band for side in (1, -1)]
    heights = [*edges, *(point.value for _, point in drawn)]
    for place in (place for place, point in enumerate(points) if point.releases):
        rule = figure.segment([place, place], [min(heights), max(heights)], marker=marker("┊", "yellow"))
        figure.draw(rule)
    line = figure.signal(
        *zip(*((place, point.value) for place, point in drawn), strict=True),
        marker=marker("*" if look.ascii_only else "braille", "cyan"),
    )
    figure.draw(line.lines())
    for place, point in drawn:
        if point.mark:
            colour = "magenta" if point.mark == "accepted" else "red"
            figure.draw(figure.signal([place], [point.value], marker=marker(_MARKS[point.mark], colour)))
    shown = [0, (len(points) - 1) // 2, len(points) - 1]
    figure.ruler("x").ticks(shown, [_date(points[place]) for place in shown])
    matrix = figure.build()
    text = matrix.string() if look.colours else plotext.uncolorize(matrix)
    return [*(line.rstrip() for line in str(text).splitlines()), *_legend(points, band=bool(band))]


def _date(point: Point) -> str:
    found = _DATE.match(point.created_at)
    return found[0] if found else point.commit[:7]


def _legend(points: Sequence[Point], *, band: bool) -> list[str]:
    marks = {point.mark for point in points}
    said = ["· how far noise reaches"] if band else []
    said += ["▼ worse beyond noise"] if marks & {"fail", "regressed"} else []
    said += ["○ worse, accepted"] if "accepted" in marks else []
    said += ["┊ released or staged"] if any(point.releases for point in points) else []
    return [f"  {'   '.join(said)}"] if said else []
