"""How the findings of `mlci doctor` look on a terminal: by area, what is amiss in full and what is well in a line."""

from __future__ import annotations

from collections.abc import Sequence

from mlci.core.finding import Finding, Level
from mlci.render.text import counted, plain

_MARKS: dict[Level, str] = {"ok": "✓", "warning": "!", "error": "✗", "unknown": "?"}
_COLOURS: dict[Level, str] = {"ok": "\x1b[32m", "warning": "\x1b[33m", "error": "\x1b[31m", "unknown": "\x1b[36m"}
_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_ORDER: tuple[Level, ...] = ("error", "warning", "unknown")


def diagnosis(findings: Sequence[Finding], *, colour: bool) -> str:
    """All findings as text, with colours if the reader can show them."""
    areas: dict[str, list[Finding]] = {}
    for finding in findings:
        areas.setdefault(finding.area, []).append(finding)
    well = [area for area, of in areas.items() if all(finding.level == "ok" for finding in of)]
    lines = []
    for area, of in areas.items():
        if area not in well:
            lines += [_painted(area, _BOLD, colour), *(line for level in _ORDER for line in _at(of, level, colour)), ""]
    if well:
        lines += [f"{_painted(_MARKS['ok'], _COLOURS['ok'], colour)} {', '.join(well)}"]
    return "\n".join([*lines, summary(findings)])


def summary(findings: Sequence[Finding]) -> str:
    """The result in one line."""
    counts = {level: sum(finding.level == level for finding in findings) for level in _ORDER}
    words = [counted(counts["error"], "error"), counted(counts["warning"], "warning")]
    said = [word for word, level in zip(words, _ORDER, strict=False) if counts[level]]
    said += [f"{counts['unknown']} not known"] if counts["unknown"] else []
    return f"mlci doctor: {', '.join(said) or 'all is well'}"


def _at(findings: Sequence[Finding], level: Level, colour: bool) -> list[str]:
    lines = []
    for finding in findings:
        if finding.level == level:
            where = f"{finding.file}:{finding.line}" if finding.line else finding.file
            place = f" ({plain(where)})" if where and where not in finding.subject else ""
            mark = _painted(_MARKS[level], _COLOURS[level], colour)
            lines.append(f"  {mark} {plain(finding.subject)}: {plain(finding.found)}{_painted(place, _DIM, colour)}")
            lines += [f"    → {plain(finding.remedy)}"] if finding.remedy else []
    return lines


def _painted(text: str, paint: str, colour: bool) -> str:
    return f"{paint}{text}{_RESET}" if colour and text else text
