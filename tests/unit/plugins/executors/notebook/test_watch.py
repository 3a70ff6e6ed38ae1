"""When a kernel must stop, by a clock of the test's; and what a real process is then sent, in which order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from mlci.plugins.executors.interface import Deadlines
from mlci.plugins.executors.notebook import watch as module
from mlci.plugins.executors.notebook.kernel import Kernel
from mlci.plugins.executors.notebook.watch import Watch

# Says which signals it gets, and ends of none of them.
STUBBORN = """
import signal, time
for number in (signal.SIGINT, signal.SIGABRT):
    signal.signal(number, lambda number, _: print(signal.Signals(number).name, flush=True))
print("ready", flush=True)
while True: time.sleep(600)
"""


@dataclass
class Clock:
    """Goes when it is told to."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


class Stubborn:
    """A kernel whose process only a kill ends."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.kernel = Kernel(
            SimpleNamespace(
                provisioner=SimpleNamespace(pid=self.process.pid),
                interrupt_kernel=lambda: os.killpg(self.process.pid, signal.SIGINT),
            )
        )
        assert self.said() == "ready"

    def said(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()


@pytest.fixture
def stubborn() -> Iterator[Stubborn]:
    made = Stubborn()
    yield made
    made.process.kill()
    made.process.communicate()


def watch(clock: Clock, **options: Any) -> Watch:
    deadlines = Deadlines(**{name: options.pop(name) for name in ("run_s", "cell_s", "silence_s") if name in options})
    made = Watch(deadlines, **options)
    clock.now += 5  # until the kernel was ready
    made.begin()
    made.begin_cell()
    return made


def stops(watched: Watch) -> bool:
    """Whether no further cell may start, as it is now."""
    return watched.stopping


@pytest.mark.parametrize(
    ("limit", "reason", "said"),
    [
        ("run_s", "run", "still running after 10 s"),
        ("cell_s", "cell", "the cell was still running after 10 s"),
        ("silence_s", "silence", "silent for 10 s: no output and no CPU use"),
    ],
)
def test_stopping__at_the_deadline_and_not_before(clock: Clock, limit: str, reason: str, said: str) -> None:
    made = watch(clock, **{limit: 10.0})
    clock.now += 9.9
    assert not stops(made)
    clock.now += 0.2
    assert stops(made)
    assert (made.reason, made.describe()) == (reason, said)


def test_stopping__without_deadlines_never(clock: Clock) -> None:
    made = watch(clock)
    clock.now += 1e6
    assert not stops(made)


def test_stopping__when_mlci_is_told_to(clock: Clock) -> None:
    told = [False]
    made = watch(clock, cancelled=lambda: told[0], run_s=10.0)
    assert not stops(made)
    told[0] = True
    clock.now += 11
    assert stops(made)
    assert (made.reason, made.describe()) == ("cancelled", "mlci was told to stop")


def test_stopping__the_first_reason_stays(clock: Clock) -> None:
    made = watch(clock, cell_s=10.0, run_s=20.0)
    clock.now += 11
    assert stops(made)
    clock.now += 11
    assert stops(made)
    assert made.reason == "cell"


def test_begin_cell__another_cell_has_the_time_of_a_cell_not_of_the_run(clock: Clock) -> None:
    made = watch(clock, cell_s=10.0, silence_s=10.0, run_s=15.0)
    clock.now += 9
    made.begin_cell()
    clock.now += 5
    assert not stops(made)
    clock.now += 2
    assert stops(made)
    assert made.reason == "run"


@pytest.mark.parametrize("sign", ["heard", "active"])
def test_stopping__a_sign_of_life_breaks_the_silence(clock: Clock, sign: str) -> None:
    active = [0.0]
    made = watch(clock, silence_s=10.0, last_active=lambda: active[0])
    clock.now += 9
    if sign == "heard":
        assert made.heard() == clock.now
    else:
        active[0] = clock.now
    clock.now += 9
    assert not stops(made)
    clock.now += 2
    assert stops(made)


def test_pause__never_longer_than_what_is_waited_for(clock: Clock) -> None:
    assert watch(clock).pause == watch(clock, run_s=10.0).pause == 0.2
    assert watch(clock, run_s=0.1).pause == 0.1
    assert watch(clock, run_s=1.0, cell_s=0.05).pause == 0.05


def test_look__interrupt_then_stacks_then_kill(clock: Clock, stubborn: Stubborn) -> None:
    made = watch(clock, cell_s=10.0)
    made.look(stubborn.kernel)
    clock.now += 10
    made.look(stubborn.kernel)
    assert stubborn.said() == "SIGINT"
    clock.now += 1.9
    made.look(stubborn.kernel)  # it still has time
    clock.now += 0.2
    made.look(stubborn.kernel)
    assert stubborn.said() == "SIGABRT"
    assert stubborn.process.poll() is None
    clock.now += 1.1
    made.look(stubborn.kernel)
    assert made.killed
    assert stubborn.process.wait() == -signal.SIGKILL
    assert stubborn.said() == ""  # nothing came between


def test_look__a_cancellation_asks_for_no_stacks(clock: Clock, stubborn: Stubborn) -> None:
    made = watch(clock, cancelled=lambda: True)
    made.look(stubborn.kernel)
    assert stubborn.said() == "SIGINT"
    clock.now += 2.1
    made.look(stubborn.kernel)
    assert stubborn.process.wait() == -signal.SIGKILL
    assert stubborn.said() == ""
