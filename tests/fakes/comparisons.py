"""Comparisons for tests of reports: a gate that passes, one that fails, and a run that did not succeed."""

from __future__ import annotations

from typing import Any

import msgspec

from fakes.records import record
from mlci.core.comparison import Baseline, compare
from mlci.core.documents import Comparison, Failure, Metric, Outputs, Record, Resources, Rule
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
