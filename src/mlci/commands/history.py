"""`mlci history`: how a metric went along the base branch, from the records that were kept."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterable

import click

from mlci import git
from mlci.core.documents import Record, encode
from mlci.core.trajectory import Trajectory, names, trajectories
from mlci.errors import StoreError, UsageError
from mlci.history import LIMIT
from mlci.project import Invocation, Project
from mlci.render.history import BLOCKS
from mlci.render.history import history as rendered

_MOST_LISTED = 20  # names in a hint


def history(
    project: Project, pattern: str, *, count: int, run: str | None = None, profile: str, part: str | None = None
) -> list[Trajectory]:
    """The trajectories of metrics in the last records of the base branch, and of the commit that is checked out.

    Args:
        project: Where.
        pattern: As of `trajectories`.
        count: How many records of a run are read at most.
        run: Whose metrics; None: those of every configured run.
        profile: Of which profile.
        part: A slice, or a glob of slices.

    Raises:
        StoreError: There is no record, or the store cannot be reached.
        UsageError: No record has such a metric.
    """
    head = git.head(project.config.root, project.invocation.environ).commit
    known = project.history
    commits = list(dict.fromkeys(commit for commit in (head, *known.commits) if commit))
    if not known.commits and known.reason:
        project.invocation.say(known.reason)
    records: list[Record] = []
    found: list[Trajectory] = []
    for name in [run] if run else project.runs(profile):
        kept = project.store.history(name, profile, commits, count)
        found += trajectories(kept, pattern, part)
        records += kept
    if not records:
        raise _no_record(project, run, profile, len(commits))
    if not found:
        raise _no_metric(records, pattern, part)
    return found


def _no_record(project: Project, run: str | None, profile: str, looked: int) -> StoreError:
    others = sorted({(entry.run, entry.profile) for entry in project.store.entries()})
    listed = [f"{name} (profile {other})" for name, other in others[:_MOST_LISTED]]
    return StoreError(
        f"no record of {run or 'any run'} (profile {profile}) at the last {looked} commits of the base branch, "
        f"in {project.store.describe()}",
        hint=f"It has records of {', '.join(listed)}: choose by --run and --profile."
        if listed
        else "There is one once `mlci baseline save` ran on the base branch.",
    )


def _no_metric(records: Iterable[Record], pattern: str, part: str | None) -> UsageError:
    kept = list(records)
    known = names(kept)
    if part is not None and any(trajectories([record], pattern) for record in kept):
        return UsageError(f"no slice {part!r} of {pattern}", hint=_nearest(part, names(kept, slices=True)))
    return UsageError(f"no metric {pattern!r} in the last records", hint=_nearest(pattern, known))


def _nearest(asked: str, known: list[str]) -> str:
    close = difflib.get_close_matches(asked, known, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    more = ", ..." if len(known) > _MOST_LISTED else ""
    return f"Known here: {', '.join(known[:_MOST_LISTED]) or 'none'}{more}."


def _has_blocks(encoding: str | None) -> bool:
    try:
        BLOCKS.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


@click.command("history")
@click.argument("metric")
@click.option("--run", metavar="NAME", help="Whose metric; default: every run that has it.")
@click.option("--profile", envvar="MLCI_PROFILE", help="The profile; default: the event's.")
@click.option(
    "-n", "count", type=click.IntRange(1, LIMIT), default=20, show_default=True, help="How many records at most."
)
@click.option("--slice", "part", metavar="SLICE", help="A slice, or a glob of slices; default: the whole.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects.")
@click.pass_obj
def command(
    invocation: Invocation,
    metric: str,
    run: str | None,
    profile: str | None,
    count: int,
    part: str | None,
    *,
    as_json: bool,
) -> None:
    """Show how METRIC went along the base branch: commit, date, value, seeds, examples, change.

    METRIC is a name, split/name, or a glob of either, in quotes. The newest record comes first; the curve beside the
    name goes from the oldest to the newest.

    \b
    Examples:
      mlci history accuracy
      mlci history "*accuracy" --run churn -n 50
      mlci history accuracy --slice "country=*"
      mlci history loss --json | jq '.[0].points[] | [.commit, .value]'
    """
    project = Project.open(invocation)
    found = history(project, metric, count=count, run=run, profile=project.profile(profile), part=part)
    if as_json:
        click.echo(json.dumps([json.loads(encode(item)) for item in found]))
        return
    click.echo(rendered(found, ascii_only=not _has_blocks(sys.stdout.encoding)))
