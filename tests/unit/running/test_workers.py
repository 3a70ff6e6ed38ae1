"""What comes of an execution in its own process, however that ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from fakes.command_line import living
from fakes.executors import DONE, FakeExecutor, job_in
from mlci.plugins.executors.interface import Outcome, Progress
from mlci.process_tree import read
from mlci.running import workers as module
from mlci.running.workers import Workers

TESTS = Path(__file__).parents[2]


@pytest.fixture
def canary() -> str:
    return uuid.uuid4().hex


def until(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not seen():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.02)


def finish(workers: Workers, count: int = 1) -> tuple[list[Progress], list[Outcome]]:
    """Everything that is said until so many have ended."""
    said: list[Progress] = []
    outcomes: list[Outcome] = []
    while len(outcomes) < count:
        for _, event in workers.events(0.1):
            if isinstance(event, Outcome):
                outcomes.append(event)
            else:
                said.append(event)
    return said, outcomes


def outcome_of(executor: FakeExecutor, folder: Path, run_s: float | None = None) -> Outcome:
    with Workers() as workers:
        workers.start(executor, job_in(folder, run_s=run_s)).go()
        return finish(workers)[1][0]


def test_workers__progress_then_the_outcome(tmp_path: Path) -> None:
    with Workers() as workers:
        worker = workers.start(FakeExecutor("tells"), job_in(tmp_path))
        worker.go()
        said, outcomes = finish(workers)
    assert said == [Progress(cell=1, cells=2, text="train: session True\n")]
    assert outcomes == [DONE]
    assert worker.outcome == DONE


def test_workers__nothing_begins_before_go(tmp_path: Path) -> None:
    with Workers() as workers:
        worker = workers.start(FakeExecutor("tells"), job_in(tmp_path))
        assert workers.events(0.5) == []
        worker.go()
        assert finish(workers)[1] == [DONE]


def test_workers__several_at_once(tmp_path: Path) -> None:
    with Workers() as workers:
        for name in ("a", "b"):
            workers.start(FakeExecutor("obeys"), job_in(tmp_path, name)).go()
        until(lambda: all((tmp_path / name / "began").exists() for name in ("a", "b")))
        workers.stop()
        assert [outcome.status for outcome in finish(workers, 2)[1]] == ["cancelled", "cancelled"]


def test_workers__one_that_waits_for_its_turn_can_be_stopped(tmp_path: Path) -> None:
    with Workers() as workers:
        workers.start(FakeExecutor("tells"), job_in(tmp_path)).stop()
        [outcome] = finish(workers)[1]
    assert outcome.error is not None
    assert outcome.error.message == "before go"


def test_workers__a_killed_one_is_a_crash_and_leaves_nothing(tmp_path: Path, canary: str) -> None:
    outcome = outcome_of(FakeExecutor("dies", canary), tmp_path)
    assert outcome.status == "crashed"
    assert outcome.error is not None
    assert (outcome.error.kind, outcome.error.message) == (
        "lost",
        "its worker process was ended by SIGKILL, without a word",
    )
    assert living(CANARY=canary) == []


def test_workers__a_killed_one_takes_no_other_with_it(tmp_path: Path, canary: str) -> None:
    with Workers() as workers:
        workers.start(FakeExecutor("obeys"), job_in(tmp_path, "good")).go()
        until((tmp_path / "good/began").exists)
        workers.start(FakeExecutor("dies", canary), job_in(tmp_path, "bad")).go()
        assert finish(workers)[1][0].status == "crashed"
        assert workers.events(0.3) == []
        assert not (tmp_path / "good/stopped").exists()
    assert (tmp_path / "good/stopped").exists()


def test_workers__one_that_keeps_no_deadline_is_killed(
    tmp_path: Path, canary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_OVERDUE_S", 0.5)
    outcome = outcome_of(FakeExecutor("hangs", canary), tmp_path, run_s=0.5)
    assert (outcome.status, outcome.error and outcome.error.kind) == ("timed-out", "timeout")
    assert living(CANARY=canary) == []


def test_workers__one_that_does_not_stop_is_killed(
    tmp_path: Path, canary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STOP_S", 0.5)
    with Workers() as workers:
        worker = workers.start(FakeExecutor("hangs", canary), job_in(tmp_path))
        worker.go()
        until((tmp_path / "train/began").exists)
    assert worker.outcome is not None
    assert worker.outcome.status == "cancelled"
    assert living(CANARY=canary) == []


@pytest.mark.parametrize(
    ("behaviour", "status", "kind", "said"),
    [
        ("breaks", "failed", "environment", "no such kernel Install it."),
        ("breaks_on_disk", "crashed", "internal", "No space left"),
        ("breaks_oddly", "crashed", "internal", "OddError: odd"),
    ],
)
def test_workers__an_executor_that_raises_ends_its_own_job_only(
    tmp_path: Path, behaviour: str, status: str, kind: str, said: str
) -> None:
    outcome = outcome_of(FakeExecutor(behaviour), tmp_path)
    assert outcome.error is not None
    assert (outcome.status, outcome.error.kind) == (status, kind)
    assert said in outcome.error.message


def test_workers__a_flood_that_nobody_reads_holds_nothing_up_and_loses_its_middle(tmp_path: Path) -> None:
    with Workers() as workers:
        worker = workers.start(FakeExecutor("floods"), job_in(tmp_path))
        worker.go()
        time.sleep(1)
        said, outcomes = finish(workers)
    text = "".join(progress.text for progress in said)
    assert outcomes == [DONE]
    assert text.startswith("first\n")
    assert text.endswith("x\nlast\n")
    assert "left out here: they came faster than they could be shown" in text
    assert len(text) < 20_000_000


def test_workers__steps_in_silence_are_few_messages(tmp_path: Path) -> None:
    with Workers() as workers:
        workers.start(FakeExecutor("hurries"), job_in(tmp_path)).go()
        said, _ = finish(workers)
    assert len(said) < 200
    assert said[-1] == Progress(cell=20_000, cells=20_000)


@pytest.mark.skipif(sys.platform != "linux", reason="parent death signals are Linux's")
def test_workers__mlci_itself_is_killed(tmp_path: Path) -> None:
    program = (
        f"import sys, pathlib\nsys.path.insert(0, {str(TESTS)!r})\n"
        "from fakes.executors import FakeExecutor, job_in\nfrom mlci.running.workers import Workers\n"
        f"workers = Workers().__enter__()\nfolder = pathlib.Path({str(tmp_path)!r})\n"
        "for name in ('a', 'b'):\n    workers.start(FakeExecutor('obeys'), job_in(folder, name)).go()\n"
        "print(*(worker.pid for worker in workers._workers), flush=True)\n"
        "while True:\n    workers.events(1)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as main:
        assert main.stdout is not None
        pids = [int(pid) for pid in main.stdout.readline().split()]
        until(lambda: all((tmp_path / name / "began").exists() for name in ("a", "b")))
        main.send_signal(signal.SIGKILL)
        main.wait()
    until(lambda: all((tmp_path / name / "stopped").exists() for name in ("a", "b")))
    until(lambda: not any(found and found.alive for found in map(read, pids)))


def test_workers__of_a_process_with_threads_are_spawned(
    tmp_path: Path, canary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_single_threaded", lambda: False)
    with Workers() as workers:
        workers.start(FakeExecutor("tells"), job_in(tmp_path, "a")).go()
        workers.start(FakeExecutor("dies", canary), job_in(tmp_path, "b")).go()
        said, outcomes = finish(workers, 2)
    assert said == [Progress(cell=1, cells=2, text="a: session True\n")]
    assert sorted(outcome.status for outcome in outcomes) == ["crashed", "succeeded"]
    assert living(CANARY=canary) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every worker is spawned")
def test_workers__of_a_process_without_threads_are_forked(tmp_path: Path) -> None:
    program = (
        f"import sys, pathlib, time\nsys.path.insert(0, {str(TESTS)!r})\n"
        "from fakes.executors import FakeExecutor, job_in\nfrom mlci.running.workers import Workers\n"
        "with Workers() as workers:\n"
        f"    worker = workers.start(FakeExecutor('tells'), job_in(pathlib.Path({str(tmp_path)!r})))\n"
        "    print(open(f'/proc/{worker.pid}/cmdline').read() == open('/proc/self/cmdline').read())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
