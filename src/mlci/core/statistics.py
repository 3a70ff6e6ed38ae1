"""How sure a change is: estimates with their errors, tests of them, and what it would take to be surer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ExampleNoise:
    """What the examples say of a change of a metric, whatever training adds.

    Args:
        examples: How many, common to both sides.
        change: Of the metric on them, current - baseline, the mean over seeds.
        standard_error: Of `change` over the choice of examples, which both sides share; 0 where no example differs.
        discordant: Where one prediction a side is right or wrong: how many only the baseline, and only the current one,
            gets right.
    """

    examples: int
    change: float
    standard_error: float
    discordant: tuple[int, int] | None = None
