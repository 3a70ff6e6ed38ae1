"""Compares records with their baselines under the rules: the decisions of the gate, as values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from mlci.core.acceptance import Acceptance, expired, find
from mlci.core.differences import changes, incomparable, redefined
from mlci.core.documents import (
    OVERALL,
    BaselineRef,
    Comparison,
    Delta,
    Metric,
    Overall,
    Record,
    Rule,
)
from mlci.core.estimates import ExampleNoise
from mlci.core.judging import Case, Ruling, judge
from mlci.core.metric import Key, infer_direction, key
from mlci.core.noise import Noise, noise
from mlci.core.threshold import GateSettings, choose, difference, in_words, names

Tiers = Sequence[Sequence[Rule]]
_NO_NOISE = Noise(None, "none")


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
    accepted: Sequence[Acceptance] = (),
    strict: bool = False,
    notes: Sequence[str] = (),
) -> Comparison:
    """Judge every metric of every record.

    Args:
        records: What was measured now.
        baselines: By run.
        rules: By run: tiers, the first with a match decides.
        gate: What blocks.
        current: The sha256 of the document that holds `records`.
        deployed: By run: what is deployed, to show beside.
        accepted: Worsenings that the team has accepted.
        strict: Where anything else that matters differs from the baseline, no bound on a change is decided.
        notes: What a reader should know of how this came about.
    """
    shown = deployed or {}
    none = Baseline(record=None, reason="no baseline was looked up")
    ran = [record for record in records if record.status != "skipped"]
    sides = [_Side(record, baselines.get(record.name, none), rules.get(record.name, ())) for record in ran]
    deltas: list[Delta] = []
    for side, own in zip(sides, _judged(sides, accepted=accepted, strict=strict), strict=True):
        deltas += _beside(own, side, shown.get(side.record.name))
    alone = [side.record.name for side in sides if side.baseline.record is None]
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
        notes=(*notes, *_unheard(sides), *_redefinitions(sides), *_expired(sides, accepted)),
    )


@dataclass(frozen=True)
class _Side:
    """A record that ran, what it is held against, and under which rules."""

    record: Record
    baseline: Baseline
    tiers: Tiers


def _judged(sides: Sequence[_Side], *, accepted: Sequence[Acceptance] = (), strict: bool = False) -> list[list[Delta]]:
    """The deltas of each side; all that has a test is one family."""
    cases = [list(_cases(side, accepted, strict=strict)) for side in sides]
    rulings = iter(judge([case for mine in cases for case in mine]))
    return [
        [_delta(side.record, case, next(rulings)) for case in mine] + list(_gone(side))
        for side, mine in zip(sides, cases, strict=True)
    ]


def _cases(side: _Side, accepted: Sequence[Acceptance], *, strict: bool) -> Iterator[Case]:
    """The metrics that there are now."""
    record, baseline = side.record, side.baseline.record
    before = {key(metric): metric for metric in baseline.metrics} if baseline else {}
    past = [{key(metric): metric.value for metric in item.metrics} for item in reversed(side.baseline.history)]
    same_again = record.deterministic and baseline is not None and baseline.deterministic
    doubts = incomparable(record, baseline) if strict and baseline else ()
    for metric in record.metrics:
        identity = key(metric)
        old = before.get(identity)
        rule = choose(side.tiers, metric.name, metric.slice)
        found = _NO_NOISE
        if old is not None:
            examples = side.baseline.examples.get(identity)
            history = [values[identity] for values in past if identity in values]
            found = noise(old, metric, examples=examples, history=history, deterministic=same_again)
        redefinition = redefined(metric, old) if strict and old else None
        yield Case(
            rule=rule,
            direction=(rule.direction if rule else None) or metric.direction or infer_direction(metric.name),
            before=old,
            now=metric,
            noise=found,
            compared=baseline is not None,
            doubt="; ".join([*doubts, *([redefinition] if redefinition else [])]) or None,
            accepted=_live(accepted, record, metric, old),
        )


def _live(accepted: Sequence[Acceptance], record: Record, metric: Metric, before: Metric | None) -> Acceptance | None:
    found = find(accepted, run=record.name, profile=record.profile, metric=key(metric)) if before else None
    return None if found is None or before is None or expired(found, before.value) else found


def _expired(sides: Sequence[_Side], accepted: Sequence[Acceptance]) -> Iterator[str]:
    """What was accepted once and is the baseline's level by now."""
    for side in sides if accepted else ():
        for metric in side.baseline.record.metrics if side.baseline.record else ():
            record = side.record
            found = find(accepted, run=record.name, profile=record.profile, metric=key(metric))
            if found and expired(found, metric.value):
                yield f"{record.name}: {metric.name}: what was accepted is the baseline now: mlci accept --prune"


