from __future__ import annotations

import math

import msgspec
import pytest

from fakes.records import record
from mlci.core.documents import Metric, Record
from mlci.core.steps import Judgement, Step, steps
from mlci.core.trajectory import Trajectory, names
from mlci.core.trajectory import trajectories as of_steps


def measured(number: int, *metrics: Metric) -> Record:
    made = record(commit=f"{number:040x}", created_at=f"2024-05-0{number}T12:00:00Z", run_url=f"https://ci/{number}")
    return msgspec.structs.replace(made, metrics=metrics)


def trajectories(records: list[Record], pattern: str, part: str | None = None) -> list[Trajectory]:
    return of_steps(steps(records), pattern, part)


def accuracy(value: float, split: str | None = None, part: str | None = None) -> Metric:
    return Metric(name="accuracy", value=value, split=split, slice=part)


def test_trajectories__values_and_changes_the_newest_first() -> None:
    records = [measured(3, accuracy(0.75)), measured(2), measured(1, accuracy(0.5))]
    [found] = trajectories(records, "accuracy")
    assert (found.run, found.profile, found.name, found.direction) == ("churn", "full", "accuracy", "higher")
    assert [(point.commit[-1], point.value, point.change) for point in found.points] == [
        ("3", 0.75, 0.25),
        ("1", 0.5, None),
    ]
    assert found.points[0].run_url == "https://ci/3"
    assert found.points[0].created_at == "2024-05-03T12:00:00Z"


def test_trajectories__seeds_and_examples() -> None:
    metric = Metric(name="auc", value=0.5, samples=(0.4, 0.6), seeds=(0, 1), n=900)
    [point] = trajectories([measured(1, metric)], "auc")[0].points
    assert (point.seeds, point.n) == (2, 900)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("accuracy", ["accuracy", "test/accuracy"]),
        ("*acc*", ["accuracy", "test/accuracy", "acc[top5]"]),
        ("test/*", ["test/accuracy"]),
        ("acc[top5]", ["acc[top5]"]),
        ("None/*", []),
        ("acc", []),
        ("Accuracy", []),
    ],
)
def test_trajectories__by_name_split_and_glob(pattern: str, found: list[str]) -> None:
    metrics = accuracy(0.9), accuracy(0.8, "test"), accuracy(0.7, part="eu"), Metric(name="acc[top5]", value=1.0)
    assert [item.name for item in trajectories([measured(1, *metrics)], pattern)] == found


@pytest.mark.parametrize(
    ("part", "found"),
    [
        (None, ["accuracy"]),
        ("country=de", ["accuracy [country=de]"]),
        ("country=*", ["accuracy [country=de]", "accuracy [country=fr]"]),
        ("*", ["accuracy [country=de]", "accuracy [country=fr]"]),
        ("age", []),
    ],
)
def test_trajectories__of_slices_on_demand(part: str | None, found: list[str]) -> None:
    metrics = accuracy(0.9), accuracy(0.8, part="country=de"), accuracy(0.7, part="country=fr")
    assert [item.name for item in trajectories([measured(1, *metrics)], "accuracy", part)] == found


def test_trajectories__a_change_that_is_no_number_is_none() -> None:
    values = [1.0, math.nan, 2.0, math.inf, math.inf]
    [found] = trajectories([measured(1, accuracy(value)) for value in values], "accuracy")
    assert [point.change for point in found.points] == [None] * 5


def test_names__of_metrics_and_of_slices() -> None:
    records = [measured(1, accuracy(1.0, part="b")), measured(2, Metric(name="loss", value=1.0, slice="a"))]
    assert names(records) == ["accuracy", "loss"]
    assert names(records, slices=True) == ["a", "b"]


def test_trajectories__with_what_is_said_of_each_step() -> None:
    said = Judgement(noise=0.1, source="3 paired seeds", mark="fail", reason="0.2 worse")
    judged = Step(record=measured(2, accuracy(0.5)), judged={("accuracy", None, None): said})
    [found] = of_steps(
        [judged, Step(record=measured(1, accuracy(0.7)))], "accuracy", releases={f"{1:040x}": ["v1.0.0"]}
    )
    new, old = found.points
    assert (new.noise, new.mark, new.reason, new.releases) == (0.1, "fail", "0.2 worse", ())
    assert (old.noise, old.mark, old.reason, old.releases) == (None, None, None, ("v1.0.0",))


def test_trajectories__show_the_last_records_and_know_what_was_before_them() -> None:
    records = [measured(3, accuracy(3.0)), measured(2), measured(1, accuracy(1.0))]
    assert [point.change for point in of_steps(steps(records), "accuracy", count=1)[0].points] == [2.0]
    assert of_steps(steps(records[1:]), "accuracy", count=1) == []
