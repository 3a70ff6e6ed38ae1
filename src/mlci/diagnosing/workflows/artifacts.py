"""Whether what one job leaves reaches the next: dot folders in artifacts, their names, history and LFS in checkouts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mlci.core.finding import Finding
from mlci.diagnosing.patient import Patient
from mlci.diagnosing.workflows.files import Job, Step, Workflow, amiss, of_mlci
from mlci.render.text import plain

_UPLOAD, _DOWNLOAD, _CHECKOUT = "actions/upload-artifact", "actions/download-artifact", "actions/checkout"
_WITH_HISTORY = ("ci", "compare")


def check(patient: Patient) -> Iterable[Finding]:
    """What gets lost between jobs, and between the repository and a job."""
    for workflow in of_mlci(patient):
        yield from _names(workflow)
        for job in workflow.jobs:
            yield from _hidden(job)
            yield from _history(job)
            if patient.in_lfs and job.runs_code:
                yield from _lfs(job)


def _hidden(job: Job) -> Iterator[Finding]:
    for step in job.steps:
        taken = [line.strip() for line in step.said("path").splitlines()]
        ours = any(".mlci" in line for line in taken if not line.startswith("!"))
        if step.is_action(_UPLOAD) and ours and not step.says("include-hidden-files", "true"):
            yield amiss(
                job,
                "hidden-files",
                "error",
                "it uploads .mlci, a dot folder, which the action leaves out: the artifact is empty",
                "Add to the step:  include-hidden-files: true",
                step.line,
            )


def _names(workflow: Workflow) -> Iterator[Finding]:
    steps = [(job, step) for job in workflow.jobs for step in job.steps]
    kept = {step.said("name") or "artifact" for _, step in steps if step.is_action(_UPLOAD)}
    if not kept or any("${{" in name for name in kept):
        return
    for job, step in steps:
        name = step.said("name")
        elsewhere = {"run-id", "repository", "pattern", "artifact-ids"} & step.inputs.keys()
        if step.is_action(_DOWNLOAD) and name and "${{" not in name and not elsewhere and name not in kept:
            yield amiss(
                job,
                "artifact-name",
                "error",
                f"it fetches the artifact {plain(name, limit=80)!r}, and no job of this workflow leaves one",
                f"Name one of: {plain(', '.join(sorted(kept)), limit=200)}.",
                step.line,
            )


def _history(job: Job) -> Iterator[Finding]:
    """History that mlci lacks it fetches, if it may: by the token, or by what the checkout leaves on disk."""
    blind = [call for call in job.calls if call.words[0] in _WITH_HISTORY and not call.token]
    for step in job.steps if blind else []:
        shallow = not step.says("fetch-depth", "0")
        if step.is_action(_CHECKOUT) and shallow and step.says("persist-credentials", "false"):
            yield amiss(
                job,
                "history",
                "warning",
                f"mlci {blind[0].words[0]} has no token to fetch baselines with, and the checkout is shallow",
                "Add to mlci's step:  env: { GITHUB_TOKEN: ${{ github.token }} }",
                step.line,
            )


def _lfs(job: Job) -> Iterator[Finding]:
    if any("git lfs" in step.run for step in job.steps):
        return
    for step in job.steps or [Step(job.table)]:  # a workflow that is called checks out by itself
        if (step.is_action(_CHECKOUT) or not job.steps) and not step.says("lfs", "true"):
            yield amiss(
                job,
                "lfs",
                "error",
                "the repository keeps files in git LFS, and the checkout leaves pointers in their place",
                "Add to its `with:`  lfs: true",
                step.line,
            )
