"""What the gate says of each record of a branch beside the one before it: where a metric got worse beyond noise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mlci.core.acceptance import Acceptance
from mlci.core.comparison import Baseline, Tiers, compare
from mlci.core.differences import incomparable
from mlci.core.documents import Delta, Record
from mlci.core.metric import Key, key
from mlci.core.threshold import GateSettings

# What a step is to be looked at for: worse than its rule allows, worse beyond noise, worse and accepted.
Mark = Literal["fail", "regressed", "accepted"]
AcceptedAt = Callable[[str], Sequence[Acceptance]]


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A metric of a record beside the record before.

    Args:
        noise: How far a change of nothing may reach: half of the 90% interval that the gate gives the change.
        source: Where that is known from, in words.
        mark: None where there is nothing to look at.
        reason: The gate's, or why it was accepted.
    """

    noise: float | None
    source: str
    mark: Mark | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """A record, and what is said of it beside the one before.

    Args:
        record: The record.
        judged: By metric; without those that the record before lacks.
        changed: What else differs and makes a comparison doubtful: interpreter, GPU, packages, data, parameters.
    """

    record: Record
    judged: Mapping[Key, Judgement] = field(default_factory=dict)
    changed: tuple[str, ...] = ()


def nothing_accepted(_commit: str) -> Sequence[Acceptance]:
    """No acceptance at any commit."""
    return ()


def steps(
    records: Iterable[Record], *, tiers: Tiers = (), span: int = 0, accepted: AcceptedAt = nothing_accepted
) -> Iterator[Step]:
    """Judge records as they come; never more than `span` and two of them are held.

    It is the comparison of a pull request: the same tests, rules and family. Only what predictions of single examples
    would add is left out, and so is the noise of a worsening that nothing tells.

    Args:
        records: Of one run and profile, the newest first.
        tiers: The rules of the run, as they are today.
        span: How many earlier records tell noise where nothing else does.
        accepted: What was accepted as of a commit.

    Yields:
        A step a record, the newest first; those of records that did not succeed as they come.
    """
    window: list[Record] = []
    for record in records:
        if record.status != "succeeded":
            yield Step(record=record)
            continue
        window.append(record)
        if len(window) > max(span, 1):
            yield _step(window.pop(0), window, tiers, accepted)
    while window:
        yield _step(window.pop(0), window, tiers, accepted)


def _step(record: Record, before: Sequence[Record], tiers: Tiers, accepted: AcceptedAt) -> Step:
    if not before:
        return Step(record=record)
    deltas = _compared(record, before, tiers, accepted(record.origin.commit or ""))
    worse = {place for place, delta in enumerate(deltas) if delta.verdict == "regressed"}
    if any(deltas[place].gate != "none" for place in worse):
        # What a rule bounds is tested less strictly than the rest: of thousands of steps that would mark too many.
        plain = _compared(record, before, (), ())
        worse = {place for place in worse if plain[place].verdict == "regressed"}
    # Metrics come first, in their order; then those that are gone.
    judged = {
        key(metric): _judgement(delta, worse=place in worse)
        for place, (metric, delta) in enumerate(zip(record.metrics, deltas, strict=False))
        if delta.baseline is not None
    }
    return Step(record=record, judged=judged, changed=incomparable(record, before[0]))


def _compared(
    record: Record, before: Sequence[Record], tiers: Tiers, accepted: Sequence[Acceptance]
) -> tuple[Delta, ...]:
    return compare(
        [record],
        baselines={record.name: Baseline(record=before[0], history=tuple(before))},
        rules={record.name: tiers},
        gate=GateSettings(),
        current="",
        accepted=accepted,
    ).deltas


def _judgement(delta: Delta, *, worse: bool) -> Judgement:
    mark = _mark(delta, worse=worse)
    low, high = delta.interval or (None, None)
    return Judgement(
        noise=(high - low) / 2 if low is not None and high is not None else None,
        source=delta.noise,
        mark=mark,
        reason=delta.accepted if mark == "accepted" else delta.reason if mark else None,
    )


def _mark(delta: Delta, *, worse: bool) -> Mark | None:
    if delta.accepted and delta.gate == "pass":
        return "accepted"
    fell = (delta.change or 0) < 0 if delta.direction == "higher" else (delta.change or 0) > 0
    # A bound on the value itself fails again and again: the step is where it also got worse.
    if delta.gate == "fail" and fell and (worse or delta.interval is not None):
        return "fail"
    return "regressed" if worse and delta.noise != "none" else None
