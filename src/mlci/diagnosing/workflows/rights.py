"""Whether jobs may do what their commands ask of GitHub, and hold the tokens that these need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mlci.context import MAIN_EVENTS
from mlci.core.finding import Finding
from mlci.diagnosing.github import rights_of
from mlci.diagnosing.patient import Patient
from mlci.diagnosing.permissions import LEVELS, NEEDS, lacking, needed
from mlci.diagnosing.workflows.files import Call, Job, Workflow, amiss, of_mlci
from mlci.plugins.forges.interface import Rights
from mlci.render.text import plain

_ALL = {name for row in NEEDS.values() for name in row} | {"checks", "id-token"}
_OIDC = "ACTIONS_ID_TOKEN_REQUEST_"


def check(patient: Patient) -> Iterable[Finding]:
    """What a job lacks."""
    ours = of_mlci(patient)
    by_path = {workflow.path: workflow for workflow in ours}
    for workflow in ours:
        for job in workflow.jobs:
            called = by_path.get(job.calls_workflow or "")
            yield from _called(patient, job, called) if called else _own(patient, job)


def granted(patient: Patient, job: Job) -> dict[str, str] | None:
    """The permissions of a job; None where nobody tells."""
    said = job.permissions
    if said is None:
        if set(job.workflow.triggers) == {"workflow_call"}:
            return None  # the caller's
        rights = rights_of(patient)
        default = rights.default_permissions if isinstance(rights, Rights) else None
        if default is None:
            return None
        return dict.fromkeys(_ALL - {"id-token"}, "write") if default == "write" else {"contents": "read"}
    given = said[0]
    if given in ("read-all", "write-all"):
        return dict.fromkeys(_ALL, str(given).removesuffix("-all"))
    return (
        {str(name): str(level) for name, level in given.items() if level in LEVELS} if isinstance(given, dict) else {}
    )


def _own(patient: Patient, job: Job) -> Iterator[Finding]:
    calls = job.calls
    if not calls:
        return
    held = granted(patient, job)
    line = job.permissions[1] if job.permissions else job.line
    asked = _asked(patient, job)
    if held is None and asked and job.permissions is None and set(job.workflow.triggers) != {"workflow_call"}:
        yield amiss(
            job,
            "default-permissions",
            "unknown",
            "it says no `permissions:`, and what the repository gives then is told to administrators only",
            f"Say them:  permissions: {{ {', '.join(f'{name}: {level}' for name, level in sorted(asked.items()))} }}",
            line,
        )
    missing = lacking(asked, held) if held is not None else []
    if missing:
        commands = dict.fromkeys(f"mlci {call.words[0]}" for call in calls if _need(patient, job, call))
        yield amiss(
            job,
            "permissions",
            "error",
            f"{', '.join(commands)} needs {', '.join(missing)}",
            f"Add to the job's `permissions:`  {'  '.join(missing)}",
            line,
        )
    wants = next((run.name for run in patient.every_run if any(_OIDC in name for name in run.table.pass_env)), None)
    if wants and job.runs_code and held is not None and held.get("id-token") != "write":
        yield amiss(
            job,
            "id-token",
            "error",
            f"run {wants} passes {_OIDC}* on, and the job has no identity to ask for",
            "Add to the job's `permissions:`  id-token: write",
            line,
        )
    for call in calls:
        if not call.token and call.step.run and call.words[0] != "ci" and NEEDS_TOKEN & set(call.words[:2]):
            yield amiss(
                job,
                "no-token",
                "error",
                f"mlci {call.words[0]} has no token",
                "Add to the step:  env: { GITHUB_TOKEN: ${{ github.token }} }",
                call.line,
            )


# Without a token these end at once.
NEEDS_TOKEN = {"comment", "dispatch", "release", "promote", "rollback", "adopt"}


def _asked(patient: Patient, job: Job) -> dict[str, str]:
    asked: dict[str, str] = {}
    for call in job.calls:
        for name, level in _need(patient, job, call).items():
            if LEVELS.index(level) > LEVELS.index(asked.get(name, "none")):
                asked[name] = level
    return asked


def _need(patient: Patient, job: Job, call: Call) -> dict[str, str]:
    if not call.token:
        return {}
    report = patient.project.config.settings.report
    found = needed(
        call.words,
        on_default_branch=any(event in job.workflow.triggers for event in MAIN_EVENTS),
        check_run=report.check_run,
    )
    if not report.status:
        found.pop("statuses", None)
    if patient.project.config.settings.baseline.store != "git-branch" and call.words[:2] == ("baseline", "save"):
        return {}
    return found


def _called(patient: Patient, job: Job, called: Workflow) -> Iterator[Finding]:
    """GitHub refuses to start a called job that says it needs more than the caller grants."""
    held = granted(patient, job)
    if held is None:
        return
    for inner in called.jobs:
        asked = granted(patient, inner) if inner.permissions else None
        missing = lacking(asked, held) if asked else []
        if missing:
            yield amiss(
                job,
                "called-permissions",
                "error",
                f"the job {plain(inner.name, limit=80)} of {called.path} needs {', '.join(missing)}, "
                "which this one does not grant: nothing starts",
                f"Add to this job's `permissions:`  {'  '.join(missing)}",
                job.permissions[1] if job.permissions else job.line,
            )
            return
