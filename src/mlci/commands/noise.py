"""`mlci noise`: runs the same commit several times, and says how noisy each metric is and what the gate makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from mlci.commands.completion import run_names
from mlci.commands.run import check_succeeded, check_trusted, display_for, jobs_option
from mlci.config import Run
from mlci.core.documents import RunResult, RunsDocument, encode
from mlci.core.fitting import Setting
from mlci.core.repeatability import NoiseReport, assess
from mlci.errors import GitError, StoreError
from mlci.project import Invocation, Project, origin_of
from mlci.render.noise import noise as rendered
from mlci.running.display import Display
from mlci.running.repeating import repeat
from mlci.running.session import Options

_PAIR = 2


def noise(
    project: Project, options: Options, times: int, display: Callable[[], Display]
) -> tuple[NoiseReport, tuple[RunResult, ...]]:
    """Repeat what `options` name, and weigh it; `.mlci/run.json` and what was made from it stay as they are.

    Args:
        project: Where.
        options: As for `mlci run`.
        times: How often each run is executed, at least 2.
        display: The commentary, a new one for each round.

    Returns:
        What was found out, and every execution.

    Raises:
        UsageError: Code of a fork would run with the rights of this repository.
        ConfigError: A parameter or seed that nothing can receive.
        EnvironmentMissingError: No interpreter, or one without a kernel.
        CancelledError: mlci was told to stop.
    """
    check_trusted(project.context, allowed=options.allow_fork_code)
    runs = project.runs(project.profile(options.profile))
    results = repeat(project, runs, times, options, display)
    good: dict[str, list[RunResult]] = {}
    for result in results:
        if result.status == "succeeded":
            good.setdefault(result.name, []).append(result)
    return assess((_setting(project, runs[name]), mine) for name, mine in good.items()), results


def _setting(project: Project, run: Run) -> Setting:
    table = f"runs.{run.group}"
    written = run.origins.get("seeds", "")
    return Setting(
        run=run.name,
        tiers=project.config.rules(run.name),
        seeds=run.table.seeds,
        rules_table=f"{table}.rules",
        seeds_table=written[written.rindex("[") + 1 : -1] if written.endswith("]") else table,
        records=_records(project, run),
        deterministic=run.table.deterministic,
        predictions=run.table.predictions is not None,
    )


def _records(project: Project, run: Run) -> int:
    """How many records of the base branch tell the gate of noise, where no seeds do."""
    count = project.config.settings.baseline.history
    if len(run.table.seeds) > 1 or run.table.deterministic or not count:
        return 0
    try:
        return len(project.store.history(run.name, run.profile, project.history.commits, count))
    except (GitError, StoreError) as error:
        project.invocation.say(f"{run.name}: earlier records are not read: {error.message}")
        return 0


@click.command("noise")
@click.argument("names", nargs=-1, metavar="[RUN]...", shell_complete=run_names)
@click.option(
    "--times", type=click.IntRange(min=2), default=5, show_default=True, help="How often each run is executed."
)
@click.option("--profile", envvar="MLCI_PROFILE", help="The profile; default: the event's.")
@click.option("--python", envvar="MLCI_PYTHON", help="The interpreter of the runs, or its environment's folder.")
@jobs_option
@click.option("--json", "as_json", is_flag=True, help="Print what was found out as JSON.")
@click.pass_obj
def command(invocation: Invocation, /, names: tuple[str, ...], times: int, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Tell how noisy metrics are, and which tolerances fit.

    Runs the same commit several times, a run that has seeds with as many different ones, and simulates what the
    configured gate would say of pull requests that change nothing. Nothing is reused, and .mlci/run.json stays as
    it is. Exits 4 if an execution did not succeed.

    \b
    Examples:
      mlci noise
      mlci noise churn --times 20 -j auto
    """
    project = Project.open(invocation)
    asked = Options(names=names, **options)
    report, results = noise(project, asked, times, lambda: display_for(invocation, parallel=asked.jobs != 1))
    click.echo(encode(report).decode() if as_json else rendered(report))
    planned = tuple(dict.fromkeys(result.name for result in results))
    check_succeeded(RunsDocument(origin=origin_of(project), planned=planned, runs=results))
