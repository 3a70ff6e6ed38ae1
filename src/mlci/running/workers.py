"""One worker process an execution: whatever happens to it, mlci lives to say so, and nothing of it is left."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import ForkContext, SpawnContext
from pathlib import Path
from types import TracebackType
from typing import Any

from mlci.core.documents import Failure, Outputs, Status
from mlci.plugins.executors.interface import Executor, Job, Outcome, Progress
from mlci.plugins.executors.log import LOG
from mlci.process import signal_name
from mlci.process_tree import Key, Tree, become_subreaper, children, oom_kills, read
from mlci.running.working import BEGUN, GO, STOPS, mains, work

_OVERDUE_S = 15.0  # beyond the job's own deadline, which the worker keeps
_STOP_S = 6.0  # for what a worker does when it is told to stop
_AT_ONCE = 100  # messages of one worker before the others' are read

Event = Progress | Outcome


class Worker:
    """One execution in its process, seen from mlci."""

    outcome: Outcome | None = None

    def __init__(self, executor: Executor, job: Job, context: ForkContext | SpawnContext) -> None:
        self.job = job
        self.connection, theirs = context.Pipe()
        mains.add(self.connection)
        self._process = context.Process(target=work, args=(executor, job, theirs, os.getpid()), name=job.label)
        self._oom_kills = oom_kills()
        self._began: float | None = None
        self._deadline: float | None = None
        self._stopped = self._killed = False
        with _held():
            self._process.start()
        theirs.close()
        self.pid = self._process.pid or 0

    @property
    def sentinel(self) -> int:
        """Becomes readable when the process ends."""
        return self._process.sentinel

    def go(self) -> None:
        """Say that its turn has come."""
        self._began = time.monotonic()
        with contextlib.suppress(OSError):  # it is gone, which `read` finds
            self.connection.send_bytes(GO)

    def stop(self) -> None:
        """Tell it to end its job and say what came of it; once."""
        if not self._stopped and self.outcome is None:
            self._stopped = True
            self._deadline = time.monotonic() + _STOP_S
            self._signal(signal.SIGTERM)

    def read(self) -> list[Event]:
        """What it has said; the outcome comes last."""
        said: list[Any] = []
        if self._deadline is not None and time.monotonic() >= self._deadline and not self._killed:
            self._killed = True
            self._signal(signal.SIGKILL)
        ended = not self._process.is_alive()  # asked first: then all that it ever said is in the pipe
        try:
            while (ended or len(said) < _AT_ONCE) and self.connection.poll():
                message = self.connection.recv()
                if message == BEGUN:
                    self._begin()
                    continue
                said.append(message)
                if isinstance(message, Outcome):
                    break
        except (EOFError, OSError):
            ended = True
        if said and isinstance(said[-1], Outcome):
            self.outcome = said[-1]
        if ended and self.outcome is None:
            self.outcome = self._unsaid()
            said.append(self.outcome)
        return said

    def close(self) -> None:
        """Wait for the end of the process, which has no more to say."""
        self._process.join(timeout=1)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        mains.discard(self.connection)
        self.connection.close()

    def _begin(self) -> None:
        """The job's clock runs from now on: what could be done before its turn is done."""
        self._began = time.monotonic()
        if self.job.deadlines.run_s is not None and not self._stopped:
            self._deadline = self._began + self.job.deadlines.run_s + _OVERDUE_S

    def _signal(self, number: signal.Signals) -> None:
        if self._process.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _unsaid(self) -> Outcome:
        """The outcome of a worker that ended without a word."""
        self._process.join(timeout=1)
        status: Status = "crashed"
        if self._stopped:
            status, kind, message = "cancelled", "cancelled", "mlci was told to stop, and this had to be killed"
        elif self._killed:
            limit = f"{self.job.deadlines.run_s:g} s"
            status, kind, message = "timed-out", "timeout", f"still running {_OVERDUE_S:g} s after {limit}, and killed"
        elif self._process.exitcode == -signal.SIGKILL and oom_kills() > self._oom_kills:
            kind, message = "out-of-memory", "the system killed its worker process: out of memory"
        else:
            kind, message = "lost", f"its worker process {_ended(self._process.exitcode)}, without a word"
        return Outcome(
            status=status,
            duration_s=time.monotonic() - self._began if self._began is not None else 0.0,
            error=Failure(kind=kind, message=message),
            outputs=Outputs(log=LOG if (self.job.outputs / LOG).is_file() else None),
        )


class Workers:
    """All workers; when the block ends there are none, and nothing that they started."""

    def __init__(self) -> None:
        self._workers: list[Worker] = []
        self._known: set[Key] = set()

    def __enter__(self) -> Workers:
        become_subreaper()
        self._known = children()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()
        while self._workers:
            self.events(0.1)

    def start(self, executor: Executor, job: Job) -> Worker:
        """Start a worker; it waits where its executor calls `go` until `Worker.go`."""
        # A fork of a process with threads may inherit locks that nobody will ever open.
        context = multiprocessing.get_context("fork") if _single_threaded() else self._spawning()
        worker = Worker(executor, job, context)
        self._workers.append(worker)
        self.spare(worker.pid)
        return worker

    def spare(self, pid: int) -> None:
        """Tell a child of mlci from what a worker has left behind."""
        found = read(pid)
        if found:
            self._known.add(found.key)

    def stop(self) -> None:
        """Tell all to stop."""
        for worker in self._workers:
            worker.stop()

    def events(self, within_s: float) -> list[tuple[Worker, Event]]:
        """What the workers say within a time, as soon as one says something."""
        wait([item for worker in self._workers for item in (worker.connection, worker.sentinel)], within_s)
        found: list[tuple[Worker, Event]] = []
        for worker in list(self._workers):
            found += [(worker, event) for event in worker.read()]
            if worker.outcome:
                self._end(worker)
        return found

    def _spawning(self) -> SpawnContext:
        before = children()
        resource_tracker.ensure_running()  # a process that multiprocessing wants for whatever is spawned
        self._known |= children() - before
        return multiprocessing.get_context("spawn")

    def _end(self, worker: Worker) -> None:
        worker.close()
        self._workers.remove(worker)
        # What its job started came to it; and what it left, as when it was killed, came to mlci.
        Tree(worker.pid, strangers=self._known).end_leftovers()


@contextlib.contextmanager
def _held() -> Iterator[None]:
    """Signals that ask to stop wait: a new process takes them only when it can tell what they mean."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _single_threaded() -> bool:
    return sys.platform == "linux" and len(list(Path("/proc/self/task").iterdir())) == 1


def _ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was ended by {signal_name(-code)}"
    return f"ended with status {code}"
