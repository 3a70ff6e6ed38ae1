"""A base run that is still going: waited for within a limit, or said; the forge is asked once, and softly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fakes.comparisons import measured
from fakes.github_server import Fault, WorkflowRun
from fakes.scenes import TOKEN, Scene, scene
from mlci.core.comparison import Baseline
from mlci.waiting import NO_WAIT, Wait, settled

URL = "/team/models/actions/runs/50"


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path) as made:
        for file in (made.work.folder / "baselines").rglob("*.json"):
            file.unlink()
        yield made


def main_runs(team: Scene, **fields: Any) -> WorkflowRun:
    """A workflow run measures main, on the merge base of the pull request."""
    given: dict[str, Any] = {
        "id": 50,
        "event": "push",
        "head_sha": team.main,
        "head_branch": "main",
        "status": "in_progress",
    }
    return team.github.workflow_run(**given | fields)


def save(team: Scene) -> None:
    team.project().store.save([measured(commit=team.main, metrics={"accuracy": 0.9})])


@dataclass
class Time:
    """Passes only by waiting; `then` happens once so many seconds have."""

    now: float = 0.0
    then: dict[float, Callable[[], object]] = field(default_factory=dict)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for due in [due for due in self.then if due <= self.now]:
            self.then.pop(due)()

    def wait(self, limit_s: float = 600.0) -> Wait:
        return Wait(limit_s=limit_s, clock=lambda: self.now, sleep=self.sleep)


def baseline(team: Scene, wait: Wait = NO_WAIT) -> Baseline:
    team.said.clear()
    team.server.requests.clear()
    found = settled(team.project(), [measured(commit=team.merge)], wait)
    return found["train"]


def asked(team: Scene) -> list[str]:
    return [request.path.rpartition("/actions")[2] for request in team.server.requests]


@pytest.mark.parametrize("status", ["queued", "in_progress", "waiting", "pending"])
def test_settled__a_run_that_is_going_is_said(team: Scene, status: str) -> None:
    main_runs(team, status=status)
    found = baseline(team)
    assert found.record is None
    said = f"the workflow run of main at {team.main[:7]} is still going: https://github.com{URL}"
    assert str(found.reason).endswith(f"{said}; mlci compare --wait 10m waits for it")
    assert asked(team) == ["/runs"]


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "completed"},
        {"event": "pull_request"},
        {"head_sha": "d" * 40},
        {"id": 41},
    ],
    ids=["ended", "of a pull request", "of another commit", "this very run"],
)
def test_settled__other_runs_are_nothing_to_wait_for(team: Scene, fields: dict[str, Any]) -> None:
    main_runs(team, **fields)
    time = Time()
    assert "still going" not in str(baseline(team, time.wait()).reason)
    assert time.now == 0


def test_settled__a_fork_s_run_on_its_own_main_is_nothing_to_wait_for(team: Scene) -> None:
    main_runs(team, head_repository=team.fork)
    assert "still going" not in str(baseline(team).reason)


@pytest.mark.parametrize(("measures", "going"), [("completed", False), ("queued", True)])
def test_settled__where_the_same_workflow_measures_others_do_not_count(team: Scene, measures: str, going: bool) -> None:
    main_runs(team, id=51, path=".github/workflows/pages.yml")
    main_runs(team, status=measures)
    assert ("still going" in str(baseline(team).reason)) == going


def test_settled__another_workflow_may_measure_where_this_one_does_not(team: Scene) -> None:
    main_runs(team, path=".github/workflows/main.yml")
    assert "still going" in str(baseline(team).reason)


def test_settled__nobody_is_asked_where_there_is_a_record(team: Scene) -> None:
    main_runs(team)
    save(team)
    assert baseline(team).distance == 0
    assert asked(team) == []


def test_settled__nobody_is_asked_for_what_was_skipped(team: Scene) -> None:
    main_runs(team)
    skipped = msgspec.structs.replace(measured(commit=team.merge), status="skipped")
    assert "still going" not in str(settled(team.project(), [skipped])["train"].reason)
    assert asked(team) == []


def test_settled__asking_once_for_several_runs(team: Scene) -> None:
    main_runs(team)
    found = settled(team.project(), [measured(name, commit=team.merge) for name in ("train", "other")])
    assert all("still going" in str(item.reason) for item in found.values())
    assert asked(team) == ["/runs"]


@pytest.mark.parametrize("refusal", ["no permission", "no token", "down"])
def test_settled__nothing_is_said_where_asking_fails(
    team: Scene, refusal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    main_runs(team)
    monkeypatch.setattr("mlci.waiting._ASK_S", 0.1)
    if refusal == "no permission":
        team.github.private = True
        team.server.token(TOKEN, actions="none")
    elif refusal == "no token":
        team.server.tokens.clear()
    else:
        team.server.arm(Fault("503", times=1_000))
    assert "still going" not in str(baseline(team, Time().wait()).reason)
    assert team.said == []


def test_settled__waits_until_the_record_is_there(team: Scene) -> None:
    main_runs(team)
    time = Time(then={130.0: lambda: save(team)})
    found = baseline(team, time.wait())
    assert found.record is not None
    assert (found.distance, found.reason) == (0, None)
    assert time.now == 135
    assert team.said[0].startswith(f"the workflow run of main at {team.main[:7]} is still going: waiting up to 10 min")
    assert [line.rpartition(", ")[2] for line in team.said[1:]] == ["up to 9 min 00 s more", "up to 8 min 00 s more"]


def test_settled__waits_until_the_run_has_ended(team: Scene) -> None:
    run = main_runs(team)

    def end() -> None:
        run.status, run.conclusion = "completed", "failure"

    time = Time(then={20.0: end})
    said = f"the workflow run of main at {team.main[:7]} has ended (failure) without a record"
    assert said in str(baseline(team, time.wait()).reason)
    assert time.now == 30


def test_settled__what_the_run_saved_just_before_its_end_is_seen(team: Scene) -> None:
    run = main_runs(team)

    def end() -> None:
        run.status, run.conclusion = "completed", "success"
        save(team)

    assert baseline(team, Time(then={20.0: end}).wait()).distance == 0


def test_settled__waits_no_longer_than_the_limit(team: Scene) -> None:
    main_runs(team)
    time = Time()
    said = f"the workflow run of main at {team.main[:7]} is still going after 40 s"
    assert said in str(baseline(team, time.wait(40)).reason)
    assert time.now == 40


def test_settled__an_older_record_stands_with_what_is_missing_beside_it(team: Scene) -> None:
    save(team)
    team.work.git("switch", "--quiet", "main")
    newer = team.work.commit()
    main_runs(team, head_sha=newer)
    found = settled(replace(team.project(), base_commit=newer), [measured(commit=team.merge)])["train"]
    assert found.distance == 1
    assert str(found.reason).startswith(f"the workflow run of main at {newer[:7]} is still going")
