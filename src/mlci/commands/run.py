"""`mlci run`: executes the planned runs, each truthfully, and keeps what they leave."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Literal

import click

from mlci.commands.completion import run_names
from mlci.commands.plan import plan_for
from mlci.config import is_plain
from mlci.context import Context
from mlci.core.documents import STATUSES, Origin, RunResult, RunsDocument
from mlci.errors import CancelledError, RunsFailedError, UsageError
from mlci.process import Cancellation
from mlci.project import Invocation, Project, origin_of
from mlci.running import jobs
from mlci.running.display import Display
from mlci.running.plan import only_named
from mlci.running.results import Results, label
from mlci.running.session import Options, Session


def run_all(project: Project, options: Options, display: Display) -> RunsDocument:
    """Execute what the plan selects and write `run.json` after each execution.

    Raises:
        UsageError: Code of a fork would run with the rights of this repository.
        ConfigError: A parameter or seed that nothing can receive.
        EnvironmentMissingError: No interpreter, or one without a kernel.
        CancelledError: mlci was told to stop; what was done is in `run.json`.
    """
    check_trusted(project.context, allowed=options.allow_fork_code)
    profile = project.profile(options.profile)
    whole = plan_for(project, profile)
    plan = only_named(whole, options.names)
    origin = origin_of(project)
    kept = _kept(project, origin, profile) if options.last_failed else []
    planned = tuple(run.name for run in whole.selected)
    results = Results(project.workspace, plan, origin, planned, kept)
    cancellation = Cancellation()
    session = Session(project, options, display, plan, results, cancellation)
    session.prepare()
    with project.workspace.locked(), cancellation.listening(last=True):
        session.execute()
    if cancellation:
        raise CancelledError("stopped; what was done is in .mlci/run.json", hint="Go on with `mlci run --last-failed`.")
    return results.document()


def check_trusted(context: Context, *, allowed: bool) -> None:
    """Refuse to run where the event has the repository's rights and what is checked out may be anybody's.

    Raises:
        UsageError: On pull_request_target and workflow_run for a head in another repository, and on comments.
    """
    privileged = context.event in ("pull_request_target", "workflow_run") and context.from_fork
    if (privileged or context.event == "issue_comment") and not allowed:
        raise UsageError(
            f"nothing is run on {context.event}: it has this repository's rights, and the code may be a stranger's",
            hint="Run on pull_request, or say --allow-fork-code where the checkout is certainly yours.",
        )


def check_succeeded(document: RunsDocument) -> None:
    """Raise RunsFailedError if a selected run did not succeed."""
    bad = [result for result in document.runs if result.status not in ("succeeded", "skipped")]
    blocked = [result for result in document.runs if result.error and result.error.kind == "needs"]
    if bad or blocked:
        names = ", ".join(f"{label(result)} ({result.status})" for result in bad)
        raise RunsFailedError(f"{len(bad)} of {len(document.runs)} did not succeed: {names}")


def _kept(project: Project, origin: Origin, profile: str) -> list[RunResult]:
    """What a `--last-failed` keeps: the results of the last `run.json`, if they are of this commit and profile."""
    document, _ = project.workspace.runs()
    if document.origin.commit != origin.commit or any(result.profile != profile for result in document.runs):
        raise UsageError(
            "--last-failed: .mlci/run.json is of another commit or profile, whose results cannot stand beside new ones",
            hint="Run without --last-failed.",
        )
    return list(document.runs)


def parameters_of(_ctx: click.Context, _option: click.Parameter, given: Sequence[str]) -> dict[str, Any]:
    """Parse repeated `-p name=value`."""
    parsed: dict[str, Any] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name.isidentifier():
            raise click.BadParameter(f"expected name=value, got {item!r}")
        parsed[name] = jobs.typed(value)
        if not is_plain(parsed[name]):
            raise click.BadParameter(f"{name}: expected text or a finite number of at most 64 bits, got {value!r}")
    return parsed


def display_for(invocation: Invocation, *, parallel: bool = False, follow: bool = False) -> Display:
    """The commentary, on stderr; on a runner on stdout, where its groups are. Live only on a terminal outside CI."""
    on_runner = invocation.actions.enabled
    return Display(
        sys.stdout if on_runner else sys.stderr,
        invocation.actions,
        live=not on_runner and sys.stderr.isatty() and "CI" not in invocation.environ,
        parallel=parallel,
        follow=follow,
    )


def jobs_of(_ctx: click.Context, _option: click.Parameter, given: str) -> int | Literal["auto"]:
    """Parse `-j`."""
    if given == "auto":
        return "auto"
    if not given.isascii() or not given.isdecimal() or int(given) < 1:
        raise click.BadParameter(f"expected a whole number of at least 1, or auto, got {given!r}")
    return int(given)


jobs_option = click.option(
    "-j",
    "--jobs",
    envvar="MLCI_JOBS",
    default="1",
    show_default=True,
    callback=jobs_of,
    metavar="N|auto",
    help="How many run at once; auto: as many as cores and memory allow.",
)
follow_option = click.option("--follow", is_flag=True, help="Show what runs print, as they print it.")
secrets_option = click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="NAME",
    help="A variable or parameter whose value is never stored or printed, beside those so named.",
)


@click.command("run")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=run_names)
@click.option(
    "-p",
    "parameters",
    multiple=True,
    callback=parameters_of,
    metavar="NAME=VALUE",
    help="A parameter, typed as papermill types it.",
)
@click.option("--profile", envvar="MLCI_PROFILE", help="The profile; default: the event's.")
@click.option("--python", envvar="MLCI_PYTHON", help="The interpreter of the runs, or its environment's folder.")
@jobs_option
@follow_option
@secrets_option
@click.option(
    "--fail-fast", is_flag=True, help="Start no further run after one that did not succeed; its other seeds still run."
)
@click.option("--last-failed", is_flag=True, help="Keep the good results of the last time and run the rest again.")
@click.option("--allow-fork-code", is_flag=True, help="Run even where the event's rights would be a stranger's.")
@click.pass_obj
def command(invocation: Invocation, /, names: tuple[str, ...], parameters: dict[str, Any], **options: Any) -> None:  # noqa: ANN401
    """Run notebooks, scripts and commands.

    Each in the user's own interpreter. What happened is in .mlci/run.json, executed notebooks and logs under
    .mlci/outputs. Exits 4 if a selected run did not succeed.

    \b
    Examples:
      mlci run
      mlci run churn -p trees=500 --profile smoke
      mlci run -j auto --last-failed
    """
    project = Project.open(invocation)
    asked = Options(names=names, parameters=parameters, **options)
    document = run_all(project, asked, display_for(invocation, parallel=asked.jobs != 1, follow=asked.follow))
    worst = max((result.status for result in document.runs), key=STATUSES.index, default="succeeded")
    invocation.actions.set_outputs({"status": worst, "workspace": str(project.workspace.folder)})
    check_succeeded(document)
