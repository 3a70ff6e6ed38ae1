"""Compares records with their baselines under the rules: the decisions of the gate, as values."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from mlci.core.differences import changes
from mlci.core.documents import (
    OVERALL,
    BaselineRef,
    Comparison,
    Delta,
    Direction,
    GateResult,
    Metric,
    Overall,
    Record,
    Rule,
    Verdict,
)
from mlci.core.metric import Key, infer_direction, key
from mlci.core.statistics import ExampleNoise
from mlci.core.threshold import (
    GateSettings,
    bounds_change,
    choose,
    difference,
    in_words,
    judge_change,
    judge_value,
    same,
)

Tiers = Sequence[Sequence[Rule]]


@dataclass(frozen=True)
class Shown:
    """The record of a deployed version, which is shown beside the baseline and, unless asked to, decides nothing."""

    name: str  # of the version
    record: Record
    gates: bool = False  # what is worse than it allows fails as well


@dataclass(frozen=True)
class Baseline:
    """The record that a run is compared with, or why there is none; and what is known of noise.

    Args:
        record: The record.
        distance: First-parent commits from the merge base back to it.
        reason: Why there is none, or what was not known.
        history: Records of the base branch up to it, the newest first.
        examples: By metric, what predictions of both sides say.
    """

    record: Record | None
    distance: int | None = None
    reason: str | None = None
    history: tuple[Record, ...] = ()
    examples: Mapping[Key, ExampleNoise] = field(default_factory=dict)


def compare(
    records: Sequence[Record],
    *,
    baselines: Mapping[str, Baseline],
    rules: Mapping[str, Tiers],
    gate: GateSettings,
    current: str,
    deployed: Mapping[str, Shown] | None = None,
) -> Comparison:
    """Judge every metric of every record.

    Args:
        records: What was measured now.
        baselines: By run.
        rules: By run: tiers, the first with a match decides.
        gate: What blocks.
        current: The sha256 of the document that holds `records`.
        deployed: By run: what is deployed, to show beside.
    """
    shown = deployed or {}
    none = Baseline(record=None, reason="no baseline was looked up")
    deltas: list[Delta] = []
    for record in records:
        if record.status != "skipped":
            found = baselines.get(record.name, none).record
            tiers = rules.get(record.name, ())
            deltas += _beside(_deltas(record, found, tiers), record, shown.get(record.name), tiers)
    alone = [
        record.name
        for record in records
        if record.status != "skipped" and baselines.get(record.name, none).record is None
    ]
    verdict = _overall(records, deltas, alone)
    fails, warnings = _reasons(records, deltas, gate)
    told = {delta.run for delta in deltas if delta.gate == "no-baseline"}
    lines = [f"{name}: no baseline: {baselines.get(name, none).reason}" for name in alone if name not in told]
    if gate.on_no_baseline != "pass":
        (fails if gate.on_no_baseline == "fail" else warnings).extend(lines)
    return Comparison(
        current=current,
        baselines={
            record.name: _reference(record, baselines.get(record.name, none), shown.get(record.name))
            for record in records
        },
        deltas=tuple(deltas),
        verdict=verdict,
        blocks=bool(fails) and gate.mode == "enforce",
        reasons=tuple(fails + warnings),
    )


def _deltas(record: Record, baseline: Record | None, tiers: Tiers) -> Iterator[Delta]:
    before = {key(metric): metric for metric in baseline.metrics} if baseline else {}
    now = {key(metric): metric for metric in record.metrics}
    for identity, metric in now.items():
        yield _delta(
            record,
            metric,
            before.get(identity),
            choose(tiers, metric.name, metric.slice),
            compared=baseline is not None,
        )
    if _bad(record):
        return  # what a failed run did not report is no news
    for identity, metric in before.items():
        if identity not in now:
            yield _missing(record, metric, choose(tiers, metric.name, metric.slice))
    known = {(name, part) for name, _, part in [*now, *before]}
    for rule in _required(tiers):
        if not any(choose([[rule]], name, part) for name, part in known):
            yield _absent(record, rule)


def _required(tiers: Tiers) -> Iterator[Rule]:
    """Required rules, but for those whose pattern an earlier tier decides: a run can take itself out."""
    for rules in tiers:
        yield from (rule for rule in rules if rule.required and choose(tiers, rule.pattern, rule.slice) is rule)


def _delta(record: Record, metric: Metric, before: Metric | None, rule: Rule | None, *, compared: bool) -> Delta:
    direction = (rule.direction if rule else None) or metric.direction or infer_direction(metric.name)
    gate, reason = _gate(rule, direction, metric, before, compared=compared)
    verdict: Verdict = _verdict(direction, before.value, metric.value) if before else "new"
    if before is None and not compared and gate == "none":
        reason = None
    return Delta(
        run=record.name,
        metric=_shown(metric),
        slice=metric.slice,
        baseline=before.value if before else None,
        current=metric.value,
        change=difference(before.value, metric.value) if before else None,
        verdict=verdict,
        gate=gate,
        direction=direction,
        noise=_noise(metric),
        tolerance=in_words(rule, direction) or None if rule else None,
        reason=reason,
        unit=metric.unit,
    )


def _noise(metric: Metric) -> str:
    """What is known of the noise: the standard deviation over the seeds."""
    if len(metric.samples) < 2 or not all(map(math.isfinite, metric.samples)):  # noqa: PLR2004 - a spread needs two
        return "none"
    return f"{len(metric.samples)} seeds, standard deviation {statistics.stdev(metric.samples):.2g}"


def _gate(
    rule: Rule | None, direction: Direction | None, metric: Metric, before: Metric | None, *, compared: bool
) -> tuple[GateResult, str | None]:
    if rule is None:
        return "none", None
    if math.isnan(metric.value):
        return "fail", "it is NaN"
    objections = judge_value(rule, metric.value)
    if objections:
        return "fail", "; ".join(objections)
    size = len(metric.samples) or metric.n or 1
    if rule.min_n is not None and max(size, metric.n or 0) < rule.min_n:
        return "inconclusive", f"{size} of at least {rule.min_n} seeds or examples"
    if not bounds_change(rule):
        return "pass", None
    if before is None:
        return "no-baseline", "the baseline does not have it" if compared else "there is no baseline"
    if math.isnan(before.value):
        return "no-baseline", "the baseline is NaN"
    return judge_change(rule, direction, before.value, metric.value)


def _verdict(direction: Direction | None, before: float, now: float) -> Verdict:
    if math.isnan(now) or math.isnan(before):
        return "inconclusive"
    if same(before, now):
        return "unchanged"
    if direction is None:
        return "inconclusive"
    return "improved" if (now > before) == (direction == "higher") else "regressed"


def _missing(record: Record, metric: Metric, rule: Rule | None) -> Delta:
    required = rule is not None and rule.required
    reason = "required, but the run did not report it" if required else "the run no longer reports it"
    return Delta(
        run=record.name,
        metric=_shown(metric),
        slice=metric.slice,
        baseline=metric.value,
        current=None,
        change=None,
        verdict="missing",
        gate="fail" if required else "none" if rule is None else "inconclusive",
        direction=(rule.direction if rule else None) or metric.direction or infer_direction(metric.name),
        reason=reason,
        unit=metric.unit,
    )


def _absent(record: Record, rule: Rule) -> Delta:
    return Delta(
        run=record.name,
        metric=rule.pattern,
        slice=None,
        baseline=None,
        current=None,
        change=None,
        verdict="missing",
        gate="fail",
        tolerance=in_words(rule, rule.direction) or None,
        reason="required, but the run did not report it",
    )


def _shown(metric: Metric) -> str:
    return f"{metric.name} ({metric.split})" if metric.split else metric.name


def _overall(records: Sequence[Record], deltas: Sequence[Delta], alone: Sequence[str]) -> Overall:
    if any(_bad(record) for record in records):
        return "fail"
    gates: set[str] = {delta.gate for delta in deltas}
    if alone and not gates - {"none"}:
        return "no-baseline"
    return next((verdict for verdict in OVERALL if verdict in gates), "pass")


def _bad(record: Record) -> bool:
    """A run that was wanted and did not succeed; one that selection left out is none."""
    return record.status not in ("succeeded", "skipped") or record.error is not None


def _reasons(records: Sequence[Record], deltas: Sequence[Delta], gate: GateSettings) -> tuple[list[str], list[str]]:
    """One line each: what fails, and what only warns."""
    fails = [
        f"{record.name}: {record.error.message if record.error else record.status}"
        for record in records
        if _bad(record)
    ]
    warnings: list[str] = []
    settings = {"inconclusive": gate.on_inconclusive, "no-baseline": gate.on_no_baseline, "fail": "fail"}
    for delta in deltas:
        policy = settings.get(delta.gate, "pass")
        if policy != "pass":
            said = {"inconclusive": "inconclusive: ", "no-baseline": "no baseline: "}.get(delta.gate, "")
            line = f"{delta.run}: {delta.metric}: {said}{delta.reason or delta.gate}"
            (fails if policy == "fail" else warnings).append(line)
    for record in records:
        if record.status == "skipped" and record.error is None and gate.on_skipped != "pass":
            line = f"{record.name}: skipped: {record.reason}"
            (fails if gate.on_skipped == "fail" else warnings).append(line)
    return fails, warnings


def _lost(record: Record) -> bool:
    return record.error is not None and record.error.kind == "lost"


def _beside(deltas: Iterator[Delta], record: Record, shown: Shown | None, tiers: Tiers) -> Iterator[Delta]:
    """The deltas with the values of the deployed version and, where it gates, with what it has against them."""
    if shown is None:
        yield from deltas
        return
    against = {(delta.metric, delta.slice): delta for delta in _deltas(record, shown.record, tiers)}
    for delta in deltas:
        other = against.get((delta.metric, delta.slice))
        if other is None:
            yield delta
            continue
        beside = msgspec.structs.replace(delta, deployed=other.baseline)
        if shown.gates and other.gate == "fail" and delta.gate != "fail":
            reason = f"against the deployed {shown.name}: {other.reason}"
            beside = msgspec.structs.replace(beside, gate="fail", reason=reason)
        yield beside


def _reference(record: Record, baseline: Baseline, shown: Shown | None) -> BaselineRef:
    found = baseline.record
    name = shown.name if shown else None
    if found is None:
        return BaselineRef(commit=None, reason=baseline.reason, deployed=name)
    return BaselineRef(
        commit=found.origin.commit,
        distance=baseline.distance,
        created_at=found.origin.created_at,
        run_url=found.origin.run_url,
        profile=found.profile,
        reason=baseline.reason,
        # Of a run that was left out or lost nothing is known that could differ.
        changed=changes(record, found) if record.status != "skipped" and not _lost(record) else (),
        duration_s=found.duration_s,
        peak_memory_bytes=found.resources.peak_memory_bytes if found.resources else None,
        deployed=name,
    )
