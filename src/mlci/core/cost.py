"""What computing cost: metered hours times the prices of the configuration."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Protocol

from mlci.core.documents import Cost, Resources

_HOUR_S = 3600
_DIGITS = 6  # of a unit of the currency


class Prices(Protocol):
    """The table `[cost]`."""

    @property
    def cpu_hour(self) -> float:
        """Of an hour of CPU time."""
        ...

    @property
    def gpu_hour(self) -> float:
        """Of an hour of one GPU."""
        ...

    @property
    def currency(self) -> str:
        """How amounts are labelled."""
        ...


def cost(resources: Resources | None, duration_s: float, *, gpus: float, prices: Prices) -> Cost | None:
    """CPU hours x `cpu_hour` + wall hours x `gpus` x `gpu_hour`; None where no price is set.

    CPU time is what was used, a GPU is paid for while the run holds it, busy or not. What was not metered adds nothing.

    Args:
        resources: What the execution used.
        duration_s: Its wall time.
        gpus: How many GPUs it has asked for; a fraction of one is priced as a fraction.
        prices: Those of the configuration.
    """
    if not (prices.cpu_hour or prices.gpu_hour):
        return None
    cpu_s = resources.cpu_s if resources else 0.0
    amount = cpu_s / _HOUR_S * prices.cpu_hour + duration_s / _HOUR_S * gpus * prices.gpu_hour
    return Cost(amount=round(amount, _DIGITS), currency=prices.currency)


def add(costs: Iterable[Cost | None]) -> Cost | None:
    """The sum of those that are known; None where none is, or where their currencies differ."""
    known = [item for item in costs if item]
    if len({item.currency for item in known}) != 1:
        return None
    return Cost(amount=round(math.fsum(item.amount for item in known), _DIGITS), currency=known[0].currency)
