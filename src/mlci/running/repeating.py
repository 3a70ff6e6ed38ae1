"""Runs the same commit several times, each time anew, in workspaces beside the user's own."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Mapping, Sequence

import msgspec

from mlci.config import Run
from mlci.config.tables import Only
from mlci.core.documents import RunResult
from mlci.core.fitting import more_seeds
from mlci.errors import CancelledError
from mlci.process import Cancellation
from mlci.project import Project, origin_of
from mlci.running.display import Display
from mlci.running.plan import Plan, make_plan, only_named
from mlci.running.results import Results
from mlci.running.session import Options, Session
from mlci.workspace import Workspace

FOLDER = "noise"


def repeat(
    project: Project, runs: Mapping[str, Run], times: int, options: Options, display: Callable[[], Display]
) -> tuple[RunResult, ...]:
    """Execute each run `times` times: with as many seeds if it has seeds, else as it is.

    What has never succeeded is not repeated. The user's own workspace is locked meanwhile, for runs write beside it.

    Args:
        project: Where.
        runs: As configured; `options.names` picks from them.
        times: At least 2.
        options: As for `mlci run`.
        display: A new one for each round.

    Returns:
        Every execution, in the order of the plan.

    Raises:
        ConfigError: A parameter or seed that nothing can receive.
        EnvironmentMissingError: No interpreter, or one without a kernel.
        CancelledError: mlci was told to stop.
    """
    plan = first = only_named(_plan(project, runs, times, options), options.names)
    folder = project.workspace.folder / FOLDER
    origin = origin_of(project)
    cancellation = Cancellation()
    found: list[RunResult] = []
    with project.workspace.locked(), cancellation.listening():
        shutil.rmtree(folder, ignore_errors=True)
        for number in range(1, times + 1):
            whole = [result for result in found if result.seed is not None and result.status == "succeeded"]
            inside = dataclasses.replace(project, workspace=Workspace(folder / str(number)))
            results = Results(inside.workspace, plan, origin, tuple(run.name for run in plan.selected), whole)
            session = Session(inside, options, display(), plan, results, cancellation)
            session.prepare()
            session.execute()
            if cancellation:
                raise CancelledError("stopped; of what was repeated nothing is kept")
            selected = {run.name: run for run in plan.selected}
            found += [result for result in results.known if result.name in selected and result not in whole]
            again = [name for name, run in selected.items() if not run.table.seeds and _succeeded(found, name)]
            if not again:
                break
            plan = Plan(first.profile, tuple(item for item in only_named(first, again).items if item.selected))
    places = {item.run.name: place for place, item in enumerate(first.items)}
    return tuple(sorted(found, key=lambda result: places[result.name]))


def _plan(project: Project, runs: Mapping[str, Run], times: int, options: Options) -> Plan:
    """What the event selects, or what is named whatever the event is, and nothing from an earlier time."""
    fresh = {
        name: dataclasses.replace(
            run,
            table=msgspec.structs.replace(
                run.table,
                seeds=more_seeds(run.table.seeds, times) if run.table.seeds else (),
                only=Only() if options.names else run.table.only,
                reuse=False,
                checkpoint=None,
            ),
        )
        for name, run in runs.items()
        if run.kind != "committed"
    }
    profile = project.profile(options.profile)
    return make_plan(fresh, profile, project.context, unchanged=lambda _: None)


def _succeeded(found: Sequence[RunResult], name: str) -> bool:
    return any(result.status == "succeeded" for result in found if result.name == name)
