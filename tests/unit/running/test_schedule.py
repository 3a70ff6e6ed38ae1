"""Which executions may start now, in which order, and which is prepared ahead."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlci.running.schedule import Capacity, Execution, Placed, decide, overlap

ONE, TWO = Capacity(), Capacity(jobs=2, cpus=2)
MANY = Capacity(jobs=8, cpus=8, memory_bytes=100, gpus=2)


def execution(name: str, **values: Any) -> Execution:
    return Execution(name=name, **values)


def started(
    *waiting: Execution, running: tuple[Execution | Placed, ...] = (), capacity: Capacity = MANY
) -> dict[str, tuple[int, ...]]:
    """The names of what starts, in order, and their GPUs."""
    placed = [item if isinstance(item, Placed) else Placed(item) for item in running]
    return {item.execution.name: item.gpus for item in decide(waiting, placed, capacity).start}


def names(*waiting: Execution, **values: Any) -> list[str]:
    return list(started(*waiting, **values))


def test_decide__one_job_at_a_time() -> None:
    assert names(execution("a"), execution("b"), capacity=Capacity()) == ["a"]
    assert names(execution("b"), running=(execution("a"),), capacity=Capacity()) == []


def test_decide__longest_first_and_what_may_be_long_before_that() -> None:
    waiting = [
        execution("short", expected_s=1),
        execution("long", expected_s=9),
        execution("unknown"),
        execution("other unknown"),
        execution("as long", expected_s=9),
    ]
    assert names(*waiting) == ["unknown", "other unknown", "long", "as long", "short"]


def test_decide__all_executions_of_a_needed_run_come_first() -> None:
    train = execution("train", needs=frozenset({"data"}))
    seeds = [execution("data", seed=seed) for seed in (0, 1)]
    assert names(train, *seeds, capacity=TWO) == ["data"]  # both seeds: one name
    assert names(train, running=(seeds[1],)) == []
    assert names(train) == ["train"]


def test_decide__exclusive_runs_alone() -> None:
    alone = execution("alone", exclusive=True)
    assert names(alone, running=(execution("a"),)) == []
    assert names(execution("a"), running=(alone,)) == []
    assert names(alone, execution("a")) == ["alone"]
    assert names(execution("a"), alone) == ["a"]


def test_decide__memory_is_never_exceeded() -> None:
    waiting = [execution(name, memory_bytes=40) for name in "abc"]
    assert names(*waiting) == ["a", "b"]
    assert names(execution("small", memory_bytes=20), running=tuple(waiting[:2])) == ["small"]
    assert names(*waiting, capacity=Capacity(jobs=8, cpus=8)) == ["a", "b", "c"]


@pytest.mark.parametrize("wanted", [{"memory_bytes": 101}, {"gpus": 3}, {"cpus": 9}])
def test_decide__what_alone_exceeds_the_machine_runs_alone(wanted: dict[str, Any]) -> None:
    huge = execution("huge", **wanted)
    assert names(huge, execution("a")) == ["huge"]
    assert names(execution("a"), running=(huge,)) == []
    assert names(huge, running=(execution("a"),)) == []


def test_decide__cores() -> None:
    assert names(execution("a", cpus=6), execution("b", cpus=3), execution("c", cpus=2)) == ["a", "c"]


def test_decide__gpus_are_handed_out() -> None:
    assert started(execution("a", gpus=1), execution("b", gpus=1), execution("c", gpus=1)) == {"a": (0,), "b": (1,)}
    assert started(execution("pair", gpus=2)) == {"pair": (0, 1)}
    assert started(execution("all there is", gpus=9)) == {"all there is": (0, 1)}
    assert started(execution("b", gpus=1), running=(Placed(execution("a", gpus=1), (0,)),)) == {"b": (1,)}


def test_decide__a_fraction_of_a_gpu_shares_one() -> None:
    halves = [execution(name, gpus=0.5) for name in "ab"]
    assert started(*halves, execution("c", gpus=1)) == {"a": (0,), "b": (0,), "c": (1,)}
    tenths = [execution(str(number), gpus=0.1) for number in range(7)]
    assert set(started(*tenths).values()) == {(0,)}


def test_decide__ten_tenths_are_one() -> None:
    running = tuple(Placed(execution(str(number), gpus=0.1), (0,)) for number in range(9))
    assert started(execution("last", gpus=0.1), running=running, capacity=Capacity(jobs=20, cpus=20, gpus=1)) == {
        "last": (0,)
    }


def test_decide__without_a_gpu_what_wants_one_runs_alone() -> None:
    assert started(execution("a", gpus=1), execution("b"), capacity=TWO) == {"a": ()}


def test_decide__seeds_that_declare_outputs_follow_each_other() -> None:
    seeds = [execution("train", seed=seed, writes=("/r/metrics.json",)) for seed in (0, 1)]
    assert len(decide(seeds, [], MANY).start) == 1
    free = [execution("train", seed=seed) for seed in (0, 1)]
    assert len(decide(free, [], MANY).start) == 2


@pytest.mark.parametrize(
    ("one", "other", "meets"),
    [
        ("/r/a.json", "/r/a.json", True),
        ("/r/a.json", "/r/b.json", False),
        ("/r/*.json", "/r/b.json", True),
        ("/r/*.png", "/r/b.json", True),  # its fixed part is all that counts
        ("/r/figures/*.png", "/r/b.json", False),
        ("/r/figures/a-*.png", "/r/figures/b-*.png", False),
        ("/r/figures/*.png", "/r/figures/b-[0-9].png", True),
        ("/r/a?.json", "/r/ab.json", True),
        ("/r/a", "/r/ab", False),
    ],
)
def test_overlap(one: str, other: str, meets: bool) -> None:
    assert overlap([one], [other]) is meets
    assert overlap([other], [one]) is meets
    assert overlap(["/elsewhere", one], [other, "/further"]) is meets


def ahead(*waiting: Execution, running: tuple[Execution, ...] = (), capacity: Capacity = ONE) -> str | None:
    found = decide(waiting, [Placed(item) for item in running], capacity).ahead
    return found.name if found else None


def note(name: str, **values: Any) -> Execution:
    return execution(name, preparable=True, **values)


def test_decide__the_next_one_is_prepared_ahead() -> None:
    assert ahead(note("a"), note("b")) == "b"
    assert ahead(note("short", expected_s=1), note("long", expected_s=9), running=(execution("a"),)) == "long"
    assert ahead(execution("script"), note("b"), running=(execution("a"),)) == "b"
    assert ahead(note("a")) is None


def test_decide__what_needs_a_running_one_may_be_prepared_but_nothing_further_away() -> None:
    last, middle = note("last", needs=frozenset({"middle"})), note("middle", needs=frozenset({"first"}))
    assert ahead(last, middle, running=(execution("first"),)) == "middle"
    assert ahead(last, running=(execution("first"), execution("middle")), capacity=TWO) == "last"


def test_decide__nothing_is_prepared_beside_what_wants_to_be_alone() -> None:
    assert ahead(note("b"), running=(execution("a", exclusive=True),)) is None


EXECUTIONS = st.builds(
    Execution,
    name=st.sampled_from("abcdef"),
    seed=st.integers(0, 2),
    cpus=st.sampled_from([0.5, 1, 2, 5]),
    memory_bytes=st.sampled_from([0, 30, 60, 120]),
    gpus=st.sampled_from([0, 0.3, 0.5, 1, 2, 3]),
    exclusive=st.booleans(),
    expected_s=st.none() | st.floats(0, 10),
    writes=st.sampled_from([(), ("/a",), ("/*",), ("/b",)]),
)


@given(st.lists(EXECUTIONS, unique=True, max_size=12), st.randoms())
def test_decide__everything_runs_and_nothing_is_overcommitted(waiting: list[Execution], random: Any) -> None:
    capacity = Capacity(jobs=3, cpus=4, memory_bytes=100, gpus=2)
    running: list[Placed] = []
    while waiting:
        start = decide(waiting, running, capacity).start
        assert start or running
        running += start
        waiting = [item for item in waiting if item not in [placed.execution for placed in start]]
        if len(running) > 1:
            each = [placed.execution for placed in running]
            assert len(each) <= capacity.jobs
            assert not any(item.exclusive for item in each)
            assert sum(item.cpus for item in each) <= capacity.cpus
            assert sum(item.memory_bytes for item in each) <= 100
            for gpu in (0, 1):
                assert sum(min(1, item.execution.gpus) for item in running if gpu in item.gpus) <= 1 + 1e-6
            assert not any(overlap(one.writes, other.writes) for one in each for other in each if one is not other)
        running.pop(random.randrange(len(running)))
