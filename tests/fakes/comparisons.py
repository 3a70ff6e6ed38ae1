"""Comparisons for tests of reports: a gate that passes, one that fails, and a run that did not succeed."""

from __future__ import annotations

from typing import Any

import msgspec

from fakes.records import record
from mlci.core.comparison import Baseline, compare
from mlci.core.documents import (
    OVERALL,
    BaselineRef,
    Comparison,
    Delta,
    Failure,
    Metric,
    Outputs,
    Record,
    Resources,
    Rule,
)
from mlci.core.threshold import GateSettings

COMMIT, BEFORE = "c" * 40, "b" * 40


def measured(
    name: str = "train", *, commit: str = COMMIT, metrics: dict[str, float] | None = None, **fields: Any
) -> Record:
    """A record that succeeded, unless `fields` say otherwise."""
    given: dict[str, Any] = {
        "metrics": tuple(
            Metric(name=key, value=value) for key, value in ({"accuracy": 0.9} if metrics is None else metrics).items()
        ),
        "outputs": (Outputs(notebook=f"outputs/{name}/executed.ipynb"),),
        "duration_s": 42.0,
        "resources": Resources(cpu_s=40.0, peak_memory_bytes=123_000_000),
    }
    return msgspec.structs.replace(record(name, profile="default", commit=commit), **given | fields)


def failed(name: str = "train", **fields: Any) -> Record:
    """A record of a notebook that raised in its fourth cell."""
    error = Failure(
        kind="exception",
        message="ValueError: no such column",
        file="notebooks/train.ipynb",
        cell=4,
        line=2,
        traceback="Traceback (most recent call last)\nValueError: no such column",
    )
    given: dict[str, Any] = {"status": "failed", "error": error} | fields
    return measured(name, metrics={}, **given)


def skipped(name: str = "gpu", reason: str = "event push is not in only.events (schedule)") -> Record:
    """A record of a run that selection left out."""
    return measured(name, status="skipped", reason=reason, metrics={}, outputs=(), duration_s=0.0, resources=None)


def compared(*records: Record, before: Record | None = None, rules: tuple[Rule, ...] | None = None) -> Comparison:
    """The comparison of `records`, each with `before`, under a rule for accuracy."""
    gated = (Rule(pattern="accuracy", max_regression=0.01),) if rules is None else rules
    return compare(
        records,
        baselines={item.name: Baseline(before, 0, None if before else "the history is shallow") for item in records},
        rules={item.name: (gated,) for item in records},
        gate=GateSettings(),
        current="a" * 64,
    )


def delta(metric: str = "accuracy", before: float | None = 0.912, now: float | None = 0.881, **fields: Any) -> Delta:
    """A metric that fell by more than its rule allows, beyond the noise of its seeds, unless `fields` say otherwise."""
    given: dict[str, Any] = {
        "run": "train",
        "metric": metric,
        "slice": None,
        "baseline": before,
        "current": now,
        "change": None if before is None or now is None else now - before,
        "verdict": "regressed",
        "gate": "fail",
        "direction": "higher",
        "interval": (-0.042, -0.02),
        "noise": "3 paired seeds",
        "tolerance": "at most 0.01 lower",
        "reason": "0.031 worse, at most 0.01 allowed (90% interval 0.02 to 0.042)",
    }
    return Delta(**given | fields)


def passing(metric: str = "accuracy", before: float = 0.912, now: float = 0.913, **fields: Any) -> Delta:
    """A metric whose change is within noise and whose rule is kept, unless `fields` say otherwise."""
    given: dict[str, Any] = {"verdict": "inconclusive", "gate": "pass", "interval": (-0.004, 0.006), "reason": None}
    return delta(metric, before, now, **given | fields)


def judged(*deltas: Delta, notes: tuple[str, ...] = (), **baseline: Any) -> Comparison:
    """The comparison that holds these deltas, with a baseline at the merge base unless `baseline` says otherwise."""
    gates = {item.gate for item in deltas}
    return Comparison(
        current="a" * 64,
        baselines={"train": msgspec.structs.replace(BaselineRef(commit=BEFORE, distance=0), **baseline)},
        deltas=deltas,
        verdict=next((gate for gate in OVERALL if gate in gates), "pass"),
        blocks="fail" in gates,
        notes=notes,
    )
