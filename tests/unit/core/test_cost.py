from __future__ import annotations

import pytest

from mlci.config.tables import CostTable
from mlci.core.cost import add, cost
from mlci.core.documents import Cost, Resources

HALF_AN_HOUR_OF_CPU = Resources(cpu_s=1800.0, peak_memory_bytes=1)


@pytest.mark.parametrize(
    ("prices", "gpus", "amount"),
    [
        pytest.param(CostTable(cpu_hour=0.04), 0, 0.02, id="CPU time that was used"),
        pytest.param(CostTable(gpu_hour=2.0), 0, 0.0, id="a GPU that nobody asked for"),
        pytest.param(CostTable(gpu_hour=2.0), 2, 8.0, id="two GPUs for two hours"),
        pytest.param(CostTable(gpu_hour=2.0), 0.25, 1.0, id="a quarter of a GPU"),
        pytest.param(CostTable(cpu_hour=0.04, gpu_hour=2.0), 1, 4.02, id="both"),
    ],
)
def test_cost__hours_times_prices(prices: CostTable, gpus: float, amount: float) -> None:
    assert cost(HALF_AN_HOUR_OF_CPU, 7200.0, gpus=gpus, prices=prices) == Cost(amount=amount, currency="USD")


def test_cost__no_price_no_cost() -> None:
    assert cost(HALF_AN_HOUR_OF_CPU, 7200.0, gpus=1, prices=CostTable()) is None


def test_cost__what_was_not_metered_adds_nothing() -> None:
    prices = CostTable(cpu_hour=1.0, gpu_hour=1.0, currency="EUR")
    assert cost(None, 3600.0, gpus=1, prices=prices) == Cost(amount=1.0, currency="EUR")


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ([], None),
        ([None], None),
        ([Cost(amount=0.1, currency="EUR"), None, Cost(amount=0.2, currency="EUR")], Cost(amount=0.3, currency="EUR")),
        ([Cost(amount=1.0, currency="EUR"), Cost(amount=1.0, currency="USD")], None),
    ],
)
def test_add(costs: list[Cost | None], expected: Cost | None) -> None:
    assert add(costs) == expected
