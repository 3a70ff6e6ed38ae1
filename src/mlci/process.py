"""The one place that starts processes: short ones captured, long ones supervised as a whole tree."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlci.process_tree import MARKER, POLL_S, Tree, active, become_subreaper, oom_kills, starting

_SAMPLE_S = 0.2  # the meter's period; a kernel with few processes costs it about 1 ms

# What a child of mlci must not see: tokens and the files through which a step talks to its runner.
_CI_VARIABLES = (
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "GITHUB_ENV",
    "GITHUB_OUTPUT",
    "GITHUB_PATH",
    "GITHUB_STEP_SUMMARY",
    "GITHUB_STATE",
)
_CI_PREFIXES = ("ACTIONS_", "INPUT_", "MLCI_GITHUB_")
_MAY_PASS = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")


def child_environ(
    environ: Mapping[str, str], *, extra: Mapping[str, str] | None = None, pass_env: Sequence[str] = ()
) -> dict[str, str]:
    """The environment of a user's process: `environ` without tokens and runner files, plus `extra`.

    Args:
        environ: mlci's own environment.
        extra: Variables to set.
        pass_env: Names that a run asked for; of the withheld ones only the OIDC request variables are given.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if (name in pass_env and name in _MAY_PASS) or not (name in _CI_VARIABLES or name.startswith(_CI_PREFIXES))
    }
    return {**kept, **(extra or {})}


@dataclass(frozen=True)
class Completed:
    """A finished short process."""

    returncode: int
    stdout: bytes
    stderr: bytes


def capture(
    argv: Sequence[str],
    *,
    cwd: Path,
    environ: Mapping[str, str],
    stdin: bytes | None = None,
    timeout_s: float | None = None,
) -> Completed:
    """Run a short process to its end and keep what it printed.

    Raises:
        FileNotFoundError: The program does not exist.
        subprocess.TimeoutExpired: It took longer than `timeout_s`; it was killed.
    """
    done = subprocess.run(
        list(argv),
        cwd=cwd,
        env=dict(environ),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        timeout=timeout_s,
        check=False,
    )
    return Completed(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Exit:
    """How a supervised process tree ended."""

    returncode: int  # negative: ended by that signal
    duration_s: float
    cpu_s: float
    peak_memory_bytes: int
    timed_out: bool = False
    cancelled: bool = False
    out_of_memory: bool = False
    leftovers: int = 0  # processes that outlived the root and were ended


@dataclass(frozen=True)
class StopStep:
    """One step of ending a tree politely: send `signal`, wait up to `grace_s`."""

    signal: int
    grace_s: float


# SIGINT first, so that Python shows where it was.
POLITE_STOP = (StopStep(signal.SIGINT, 2.0), StopStep(signal.SIGTERM, 1.0))


class Cancellation:
    """Set by SIGINT and SIGTERM while `listening`; everything long polls it."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Ask everything under way to stop."""
        self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set()

    @contextlib.contextmanager
    def listening(self) -> Iterator[Cancellation]:
        """Turn SIGINT and SIGTERM into `set()`, in the main thread, until the block ends."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        previous = {number: signal.signal(number, lambda *_: self.set()) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def supervise(
    argv: Sequence[str],
    *,
    cwd: Path,
    environ: Mapping[str, str],
    on_output: Callable[[bytes], None],
    timeout_s: float | None = None,
    cancellation: Cancellation | None = None,
    stop: Sequence[StopStep] = POLITE_STOP,
    meter_root: bool = True,
    stdin: bytes = b"",
) -> Exit:
    """Run a process in a session of its own, meter its tree, and leave nothing of the tree behind.

    Args:
        argv: Program and arguments.
        cwd: Working directory.
        environ: The whole environment.
        on_output: Receives stdout and stderr, merged, in chunks, from another thread.
        timeout_s: Wall-clock deadline; at it the tree is stopped and `timed_out` is set.
        cancellation: Polled; when set the tree is stopped and `cancelled` is set.
        stop: The polite steps before the tree is killed.
        meter_root: Whether the root itself counts in CPU and memory.
        stdin: What the root reads, from an unnamed file; nothing by default.

    Raises:
        OSError: The program cannot be started.
    """
    become_subreaper()
    marker = uuid.uuid4().hex
    kills_before = oom_kills()
    start = time.monotonic()
    with tempfile.TemporaryFile() as given, starting:
        given.write(stdin)
        given.seek(0)
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env={**environ, MARKER: marker},
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        active.add(process.pid)
    reader = threading.Thread(target=_pump, args=(process, on_output), daemon=True)
    reader.start()
    tree = Tree(process.pid, marker, meter_root=meter_root)
    timed_out = cancelled = False
    try:
        pause = POLL_S
        while not _ended(process, tree, within_s=pause):
            # Short processes are metered as well: often at first, then at the meter's period.
            pause = min(2 * pause, _SAMPLE_S)
            if cancellation:
                cancelled = True
            elif timeout_s is not None and time.monotonic() - start >= timeout_s:
                timed_out = True
            if cancelled or timed_out:
                _stop(process, tree, stop)
                break
    finally:
        leftovers = tree.end_leftovers()
        if process.returncode is None:
            process.kill()
            process.wait()
        reader.join(timeout=5)
    return Exit(
        returncode=process.returncode,
        duration_s=time.monotonic() - start,
        cpu_s=tree.cpu_s,
        peak_memory_bytes=tree.peak_memory_bytes,
        timed_out=timed_out,
        cancelled=cancelled,
        out_of_memory=oom_kills() > kills_before,
        leftovers=leftovers,
    )


def _pump(process: subprocess.Popen[bytes], on_output: Callable[[bytes], None]) -> None:
    assert process.stdout is not None  # noqa: S101 - opened as a pipe above
    with process.stdout as stdout:
        while chunk := os.read(stdout.fileno(), 65536):
            on_output(chunk)


def _ended(process: subprocess.Popen[bytes], tree: Tree, within_s: float) -> bool:
    """Wait up to `within_s` for the root to end, then take a sample of the tree."""
    deadline = time.monotonic() + within_s
    while not tree.reap_root(process):
        if time.monotonic() >= deadline:
            tree.sample()
            return False
        time.sleep(POLL_S)
    return True


def _stop(process: subprocess.Popen[bytes], tree: Tree, steps: Sequence[StopStep]) -> None:
    for step in steps:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, step.signal)
        if _ended(process, tree, within_s=step.grace_s):
            return
    tree.kill_root(process)
