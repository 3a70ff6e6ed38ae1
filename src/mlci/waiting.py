"""Waits for the base branch to be measured, or says that it still is: a baseline may be on its way."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mlci.context import MAIN_EVENTS
from mlci.core.comparison import Baseline
from mlci.core.documents import Record
from mlci.errors import ForgeError, StoreError
from mlci.plugins.forges.interface import WorkflowRun
from mlci.project import Project
from mlci.render.text import duration

_ASK_S = 10.0  # for a question whose answer is only worth having soon
_POLL_S = 15.0
_TELL_S = 60.0
_ENDED = "completed"


@dataclass(frozen=True, kw_only=True)
class Wait:
    """How long a record at the merge base is waited for.

    Args:
        limit_s: In seconds; 0: not at all.
        clock: Monotonic seconds.
        sleep: Waits so many seconds.
    """

    limit_s: float = 0.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


NO_WAIT = Wait()


def settled(project: Project, records: Sequence[Record], wait: Wait = NO_WAIT) -> dict[str, Baseline]:
    """The baselines of `records` by run; while the merge base is still being measured, that is waited for or said.

    The forge is asked once, and only where a run that was not skipped has no record at the merge base itself.

    Raises:
        StoreError: The store cannot be read.
    """
    found = {record.name: project.baseline(record.name, record.profile) for record in records}
    late = {
        record.name: record.profile
        for record in records
        if record.status != "skipped" and found[record.name].distance != 0
    }
    run = _measuring(project) if late and project.history.commits else None
    if run is None:
        return found
    if wait.limit_s:
        said = _wait(project, run, late, wait)
        found |= {name: project.baseline(name, profile) for name, profile in late.items()}
    else:
        said = f"{_called(run)} is still going: {run.url}; mlci compare --wait 10m waits for it"
    return found | {name: _with(found[name], said) for name in late if found[name].distance != 0}


def _measuring(project: Project) -> WorkflowRun | None:
    """The workflow run that may yet leave a record of the merge base."""
    context = project.context
    if not project.hosted:
        return None
    try:
        runs = project.forge_within(_ASK_S).workflow_runs(project.history.commits[0])
    except ForgeError:
        return None
    ours = [
        run
        for run in runs
        if run.event in MAIN_EVENTS
        and run.repository_id == run.head_repository_id == context.repository_id
        and str(run.id) != context.run_id
    ]
    # Another workflow may deploy a page for hours: any may measure only where none of this file's is about the commit.
    same = [run for run in ours if run.path == context.workflow_path]
    return next((run for run in same or ours if run.status not in (None, _ENDED)), None)


def _wait(project: Project, run: WorkflowRun, late: Mapping[str, str], wait: Wait) -> str:
    """Look into the store until it has what is late, the run has ended, or the time is over; why there is no more."""
    began = told = wait.clock()
    project.invocation.say(f"{_called(run)} is still going: waiting up to {duration(wait.limit_s)} for it: {run.url}")
    while True:
        # The run first: what it saved before its end is then seen.
        state = _asked_again(project, run)
        if _there(project, late):
            return ""
        if state.status == _ENDED:
            return f"{_called(run)} has ended ({state.conclusion or 'nobody knows how'}) without a record: {run.url}"
        now = wait.clock()
        left = wait.limit_s - (now - began)
        if left <= 0:
            return f"{_called(run)} is still going after {duration(wait.limit_s)}: {run.url}"
        if now - told >= _TELL_S:
            told = now
            project.invocation.say(f"still waiting for {_called(run)}, up to {duration(left)} more")
        wait.sleep(min(_POLL_S, left))


def _asked_again(project: Project, run: WorkflowRun) -> WorkflowRun:
    with contextlib.suppress(ForgeError):
        return project.forge_within(_ASK_S).workflow_run(run.id)
    return run


def _there(project: Project, late: Mapping[str, str]) -> bool:
    project.reread()
    commit = project.history.commits[0]
    with contextlib.suppress(StoreError):  # it may answer the next time; in the end it is asked once more
        return all(project.store.find(name, profile, [commit]) for name, profile in late.items())
    return False


def _called(run: WorkflowRun) -> str:
    return f"the workflow run of {run.head_branch or 'the base'} at {run.head_sha[:7]}"


def _with(baseline: Baseline, said: str) -> Baseline:
    return replace(baseline, reason="; ".join(filter(None, (baseline.reason, said))) or None)
