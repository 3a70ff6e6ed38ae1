from __future__ import annotations

import math
from typing import Any

import pytest

from mlci.core.acceptance import Acceptance, expired, find


def acceptance(**changes: Any) -> Acceptance:
    given: dict[str, Any] = {
        "run": "churn",
        "profile": "full",
        "metric": "accuracy",
        "baseline": 0.9,
        "value": 0.8,
        "reason": "fewer trees",
        "date": "2026-01-31",
    }
    return Acceptance(**given | changes)


@pytest.mark.parametrize(
    ("baseline", "value", "now", "gone"),
    [
        (0.9, 0.8, 0.9, False),
        (0.9, 0.8, 0.86, False),
        (0.9, 0.8, 0.84, True),
        (0.9, 0.8, 0.8, True),
        (0.9, 0.8, 0.5, True),  # beyond it
        (0.9, 0.8, 0.99, False),  # better than ever: it was never let down
        (0.5, 0.75, 0.625, True),  # as near to one as to the other; here lower is better
        (0.5, 0.75, 0.6, False),
        (0.5, 0.75, 1.0, True),
        (0.5, 0.5, 0.5, True),  # no change was accepted
        (0.9, 0.8, math.nan, False),
    ],
)
def test_expired__when_the_base_is_nearer_to_the_new_level(
    baseline: float, value: float, now: float, gone: bool
) -> None:
    assert expired(acceptance(baseline=baseline, value=value), now) is gone


@pytest.mark.parametrize(
    ("run", "profile", "metric", "found"),
    [
        ("churn", "full", ("accuracy", "test", "country=IT"), True),
        ("churn", "full", ("accuracy", "test", None), False),
        ("churn", "full", ("accuracy", None, "country=IT"), False),
        ("churn", "smoke", ("accuracy", "test", "country=IT"), False),
        ("ranking", "full", ("accuracy", "test", "country=IT"), False),
    ],
)
def test_find__is_of_one_metric_of_one_run_only(
    run: str, profile: str, metric: tuple[str, str | None, str | None], found: bool
) -> None:
    one = acceptance(split="test", slice="country=IT")
    assert (find([acceptance(metric="recall"), one], run=run, profile=profile, metric=metric) is one) is found
