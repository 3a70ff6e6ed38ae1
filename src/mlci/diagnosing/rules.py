"""Rules that never apply: their patterns fit no metric that the last records have."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from mlci.core.documents import Record, Rule
from mlci.core.finding import Finding
from mlci.core.threshold import fits
from mlci.diagnosing import remote
from mlci.diagnosing.patient import ASK_S, Patient
from mlci.errors import MlciError
from mlci.plugins.stores.git_branch import GitBranchStore
from mlci.render.text import plain

_LOOKED_AT = 200  # commits
_SHOWN = 5
_NOTHING = "No metric was written: name their file in `metrics`, or call log_metric of mlci_log in the code."


def check(patient: Patient) -> Iterable[Finding]:
    """Which rules are idle, as far as records are known."""
    if not patient.every_run:
        return
    metrics = _known(patient)
    for run in patient.every_run:
        if run.name in metrics:
            path = ("runs", run.group, "rules")
            yield from _idle(
                patient, f"run {run.name}", path, patient.project.config.rules(run.name)[0], metrics[run.name]
            )
    if {run.name for run in patient.every_run} <= metrics.keys():
        every = set().union(*metrics.values())
        first = patient.every_run[0].name
        yield from _idle(patient, "[metrics]", ("metrics",), patient.project.config.rules(first)[1], every)


def _idle(
    patient: Patient, subject: str, keys: tuple[str, ...], rules: tuple[Rule, ...], names: set[str]
) -> Iterator[Finding]:
    for pattern in dict.fromkeys(rule.pattern for rule in rules):
        if any(fits(pattern, name) for name in names):
            continue
        required = any(rule.required for rule in rules if rule.pattern == pattern)
        file, line = patient.configured((*keys, pattern))
        shown = plain(", ".join(sorted(names)[:_SHOWN]))
        yield Finding(
            slug="rules/idle",
            level="warning",
            subject=subject,
            found=f"the rule {pattern!r} fits none of its metrics{', and it is required' if required else ''}",
            remedy=f"Spell it as the metric is spelled; there are: {shown}." if names else _NOTHING,
            file=file,
            line=line,
        )


def _known(patient: Patient) -> dict[str, set[str]]:
    """Run -> the names of its metrics in the record here, else in the last one of the base branch."""
    found: dict[str, set[str]] = {}
    for record in (*_baselines(patient), *_here(patient)):
        if record.status == "succeeded":
            found[record.name] = found.get(record.name, set()) | {metric.name for metric in record.metrics}
    return found


def _here(patient: Patient) -> list[Record]:
    try:
        return list(patient.project.workspace.records()[0].records)
    except MlciError:
        return []


def _baselines(patient: Patient) -> list[Record]:
    branch = patient.project.config.settings.baseline.branch
    commits: list[str] = []
    for place in (f"refs/remotes/origin/{branch}", f"refs/heads/{branch}"):
        listed = patient.clone.answer("rev-list", "--first-parent", f"--max-count={_LOOKED_AT}", place, "--")
        commits = commits or (listed or "").split()
    if not commits or patient.top is None or patient.offline:
        return []
    found: list[Record] = []
    try:
        store = patient.project.store
    except MlciError:
        return []  # said where the store is looked at
    if isinstance(store, GitBranchStore):
        origin = remote.remote_of(patient, store.remote)
        if origin and store.branch not in remote.ask(patient, origin).branches:
            return []
    until = time.monotonic() + ASK_S
    try:
        with remote.reading(patient, store) as copy:
            for profile in patient.profiles:
                for run in patient.runs(profile):
                    if time.monotonic() < until:
                        found += copy.history(run.name, profile, commits, 1)
    except MlciError:
        return found  # said where the store is looked at
    return found
