"""What a monitor found, as the title and the text of an issue, in which nobody else's words can be more than words."""

from __future__ import annotations

from tabulate import tabulate

from mlci.core.documents import Delta
from mlci.core.monitoring import IssueMarker, Monitoring
from mlci.render.markdown import code, link
from mlci.render.text import number, pair, plain, signed

# Together they keep the text below the 65,536 characters of an issue.
_MAX_POINTS, _MAX_POINT = 20, 300
_MAX_ROWS, _MAX_NAME = 40, 80


def title(found: Monitoring) -> str:
    """The issue's title, which stays the same: only a monitor's own names are in it."""
    return f"{found.model} in {found.stage} is unhealthy ({found.monitor})"


def body(found: Monitoring, *, marker: IssueMarker, run_url: str | None) -> str:
    """The issue's text, of an unhealthy model or of one that is healthy again."""
    kept = "mlci keeps this issue up to date, closes it once the model is healthy, and opens it again if it is not."
    return f"{summary(found, run_url=run_url)}\n{kept}\n\n{marker}\n"


def summary(found: Monitoring, *, run_url: str | None) -> str:
    """What was found, as the job summary and the issue say it."""
    mark, state = ("✅", "healthy") if found.healthy else ("❌", "unhealthy")
    where = f" in {link('this workflow run', run_url)}" if run_url else ""
    compared = (
        f"compared with what the run {code(found.reference)} measured at {code(found.tag)}"
        if found.reference
        else f"there is no record at {code(found.tag)} to compare with"
    )
    record = found.record
    parts = [
        f"### {mark} {found.model} {found.version} in {found.stage} is {state}",
        _points(found),
        _table(found),
        f"Measured by the run {code(record.name)} at {code(_short(record.origin.created_at))}{where}; {compared}.",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _points(found: Monitoring) -> str:
    lines = [f"- {code(plain(reason, limit=_MAX_POINT))}" for reason in found.reasons[:_MAX_POINTS]]
    if len(found.reasons) > _MAX_POINTS:
        lines.append(f"- and {len(found.reasons) - _MAX_POINTS} more")
    return "\n".join(lines)


def _table(found: Monitoring) -> str:
    deltas = found.comparison.deltas if found.comparison else ()
    # What is gated first, and of that what fails.
    ranked = sorted(deltas, key=lambda delta: (delta.gate != "fail", delta.gate == "none"))
    rows = [_row(delta) for delta in ranked[:_MAX_ROWS]]
    if not rows:
        return ""
    table = tabulate(
        rows, headers=("metric", "at release", "now", "change", "gate"), tablefmt="github", disable_numparse=True
    )
    more = len(deltas) - len(rows)
    return f"{table}\n\nand {more} more metrics" if more > 0 else table


def _row(delta: Delta) -> list[str]:
    before, now = delta.baseline, delta.current
    if before is not None and now is not None:
        shown = pair(before, now)
    else:
        shown = ("" if before is None else number(before), "" if now is None else number(now))
    name = f"{delta.metric} [{delta.slice}]" if delta.slice else delta.metric
    change = "" if delta.change is None else signed(delta.change)
    gate = "" if delta.gate == "none" else delta.gate
    # In a cell a bar ends the cell even within code, unless a backslash stands before it.
    return [code(_short(name)).replace("|", "\\|"), *shown, change, gate]


def _short(text: str) -> str:
    return plain(text, limit=_MAX_NAME)
