"""Whether workflows of mlci start when they should: events that never come, filters that leave the main branch out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mlci.context import MAIN_EVENTS
from mlci.core.finding import Finding, Level
from mlci.diagnosing.github import rights_of
from mlci.diagnosing.patient import Patient
from mlci.diagnosing.workflows.files import FOLDER, Table, Unreadable, Workflow, amiss, of_mlci, text_of, workflows
from mlci.plugins.forges.interface import Rights
from mlci.releasing.triggers import dead_workflows
from mlci.render.text import plain

_CANDIDATES = ("pull_request", "pull_request_target")
_MAX_PATTERN = 200
_COMPARING = ("ci", "compare", "comment")


def check(patient: Patient) -> Iterable[Finding]:
    """What cannot fire, and what is not there at all."""
    for broken in workflows(patient):
        if isinstance(broken, Unreadable):
            yield _file(
                "unreadable",
                "error",
                broken.path,
                broken.reason,
                "Correct it: GitHub cannot read it either.",
                line=broken.line,
            )
    ours = of_mlci(patient)
    names = {item.name for item in workflows(patient) if isinstance(item, Workflow)}
    for workflow in ours:
        yield from _starts(workflow)
        yield from _waits(workflow, names)
        yield from _branches(patient, workflow)
        yield from _paths(patient, workflow)
        yield from _labels(patient, workflow)
    yield from _tags(patient)
    yield from _absent(patient, ours)


def default_branch(patient: Patient) -> str | None:
    """As GitHub says, else as the configuration does, if that is right."""
    rights = rights_of(patient)
    told = rights.default_branch if isinstance(rights, Rights) else None
    return told or (None if patient.broken else patient.project.config.settings.baseline.branch)


def _starts(workflow: Workflow) -> Iterator[Finding]:
    if workflow.triggers:
        return
    near = next((key for key in workflow.table if key.lower() in ("on", "true", "yes") and key != "on"), None)
    yield amiss(
        workflow,
        "no-trigger",
        "error",
        f"it has no `on:`, and so never starts{f' ({near}: is not read as one)' if near else ''}",
        "Say when, such as:  on: pull_request",
        workflow.table.lines.get(near, 1) if near else 1,
    )


def _waits(workflow: Workflow, names: set[str]) -> Iterator[Finding]:
    given = workflow.triggers.get("workflow_run", Table()).get("workflows")
    for name in [given] if isinstance(given, str) else given if isinstance(given, list) else []:
        if isinstance(name, str) and name not in names:
            yield amiss(
                workflow,
                "unknown-workflow",
                "error",
                f"it waits for the workflow {plain(name, limit=80)!r}, and none is called so",
                f"Name one of: {plain(', '.join(sorted(names - {workflow.name})), limit=200) or 'none is there'}.",
                workflow.trigger_line("workflow_run"),
            )


def _branches(patient: Patient, workflow: Workflow) -> Iterator[Finding]:
    default = default_branch(patient)
    for event in ("push", *_CANDIDATES):
        if event not in workflow.triggers or default is None:
            continue
        given: Table = workflow.triggers[event]
        if event == "push" and "tags" in given and not {"branches", "branches-ignore"} & given.keys():
            continue
        if not _lets_in(given.get("branches"), default) or _lets_in(given.get("branches-ignore"), default, empty=False):
            what = "a push to it starts nothing" if event == "push" else "a pull request into it starts nothing"
            yield amiss(
                workflow,
                "branches",
                "warning",
                f"the branches of `{event}` leave the default branch {plain(default, limit=80)} out: {what}",
                f"Say:  {event}: {{ branches: [{plain(default, limit=80)}] }}",
                workflow.trigger_line(event),
            )


def _lets_in(patterns: object, branch: str, *, empty: bool = True) -> bool:
    """As GitHub matches: the last pattern that fits decides, "!" turns it over."""
    if patterns is None:
        return empty
    listed = patterns if isinstance(patterns, list) else [patterns]
    inside = False
    for pattern in listed[:_MAX_PATTERN]:
        text = text_of(pattern)
        if _fits(text.removeprefix("!"), branch):
            inside = not text.startswith("!")
    return inside


def _fits(pattern: str, branch: str) -> bool:
    """Whether a filter names a branch; "*" stays within a part of it, "**" does not."""
    if set(pattern) & set("?+[]"):
        return True  # seldom used, and then with care
    ends = {0}  # how much of the branch may be matched so far
    for part in re.findall(r"\*\*|.", pattern[:_MAX_PATTERN]):
        if part.startswith("*"):
            slashes = {end: branch.find("/", end) for end in ends}
            stops = {end: len(branch) if part == "**" or at < 0 else at for end, at in slashes.items()}
            ends = {place for end, stop in stops.items() for place in range(end, stop + 1)}
        else:
            ends = {end + 1 for end in ends if branch[end : end + 1] == part}
    return len(branch) in ends


def _paths(patient: Patient, workflow: Workflow) -> Iterator[Finding]:
    posts = any(call.words[0] in _COMPARING for job in workflow.jobs for call in job.calls)
    for event in _CANDIDATES:
        filters = {"paths", "paths-ignore"} & workflow.triggers.get(event, Table()).keys()
        if not filters or not posts:
            continue
        status = f"mlci/{patient.project.config.settings.id}"
        rights = rights_of(patient)
        told = rights.branches.get(rights.default_branch or "") if isinstance(rights, Rights) else None
        required = bool(told and status in told.required_checks)
        waits = "a merge waits for it" if required else "if a merge is to wait for it"
        yield amiss(
            workflow,
            "paths",
            "error" if required else "warning",
            f"under `{min(filters)}` the status {status} stays away from other pull requests; {waits}, for ever",
            'Remove the filter, and let mlci skip runs:  only = { paths = "inputs" }',
            workflow.trigger_line(event),
        )


def _labels(patient: Patient, workflow: Workflow) -> Iterator[Finding]:
    labelled = [run.name for run in patient.every_run if run.table.only.labels]
    if not labelled or "pull_request" not in workflow.triggers or not any(job.runs_code for job in workflow.jobs):
        return
    types = workflow.triggers["pull_request"].get("types")
    if not (isinstance(types, list) and "labeled" in types) and types != "labeled":
        yield amiss(
            workflow,
            "labels",
            "warning",
            f"setting a label starts nothing, so {labelled[0]} with only.labels waits for the next push",
            "Say:  pull_request: { types: [opened, synchronize, reopened, labeled] }",
            workflow.trigger_line("pull_request"),
        )


def _tags(patient: Patient) -> Iterator[Finding]:
    """Deployments that wait for what a job's own token makes."""
    for name in dead_workflows(patient.top / FOLDER) if patient.top else ():
        yield _file(
            "tag-by-token",
            "warning",
            f"{FOLDER}/{name}",
            "it waits for a tag or a release, and those that a job's own token makes start no workflow",
            "Add `workflow_call:` and call it from the workflow that releases, or release with an App's token.",
        )


