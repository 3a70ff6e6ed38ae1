"""`mlci history`: how metrics went along the base branch, from the records that were kept."""

from __future__ import annotations

import difflib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from mlci import past, workspace
from mlci.commands.completion import run_names
from mlci.core.dashboard import Columns, Dashboard, Release, dashboard
from mlci.core.documents import Metric, Record, encode
from mlci.core.steps import steps
from mlci.core.trajectory import Trajectory, matches, names, trajectories
from mlci.errors import StoreError, UsageError
from mlci.history import LIMIT
from mlci.project import Invocation, Project
from mlci.render.history import SIGNS, Look
from mlci.render.history import history as rendered

PAGE = "history.html"
_MOST = 10_000  # records of a run
_FEW, _MANY = 20, 5_000  # by default, on a terminal and on a page
_COMMITS_A_RECORD = 2  # so many commits are looked at: not every one is measured
_AT_ONCE = 500  # records that are held at a time for a page
_MOST_LISTED = 20  # names in a hint
_WIDTH = 80  # of what is no terminal


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
    known = past.branch(project, _commits(count))
    if known.reason:
        project.invocation.say(known.reason)
    span = project.config.settings.baseline.history
    accepted, _ = past.acceptances(project, known.commits)
    released = past.releases(project)
    records: list[Record] = []
    found: list[Trajectory] = []
    for name in [run] if run else project.runs(profile):
        kept = project.store.history(name, profile, known.commits, count + span)
        found += trajectories(
            steps(kept, tiers=project.config.rules(name), span=span, accepted=accepted),
            pattern,
            part,
            count=count,
            releases=_by_commit(item for item in released if item.run == name),
        )
        records += kept
    if not records:
        raise _no_record(project, run, profile, len(known.commits))
    if not found:
        raise _no_metric(records, pattern, part)
    return found


def page_data(
    project: Project,
    pattern: str | None = None,
    *,
    count: int = _MANY,
    run: str | None = None,
    profile: str | None = None,
    part: str | None = None,
) -> tuple[Dashboard, list[str]]:
    """All that the store holds of the base branch, as a page shows it; and what is not known, a line each.

    Records are read some hundreds at a time, and only what is shown of them is kept.

    Args:
        project: Where.
        pattern: Of which metrics; None: of all.
        count: How many records of a run are read at most.
        run: Of which run; None: of every one that was measured.
        profile: Of which profile; None: of every one.
        part: Of which slices; None: of all.

    Raises:
        StoreError: There is no record, or the store cannot be reached.
        UsageError: No record has such a metric.
    """
    known = past.branch(project, _commits(count))
    accepted, unknown = past.acceptances(project, known.commits)
    measured: dict[tuple[str, str], set[str]] = {}
    for entry in project.store.entries():
        if run in (None, entry.run) and profile in (None, entry.profile):
            measured.setdefault((entry.run, entry.profile), set()).add(entry.commit)
    span = project.config.settings.baseline.history
    every: list[Columns] = []
    for (name, which), has in measured.items():
        nearest = [commit for commit in known.commits if commit in has][:count]
        columns = Columns(name, which, lambda metric: _wanted(metric, pattern, part))
        records = _streamed(project, name, which, nearest)
        for step in steps(records, tiers=project.config.rules(name), span=span, accepted=accepted):
            columns.add(step)
        if columns.at:
            every.append(columns)
    if not every:
        raise _no_record(project, run, profile, len(known.commits))
    if pattern is not None and not any(columns.series for columns in every):
        raise UsageError(
            f"no metric {pattern!r} in the last records", hint="`mlci history --html` shows all there are."
        )
    order = list(project.config.settings.runs)
    every.sort(key=lambda item: (order.index(item.run) if item.run in order else len(order), item.run))
    shown = dashboard(every, past.commits(project, known.commits), past.releases(project))
    return shown, [line for line in (known.reason, unknown) if line]


def _commits(count: int) -> int:
    return max(LIMIT, _COMMITS_A_RECORD * count)


def _streamed(project: Project, run: str, profile: str, commits: Sequence[str]) -> Iterator[Record]:
    for start in range(0, len(commits), _AT_ONCE):
        yield from project.store.history(run, profile, commits[start : start + _AT_ONCE], _AT_ONCE)


def _wanted(metric: Metric, pattern: str | None, part: str | None) -> bool:
    """Whether the page shows it: without a slice asked for, a metric comes with its slices."""
    wanted = part if part is not None else metric.slice
    return matches(metric, pattern or "*", wanted)


