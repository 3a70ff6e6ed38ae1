from __future__ import annotations

import math

import msgspec

from fakes.records import record
from mlci.core.dashboard import Columns, Commit, Profile, Release, Run, dashboard
from mlci.core.documents import Cost, Metric, Record, Resources
from mlci.core.steps import Judgement, Step

KEY = ("accuracy", None, None)


def sha(number: int) -> str:
    return f"{number:040x}"


def commits(count: int) -> list[Commit]:
    """The newest first."""
    return [
        Commit(sha=sha(number), time=1000 + number, subject=f"Change {number}") for number in reversed(range(count))
    ]


def measured(number: int, *metrics: Metric, **changes: object) -> Record:
    made = record(commit=sha(number), run_id=str(90 + number))
    return msgspec.structs.replace(made, metrics=metrics or made.metrics, **changes)


def columns(*records: Record, name: str = "churn", profile: str = "full") -> Columns:
    found = Columns(name, profile)
    for item in records:
        found.add(Step(record=item))
    return found


def only(profiles: list[Profile]) -> tuple[Profile, Run]:
    [profile] = profiles
    [run] = profile.runs
    return profile, run


def test_dashboard__columns_from_the_oldest_commit_on() -> None:
    profile, run = only(dashboard([columns(measured(4), measured(1))], commits(6)).profiles)
    assert profile.commits == [sha(1), sha(4)]
    assert (profile.times, profile.subjects) == ([1001, 1004], ["Change 1", "Change 4"])
    assert profile.behind == [0, 2]
    assert run.workflow_runs == [91, 94]
    assert run.series[0].values == [0.9, 0.9]


def test_dashboard__gaps_are_where_another_run_has_a_record() -> None:
    mine = columns(measured(3), measured(1))
    other = columns(measured(2), name="ranking")
    [profile] = dashboard([mine, other], commits(4)).profiles
    assert profile.commits == [sha(1), sha(2), sha(3)]
    assert [run.measured for run in profile.runs] == [[1, 0, 1], [0, 1, 0]]
    assert profile.runs[0].series[0].values == [0.9, None, 0.9]
    assert profile.runs[1].workflow_runs == [None, 92, None]


def test_dashboard__a_record_that_failed_has_a_place_and_no_value() -> None:
    bad = measured(2, status="failed")
    _, run = only(dashboard([columns(measured(3), bad, measured(1))], commits(4)).profiles)
    assert (run.failed, run.measured, run.series[0].values) == ([1], [1, 0, 1], [0.9, None, 0.9])


def test_dashboard__profiles_have_commits_of_their_own() -> None:
    found = dashboard([columns(measured(1)), columns(measured(2), profile="nightly")], commits(3))
    assert [(item.name, item.commits) for item in found.profiles] == [("full", [sha(1)]), ("nightly", [sha(2)])]


def test_dashboard__what_is_said_of_a_step() -> None:
    found = Columns("churn", "full")
    said = Judgement(noise=0.012345, source="3 paired seeds", mark="fail", reason="0.2 worse")
    found.add(Step(record=measured(2), judged={KEY: said}, changed=("python 3.12 → 3.13",)))
    found.add(Step(record=measured(1)))
    _, run = only(dashboard([found], commits(3)).profiles)
    assert run.series[0].noise == [None, 0.0123]
    assert run.series[0].marks == [(1, "fail", "0.2 worse")]
    assert run.changed == [(1, ["python 3.12 → 3.13"])]


def test_dashboard__releases_of_the_run_that_made_them() -> None:
    tags = [
        Release(run="churn", commit=sha(3), label="v1.1.0", tag="churn@v1.1.0"),  # not measured: the record before it
        Release(run="churn", commit=sha(0), label="v1.0.0", tag="churn@v1.0.0"),  # older than any record
        Release(run="ranking", commit=sha(1), label="v9.0.0", tag="ranking@v9.0.0"),
        Release(run="churn", commit="f" * 40, label="v2.0.0", tag="churn@v2.0.0"),  # on another branch
    ]
    _, run = only(dashboard([columns(measured(4), measured(1))], commits(6), tags).profiles)
    assert run.releases == [(0, "v1.1.0", "churn@v1.1.0")]


def test_dashboard__time_memory_and_cost_of_one_currency() -> None:
    used = Resources(cpu_s=1, peak_memory_bytes=2_000_000_000)
    new = measured(2, duration_s=60.5, resources=used, cost=Cost(amount=0.5, currency="EUR"))
    old = measured(1, duration_s=59.0, cost=Cost(amount=0.7, currency="USD"))
    _, run = only(dashboard([columns(new, old)], commits(3)).profiles)
    assert {item.name: (item.unit, item.values) for item in run.resources} == {
        "duration": ("s", [59, 60.5]),
        "peak memory": ("bytes", [None, 2_000_000_000]),
        "cost": ("EUR", [None, 0.5]),
    }


def test_dashboard__numbers_that_are_none_are_named() -> None:
    metrics = [Metric(name="loss", value=value) for value in (math.nan, math.inf, 1.0)]
    records = [measured(number, metric) for number, metric in reversed(list(enumerate(metrics)))]
    _, run = only(dashboard([columns(*records)], commits(3)).profiles)
    assert run.series[0].values == [None, None, 1]
    assert run.series[0].odd == [(0, "NaN"), (1, "∞")]


def test_dashboard__slices_stand_apart_and_go_first_where_there_are_too_many_values() -> None:
    parts = [Metric(name="accuracy", value=0.8, slice=f"country={number}") for number in range(3)]
    held = columns(measured(1, parts[0], Metric(name="accuracy", value=0.9), *parts[1:]))
    whole = dashboard([held], commits(2))
    assert whole.left_out == 0
    assert [item.slice for item in whole.profiles[0].runs[0].slices] == ["country=0", "country=1", "country=2"]
    cut = dashboard([held], commits(2), most=2)
    assert cut.left_out == 2
    assert [len(cut.profiles[0].runs[0].series), len(cut.profiles[0].runs[0].slices)] == [1, 1]


def test_columns__a_workflow_run_is_a_number_or_nothing() -> None:
    for claimed in ("javascript:alert(1)", "1/../..", "9" * 30, ""):
        item = measured(1)
        origin = msgspec.structs.replace(item.origin, run_id=claimed)
        _, run = only(dashboard([columns(msgspec.structs.replace(item, origin=origin))], commits(2)).profiles)
        assert run.workflow_runs == [None]


def test_columns__hold_what_is_wanted() -> None:
    found = Columns("churn", "full", lambda metric: metric.name == "loss")
    found.add(Step(record=measured(1, Metric(name="loss", value=1.0), Metric(name="accuracy", value=0.9))))
    assert list(found.series) == [("loss", None, None)]


def test_dashboard__names_that_change_from_commit_to_commit_take_as_many_places_as_others() -> None:
    records = [measured(number, Metric(name=f"loss_{number}", value=1.0)) for number in range(20)]
    cut = dashboard([columns(*records)], commits(20), most=100)
    _, run = only(cut.profiles)
    assert sum(len(series.values) for series in run.series) == 100
    assert cut.left_out == 15