def _redefinitions(sides: Sequence[_Side]) -> Iterator[str]:
    """Metrics that are measured in another way than the baseline's: what differs may be the measure."""
    for side in sides:
        before = {key(metric): metric for metric in side.baseline.record.metrics} if side.baseline.record else {}
        found: dict[str, list[str]] = {}
        for metric in side.record.metrics:
            said = redefined(metric, before[key(metric)]) if key(metric) in before else None
            if said:
                found.setdefault(said, []).append(metric.name)
        for said, metrics in found.items():
            more = f" and {len(metrics) - 1} more" if len(metrics) > 1 else ""
            yield f"{side.record.name}: {metrics[0]}{more}: {said}"


def _gone(side: _Side) -> Iterator[Delta]:
    """The metrics that there are no longer, and those that rules ask for in vain."""
    record, baseline = side.record, side.baseline.record
    if _bad(record):
        return  # what a failed run did not report is no news
    now = {key(metric) for metric in record.metrics}
    before = {key(metric): metric for metric in baseline.metrics} if baseline else {}
    none_left = not any(choose(side.tiers, name, part) for name, _, part in now)
    for identity, metric in before.items():
        if identity not in now:
            yield _missing(record, metric, choose(side.tiers, metric.name, metric.slice), none_left=none_left)
    known = {(name, part) for name, _, part in [*now, *before]}
    for rule in _demanded(side.tiers):
        if not any(choose([[rule]], name, part) for name, part in known):
            yield _absent(record, rule)


def _demanded(tiers: Tiers) -> Iterator[Rule]:
    """Rules that a metric must be there for: required ones, and those of the run itself that name one.

    But for those whose pattern an earlier tier decides: a run can take itself out.
    """
    for place, rules in enumerate(tiers):
        own = place < len(tiers) - 1
        for rule in rules:
            if (rule.required or (own and names(rule))) and choose(tiers, rule.pattern, rule.slice) is rule:
                yield rule


def _unheard(sides: Sequence[_Side]) -> Iterator[str]:
    """Metrics and slices that a rule for all runs is about and none has: a name that is misspelt gates nothing."""
    if any(_bad(side.record) for side in sides):
        return
    known = {(metric.name, metric.slice) for side in sides for metric in side.record.metrics}
    rules = {(rule.pattern, rule.slice): rule for side in sides if side.tiers for rule in side.tiers[-1]}
    for rule in rules.values():
        if rule.required or any(choose([[rule]], name, part) for name, part in known):
            continue
        if rule.slice is not None:
            yield f"no run reports a slice {rule.slice} of {rule.pattern}, which a rule is about"
        elif names(rule):
            yield f"no run reports {rule.pattern}, which a rule names"


def _delta(record: Record, case: Case, ruling: Ruling) -> Delta:
    metric, before, evidence = case.now, case.before, case.noise.evidence
    change = difference(before.value, metric.value) if before else None
    return Delta(
        run=record.name,
        metric=_shown(metric),
        slice=metric.slice,
        baseline=before.value if before else None,
        current=metric.value,
        change=evidence.change if evidence else change,
        verdict=ruling.verdict,
        gate=ruling.gate,
        direction=case.direction,
        interval=ruling.interval,
        noise=case.noise.source,
        detectable=ruling.detectable,
        accepted=ruling.accepted,
        tolerance=in_words(case.rule, case.direction) or None if case.rule else None,
        reason=ruling.reason,
        unit=metric.unit,
    )


