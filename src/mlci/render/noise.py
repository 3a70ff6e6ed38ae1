"""What repeating a commit has told, on a terminal: the gate's chances first, then each metric, then what to write."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tabulate import tabulate

from mlci.core.fitting import MAX_SEEDS, rounded_up
from mlci.core.repeatability import Chances, MetricNoise, NoiseReport, RunNoise
from mlci.render.text import counted, number, places_of, plain, rounded

_NOISE = "noise: standard deviation from one execution to the next, and its 90% interval"
_NEEDS = "needs: the smallest tolerance that passes an unchanged model 4 times out of 5 and fails it once in 20 at most"
_COLUMNS = ("passes", "undecided", "fails", "notices")
_GATE = (
    "passes, undecided, fails: what the gate says of a model that has not changed",
    "notices: the smallest worsening that the gate fails 4 times out of 5",
)
_GUESS = 0.005  # chances below are said as less than 1%


def noise(report: NoiseReport) -> str:
    """The whole of it as plain text."""
    runs = [run for run in report.runs if run.metrics]
    parts = [[_headline(report)], *(list(_run(run)) for run in runs), list(_remedies(report))]
    if any(metric.deviation > 0 for run in runs for metric in run.metrics):
        parts.append([_NOISE, _NEEDS, *(_GATE if report.chances else ())])
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _headline(report: NoiseReport) -> str:
    if not any(run.metrics for run in report.runs):
        return "nothing was measured at least twice: there is nothing to tell"
    if report.chances is None:
        return "no metric has a rule yet: tolerances that would fit are in the column `needs`"
    return f"a pull request that changes nothing: {_chances(report.chances)}"


def _chances(chances: Chances) -> str:
    said = {"passes": chances.passes, "undecided": chances.undecided, "fails": chances.fails}
    possible = [(words, share) for words, share in said.items() if share > 0]
    if len(possible) == 1:
        return f"always {possible[0][0]}"
    return ", ".join(f"{words} {_percent(share)}" for words, share in possible)


def _shares(chances: Chances | None) -> list[str]:
    if chances is None:
        return ["", "", ""]
    return [_percent(share) for share in (chances.passes, chances.undecided, chances.fails)]


def _percent(share: float) -> str:
    if 0 < share < _GUESS:
        return "<1%"
    return ">99%" if 1 - _GUESS < share < 1 else f"{100 * share:.0f}%"


def _run(run: RunNoise) -> Iterator[str]:
    seeds = f" with the seeds {', '.join(map(str, run.seeds))}" if run.seeds else ""
    yield f"{plain(run.run)}: {counted(run.executions, 'execution')}{seeds}; the gate compares {_compared(run)}"
    metrics = sorted(run.metrics, key=lambda metric: metric.rule is None)
    gated = any(metric.rule for metric in metrics)
    headers = ["metric", "mean", "noise", "rule", "needs", *(_COLUMNS if gated else ())]
    rows = [_row(metric)[: len(headers)] for metric in metrics]
    table = tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True)
    yield from (f"  {line}".rstrip() for line in table.splitlines())
    for metric in metrics:
        if metric.objection:
            yield f"  {_name(metric)} cannot be decided: {plain(metric.objection)}"
    yield from (f"  {line}" for line in _said(run))


def _compared(run: RunNoise) -> str:
    if run.configured > 1:
        return f"{run.configured} seeds a side"
    kinds = {metric.judged for metric in run.metrics if metric.rule}
    known = [
        *(["their standard errors"] if "standard errors" in kinds else []),
        *([f"the noise of the last {run.records} records"] if "records" in kinds else []),
    ]
    return f"single values, knowing {' and '.join(known)}" if known else "single values"


def _row(metric: MetricNoise) -> list[str]:
    places = places_of(metric.deviation)
    return [
        _name(metric),
        number(metric.mean) if places is None else rounded(metric.mean, places),
        _deviation(metric),
        plain(metric.rule) if metric.rule else "none",
        _needs(metric),
        *_shares(metric.chances),
        "" if metric.detectable is None else number(metric.detectable, 2),
    ]


def _deviation(metric: MetricNoise) -> str:
    if math.isnan(metric.deviation):
        return "not always a finite number"
    if metric.deviation == 0:
        return "none: repeats exactly"
    low, high = metric.interval
    return f"{number(metric.deviation, 2)} ({number(low, 2)} to {number(high, 2)})"


def _needs(metric: MetricNoise) -> str:
    """The tolerance, as its rule is written."""
    if metric.fits is None:
        return "–"
    if metric.fits == 0:
        return "any"
    relative = metric.rule is not None and "%" in metric.rule and metric.mean != 0
    return f"{rounded_up(100 * metric.fits / abs(metric.mean)):g}%" if relative else f"{rounded_up(metric.fits):g}"


def _name(metric: MetricNoise) -> str:
    return plain(f"{metric.metric} [{metric.slice}]" if metric.slice is not None else metric.metric)


def _said(run: RunNoise) -> Iterator[str]:
    """What follows for the run as a whole."""
    if run.exact and run.seeds:
        yield "Every seed gives the same: point values are right, any tolerance will do, and one seed is enough."
    elif run.exact and not run.deterministic:
        yield "It repeats exactly: point values are right, any tolerance will do; say so:"
        yield f"  [{plain(run.table)}]"
        yield "  deterministic = true"
    elif run.deterministic and not run.exact and not run.seeds:
        yield "It is configured as deterministic, and is not: its noise is taken for change."
    if run.predictions and run.configured > 1:
        yield "Its predictions add the noise of the examples to what the gate allows for, which is left out here."


def _remedies(report: NoiseReport) -> Iterator[str]:
    for remedy in report.remedies:
        yield f"{plain(remedy.metric)} of {plain(remedy.run)} needs more room; write"
        yield from (f"  {plain(line)}" for line in remedy.rule)
        if remedy.instead:
            yield "or"
            yield from (f"  {plain(line)}" for line in remedy.instead)
        else:
            yield f"since {MAX_SEEDS} seeds would not do for the rule as it is"
