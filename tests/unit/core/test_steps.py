from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec
import pytest

from fakes.records import record
from mlci.core.acceptance import Acceptance
from mlci.core.documents import Environment, Metric, Record, Rule
from mlci.core.steps import Step, steps

KEY = ("accuracy", None, None)
RULE = Rule(pattern="accuracy", max_regression=0.02)
ACCEPTED = Acceptance(
    run="churn", profile="full", metric="accuracy", baseline=0.9, value=0.85, reason="smaller model", date="2024-05-01"
)


def measured(*values: float, **changes: object) -> list[Record]:
    """The newest first; values from the oldest on."""
    made = [record(commit=f"{number:040x}", value=value) for number, value in enumerate(values)]
    return [msgspec.structs.replace(item, **changes) for item in reversed(made)]


def noise(count: int, *, seed: int = 1) -> list[float]:
    draw = random.Random(seed)  # noqa: S311 - noise of a test
    return [0.9 + draw.gauss(0, 0.003) for _ in range(count)]


def marks(found: list[Step]) -> dict[int, str]:
    """By number of the record."""
    said = {int(step.record.origin.commit or "", 16): step.judged.get(KEY) for step in found}
    return {number: judged.mark for number, judged in said.items() if judged and judged.mark}


FALLEN = [*noise(20), *(value - 0.05 for value in noise(20, seed=2))]


def test_steps__mark_where_a_metric_got_worse_and_not_what_follows() -> None:
    assert marks(list(steps(measured(*FALLEN), span=20))) == {20: "regressed"}
    assert marks(list(steps(measured(*FALLEN), tiers=((RULE,),), span=20))) == {20: "fail"}


def test_steps__within_the_noise_nothing_is_marked() -> None:
    found = list(steps(measured(*noise(40)), tiers=((RULE,),), span=20))
    assert marks(found) == {}
    newest = found[0].judged[KEY]
    assert newest.source == "the last 20 records"
    assert newest.noise == pytest.approx(0.009, abs=0.004)


def test_steps__without_noise_to_tell_it_nothing_is_a_regression() -> None:
    assert marks(list(steps(measured(0.9, 0.5)))) == {}
    deterministic = measured(0.9, 0.5, deterministic=True)
    assert marks(list(steps(deterministic))) == {1: "regressed"}


def test_steps__what_was_accepted_at_that_commit() -> None:
    def at(commit: str) -> tuple[Acceptance, ...]:
        return (ACCEPTED,) if int(commit, 16) == 20 else ()

    found = list(steps(measured(*FALLEN), tiers=((RULE,),), span=20, accepted=at))
    assert marks(found) == {20: "accepted"}
    [step] = [step for step in found if step.judged.get(KEY) and step.judged[KEY].mark]
    assert step.judged[KEY].reason == "smaller model"


def test_steps__the_noise_of_seeds_comes_first() -> None:
    metric = Metric(name="accuracy", value=0.9, samples=(0.89, 0.9, 0.91), seeds=(0, 1, 2))
    again = msgspec.structs.replace(metric, value=0.91, samples=(0.9, 0.915, 0.915))
    records = measured(0.9, 0.9)
    [new, _] = steps(
        msgspec.structs.replace(item, metrics=(held,)) for item, held in zip(records, (again, metric), strict=True)
    )
    assert new.judged[KEY].source == "3 paired seeds"


def test_steps__a_record_that_failed_is_no_baseline() -> None:
    new, middle, old = measured(0.9, 0.1, 0.9)
    middle = msgspec.structs.replace(middle, status="failed")
    found = {step.record.origin.commit: step for step in steps([new, middle, old])}
    assert found[middle.origin.commit].judged == {}
    assert KEY in found[new.origin.commit].judged
    assert found[old.origin.commit].judged == {}


def test_steps__what_else_changed() -> None:
    new, old = measured(0.9, 0.9)
    new = msgspec.structs.replace(new, environment=Environment(python="3.13.0"))
    old = msgspec.structs.replace(old, environment=Environment(python="3.12.1"))
    assert [step.changed for step in steps([new, old])] == [("python 3.12.1 → 3.13.0",), ()]


def test_steps__hold_no_more_records_than_they_need() -> None:
    taken = 0

    def stream() -> Iterator[Record]:
        nonlocal taken
        for item in measured(*noise(50)):
            taken += 1
            yield item

    for place, _ in enumerate(steps(stream(), span=5)):
        assert taken <= place + 6 or taken == 50
