"""Whether jobs last as long as their runs may, and identities as long as the jobs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

from mlci.config import Run, profile_for
from mlci.core.finding import Finding
from mlci.diagnosing.patient import Patient
from mlci.diagnosing.workflows.files import Call, Job, amiss, of_mlci
from mlci.errors import ConfigError
from mlci.render.text import counted, duration

_DEFAULT_MINUTES = 360
_HOUR_S = 3600
_IDENTITY_S = 300  # how long GitHub's own token of a job's identity holds
_OIDC = "ACTIONS_ID_TOKEN_REQUEST_"
# What each action's credentials last, unless it is told otherwise by the input.
_LOGINS = {
    "aws-actions/configure-aws-credentials": (_HOUR_S, "role-duration-seconds"),
    "google-github-actions/auth": (_HOUR_S, "access_token_lifetime"),
    "azure/login": (_HOUR_S, ""),
}
_EXECUTING = ("ci", "run")


def check(patient: Patient) -> Iterable[Finding]:
    """What ends before it is done."""
    for workflow in of_mlci(patient):
        for job in workflow.jobs:
            calls = [call for call in job.calls if call.words[0] in _EXECUTING]
            for call in calls[:1]:
                yield from _deadline(patient, job, call)
                yield from _identity(patient, job, call)


def _deadline(patient: Patient, job: Job, call: Call) -> Iterator[Finding]:
    minutes = _DEFAULT_MINUTES if job.minutes is None else job.minutes
    if not isinstance(minutes, int | float) or isinstance(minutes, bool):
        return  # an expression
    limit_s = minutes * 60
    line = job.table.lines.get("timeout-minutes", call.line)
    for event, runs in _selected(patient, job, call):
        timed = [run for run in runs if run.timeout_s]
        longest = max(timed, key=lambda run: run.timeout_s or 0, default=None)
        if longest is not None and (longest.timeout_s or 0) >= limit_s:
            yield amiss(
                job,
                "deadline",
                "error",
                f"it ends after {duration(limit_s)}, and run {longest.name} has a timeout of {longest.table.timeout}",
                f"Say in the job:  timeout-minutes: {_minutes((longest.timeout_s or 0) * 1.2)}; or shorten the run's.",
                line,
            )
            return
        total_s, at_once = _total(timed), _at_once(call)
        if at_once is not None and total_s / at_once > limit_s:
            together = "one after another" if at_once == 1 else f"{at_once} at once"
            yield amiss(
                job,
                "deadline",
                "warning",
                f"on {event} its {counted(sum(map(_executions, timed)), 'execution')}, {together}, may take "
                f"{duration(total_s / at_once)} by their timeouts, and the job ends after {duration(limit_s)}",
                f"Say in the job:  timeout-minutes: {_minutes(total_s / at_once)}; or give runs a shorter `timeout`.",
                line,
            )
            return


def _identity(patient: Patient, job: Job, call: Call) -> Iterator[Finding]:
    for _, runs in _selected(patient, job, call):
        total_s = _total([run for run in runs if run.timeout_s])
        for run in runs:
            if any(_OIDC in name for name in run.table.pass_env) and (run.timeout_s or math.inf) > _IDENTITY_S:
                yield amiss(
                    job,
                    "oidc",
                    "warning",
                    f"run {run.name} may outlast an identity token, which holds for {_IDENTITY_S // 60} minutes",
                    "Ask for a new one right before each use, not once at the start: the request variables stay valid.",
                    job.line,
                )
        for step in job.steps:
            for action, (lasts_s, key) in _LOGINS.items():
                given = step.said(key)[:20] if key else ""
                lasts = int(found[0]) if (found := re.match(r"\d+", given)) else lasts_s
                if step.is_action(action) and total_s > lasts:
                    yield amiss(
                        job,
                        "oidc",
                        "warning",
                        f"the credentials of {action} last {duration(lasts)}, its runs up to {duration(total_s)}",
                        f"Raise {key}, or fetch what the runs need before they start."
                        if key
                        else "Fetch what the runs need before they start.",
                        step.line,
                    )
        return


def _selected(patient: Patient, job: Job, call: Call) -> Iterator[tuple[str, list[Run]]]:
    """Event -> the runs that it may execute in this job."""
    named = {word for word in call.words[1:] if not word.startswith("-")} if call.words[0] == "run" else set()
    for event in job.workflow.triggers:
        try:
            profile = profile_for(patient.project.config, event, call.option("profile"))
        except ConfigError:
            continue
        runs = [
            run
            for run in patient.runs(profile)
            if run.kind != "committed" and (not run.table.only.events or event in run.table.only.events)
        ]
        chosen = [run for run in runs if {run.name, run.group} & named]
        yield event, chosen or runs


def _executions(run: Run) -> int:
    return max(1, len(run.table.seeds))


def _total(runs: list[Run]) -> float:
    return sum((run.timeout_s or 0) * _executions(run) for run in runs)


def _at_once(call: Call) -> int | None:
    """How many executions run together; None where the machine decides."""
    given = call.option("jobs", "j")
    if given is None:
        return 1
    return max(1, int(given)) if given.isascii() and given.isdecimal() else None


def _minutes(seconds: float) -> int:
    return math.ceil(seconds / 60 / 5) * 5
