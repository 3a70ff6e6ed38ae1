"""The inside of a worker process: executes one job, tells mlci how it goes, and outlives neither job nor mlci."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from multiprocessing.connection import Connection

from mlci.core.documents import Failure
from mlci.errors import MlciError
from mlci.plugins.executors.interface import Executor, Job, Outcome, Progress
from mlci.process import Cancellation
from mlci.process_tree import become_subreaper
from mlci.running.excerpt import Excerpt

STOPS = (signal.SIGINT, signal.SIGTERM)
GO = b"go"
BEGUN = "begun"
_MAX_MESSAGE = 500
_PERIOD_S = 0.1  # of progress
_PIECE = 64 * 1024
_MAX_UNSENT = 2 * 1024 * 1024  # characters of text that wait for a slow reader
_PR_SET_PDEATHSIG = 1

mains: set[Connection] = set()  # mlci's ends of all pipes: a forked worker holds none of them open


def work(executor: Executor, job: Job, connection: Connection, main: int) -> None:
    """Execute `job`, said over `connection`; never returns.

    Args:
        executor: What executes it.
        job: What to execute.
        connection: Receives `GO`; `BEGUN`, progress, and at last an Outcome, are sent.
        main: The process of mlci, which blocks `STOPS` while it starts this one.
    """
    cancellation = Cancellation()
    with cancellation.listening():
        _detach(main, cancellation)
        line = _Line(connection, cancellation)
        try:
            said = executor.execute(job, progress=line.progress, cancellation=cancellation, go=line.wait_for_go)
        except Exception as error:
            said = _failed(error)
        line.close(said)
    os._exit(0)


def _detach(main: int, cancellation: Cancellation) -> None:
    """Live in a session of one's own, silently, and end with mlci, however that ends."""
    while mains:
        mains.pop().close()
    os.setsid()
    become_subreaper()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != main:
        cancellation.set()
    # What a library says here would stand between the lines of mlci's own commentary.
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)


def _failed(error: Exception) -> Outcome:
    """The outcome of a job whose executor has raised: other jobs go on."""
    if isinstance(error, MlciError):
        hint = f" {error.hint}" if error.hint else ""
        failure = Failure(kind="environment", message=f"{error.message}{hint}")
        return Outcome(status="failed", duration_s=0.0, error=failure)
    failure = Failure(
        kind="internal",
        message=f"mlci itself has failed here: {type(error).__name__}: {error}"[:_MAX_MESSAGE].replace("\n", " "),
        traceback="".join(traceback.format_exception(error)),
    )
    return Outcome(status="crashed", duration_s=0.0, error=failure)


class _Line:
    """Both directions of the pipe, each with a thread: no reader, however slow, holds the job up."""

    def __init__(self, connection: Connection, cancellation: Cancellation) -> None:
        self._connection, self._cancellation = connection, cancellation
        self._changed = threading.Condition()
        self._saying = threading.Lock()
        self._go = threading.Event()
        self._ready: list[Progress] = []
        self._excerpt: Excerpt[Progress] = Excerpt(_MAX_UNSENT)
        self._last: Outcome | None = None
        self._sender = threading.Thread(target=self._send, daemon=True)
        self._sender.start()
        threading.Thread(target=self._listen, daemon=True).start()

    def wait_for_go(self) -> None:
        """Block until it is this job's turn, or it is told to stop."""
        while not self._cancellation:
            if self._go.wait(0.05):
                with contextlib.suppress(OSError):  # mlci is gone, which `_listen` finds
                    self._say(BEGUN)
                return

    def progress(self, progress: Progress) -> None:
        """Have this sent soon, in one message with what comes close to it."""
        pieces = [progress.text[start : start + _PIECE] for start in range(0, len(progress.text), _PIECE)] or [""]
        with self._changed:
            for text in pieces:
                piece = replace(progress, text=text)
                if not text and self._ready and not self._ready[-1].text and not self._excerpt.tail:
                    self._ready[-1] = piece
                elif self._excerpt.add(piece, len(text)):
                    self._ready.append(piece)
            self._changed.notify()

    def close(self, said: Outcome) -> None:
        """Send what is still unsent and the last word, and wait until it is taken."""
        with self._changed:
            self._last = said
            self._changed.notify()
        self._sender.join()

    def _send(self) -> None:
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._last or self._ready or self._excerpt.tail)
                    pieces, last = self._taken(), self._last
                for piece in _merged(pieces):
                    self._say(piece)
                if last:
                    self._say(last)
                    return
                with self._changed:
                    self._changed.wait_for(lambda: self._last, timeout=_PERIOD_S)
        except OSError:  # mlci is gone
            self._cancellation.set()

    def _say(self, message: object) -> None:
        with self._saying:
            self._connection.send(message)

    def _taken(self) -> list[Progress]:
        taken, excerpt = self._ready, self._excerpt
        self._ready, self._excerpt = [], Excerpt(_MAX_UNSENT)
        if excerpt.omitted:
            said = f"\n[{excerpt.omitted} characters left out here: they came faster than they could be shown]\n"
            taken.append(replace(excerpt.tail[0], text=said))
        return [*taken, *excerpt.tail]

    def _listen(self) -> None:
        try:
            while self._connection.recv_bytes() == GO:
                self._go.set()
        except (EOFError, OSError):  # mlci is gone
            self._cancellation.set()


def _merged(pieces: list[Progress]) -> Iterator[Progress]:
    """The same with one piece a place."""
    for _, group in groupby(pieces, key=lambda piece: (piece.cell, piece.cells)):
        same = list(group)
        yield replace(same[-1], text="".join(piece.text for piece in same))
