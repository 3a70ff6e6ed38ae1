"""Numbers, durations and other people's words as text: what every kind of report shares."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

from mlci.core.documents import Comparison, Delta, Record

_MAX_LINE = 500
_SHORT, _MINUTE, _HOUR = 10, 60, 3600
_THOUSAND = 1000
_UNITS = ("B", "kB", "MB", "GB", "TB")


def plain(text: str, *, limit: int = _MAX_LINE) -> str:
    """`text` as one harmless line: no control character, no new line, no command to a terminal or a CI runner."""
    line = " ".join(printable(text).split("\n")).replace("\t", " ").strip()
    # The runner takes ##[...] for a command anywhere in a line.
    line = line.replace("##[", "## [")
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def printable(text: str) -> str:
    """`text` without control, format and surrogate characters; new lines and tabs stay."""
    return "".join(item for item in text if item in "\n\t" or unicodedata.category(item) not in ("Cc", "Cf", "Cs"))


def number(value: float, digits: int = 4) -> str:
    """A value with `digits` significant digits."""
    return f"{value:.{digits}g}" if math.isfinite(value) else {"inf": "∞", "-inf": "−∞"}.get(str(value), "NaN")


def pair(baseline: float, current: float) -> tuple[str, str]:
    """Two values with as many digits as it takes to tell them apart, at least 4."""
    for digits in range(4, 17):
        shown = number(baseline, digits), number(current, digits)
        if shown[0] != shown[1] or baseline == current:
            return shown
    return repr(baseline), repr(current)


def signed(change: float) -> str:
    """A change with its sign, 3 significant digits."""
    if change == 0:
        return "0"
    return ("+" if change > 0 else "−") + number(abs(change), 3)


def duration(seconds: float) -> str:
    """Such as "0.4 s", "12 s", "3 min 20 s", "1 h 05 min"."""
    if not math.isfinite(seconds):
        return "an unknown time"
    if seconds < _SHORT:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"


def size(count: int) -> str:
    """Bytes in decimal units, such as "12 MB"."""
    value, unit = float(count), 0
    while round(value) >= _THOUSAND and unit < len(_UNITS) - 1:
        value, unit = value / _THOUSAND, unit + 1
    return f"{value:.3g} {_UNITS[unit]}"


def counted(count: int, noun: str) -> str:
    """Such as "1 metric" and "2 metrics"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def regressions(comparison: Comparison) -> list[Delta]:
    """The gated metrics that got worse than their rule allows."""
    return [delta for delta in comparison.deltas if delta.gate == "fail" and delta.verdict == "regressed"]


def failed_runs(records: Sequence[Record]) -> bool:
    """Whether a run that was wanted did not succeed."""
    return any(record.error or record.status not in ("succeeded", "skipped") for record in records)


def headline(comparison: Comparison, records: Sequence[Record]) -> str:
    """The verdict, whether it blocks, and the counts behind it: one line of mlci's own words."""
    verdict = "fail" if comparison.blocks else comparison.verdict
    said = {"pass": "pass", "fail": "fail", "inconclusive": "inconclusive", "no-baseline": "no baseline"}[verdict]
    if verdict != "pass":
        said += ", blocking" if comparison.blocks else ", not blocking"
    return f"{said}: {', '.join(_counts(comparison, records))}"


def summary_line(comparison: Comparison, records: Sequence[Record]) -> str:
    """The result in one line, as the action's output `summary`."""
    return f"mlci: {headline(comparison, records)}"


def _counts(comparison: Comparison, records: Sequence[Record]) -> list[str]:
    worse = regressions(comparison)
    broken = [delta for delta in comparison.deltas if delta.gate == "fail" and delta not in worse]
    failed = [record for record in records if record.status not in ("succeeded", "skipped") or record.error]
    verdicts = [delta.verdict for delta in comparison.deltas]
    gated = sum(delta.gate != "none" for delta in comparison.deltas)
    counts = [
        (len(failed), f"{counted(len(failed), 'run')} did not succeed"),
        (len(worse), f"{counted(len(worse), 'metric')} worse than allowed"),
        (
            len(broken),
            f"{counted(len(broken), 'metric')} against {'its rule' if len(broken) == 1 else 'their rules'}",
        ),
        (verdicts.count("improved"), f"{verdicts.count('improved')} improved"),
        (len(comparison.deltas), f"{gated} of {counted(len(comparison.deltas), 'metric')} gated"),
    ]
    said = [words for count, words in counts if count]
    skipped = sum(record.status == "skipped" for record in records)
    return said or [f"nothing selected, {counted(skipped, 'run')} skipped" if skipped else "nothing measured"]
