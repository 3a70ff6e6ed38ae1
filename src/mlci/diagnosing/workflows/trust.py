"""Whether workflows keep strangers' code away from rights: what they check out, pin, and hand to the code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mlci.core.finding import Finding
from mlci.diagnosing.patient import Patient
from mlci.diagnosing.workflows.files import Job, Step, Workflow, amiss, of_mlci
from mlci.render.text import plain

# Events whose jobs have the repository's rights, and which strangers can cause.
_PRIVILEGED = ("workflow_run", "pull_request_target", "issue_comment")
_PROPOSED = ("pull_request", "pull_request_target", "merge_group", *_PRIVILEGED)
_HEAD = re.compile(
    r"github\.event\.(?:pull_request\.(?:head|number|merge_commit_sha)|workflow_run\.head|issue\.number|number)"
    r"|github\.head_ref|refs/pull/"
)
_GIT_HEAD = re.compile(r"gh pr checkout|git (?:fetch|checkout|pull|switch)[^\n]*(?:refs/)?pull/")
_SECRET = re.compile(r"\bsecrets\.([A-Za-z_]\w*)")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_RELEASE = "0" * 40  # in mlci's examples, for the commit of a release
_SHOWN = 3


def check(patient: Patient) -> Iterable[Finding]:
    """What in the workflows of mlci trusts too much."""
    for workflow in of_mlci(patient):
        yield from _pins(workflow)
        for job in workflow.jobs:
            yield from _checkouts(job)
            if job.runs_code:
                yield from _base_code(job)
                yield from _secrets(job)


def _pins(workflow: Workflow) -> Iterator[Finding]:
    used = [found for job in workflow.jobs for found in job.uses]
    for name, line in used if not workflow.ours else []:
        if name.startswith("OWNER/") or name.endswith(f"@{_RELEASE}"):
            yield amiss(
                workflow,
                "placeholder",
                "error",
                f"{plain(name, limit=100)} is a placeholder",
                "Put the owner of the action in place of OWNER, and the commit of a release behind the @.",
                line,
            )
            return
    moving = {
        name: line
        for name, line in used
        if not _COMMIT.fullmatch(name.rpartition("@")[2]) and not name.startswith(("./", "docker://"))
    }
    if moving:
        shown = ", ".join(plain(name, limit=80) for name in list(moving)[:_SHOWN])
        more = f" and {len(moving) - _SHOWN} more" if len(moving) > _SHOWN else ""
        yield amiss(
            workflow,
            "unpinned",
            "warning",
            f"{shown}{more}: whoever owns the action can change what it does",
            "Name the commit:  uses: OWNER/NAME@<40 digits> # v1.2.3 (Dependabot keeps it up to date)",
            next(iter(moving.values())),
        )


def _checkouts(job: Job) -> Iterator[Finding]:
    privileged = [event for event in _PRIVILEGED if event in job.workflow.triggers]
    for step in job.steps:
        if privileged and _takes_head(step):
            yield amiss(
                job,
                "untrusted-checkout",
                "error",
                f"it checks out what a pull request proposes, with the repository's rights (on {privileged[0]})",
                "Check out the default branch (no `ref:`); `mlci comment --from-run` reads the results as data.",
                step.line,
            )
        elif job.runs_code and step.is_action("actions/checkout") and not step.says("persist-credentials", "false"):
            yield amiss(
                job,
                "credentials",
                "warning",
                "the checkout leaves the job's token on disk, where the code that runs can read it",
                "Add to the step:  with: { persist-credentials: false }",
                step.line,
            )


def _base_code(job: Job) -> Iterator[Finding]:
    """Under this event a checkout is of the base branch, unless it says otherwise, which it must not."""
    event = "pull_request_target"
    if event in job.workflow.triggers and not any(_takes_head(step) for step in job.steps):
        yield amiss(
            job,
            "base-code",
            "error",
            f"on {event} it runs the base branch's code: every pull request is as good as its base",
            "Run the code on `pull_request`, and post for forks as fork-comment.yml of mlci's examples does.",
            job.workflow.trigger_line(event),
        )


def _takes_head(step: Step) -> bool:
    if step.is_action("actions/checkout"):
        return any(_HEAD.search(step.said(key)) for key in ("ref", "repository"))
    return bool(_GIT_HEAD.search(step.run))


def _secrets(job: Job) -> Iterator[Finding]:
    """Those that the code could read, where a pull request says what the code is."""
    if not any(event in job.workflow.triggers for event in _PROPOSED):
        return
    tables = [job.env, *(call.step.env for call in job.calls if call.runs_code)]
    values = [value for table in tables for value in table.values() if isinstance(value, str)]
    names = dict.fromkeys(name for value in values for name in _SECRET.findall(value[:1000]))
    if names:
        yield amiss(
            job,
            "secrets",
            "warning",
            f"the code of a pull request can read {plain(', '.join(names), limit=200)}",
            "Use it in a job of its own that fetches the data (see cloud-data.yml of mlci's examples), or accept that "
            "whoever may push a branch here has it.",
            job.line,
        )
