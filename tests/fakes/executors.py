"""Executors that do in a worker process what its tests ask for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlci.core.documents import Failure
from mlci.errors import EnvironmentMissingError
from mlci.plugins.executors.interface import Deadlines, Job, Outcome, Progress
from mlci.process import Cancellation

DONE = Outcome(status="succeeded", duration_s=0.5)


@dataclass(frozen=True)
class FakeExecutor:
    """Behaves as it is told.

    Args:
        behaviour: A method's name.
        canary: A variable for the processes that it starts.
        hasty: Whether it fails before its turn has come.
    """

    behaviour: str
    canary: str = ""
    hasty: bool = False

    def execute(
        self, job: Job, *, progress: Callable[[Progress], None], cancellation: Cancellation, go: Callable[[], None]
    ) -> Outcome:
        """Do it."""
        (job.outputs / "prepared").touch()
        if self.hasty:
            return Outcome(status="failed", duration_s=0.0, error=Failure(kind="environment", message="no kernel"))
        go()
        if cancellation:
            return Outcome(status="cancelled", duration_s=0.0, error=Failure(kind="cancelled", message="before go"))
        outcome: Outcome = getattr(self, self.behaviour)(job, progress, cancellation)
        return outcome

    def tells(self, job: Job, progress: Callable[[Progress], None], _: Cancellation) -> Outcome:
        """Report a cell, and print its own session and name."""
        progress(Progress(cell=1, cells=2, text=f"{job.name}: session {os.getsid(0) == os.getpid()}\n"))
        print("into the void", file=sys.stderr)
        return DONE

    def floods(self, _job: Job, progress: Callable[[Progress], None], _: Cancellation) -> Outcome:
        """Say 50 MB at once."""
        progress(Progress(text="first\n"))
        for _number in range(800):
            progress(Progress(text="x" * 65535 + "\n"))
        progress(Progress(text="last\n"))
        return DONE

    def hurries(self, _job: Job, progress: Callable[[Progress], None], _: Cancellation) -> Outcome:
        """Go through 20,000 cells in silence."""
        for number in range(20_000):
            progress(Progress(cell=number + 1, cells=20_000))
        return DONE

    def dies(self, _job: Job, _progress: Callable[[Progress], None], _: Cancellation) -> Outcome:
        """Leave a child in a session of its own, and be killed."""
        self._child()
        os.kill(os.getpid(), signal.SIGKILL)
        return DONE

    def obeys(self, job: Job, _progress: Callable[[Progress], None], cancellation: Cancellation) -> Outcome:
        """Run until it is told to stop."""
        (job.outputs / "began").touch()
        while not cancellation:
            time.sleep(0.02)
        (job.outputs / "stopped").touch()
        return Outcome(status="cancelled", duration_s=1.0)

    def hangs(self, job: Job, _progress: Callable[[Progress], None], _: Cancellation) -> Outcome:
        """Run on, whatever it is told, with a child."""
        self._child()
        (job.outputs / "began").touch()
        time.sleep(600)
        return DONE

    def breaks(self, _job: Job, _progress: Callable[[Progress], None], _: Cancellation) -> Outcome:
        """Raise an error that a user is meant to see."""
        raise EnvironmentMissingError("no such kernel", hint="Install it.")

    def breaks_on_disk(self, _job: Job, _progress: Callable[[Progress], None], _: Cancellation) -> Outcome:
        """Raise what a broken pipe raises, too."""
        raise OSError(28, "No space left on device")

    def breaks_oddly(self, _job: Job, _progress: Callable[[Progress], None], _: Cancellation) -> Outcome:
        """Raise what no pipe can carry."""

        class OddError(Exception):
            pass

        raise OddError("odd")

    def waits_for_b(self, job: Job, _progress: Callable[[Progress], None], cancellation: Cancellation) -> Outcome:
        """As `a`, run until `b` has been prepared, then fail; as any other, succeed."""
        while job.name == "a" and not (job.outputs.parent / "b/prepared").exists():
            if cancellation:
                return Outcome(status="cancelled", duration_s=1.0)
            time.sleep(0.02)
        (job.outputs / "ran").touch()
        return Outcome(status="failed" if job.name == "a" else "succeeded", duration_s=1.0)

    def _child(self) -> None:
        environ = {"PATH": "/usr/bin:/bin", "CANARY": self.canary}
        subprocess.Popen(["sleep", "600"], env=environ, start_new_session=True)


def job_in(folder: Path, name: str = "train", *, run_s: float | None = None) -> Job:
    """A job of nothing."""
    outputs = folder / name
    outputs.mkdir(parents=True)
    return Job(
        name=name,
        label=name,
        source="train.py",
        cwd=folder,
        environ={},
        outputs=outputs,
        repository=folder,
        deadlines=Deadlines(run_s=run_s),
    )
