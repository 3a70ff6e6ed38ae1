"""Watches a deployed model: which version it is, what a fresh measurement is compared with, whether it is healthy.

A fresh record is compared with the record of the deployed version's commit: with that of the monitor's own run where
the default branch measured it there, as that is the same code on the data of then; else with that of the run that made
the model, whose metrics of the same names are what the lab promised.
"""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import msgspec

from mlci.admission import check_may_save
from mlci.config import Run
from mlci.config.checking import unknown_key
from mlci.core import drift
from mlci.core.comparison import Baseline, compare
from mlci.core.documents import Metric, Record, RecordsDocument, decode, digest, encode
from mlci.core.drift import Finding
from mlci.core.metric import key
from mlci.core.monitoring import Monitoring
from mlci.errors import DocumentError, MetricError, UsageError, WorkspaceError
from mlci.posting.received import check_claims
from mlci.project import Project
from mlci.releasing.models import Model, find_model, registry_of
from mlci.running import outputs
from mlci.running.outputs import Stamp

FILE = "monitor.json"
_MAX_POINTS = 200  # of a metric's series
_MAX_FINDINGS = 1_000  # of all reports


@dataclass(frozen=True, kw_only=True)
class Watch:
    """A monitor, and the version that it watches now.

    Args:
        name: The monitor's.
        run: What measures.
        stage: Of the model.
        drift: The reports that the run writes.
        model: Which.
        version: What the stage holds.
        tag: Its name among git's tags.
        commit: What it was made from.
    """

    name: str
    run: str
    stage: str
    drift: tuple[str, ...]
    model: Model
    version: str
    tag: str
    commit: str


def watch_of(project: Project, name: str | None) -> Watch:
    """The monitor of that name, or the only one.

    Raises:
        UsageError: There are several and none was named, or its stage holds no version.
        ConfigError: There is none of that name, or its model has no such stage.
        GitError: The tags cannot be read.
    """
    known = project.config.settings.monitor
    if name is None and len(known) != 1:
        raise UsageError("which monitor?", hint=f"Name one of: {', '.join(known) or 'none is configured'}.")
    name = name or next(iter(known))
    if name not in known:
        raise unknown_key(name, known, file=project.config.shown, path="monitor")
    table = known[name]
    model = find_model(project, table.model or name)
    if table.stage not in model.table.stages:
        path = f"monitor.{name}.stage"
        raise project.config.error(path, f"{model.name} has the stages {', '.join(model.table.stages)}")
    registry = registry_of(project, model)
    deployed = registry.staged_version(table.stage)
    if deployed is None:
        staged = registry.stages.get(table.stage)
        what = f"{staged.tag.name} is at a commit without a version" if staged else "it holds no version"
        raise UsageError(f"nothing to watch in the stage {table.stage} of {model.name}: {what}")
    return Watch(
        name=name,
        run=table.run,
        stage=table.stage,
        drift=table.drift,
        model=model,
        version=str(deployed.version),
        tag=deployed.tag.name,
        commit=deployed.tag.commit,
    )


def telling(project: Project, watch: Watch) -> Project:
    """The project whose runs are told which version they measure."""
    told = {"MLCI_MODEL": watch.model.name, "MLCI_VERSION": watch.version, "MLCI_COMMIT": watch.commit}
    environ = {**project.invocation.environ, **told}
    return replace(project, invocation=replace(project.invocation, environ=environ))


def only_run(project: Project, watch: Watch, profile: str) -> Run:
    """The monitor's run, whose drift reports lie in the repository.

    Raises:
        ConfigError: The table makes several runs, or a report lies elsewhere.
    """
    run = project.runs(profile).get(watch.run)
    if run is None:
        path = f"monitor.{watch.name}.run"
        raise project.config.error(path, f"[runs.{watch.run}] makes a run a file, a monitor measures with one")
    for pattern in watch.drift:
        joined = Path(os.path.normpath(run.cwd / pattern))
        if not joined.is_relative_to(project.config.repository):
            raise project.config.error(f"monitor.{watch.name}.drift", f"{pattern!r} leaves the repository")
    return run


def findings_of(project: Project, watch: Watch, run: Run, before: Mapping[Path, Stamp]) -> tuple[Finding, ...]:
    """What the drift reports say, which the run must have written anew.

    Args:
        project: Where.
        watch: Which reports.
        run: What wrote them.
        before: What `outputs.snapshot` saw of them before the run.

    Raises:
        MetricError: One was not written.
        DocumentError: One is no report of Evidently.
    """
    found: list[Finding] = []
    for pattern in watch.drift:
        now = outputs.snapshot(run.cwd, [pattern])
        anew = [path for path, stamp in now.items() if before.get(path) != stamp]
        if not anew:
            said = "is as it was before the run" if now else "was not written"
            raise MetricError(f"monitor.{watch.name}.drift: {pattern!r} {said}")
        for path in anew:
            shown = Path(os.path.relpath(path, run.cwd)).as_posix()
            if not path.resolve().is_relative_to(project.config.repository):
                raise MetricError(f"monitor.{watch.name}.drift: {shown!r} is a link that leaves the repository")
            with path.open("rb") as file:
                found += drift.read(file.read(drift.MAX_BYTES + 1), name=shown)
    return tuple(found[:_MAX_FINDINGS])


