"""Which runs an event selects, and the words on why each other is left out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fakes.contexts import context
from fakes.runs import configured
from mlci.errors import UsageError
from mlci.running.plan import Plan, make_plan, only_named

CHAIN = """
[runs.report]
script = "x.py"
needs = ["train"]
{report}
[runs.train]
script = "x.py"
needs = ["data"]
{train}
[runs.data]
script = "x.py"
{data}
"""
IDLE = 'only = { paths = "inputs" }'


def planned(
    folder: Path, *, event: Mapping[str, Any] | None = None, unchanged: str = "", report: str = "", **tables: str
) -> Plan:
    """The plan of the chain data -> train -> report; the runs named in `unchanged` have the baseline's inputs."""
    text = CHAIN.format(**{"train": "", "data": "", "report": report} | tables)
    _, runs = configured(folder, text, x__py="")
    return make_plan(
        runs,
        "default",
        context(**event or {}),
        unchanged=lambda run: "unchanged" if run.name in unchanged.split() else None,
    )


def reasons(plan: Plan) -> dict[str, str | None]:
    return {item.run.name: item.reason for item in plan.items}


def test_make_plan__each_run_stands_after_those_that_it_needs(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert [run.name for run in plan.selected] == ["data", "train", "report"]


@pytest.mark.parametrize(
    ("event", "labels", "reason"),
    [
        ("pull_request", (), "the pull request has none of the labels slow"),
        ("pull_request", ("slow",), None),
        ("push", (), None),
        ("schedule", (), "event schedule is not in only.events (push, pull_request)"),
    ],
)
def test_make_plan__events_and_labels(tmp_path: Path, event: str, labels: tuple[str, ...], reason: str | None) -> None:
    only = 'only = { events = ["push", "pull_request"], labels = ["slow"] }'
    plan = planned(tmp_path, report=only, event={"event": event, "labels": labels})
    assert reasons(plan)["report"] == reason


def test_make_plan__what_needs_a_run_that_is_left_out_is_left_out(tmp_path: Path) -> None:
    plan = planned(tmp_path, data='only = { events = ["push"] }')
    assert reasons(plan) == {
        "data": "event local is not in only.events (push)",
        "train": "needs data, which is skipped",
        "report": "needs train, which is skipped",
    }


def test_make_plan__unchanged_runs_are_left_out(tmp_path: Path) -> None:
    plan = planned(tmp_path, unchanged="data train report", data=IDLE, train=IDLE, report=IDLE)
    assert reasons(plan) == dict.fromkeys(("data", "train", "report"), "unchanged")


def test_make_plan__what_a_selected_run_needs_runs_though_unchanged(tmp_path: Path) -> None:
    plan = planned(tmp_path, unchanged="data train", data=IDLE, train=IDLE)
    assert reasons(plan) == {"data": None, "train": None, "report": None}


def test_make_plan__what_needs_a_changed_run_runs_though_unchanged(tmp_path: Path) -> None:
    plan = planned(tmp_path, unchanged="train report", data=IDLE, train=IDLE, report=IDLE)
    assert reasons(plan) == {"data": None, "train": None, "report": None}


def test_make_plan__unchanged_is_asked_only_of_runs_that_may_be_skipped(tmp_path: Path) -> None:
    assert reasons(planned(tmp_path, unchanged="data train report"))["report"] is None


def test_only_named__brings_what_it_needs(tmp_path: Path) -> None:
    assert reasons(only_named(planned(tmp_path), ["train"])) == {
        "data": None,
        "train": None,
        "report": "not named here",
    }


def test_only_named__the_table_of_a_glob_names_all_its_runs(tmp_path: Path) -> None:
    _, runs = configured(tmp_path, '[runs.n]\nnotebook = "*.ipynb"\n', a__ipynb="", b__ipynb="")
    plan = make_plan(runs, "default", context(), unchanged=lambda _: None)
    assert [run.name for run in only_named(plan, ["n"]).selected] == ["n.a", "n.b"]
    assert [run.name for run in only_named(plan, ["n.b"]).selected] == ["n.b"]


def test_only_named__keeps_the_event_s_reason(tmp_path: Path) -> None:
    plan = only_named(planned(tmp_path, data='only = { events = ["push"] }'), ["train"])
    assert reasons(plan)["data"] == "event local is not in only.events (push)"


def test_only_named__no_such_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run is called 'trian'") as caught:
        only_named(planned(tmp_path), ["trian"])
    assert caught.value.hint == "There are: data, train, report."
