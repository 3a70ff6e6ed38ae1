from __future__ import annotations

from typing import Any

import pytest

from fakes.records import origin
from mlci.core.documents import Attempt, Cost, Failure, Metric, PredictionsFile, Resources, RunResult, RunsDocument
from mlci.core.record import fold
from mlci.errors import DocumentError

NEEDS = Failure(kind="needs", message="needs prepare, which did not succeed")


def ran(name: str = "train", *, seed: int | None = None, value: float | None = None, **fields: Any) -> RunResult:
    given: dict[str, Any] = {"status": "succeeded", "profile": "default", "duration_s": 1.0} | fields
    metrics = () if value is None else (Metric(name="loss", value=value),)
    return RunResult(name=name, seed=seed, metrics=metrics, **given)


def machine(*runs: RunResult, planned: tuple[str, ...] | None = None, **about: Any) -> RunsDocument:
    names = tuple(dict.fromkeys(run.name for run in runs if run.status != "skipped"))
    return RunsDocument(origin=origin(**about), planned=names if planned is None else planned, runs=runs)


def test_fold__seeds_become_one_record() -> None:
    [record], notes = fold([machine(ran(seed=0, value=1.0), ran(seed=1, value=2.0))])
    assert (record.status, record.seeds, record.duration_s) == ("succeeded", (0, 1), 2.0)
    assert record.metrics[0].samples == (1.0, 2.0)
    assert notes == ()


def test_fold__seeds_of_several_machines() -> None:
    [record], _ = fold([machine(ran(seed=0, value=1.0)), machine(ran(seed=1, value=2.0))])
    assert record.metrics[0].seeds == (0, 1)


@pytest.mark.parametrize(
    ("statuses", "worst"),
    [
        (("succeeded", "failed"), "failed"),
        (("failed", "crashed", "succeeded"), "crashed"),
        (("timed-out", "succeeded"), "timed-out"),
        (("cancelled", "failed"), "failed"),
    ],
)
def test_fold__the_worst_status_of_the_seeds(statuses: tuple[Any, ...], worst: str) -> None:
    error = Failure(kind="x", message="no")
    results = [
        ran(seed=seed, status=status, error=None if status == "succeeded" else error, value=1.0)
        for seed, status in enumerate(statuses)
    ]
    [record], _ = fold([machine(*results)])
    assert (record.status, record.error) == (worst, error)
    assert record.seeds == tuple(range(len(statuses)))


def test_fold__predictions_of_the_seeds_that_succeeded() -> None:
    files = [PredictionsFile(path="p.csv", sha256=f"{seed}" * 64, size=1, seed=seed) for seed in (0, 1)]
    results = [
        ran(seed=0, predictions=files[0]),
        ran(seed=1, predictions=files[1], status="failed"),
        ran(seed=2),
    ]
    [record], _ = fold([machine(*results)])
    assert record.predictions == (files[0],)


@pytest.mark.parametrize("said", [(True, True), (True, False), (False, False)])
def test_fold__deterministic_where_all_seeds_are(said: tuple[bool, bool]) -> None:
    [record], _ = fold([machine(*(ran(seed=seed, deterministic=item) for seed, item in enumerate(said)))])
    assert record.deterministic is all(said)


def test_fold__a_failed_seed_gives_no_sample() -> None:
    [record], _ = fold([machine(ran(seed=0, value=1.0), ran(seed=1, value=99.0, status="failed"))])
    assert record.metrics[0].seeds == (0,)


def test_fold__cpu_is_summed_and_memory_the_highest() -> None:
    used = [Resources(cpu_s=1.0, peak_memory_bytes=10), Resources(cpu_s=2.0, peak_memory_bytes=5)]
    [record], _ = fold([machine(*(ran(seed=seed, resources=item) for seed, item in enumerate(used)))])
    assert record.resources == Resources(cpu_s=3.0, peak_memory_bytes=10)


def test_fold__peaks_are_the_highest_and_utilisation_a_mean_over_time() -> None:
    used = [
        Resources(cpu_s=1.0, peak_memory_bytes=1, peak_pss_bytes=9, gpu_memory_bytes=5, gpu_utilisation=share)
        for share in (0.9, 0.3)
    ]
    seeds = [
        ran(seed=seed, resources=item, duration_s=took) for seed, item, took in zip((0, 1), used, (1, 3), strict=True)
    ]
    plain = ran(seed=2, resources=Resources(cpu_s=1.0, peak_memory_bytes=2), duration_s=100.0)
    [record], _ = fold([machine(*seeds, plain)])
    assert record.resources == Resources(
        cpu_s=3.0, peak_memory_bytes=2, peak_pss_bytes=9, gpu_memory_bytes=5, gpu_utilisation=0.45
    )


