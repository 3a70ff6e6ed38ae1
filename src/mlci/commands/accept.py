"""`mlci accept`: writes down that a metric may get worse this once, and why, for a reviewer to see."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from datetime import UTC, datetime

import click

from mlci import accepted
from mlci.commands.completion import run_names
from mlci.core.acceptance import Acceptance, expired
from mlci.core.documents import Comparison, Delta, Metric, Record
from mlci.core.metric import key
from mlci.errors import UsageError
from mlci.project import Invocation, Project
from mlci.render.text import counted, plain

_MAX_REASON = 500


def accept(project: Project, metric: str, *, run: str | None, part: str | None, reason: str) -> Acceptance:
    """Write an entry for a metric of the workspace's comparison that got worse.

    Args:
        project: Where.
        metric: Its name, as the report shows it or without its split.
        run: Whose it is, where several runs have it.
        part: The slice's name; None: the whole.
        reason: For whoever reviews it.

    Raises:
        UsageError: There is no such metric, or it did not get worse.
        WorkspaceError: There is no comparison.
        ConfigError: The file that is there cannot be read.
    """
    said = " ".join(reason.split())
    if not 0 < len(said) <= _MAX_REASON or not said.isprintable():
        raise UsageError(f"--reason: expected why this is right, in at most {_MAX_REASON} characters of plain text")
    comparison, document = project.workspace.comparison()
    delta = _chosen(comparison, metric, run=run, part=part)
    record = next(record for record in document.records if record.name == delta.run)
    before, now = _worsening(delta)
    measured = _measured(record, delta)
    item = Acceptance(
        run=record.name,
        profile=record.profile,
        metric=measured.name,
        split=measured.split,
        slice=measured.slice,
        baseline=before,
        value=now,
        reason=said,
        commit=record.origin.commit,
        date=datetime.now(UTC).date().isoformat(),
    )
    accepted.save(project.config, accepted.added(accepted.load(project.config), item))
    return item


def prune(project: Project) -> tuple[list[Acceptance], list[Acceptance]]:
    """Drop the entries whose new level the baseline has; those that stay, and those that went."""
    kept: list[Acceptance] = []
    gone: list[Acceptance] = []
    for item in accepted.load(project.config):
        record = project.baseline(item.run, item.profile).record
        values = [metric.value for metric in record.metrics if key(metric) == item.key] if record else []
        (gone if values and expired(item, values[0]) else kept).append(item)
    if gone:
        accepted.save(project.config, kept)
    return kept, gone


def _chosen(comparison: Comparison, metric: str, *, run: str | None, part: str | None) -> Delta:
    named = [delta for delta in comparison.deltas if metric in (delta.metric, _bare(delta.metric))]
    if not named:
        raise UsageError(
            f"no metric is called {metric!r} in the comparison",
            hint=_nearest(metric, [delta.metric for delta in comparison.deltas]),
        )
    found = [delta for delta in named if run in (None, delta.run) and delta.slice == part]
    if not found:
        wanted = " of ".join(filter(None, [metric, part, run]))
        others = [f"--run {delta.run}{f' --slice {delta.slice}' if delta.slice else ''}" for delta in named]
        raise UsageError(f"the comparison has no {wanted}", hint=f"It has: {', '.join(others[:5])}.")
    if len(found) > 1:
        several = dict.fromkeys(f"{delta.metric} --run {delta.run}" for delta in found)
        raise UsageError(f"there are {len(found)} metrics {metric!r}", hint=f"Say one of: {', '.join(several)}.")
    return found[0]


def _worsening(delta: Delta) -> tuple[float, float]:
    """The level that it had, and the one that it fell to."""
    before, now = delta.baseline, delta.current
    if before is None or now is None or not (math.isfinite(before) and math.isfinite(now)):
        lacks = "baseline" if before is None or not math.isfinite(before) else "value"
        raise UsageError(f"{delta.metric} of {delta.run} has no {lacks}: there is no change to accept")
    worse = {"higher": now < before, "lower": now > before, None: False}[delta.direction]
    if now == before or not (worse or delta.gate == "fail"):
        raise UsageError(
            f"{delta.metric} of {delta.run} did not get worse ({before:g} → {now:g}): there is nothing to accept"
        )
    return before, now


def _measured(record: Record, delta: Delta) -> Metric:
    """The metric that a delta is about; its name is shown with its split."""
    return next(
        metric
        for metric in record.metrics
        if metric.slice == delta.slice
        and delta.metric == (f"{metric.name} ({metric.split})" if metric.split else metric.name)
    )


def _bare(shown: str) -> str:
    return shown.rpartition(" (")[0] if shown.endswith(")") else shown


def _nearest(word: str, known: Iterable[str]) -> str:
    known = sorted(set(known))
    close = difflib.get_close_matches(word, known, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(known[:10]) or 'none'}."


def _line(item: Acceptance) -> str:
    where = " of ".join(filter(None, [item.metric, item.split, item.slice]))
    return plain(f"{item.run} ({item.profile}): {where}: {item.baseline:g} → {item.value:g}: {item.reason}")


@click.command("accept")
@click.argument("metric", required=False)
@click.option("--run", metavar="NAME", shell_complete=run_names, help="The run, where several have the metric.")
@click.option("--slice", "part", metavar="SLICE", help="The slice; default: the whole.")
@click.option("--reason", metavar="TEXT", help="Why this is right: a reviewer reads it, and the report shows it.")
@click.option("--list", "listing", is_flag=True, help="Show what was accepted.")
@click.option("--prune", "pruning", is_flag=True, help="Drop what the baseline has caught up with.")
@click.pass_obj
def command(
    invocation: Invocation,
    metric: str | None,
    run: str | None,
    part: str | None,
    reason: str | None,
    listing: bool,
    pruning: bool,
) -> None:
    """Accept on purpose that METRIC got worse: written to mlci-accepted.toml, to be reviewed with the change.

    Takes both levels from the last comparison. The gate judges the metric against the new level until the base branch
    has it.

    \b
    Examples:
      mlci accept accuracy --reason "half the parameters, agreed in review"
      mlci accept accuracy --run churn --slice country=IT --reason "few examples left"
      mlci accept --list
      mlci accept --prune
    """
    if sum((metric is not None, listing, pruning)) != 1 or (metric is None) != (reason is None):
        raise UsageError("expected METRIC with --reason, or --list, or --prune")
    project = Project.open(invocation)
    if metric is not None and reason is not None:
        item = accept(project, metric, run=run, part=part, reason=reason)
        click.echo(f"accepted {_line(item)}")
        click.echo(f"commit {accepted.FILE} with the change; `mlci compare` takes it into account")
    elif pruning:
        kept, gone = prune(project)
        for item in gone:
            click.echo(f"dropped {_line(item)}")
        click.echo(f"{counted(len(gone), 'acceptance')} dropped, {len(kept)} kept")
    else:
        for item in accepted.load(project.config):
            click.echo(f"{item.date}  {_line(item)}")
