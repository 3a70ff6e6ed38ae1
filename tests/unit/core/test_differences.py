"""What differs between two records: all of it, and what makes their comparison doubtful."""

from __future__ import annotations

from typing import Any

import pytest

from fakes.comparisons import measured
from mlci.core.differences import changes, incomparable, redefined
from mlci.core.documents import Environment, Metric

HERE: dict[str, Any] = {"python": "3.12.1", "implementation": "CPython", "platform": "linux-x86_64"}


def both(now: dict[str, Any], before: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """All changes, and those that make the comparison doubtful."""
    records = measured(**now), measured(**before)
    return changes(*records), incomparable(*records)


@pytest.mark.parametrize(
    ("now", "before", "line"),
    [
        ({"python": "3.12.1"}, {"python": "3.12.0"}, "python 3.12.0 → 3.12.1"),
        ({"implementation": "PyPy"}, {"implementation": "CPython"}, "implementation CPython → PyPy"),
        ({"gpu": "B, driver 2"}, {"gpu": "A, driver 1"}, "gpu A, driver 1 → B, driver 2"),
        ({"packages": {"torch": "2.6"}}, {"packages": {"torch": "2.5"}}, "torch 2.5 → 2.6"),
        ({"packages": {"numpy": "2"}}, {"packages": {"click": "8", "numpy": "1"}}, "numpy 1 → 2"),
        ({"packages": {"jax": "1", "click": "8"}}, {"packages": {"click": "8"}}, "jax absent → 1"),
    ],
)
def test_incomparable__interpreter_gpu_and_numerical_packages(
    now: dict[str, Any], before: dict[str, Any], line: str
) -> None:
    known, doubtful = both({"environment": Environment(**HERE | now)}, {"environment": Environment(**HERE | before)})
    assert doubtful == (line,)
    assert line in known


@pytest.mark.parametrize(
    ("now", "before"),
    [
        ({"platform": "linux-aarch64"}, {}),
        ({"packages": {"click": "9"}}, {"packages": {"click": "8"}}),
    ],
)
def test_incomparable__a_platform_and_other_packages_are_only_told(now: dict[str, Any], before: dict[str, Any]) -> None:
    known, doubtful = both({"environment": Environment(**HERE | now)}, {"environment": Environment(**HERE | before)})
    assert len(known) == 1
    assert doubtful == ()


@pytest.mark.parametrize("older", [{}, {**HERE, "gpu": None}, {**HERE, "packages": {}}])
def test_incomparable__what_one_side_does_not_know_is_no_difference(older: dict[str, Any]) -> None:
    newer = Environment(**HERE, gpu="NVIDIA H100, driver 550", packages={"torch": "2.6"})
    for now, before in ((newer, Environment(**older)), (Environment(**older), newer)):
        known, doubtful = both({"environment": now}, {"environment": before})
        assert known == doubtful == ()


def test_incomparable__data_but_not_code() -> None:
    before = {"data/a.csv": "1", "data/b": "1", "train.py": "1", "[runs.train]": "1", "eda.ipynb": "1"}
    now = {"data/a.csv": "2", "data/c": "1", "train.py": "2", "[runs.train]": "2", "eda.ipynb": "1"}
    known, doubtful = both({"inputs": now}, {"inputs": before})
    assert doubtful == ("input data/a.csv changed", "input data/b removed", "input data/c added")
    assert set(known) - set(doubtful) == {"input train.py changed", "input [runs.train] changed"}


def test_incomparable__parameters_but_not_seeds() -> None:
    now = {"parameters": {"trees": 500, "depth": 3}, "seeds": (0, 1)}
    known, doubtful = both(now, {"parameters": {"trees": 200, "depth": 3}, "seeds": (0,)})
    assert doubtful == ("parameter trees 200 → 500",)
    assert known == (*doubtful, "seeds 1 → 2")


def test_changes__the_packages_that_matter_come_first() -> None:
    def packages(version: str) -> Environment:
        return Environment(packages=dict.fromkeys(("a", "b", "c", "d", "e", "torch"), version))

    known, _ = both({"environment": packages("2")}, {"environment": packages("1")})
    assert known[0] == "torch 1 → 2"
    assert known[-1] == "1 more packages"


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        ("1", "1", None),
        (None, "1", None),
        ("1", None, None),
        ("2.0", "1.0", "its definition is another one: 1.0 → 2.0"),
        ("b" * 64, "a" * 64, f"its definition is another one: {'a' * 23}… → {'b' * 23}…"),
    ],
)
def test_redefined__where_both_say_and_differ(now: str | None, before: str | None, said: str | None) -> None:
    def metric(definition: str | None) -> Metric:
        return Metric(name="acc", value=0.5, definition=definition)

    assert redefined(metric(now), metric(before)) == said
