"""Numbers, durations and other people's words as text: what every kind of report shares."""

from __future__ import annotations

import calendar
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence

from mlci.core.documents import Comparison, Delta, Record

_MAX_LINE = 500
_SHORT, _MINUTE, _HOUR, _DAY = 10, 60, 3600, 86_400
_THOUSAND = 1000
_UNITS = ("B", "kB", "MB", "GB", "TB")
_MOST_DIGITS = 6  # of a rounded number
_FIXED = range(-5, 7)  # decimal exponents of numbers that are written without one
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(?:Z|\+00:00)", re.ASCII)


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


def places_of(width: float) -> int | None:
    """The decimal places that show two digits of `width`; None where it is none."""
    return 1 - math.floor(math.log10(width)) if math.isfinite(width) and width > 0 else None


def rounded(value: float, places: int) -> str:
    """A value with so many decimal places, or the few more that its first digit takes."""
    if value == 0 or not math.isfinite(value):
        return number(value)
    exponent = math.floor(math.log10(abs(value)))
    digits = min(max(exponent + 1 + places, 1), _MOST_DIGITS)
    if exponent not in _FIXED:
        return number(value, digits)
    places = digits - 1 - exponent
    return f"{round(value, places):.{max(places, 0)}f}"


def signed(change: float, places: int | None = None) -> str:
    """A change with its sign, to so many decimal places or else 3 significant digits."""
    if change == 0 or math.isnan(change):
        return number(change)
    size = abs(change)
    return ("+" if change > 0 else "−") + (number(size, 3) if places is None else rounded(size, places))


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


def age(since: str, until: str) -> str | None:
    """Such as "5 hours" or "3 days" between two times; None for less than an hour, and for what is no time in UTC."""
    begun, ended = _seconds(since), _seconds(until)
    if begun is None or ended is None or ended - begun < _HOUR:
        return None
    passed = ended - begun
    return counted(passed // _HOUR, "hour") if passed < 2 * _DAY else counted(passed // _DAY, "day")


def _seconds(time: str) -> int | None:
    match = _TIME.fullmatch(time)
    try:
        return calendar.timegm((*map(int, match.groups()), 0, 0, 0)) if match else None
    except ValueError:  # such as a thirteenth month
        return None


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
    return [delta for delta in comparison.deltas if delta.gate == "fail" and _worse(delta)]


def _worse(delta: Delta) -> bool:
    """Whether it got worse, by its verdict or by the one-sided test of its rule, which needs less."""
    tested = delta.verdict == "inconclusive" and delta.interval is not None and delta.direction is not None
    return delta.verdict == "regressed" or (tested and ((delta.change or 0) < 0) == (delta.direction == "higher"))


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


def parts(deltas: Iterable[Delta]) -> str:
    """How many metrics and slices, such as "1 metric and 3 slices"."""
    slices = [delta.slice is not None for delta in deltas]
    counts = (("metric", slices.count(False)), ("slice", slices.count(True)))
    return " and ".join(counted(count, noun) for noun, count in counts if count)


def _counts(comparison: Comparison, records: Sequence[Record]) -> list[str]:
    deltas = comparison.deltas
    worse = regressions(comparison)
    broken = [delta for delta in deltas if delta.gate == "fail" and not _worse(delta)]
    unknown = [delta for delta in deltas if delta.gate == "no-baseline" and comparison.blocks]
    open_ = [delta for delta in deltas if delta.gate == "inconclusive"]
    accepted = [delta for delta in deltas if delta.accepted and delta.gate == "pass"]
    failed = [record for record in records if record.status not in ("succeeded", "skipped") or record.error]
    improved = sum(delta.verdict == "improved" and delta.slice is None for delta in deltas)
    free = sum(delta.verdict == "regressed" and delta.slice is None and delta.gate == "none" for delta in deltas)
    gated = [delta.slice for delta in deltas if delta.gate != "none"]
    metrics = sum(delta.slice is None for delta in deltas)
    slices = len(gated) - gated.count(None)
    of = [f"{gated.count(None)} of {counted(metrics, 'metric')}"] if metrics else []
    of += [counted(slices, "slice")] if slices else []
    counts = [
        (len(failed), f"{counted(len(failed), 'run')} did not succeed"),
        (len(worse), f"{parts(worse)} worse than allowed"),
        (len(broken), f"{parts(broken)} against {'its rule' if len(broken) == 1 else 'their rules'}"),
        (len(open_), f"{parts(open_)} undecided"),
        (len(unknown), f"{parts(unknown)} without a baseline"),
        (len(accepted), f"{parts(accepted)} accepted as worse"),
        (free, f"{free} worse without a rule"),
        (improved, f"{improved} improved"),
        (len(of), f"{' and '.join(of)} gated"),
    ]
    said = [words for count, words in counts if count]
    if said:
        return said
    if without_metrics(comparison, records):
        return ["no metric was written"]
    skipped = sum(record.status == "skipped" for record in records)
    return [f"nothing selected, {counted(skipped, 'run')} skipped" if skipped else "nothing measured"]


def without_metrics(comparison: Comparison, records: Sequence[Record]) -> bool:
    """Whether code ran well, and nothing that it wrote was a metric."""
    return not comparison.deltas and any(record.status == "succeeded" for record in records)
