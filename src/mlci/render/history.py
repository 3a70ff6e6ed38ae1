"""How metrics went, on a terminal: a small curve and a table for each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import compress, pairwise

from tabulate import tabulate

from mlci.core.trajectory import Trajectory
from mlci.render.text import number, pair, plain, signed

BLOCKS = "▁▂▃▄▅▆▇█"
_PLAIN_BLOCKS = "_.-~=+*#"  # for terminals that have no others
_PLAIN = str.maketrans({"−": "-", "∞": "inf", "…": "..."} | dict(zip(BLOCKS, _PLAIN_BLOCKS, strict=True)))


def history(found: Iterable[Trajectory], *, ascii_only: bool) -> str:
    """Each trajectory: its name, its curve from the oldest to the newest, and its points, the newest first."""
    whole = "\n\n".join("\n".join(_lines(item)) for item in found)
    return whole.translate(_PLAIN).encode("ascii", "replace").decode() if ascii_only else whole


def sparkline(values: Sequence[float]) -> str:
    """A block a value, as high as it lies between the least and the greatest; "?" for what is no finite number."""
    finite = [value for value in values if math.isfinite(value)]
    # Halves: the distance of two floats can be more than a float holds.
    low, high = (min(finite) / 2, max(finite) / 2) if finite else (0.0, 0.0)
    top = len(BLOCKS) - 1

    def block(value: float) -> str:
        if not math.isfinite(value):
            return "?"
        return BLOCKS[round(top * ((value / 2 - low) / (high - low)))] if high > low else BLOCKS[top // 2]

    return "".join(map(block, values))


def _lines(found: Trajectory) -> list[str]:
    curve = sparkline([point.value for point in reversed(found.points)])
    better = f", {found.direction} is better" if found.direction else ""
    unit = f" in {plain(found.unit)}" if found.unit else ""
    headers = ["commit", "date", "value", "seeds", "n", "change"]
    known = [True, True, True, any(point.seeds for point in found.points), any(point.n for point in found.points), True]
    # As many digits as it takes to see a change.
    values = [pair(old.value, new.value)[1] for new, old in pairwise(found.points)]
    values.append(number(found.points[-1].value))
    rows: list[list[str]] = [
        [
            point.commit[:7],
            plain(point.created_at[:10]),
            value,
            str(point.seeds or ""),
            str(point.n or ""),
            "" if point.change is None else signed(point.change),
        ]
        for point, value in zip(found.points, values, strict=True)
    ]
    shown = [list(compress(row, known)) for row in (headers, *rows)]
    table = tabulate(shown, headers="firstrow", tablefmt="simple", disable_numparse=True)
    return [
        f"{plain(found.run)} ({found.profile}): {plain(found.name)}{unit}{better}  {curve}",
        *(f"  {row}".rstrip() for row in table.splitlines()),
    ]