def test_fold__costs_are_summed() -> None:
    costs = [Cost(amount=0.1, currency="EUR"), None, Cost(amount=0.2, currency="EUR")]
    [record], _ = fold([machine(*(ran(seed=seed, cost=item) for seed, item in enumerate(costs)))])
    assert record.cost == Cost(amount=0.3, currency="EUR")


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ([()], ()),
        ([("twice", "twice")], ("twice",)),
        ([("x",), ("x",)], ("x",)),
        ([("x",), ("y", "x"), ("y",)], ("seed 0, 1: x", "seed 1, 2: y")),
    ],
)
def test_fold__a_note_is_said_once_with_its_seeds(notes: list[tuple[str, ...]], expected: tuple[str, ...]) -> None:
    [record], _ = fold([machine(*(ran(seed=seed, notes=said) for seed, said in enumerate(notes)))])
    assert record.notes == expected


def test_fold__attempts_of_all_seeds_the_oldest_first() -> None:
    first, second, third = (
        Attempt(status="failed", started_at=f"2024-05-01T1{hour}:00:00Z", duration_s=1.0) for hour in range(3)
    )
    [record], _ = fold([machine(ran(seed=0, attempts=(second, third)), ran(seed=1, attempts=(first,)))])
    assert record.attempts == (first, second, third)


@pytest.mark.parametrize(("reused", "expected"), [((True, True), True), ((True, False), False)])
def test_fold__reused_is_what_was_reused_whole(reused: tuple[bool, ...], expected: bool) -> None:
    [record], _ = fold([machine(*(ran(seed=seed, reused=item) for seed, item in enumerate(reused)))])
    assert record.reused is expected


@pytest.mark.parametrize("order", [1, -1], ids=["earlier first", "later first"])
@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        pytest.param({"run_id": "9", "run_attempt": 2}, {"run_id": "10", "run_attempt": 1}, id="run id"),
        pytest.param({"run_id": "9", "run_attempt": 1}, {"run_id": "9", "run_attempt": 2}, id="attempt"),
        pytest.param({"created_at": "2024-01-01T00:00:00Z"}, {"created_at": "2024-01-02T00:00:00Z"}, id="time"),
    ],
)
def test_fold__of_the_same_seed_twice_the_later_attempt_wins(
    earlier: dict[str, Any], later: dict[str, Any], order: int
) -> None:
    documents = [machine(ran(seed=0, value=1.0), **earlier), machine(ran(seed=0, value=2.0), **later)][::order]
    [record], notes = fold(documents)
    assert record.metrics[0].value == 2.0
    assert notes == ("train (seed 0): found twice, the later attempt counts",)


def test_fold__a_planned_run_that_no_machine_brought_is_a_failure() -> None:
    records, notes = fold([machine(ran("a"), planned=("a", "b"))])
    assert [(record.name, record.status) for record in records] == [("a", "succeeded"), ("b", "crashed")]
    assert records[1].error is not None
    assert records[1].error.kind == "lost"
    assert notes == ("b: planned, but no workspace holds its result",)


def test_fold__what_another_machine_left_out_is_lost_unless_somebody_ran_it() -> None:
    left_out = ran("b", status="skipped", reason="not named here")
    [_, lost], _ = fold([machine(ran("a"), left_out, planned=("a", "b"))])
    assert lost.status == "crashed"
    _, found = fold([machine(ran("a"), left_out, planned=("a", "b")), machine(ran("b"), planned=("a", "b"))])[0]
    assert found.status == "succeeded"


def test_fold__a_laptop_that_ran_a_part_lost_nothing() -> None:
    left_out = ran("b", status="skipped", reason="not named here")
    [_, skipped], _ = fold([machine(ran("a"), left_out, planned=("a", "b"))], complete=False)
    assert (skipped.status, skipped.reason) == ("skipped", "not named here")


def test_fold__a_run_that_an_unmet_need_blocked_is_skipped_with_its_error() -> None:
    blocked = ran("b", status="skipped", reason=NEEDS.message, error=NEEDS)
    [_, record], _ = fold([machine(ran("a", status="failed"), blocked, planned=("a", "b"))])
    assert (record.status, record.error) == ("skipped", NEEDS)


def test_fold__a_run_that_selection_left_out() -> None:
    [record], _ = fold([machine(ran(status="skipped", reason="event push"), planned=())])
    assert (record.status, record.reason, record.error) == ("skipped", "event push", None)


def test_fold__different_commits_are_refused() -> None:
    with pytest.raises(DocumentError, match="different commits"):
        fold([machine(ran("a"), commit="a" * 40), machine(ran("b"), commit="b" * 40)])


def test_fold__nothing() -> None:
    with pytest.raises(DocumentError, match=r"no run\.json"):
        fold([])