def _absent(patient: Patient, ours: list[Workflow]) -> Iterator[Finding]:
    calls = [(workflow, call) for workflow in ours for job in workflow.jobs for call in job.calls]
    if not calls:
        if patient.top is not None:
            yield _file(
                "none",
                "warning",
                FOLDER,
                "no workflow uses mlci, so nothing happens on a pull request",
                "Run: mlci init; or copy pull-request.yml and main.yml of mlci's examples/workflows.",
            )
        return
    saves = any(
        call.words[:2] in (("baseline", "save"), ("baseline", "adopt"))
        or (call.words[0] == "ci" and "--no-post" not in call.words and _on_main(workflow))
        for workflow, call in calls
    )
    comparing = next((workflow for workflow, call in calls if call.words[0] in _COMPARING), None)
    if comparing and not saves:
        yield amiss(
            comparing,
            "no-baseline",
            "warning",
            "it compares, but no workflow ever saves a baseline",
            "Add main.yml of mlci's examples/workflows, which runs on each push to the default branch.",
            1,
        )


def _on_main(workflow: Workflow) -> bool:
    return any(event in workflow.triggers for event in MAIN_EVENTS)


def _file(what: str, level: Level, path: str, found: str, remedy: str, *, line: int | None = None) -> Finding:
    """About a file that was not read as a workflow, or the folder of all."""
    file = None if path == FOLDER else path
    return Finding(slug=f"workflow/{what}", level=level, subject=path, found=found, remedy=remedy, file=file, line=line)
