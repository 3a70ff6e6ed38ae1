"""A change for the worse that was accepted on purpose: which metric it is about, and when it has done its work."""

from __future__ import annotations

import math
from collections.abc import Iterable

from mlci.core.documents import Document
from mlci.core.metric import Key


class Acceptance(Document, frozen=True):
    """One metric of one run, let down from one level to another."""

    run: str
    profile: str
    metric: str
    baseline: float  # the level that it came from
    value: float  # the new level
    reason: str
    date: str  # ISO 8601
    split: str | None = None
    slice: str | None = None
    commit: str | None = None  # that was measured at the new level

    @property
    def key(self) -> Key:
        """Which metric of the run it is about."""
        return self.metric, self.split, self.slice


def find(acceptances: Iterable[Acceptance], *, run: str, profile: str, metric: Key) -> Acceptance | None:
    """The acceptance of one metric, expired or not."""
    wanted = run, profile, metric
    return next((item for item in acceptances if (item.run, item.profile, item.key) == wanted), None)


def expired(acceptance: Acceptance, baseline_value: float) -> bool:
    """Whether the base has the new level: at least half of the way there, or beyond it.

    What remains of the change is then judged like any other; an acceptance is never a lasting allowance.
    """
    if math.isnan(baseline_value):
        return False
    way = acceptance.value - acceptance.baseline
    return way == 0 or (baseline_value - acceptance.baseline) / way >= 0.5  # noqa: PLR2004 - the middle