def _missing(record: Record, metric: Metric, rule: Rule | None, *, none_left: bool) -> Delta:
    """A metric of the baseline that is gone; `none_left`: with all others that a rule is about."""
    named = rule is not None and (rule.required or names(rule))
    wanted = named or (rule is not None and none_left)
    why = _demand(rule) if rule and named else "nothing that a rule is about is left" if wanted else ""
    reason = f"the run no longer reports it, and {why}" if why else "the run no longer reports it"
    return Delta(
        run=record.name,
        metric=_shown(metric),
        slice=metric.slice,
        baseline=metric.value,
        current=None,
        change=None,
        verdict="missing",
        gate="fail" if wanted else "none" if rule is None else "inconclusive",
        direction=(rule.direction if rule else None) or metric.direction or infer_direction(metric.name),
        reason=reason,
        unit=metric.unit,
    )


def _demand(rule: Rule) -> str:
    return "it is required" if rule.required else "a rule names it"


def _absent(record: Record, rule: Rule) -> Delta:
    return Delta(
        run=record.name,
        metric=rule.pattern,
        slice=rule.slice,
        baseline=None,
        current=None,
        change=None,
        verdict="missing",
        gate="fail",
        tolerance=in_words(rule, rule.direction) or None,
        reason=f"the run did not report it, and {_demand(rule)}",
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
    """One line each, the slices of a metric together: what fails, and what only warns."""
    fails = [
        f"{record.name}: {record.error.message if record.error else record.status}"
        for record in records
        if _bad(record)
    ]
    warnings: list[str] = []
    settings = {"inconclusive": gate.on_inconclusive, "no-baseline": gate.on_no_baseline, "fail": "fail"}
    groups: dict[tuple[str, str, str, bool], list[Delta]] = {}
    for delta in deltas:
        groups.setdefault((delta.run, delta.metric, delta.gate, delta.slice is not None), []).append(delta)
    for found in groups.values():
        policy = settings.get(found[0].gate, "pass")
        if policy != "pass":
            (fails if policy == "fail" else warnings).append(_reason(found))
    for record in records:
        if record.status == "skipped" and record.error is None and gate.on_skipped != "pass":
            line = f"{record.name}: skipped: {record.reason}"
            (fails if gate.on_skipped == "fail" else warnings).append(line)
    return fails, warnings


def _reason(found: Sequence[Delta]) -> str:
    """What is to be said of a metric, or of its slices: of the one that moved most."""
    delta = max(found, key=lambda delta: abs(delta.change or 0.0))
    said = {"inconclusive": "inconclusive: ", "no-baseline": "no baseline: "}.get(delta.gate, "")
    part = f" [{delta.slice}]" if delta.slice is not None else ""
    part += f", the worst of {len(found)} slices" if len(found) > 1 else ""
    return f"{delta.run}: {delta.metric}{part}: {said}{delta.reason or delta.gate}"


def _lost(record: Record) -> bool:
    return record.error is not None and record.error.kind == "lost"


def _beside(deltas: Sequence[Delta], side: _Side, shown: Shown | None) -> Iterator[Delta]:
    """The deltas with the values of the deployed version and, where it gates, with what it has against them."""
    if shown is None:
        yield from deltas
        return
    [others] = _judged([_Side(side.record, Baseline(shown.record), side.tiers)])
    against = {(delta.metric, delta.slice): delta for delta in others}
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
    # Of a run that was left out or lost nothing is known that could differ.
    known = record.status != "skipped" and not _lost(record)
    return BaselineRef(
        commit=found.origin.commit,
        distance=baseline.distance,
        created_at=found.origin.created_at,
        run_url=found.origin.run_url,
        profile=found.profile,
        reason=baseline.reason,
        changed=changes(record, found) if known else (),
        doubts=incomparable(record, found) if known else (),
        duration_s=found.duration_s,
        peak_memory_bytes=found.resources.peak_memory_bytes if found.resources else None,
        deployed=name,
    )