def judged(project: Project, watch: Watch, record: Record, findings: tuple[Finding, ...]) -> Monitoring:
    """Whether a fresh record says that the model is healthy: under the rules of the monitor's run, and without drift.

    A model of which nothing could be judged is not healthy; `[gate] mode` is no matter, as nothing is blocked here.
    """
    name, reference = _reference(project, watch, record)
    comparison = compare(
        [record],
        baselines={record.name: reference},
        rules={record.name: project.config.rules(watch.run)},
        gate=replace(project.gate, mode="enforce"),
        current=digest(encode(record)),
    )
    reasons = [*comparison.reasons, *map(_said, findings)]
    decided = bool(watch.drift) or any(delta.gate in ("pass", "fail") for delta in comparison.deltas)
    if not decided:
        reasons.append(f"nothing was judged: {reference.reason or 'no rule is about it'}, and no drift report is read")
    return Monitoring(
        monitor=watch.name,
        model=watch.model.name,
        stage=watch.stage,
        version=watch.version,
        tag=watch.tag,
        commit=watch.commit,
        record=record,
        drift=findings,
        reference=name,
        comparison=comparison,
        healthy=decided and not comparison.blocks and not findings,
        reasons=tuple(reasons),
    )


def received(project: Project, watch: Watch) -> Monitoring:
    """What another job left in `monitor.json`, judged again: of it only the record and the drift are taken.

    Raises:
        WorkspaceError: There is none, or it is about something else.
        DocumentError: It is not what an honest job leaves.
    """
    path = project.workspace.path(FILE)
    shown = f"{path.parent.name}/{FILE}"
    try:
        data = path.read_bytes()
    except OSError:
        raise WorkspaceError(
            f"{shown}: there is none: the run did not succeed, or was not made here",
            hint="Make it with `mlci monitor --no-issue`.",
        ) from None
    found = decode(data, Monitoring, name=shown)
    claimed = (found.monitor, found.model, found.stage, found.record.name)
    if claimed != (watch.name, watch.model.name, watch.stage, watch.run):
        raise WorkspaceError(f"{shown}: it is not what the monitor {watch.name!r} leaves")
    if found.commit != watch.commit:
        said = f"it measured {found.commit[:10]!r}, and {watch.stage} now holds {watch.version} ({watch.commit[:10]})"
        raise WorkspaceError(f"{shown}: {said}", hint="Measure again.")
    context, origin = project.context, found.record.origin
    if context.in_actions and origin.run_id != context.run_id:
        raise WorkspaceError(f"{shown}: it was not measured by this workflow run", hint="Measure again.")
    check_claims(RecordsDocument(made_from=(), records=(found.record,)))
    if found.record.status != "succeeded" or found.record.error is not None or len(found.drift) > _MAX_FINDINGS:
        raise DocumentError(f"{shown}: no monitor leaves this: a run that did not succeed, or too many findings")
    return judged(project, watch, found.record, found.drift)


def keep(project: Project, found: Monitoring) -> Record | None:
    """Keep the record in the store, as the newest of its version; None where a newer one is there.

    A store holds one record a run, profile and commit, so that each metric carries its own series: the last 200 values
    of this version, each at the time of its measuring, in seconds since the epoch. Profile `monitor.STAGE`, and as the
    commit that of the version, which is what was measured; branch, event, time and URL are those of the measuring.

    Raises:
        StoreError: Refused, or out of reach.
    """
    for warning in check_may_save(project.context, [found.record]):
        project.invocation.say(warning)
    origin = msgspec.structs.replace(found.record.origin, commit=found.commit)
    profile = f"monitor.{found.stage}"
    before = project.store.find(found.record.name, profile, [found.commit])
    metrics = _continued(found.record, before)
    kept = msgspec.structs.replace(found.record, profile=profile, origin=origin, metrics=metrics, command=None)
    return next(iter(project.store.save([kept])), None)


def _continued(record: Record, before: Record | None) -> tuple[Metric, ...]:
    """The metrics, each with its series so far and the value of now; the same measuring twice counts once."""
    try:
        at = datetime.fromisoformat(record.origin.created_at).timestamp()
    except ValueError:
        raise DocumentError(f"{FILE}: {record.origin.created_at[:40]!r} is no time") from None
    known = {key(metric): metric.series for metric in before.metrics} if before else {}

    def series(metric: Metric) -> tuple[tuple[float, float], ...]:
        so_far = (point for point in known.get(key(metric), ()) if point[0] < at)
        return (*so_far, (at, metric.value))[-_MAX_POINTS:]

    return tuple(msgspec.structs.replace(metric, series=series(metric)) for metric in record.metrics)


def _reference(project: Project, watch: Watch, record: Record) -> tuple[str | None, Baseline]:
    """What the deployed version was like when it was measured, and which run said so."""
    own = project.store.find(watch.run, watch.model.profile, [watch.commit])
    if own is not None:
        return watch.run, Baseline(own)
    made = project.store.find(watch.model.run, watch.model.profile, [watch.commit])
    if made is None:
        return None, Baseline(None, None, f"there is no record of {watch.run} or {watch.model.run} at {watch.tag}")
    # What only the other run reports is not missing here.
    fresh = {key(metric) for metric in record.metrics}
    shared = tuple(metric for metric in made.metrics if key(metric) in fresh)
    return watch.model.run, Baseline(msgspec.structs.replace(made, metrics=shared))


def _said(finding: Finding) -> str:
    kind = "drift of" if finding.kind == "drift" else "failed test"
    return f"{finding.report}: {kind} {finding.what}{f': {finding.detail}' if finding.detail else ''}"