def _by_commit(released: Iterable[Release]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item in released:
        found.setdefault(item.commit, []).append(item.label)
    return found


def _no_record(project: Project, run: str | None, profile: str | None, looked: int) -> StoreError:
    others = sorted({(entry.run, entry.profile) for entry in project.store.entries()})
    listed = [f"{name} (profile {other})" for name, other in others[:_MOST_LISTED]]
    which = f"profile {profile}" if profile else "any profile"
    return StoreError(
        f"no record of {run or 'any run'} ({which}) at the last {looked} commits of the base branch, "
        f"in {project.store.describe()}",
        hint=f"It has records of {', '.join(listed)}: choose by --run and --profile."
        if listed
        else "There is one once `mlci baseline save` ran on the base branch.",
    )


def _which(project: Project, run: str | None, profile: str) -> UsageError:
    commits = past.branch(project, _commits(1)).commits
    runs = [run] if run else project.runs(profile)
    known = names(record for name in runs for record in project.store.history(name, profile, commits, 1))
    if not known:
        return UsageError("which metric?", hint="Name one, such as `mlci history accuracy`, or ask for --html.")
    return UsageError("which metric?", hint=f"{_listed(known)} Or ask for --html.")


def _no_metric(records: Iterable[Record], pattern: str, part: str | None) -> UsageError:
    kept = list(records)
    known = names(kept)
    if part is not None and any(matches(metric, pattern, None) for record in kept for metric in record.metrics):
        return UsageError(f"no slice {part!r} of {pattern}", hint=_nearest(part, names(kept, slices=True)))
    return UsageError(f"no metric {pattern!r} in the last records", hint=_nearest(pattern, known))


def _nearest(asked: str, known: list[str]) -> str:
    close = difflib.get_close_matches(asked, known, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    return _listed(known)


def _listed(known: list[str]) -> str:
    more = ", ..." if len(known) > _MOST_LISTED else ""
    return f"Known here: {', '.join(known[:_MOST_LISTED]) or 'none'}{more}."


def _has_signs(encoding: str | None) -> bool:
    try:
        SIGNS.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _look(invocation: Invocation) -> Look:
    """How the output can look: as wide as the terminal, in colours only on one that nobody asked to go without."""
    environ = invocation.environ
    asked = environ.get("COLUMNS", "")
    width, terminal = (int(asked) if asked.isdecimal() and len(asked) < 5 else 0), sys.stdout.isatty()  # noqa: PLR2004
    if not width:
        width = os.get_terminal_size(sys.stdout.fileno()).columns if terminal else _WIDTH
    colours = terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    return Look(width=width, colours=colours, ascii_only=not _has_signs(sys.stdout.encoding))


def _file(project: Project, given: str) -> Path:
    if not given:
        project.workspace.prepare()
        return project.workspace.folder / PAGE
    if not given.lower().endswith((".html", ".htm")):
        raise UsageError(
            f"--html: expected a file that ends in .html, got {given!r}", hint="METRIC goes before --html."
        )
    return project.invocation.folder / given


def _write_page(file: Path, page: str) -> None:
    workspace.write_page(file, page)
    size = file.stat().st_size
    click.echo(f"wrote {file} ({size / 1e6:.1f} MB): open it in a browser")


@click.command("history")
@click.argument("metric", required=False)
@click.option("--run", metavar="NAME", shell_complete=run_names, help="Whose metric; default: every run that has it.")
@click.option("--profile", envvar="MLCI_PROFILE", help="The profile; default: the event's, with --html all.")
@click.option(
    "-n",
    "count",
    type=click.IntRange(1, _MOST),
    help=f"How many records at most; default: {_FEW}, with --html {_MANY:,}.",
)
@click.option("--slice", "part", metavar="SLICE", help="A slice, or a glob of slices; default: the whole.")
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects.")
@click.option(
    "--html",
    is_flag=False,
    flag_value="",
    metavar="[FILE]",
    help=f"Write a page of every metric, or of METRIC; default: .mlci/{PAGE}.",
)
@click.pass_obj
def command(
    invocation: Invocation,
    metric: str | None,
    run: str | None,
    profile: str | None,
    count: int | None,
    part: str | None,
    html: str | None,
    *,
    as_json: bool,
) -> None:
    """Show how METRIC went along the base branch: a chart, and commit, date, value, seeds, examples, change.

    METRIC is a name, split/name, or a glob of either, in quotes. The newest record comes first; charts go from the
    oldest to the newest, with the band in which the gate takes a value for noise, and with releases. --html writes all
    metrics of all runs into one file that needs no network.

    \b
    Examples:
      mlci history accuracy
      mlci history "*accuracy" --run churn -n 50
      mlci history accuracy --slice "country=*"
      mlci history loss --json | jq '.[0].points[] | [.commit, .value]'
      mlci history --html
      mlci history "*accuracy" -n 500 --html public/index.html
    """
    project = Project.open(invocation)
    if html is not None:
        if as_json:
            raise UsageError("--html and --json exclude each other")
        from mlci.render.pages.history import history as page  # noqa: PLC0415 - heavy, and for this only

        file = _file(project, html)
        found, unknown = page_data(project, metric, count=count or _MANY, run=run, profile=profile, part=part)
        base = project.config.settings.baseline.branch
        _write_page(
            file,
            page(found, name=project.config.root.name, branch=base, home=past.home(project), notes=unknown),
        )
        return
    if metric is None:
        raise _which(project, run, project.profile(profile))
    shown = history(project, metric, count=count or _FEW, run=run, profile=project.profile(profile), part=part)
    if as_json:
        click.echo(json.dumps([json.loads(encode(item)) for item in shown]))
        return
    click.echo(rendered(shown, _look(invocation)))
