"""Every request that a command makes, and everything that can happen to it: the end is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fakes.comparisons import failed, measured
from fakes.github_server import Fault
from fakes.scenes import CONFIG, Scene, record_file, scene, zipped
from mlci.commands.baseline import adopt
from mlci.commands.comment import comment
from mlci.commands.dispatch import dispatch
from mlci.core import marker
from mlci.errors import ForgeError

pytestmark = [pytest.mark.fault]

KINDS: dict[str, dict[str, Any]] = {
    **{kind: {} for kind in ("500", "502", "429", "429-bare", "secondary", "secondary-bare", "primary")},
    "503 three times": {"kind": "503", "times": 3},
    **{kind: {} for kind in ("committed-502", "cut", "dropped", "dropped-committed", "read-only")},
    "slow": {"pause_s": 0.2},
    "empty-body": {"times": 2},
    "stale-list": {"times": 2},
}


def post(team: Scene, run: int = 41, **options: Any) -> None:
    comment(team.project(team.environ(run=run)), team.forge(), **options)


def create(team: Scene) -> None:
    post(team)


def update(team: Scene) -> None:
    post(team, run=42)


def from_run(team: Scene) -> None:
    environ = team.environ("workflow_run", run=77, workflow_run={"id": 41, "event": "pull_request", "run_attempt": 1})
    comment(team.project(environ), team.forge(), from_run="event")


def request(team: Scene) -> None:
    payload: dict[str, Any] = {
        "issue": {"number": 7, "pull_request": {"url": "there"}},
        "comment": {"body": f"/mlci run {team.head}", "user": {"login": "ada"}},
    }
    project = team.project(team.environ("issue_comment", **payload))
    dispatch(project.context, team.forge(), "mlci-requested.yml")


def measure(team: Scene) -> None:
    team.measure(accuracy=0.8)


def measure_and_post(team: Scene) -> None:
    measure(team)
    team.clock.now = 0.0
    post(team)


def fail_with_check_run(team: Scene) -> None:
    team.configure(f"{CONFIG}\n[report]\ncheck-run = true\n")
    team.measure(failed(commit=team.merge))


def leave_artifact(team: Scene) -> None:
    if not team.github.artifacts:
        record = measured(commit=team.merge, metrics={"accuracy": 0.8})
        team.ran(zipped(record__json=record_file(record)), fork=False)


def merge(team: Scene) -> None:
    if not team.github.artifacts:
        team.work.git("switch", "--quiet", "main")
        team.work.git("merge", "--quiet", "--squash", "deeper-trees")
        team.work.git("commit", "--quiet", "--message", "Deeper trees (#7)")
        team.main = team.work.git("rev-parse", "HEAD")
        record = measured(commit=team.merge, metrics={"accuracy": 0.95})
        team.ran(zipped(record__json=record_file(record)), fork=False)
    team.pull.state, team.pull.merged_at, team.pull.merge_commit_sha = "closed", "2024-05-01T12:00:00Z", team.main
    for record_of_merge in (team.work.folder / "baselines").rglob(f"{team.main}.json"):
        record_of_merge.unlink()


def take_over(team: Scene) -> None:
    environ = team.environ("push", run=50, ref="refs/heads/main")
    _, reason = adopt(team.project(environ), team.forge())
    assert reason is None


def register(team: Scene) -> None:
    team.github.workflows.add("mlci-requested.yml")


# name -> (what is there before, the command, how many requests it makes when all goes well)
SCENARIOS: dict[str, tuple[Callable[[Scene], None], Callable[[Scene], None], int]] = {
    "create": (measure, create, 8),
    "update": (measure_and_post, update, 7),
    "check run": (fail_with_check_run, create, 10),
    "from run": (leave_artifact, from_run, 13),
    "dispatch": (register, request, 4),
    "adopt": (merge, take_over, 8),
}
CASES = [
    pytest.param(name, nth, kind, id=f"{name}-{nth}-{kind}", marks=pytest.mark.xdist_group(name))
    for name, (_, _, count) in SCENARIOS.items()
    for nth in range(count)
    for kind in KINDS
]


@pytest.fixture(scope="module")
def teams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Scene]]:
    """One scene a scenario."""
    made: dict[str, Any] = {}

    def of(name: str) -> Scene:
        if name not in made:
            manager = scene(tmp_path_factory.mktemp(name.replace(" ", "-")))
            made[name] = (manager, manager.__enter__())
        team: Scene = made[name][1]
        team.reset()
        SCENARIOS[name][0](team)
        team.clock.now = 0.0
        team.server.arm()
        return team

    yield of
    for manager, _ in made.values():
        manager.__exit__(None, None, None)


@pytest.fixture(scope="module")
def undisturbed(teams: Callable[[str], Scene]) -> Callable[[str], Any]:
    """The end state of each scenario where nothing goes wrong."""
    known: dict[str, Any] = {}

    def of(name: str) -> Any:
        if name not in known:
            team = teams(name)
            SCENARIOS[name][1](team)
            assert len(team.server.requests) - team.server.armed_at == SCENARIOS[name][2], "say the new count above"
            known[name] = state(team)
        return known[name]

    return of


def state(team: Scene) -> Any:
    """All that a command can have changed."""
    stored = sorted(path.name for path in (team.work.folder / "baselines").rglob("*.json"))
    return team.server.snapshot(), stored


def attempt(team: Scene, act: Callable[[Scene], None]) -> bool:
    """Whether the command succeeded, rather than give up with an error of its own."""
    team.clock.now = 0.0
    try:
        act(team)
    except ForgeError:
        return False
    return True


@pytest.mark.parametrize(("name", "nth", "kind"), CASES)
def test_fault__the_end_is_the_same_after_at_most_one_rerun(
    teams: Callable[[str], Scene], undisturbed: Callable[[str], Any], name: str, nth: int, kind: str
) -> None:
    expected = undisturbed(name)
    team = teams(name)
    act = SCENARIOS[name][1]
    fault: dict[str, Any] = {"kind": kind, "nth": nth, **KINDS[kind]}
    team.server.arm(Fault(**fault))
    # What drips is given up in real time.
    team.attempt_s, team.deadline_s = (0.3, 1.0) if kind == "slow" else (5.0, 120.0)
    succeeded = attempt(team, act)
    team.attempt_s, team.deadline_s = 5.0, 120.0
    team.server.arm()
    if state(team) != expected or not succeeded:
        if name == "dispatch" and team.github.dispatches:
            return  # nothing tells whether it arrived: it is said, and a person looks before asking again
        assert attempt(team, act)
    assert state(team) == expected


@pytest.mark.parametrize("nth", range(7))
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("create", "update")]
)
def test_race__a_newer_run_that_posts_in_between_is_not_lost(
    teams: Callable[[str], Scene], name: str, nth: int
) -> None:
    team = teams(name)
    writes = ("POST", "PATCH")
    seen: list[str] = []
    acted: list[bool] = []

    def newer(request: Any) -> None:
        seen.append(request.path)
        if len(seen) == nth + 1 and not (request.method in writes and "statuses" not in request.path):
            team.server.before = None
            acted.append(True)
            team.clock.now = 0.0
            post(team, run=60)

    team.server.before = newer
    post(team, run=42)
    if not acted:
        return  # the write itself: GitHub has no compare-and-swap; the workflows' concurrency closes that gap
    [body] = team.comments
    found = marker.find(body)
    assert found is not None
    assert found.run_id == 60
    assert team.statuses["mlci/main"][0] == "failure"


def test_cases__are_at_least_300() -> None:
    assert len(CASES) >= 300
