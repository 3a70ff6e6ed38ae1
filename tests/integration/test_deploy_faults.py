"""Every request and every call of a target that deploying makes, and everything that can happen to it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from fakes.deploying import Deployers, Killed, Killer, deployers
from fakes.github_server import Fault
from mlci.commands.promote import promote
from mlci.commands.rollback import rollback
from mlci.errors import DeployError, ForgeError, VerifyError
from mlci.releasing.deploying import deploy
from mlci.releasing.fetching import fetch
from mlci.releasing.models import find_model

pytestmark = [pytest.mark.fault, pytest.mark.slow]

KINDS: dict[str, dict[str, Any]] = {
    # Each kind of limit, and each status, is told apart in test_faults.py; here it is what a command does after one.
    **{kind: {} for kind in ("500", "502", "429", "429-bare", "primary")},
    "503 three times": {"kind": "503", "times": 3},
    **{kind: {} for kind in ("committed-502", "cut", "dropped", "dropped-committed", "read-only")},
    "slow": {"pause_s": 0.2},
    "stale-list": {"times": 2},
}


def deploying(team: Deployers, switch: str | None = None) -> None:
    project, place, forge = team.opened()
    found = fetch(project, forge, tag="churn@v2.0.0" if forge else None)
    deploy(project, place, found, find_model(project, "churn"), forge=forge, switch=switch)


def at_once(team: Deployers) -> None:
    deploying(team, "immediately")


def promoting(team: Deployers) -> None:
    project, place, forge = team.opened()
    promote(project, place, forge=forge)


def taking_back(team: Deployers) -> None:
    project, place, forge = team.opened()
    with pytest.raises(VerifyError, match=r"3 of 100 .*|production serves v1\.1\.0"):
        promote(project, place, forge=forge)


def going_back(team: Deployers) -> None:
    project, place, forge = team.opened()
    rollback(project, place, find_model(project, "churn"), forge=forge)


def ready(team: Deployers) -> None:
    """Version v1.1.0 is served, v1.0.0 was before; v2.0.0 is in staging, and lies here on a laptop."""
    team.serve("v1.0.0")
    team.serve("v1.1.0")
    team.stage("v2.0.0", "staging")
    if team.server is None:
        team.lay("v2.0.0")


def uploaded(team: Deployers) -> None:
    ready(team)
    deploying(team)
    team.verify()


def switched_and_wrong(team: Deployers) -> None:
    ready(team)
    at_once(team)
    team.verify(passed=False, reason="3 of 100 golden examples differ")


@dataclass(frozen=True)
class Scenario:
    """What is there before, the command, and when all goes well its requests, its calls of the forge and the target."""

    before: Callable[[Deployers], None]
    act: Callable[[Deployers], None]
    requests: int
    forge: int
    target: int


SCENARIOS = {
    "deploy": Scenario(ready, deploying, requests=13, forge=10, target=2),
    "deploy at once": Scenario(ready, at_once, requests=13, forge=10, target=3),
    "promote": Scenario(uploaded, promoting, requests=8, forge=8, target=2),
    "take back": Scenario(switched_and_wrong, taking_back, requests=3, forge=3, target=2),
    "roll back": Scenario(ready, going_back, requests=12, forge=12, target=2),
}


def group(name: str, hosted: bool) -> pytest.MarkDecorator:
    return pytest.mark.xdist_group(f"deploy faults {name} {hosted}")


DOWNLOADS = (2, 4, 6)  # of a deployment: a body of that size would take minutes to drip
FAULTS = [
    pytest.param(name, nth, kind, id=f"{name}-{nth}-{kind}", marks=group(name, hosted=True))
    for name, scenario in SCENARIOS.items()
    for nth in range(scenario.requests)
    for kind in KINDS
    # At once it is the same requests.
    if name != "deploy at once" and not (name == "deploy" and nth in DOWNLOADS and kind == "slow")
]
KILLS = [
    pytest.param(name, hosted, nth, late, id=f"{name}-{hosted}-{nth}-{late}", marks=group(name, hosted))
    for name, scenario in SCENARIOS.items()
    for hosted in (True, False)
    for nth in range(scenario.target + (scenario.forge if hosted else 0))
    for late in (False, True)
]
REFUSALS = [
    pytest.param(name, hosted, nth, late, id=f"{name}-{hosted}-{nth}-{late}", marks=group(name, hosted))
    for name, scenario in SCENARIOS.items()
    for hosted in (True, False)
    for nth in range(scenario.target)
    for late in (False, True)
]


@pytest.fixture(scope="module")
def teams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, bool], Deployers]]:
    """One team a scenario, with a GitHub and without; each time it is asked for all is as it was before the command."""
    made: dict[tuple[str, bool], Deployers] = {}

    def of(name: str, hosted: bool) -> Deployers:
        if (name, hosted) not in made:
            folder = tmp_path_factory.mktemp(name.replace(" ", "-"))
            team = made[name, hosted] = stack.enter_context(deployers(folder, hosted=hosted))
            SCENARIOS[name].before(team)
            team.keep()
        made[name, hosted].restore()
        return made[name, hosted]

    with ExitStack() as stack:
        yield of


@pytest.fixture(scope="module")
def undisturbed(teams: Callable[[str, bool], Deployers]) -> Callable[[str, bool], Any]:
    """The end state of each scenario where nothing goes wrong."""
    known: dict[tuple[str, bool], Any] = {}

    def of(name: str, hosted: bool) -> Any:
        if (name, hosted) not in known:
            team = teams(name, hosted)
            began = len(team.server.requests) if team.server else 0
            SCENARIOS[name].act(team)
            assert team.killer.calls == SCENARIOS[name].target + (SCENARIOS[name].forge if hosted else 0), (
                "say it above"
            )
            if team.server:
                assert len(team.server.requests) - began == SCENARIOS[name].requests, "say the new count above"
            known[name, hosted] = team.state()
        return known[name, hosted]

    return of


def last_words(state: Any) -> Any:
    """A state in which only the last thing said of each deployment counts."""
    there, *rest = state
    if "team/models" in there:
        here = there["team/models"]
        there = {"team/models": here | {"deployments": [(*item[:4], item[4][-1:]) for item in here["deployments"]]}}
    return there, *rest


@pytest.mark.parametrize(("name", "nth", "kind"), FAULTS)
def test_request__whatever_happens_the_end_is_the_same_after_at_most_one_rerun(
    teams: Callable[[str, bool], Deployers], undisturbed: Callable[[str, bool], Any], name: str, nth: int, kind: str
) -> None:
    expected = undisturbed(name, True)
    team = teams(name, True)
    act = SCENARIOS[name].act
    assert team.server is not None
    fault: dict[str, Any] = {"kind": kind, "nth": nth, **KINDS[kind]}
    team.server.arm(Fault(**fault))
    team.attempt_s = 0.3 if kind == "slow" else 5.0  # what drips is given up in real time
    try:
        act(team)
        succeeded = True
    except ForgeError:
        succeeded = False
    team.server.arm()
    if not succeeded or team.state() != expected:
        act(team)
    assert team.state() == expected


@pytest.mark.parametrize(("name", "hosted", "nth", "late"), KILLS)
def test_kill__before_or_after_any_call_and_run_again_the_end_is_the_same(
    teams: Callable[[str, bool], Deployers],
    undisturbed: Callable[[str, bool], Any],
    name: str,
    hosted: bool,
    nth: int,
    late: bool,
) -> None:
    expected = undisturbed(name, hosted)
    team = teams(name, hosted)
    team.killer = Killer(at=nth, late=late)
    with pytest.raises(Killed):
        SCENARIOS[name].act(team)
    team.killer = Killer()
    SCENARIOS[name].act(team)
    assert team.state() == expected


@pytest.mark.parametrize(("name", "hosted", "nth", "late"), REFUSALS)
def test_refusal__of_the_target_and_run_again_the_end_is_the_same(
    teams: Callable[[str, bool], Deployers],
    undisturbed: Callable[[str, bool], Any],
    name: str,
    hosted: bool,
    nth: int,
    late: bool,
) -> None:
    expected = undisturbed(name, hosted)
    team = teams(name, hosted)
    team.killer = Killer(at=nth, late=late, kind="target", error=DeployError("the disk is full"))
    with pytest.raises(DeployError, match="the disk is full"):
        SCENARIOS[name].act(team)
    if team.server and name != "take back":
        assert [item.statuses[-1].state for item in team.github.deployments.values()][-1:] in (["failure"], [])
    team.killer = Killer()
    SCENARIOS[name].act(team)
    assert last_words(team.state()) == last_words(expected)


@pytest.mark.parametrize("switch", ["after-verification", "immediately"])
@pytest.mark.parametrize("nth", [pytest.param(nth, marks=group("deploy", hosted=True)) for nth in range(23)])
def test_kill__and_every_job_again_on_new_machines_the_end_is_the_same(
    teams: Callable[[str, bool], Deployers], nth: int, switch: str
) -> None:
    team = teams("deploy", True)

    def pipeline() -> None:
        deploying(team, switch)
        team.verify()
        promoting(team)

    team.killer = Killer(at=nth)
    try:
        pipeline()
    except Killed:
        shutil.rmtree(team.work.folder / ".mlci", ignore_errors=True)
        team.killer = Killer()
        pipeline()
    assert team.served == "v2.0.0"
    assert [name for name in team.tags if "#production" in name] == [f"churn#production#{n}" for n in (1, 2, 4)]
    assert team.document["previous"] == "v1.1.0"
    [(_, states)] = team.states
    assert states[-1] == "success"


def test_faults__are_at_least_600() -> None:
    assert len(FAULTS) + len(KILLS) + len(REFUSALS) >= 600
