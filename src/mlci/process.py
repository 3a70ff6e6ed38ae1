"""The one place that starts processes: short ones captured, long ones supervised as a whole tree."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlci.core.documents import Resources
from mlci.metering import Meter
from mlci.process_root import AT_CANCELLATION, AT_DEADLINE, Root
from mlci.process_tree import Tree, become_subreaper, children, oom_kills

_POLL_S = 0.1  # how soon a deadline or a request to stop is noticed

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


def begin(argv: Sequence[str], *, cwd: Path, environ: Mapping[str, str], timeout_s: float) -> Callable[[], Completed]:
    """Start a short process that reads nothing, and go on meanwhile; the value waits for its end, raising as `capture`.

    Raises:
        FileNotFoundError: The program does not exist.
    """
    started = subprocess.Popen(
        list(argv),
        cwd=cwd,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )

    def wait() -> Completed:
        with started:
            try:
                stdout, stderr = started.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                started.kill()
                raise
        return Completed(started.returncode, stdout, stderr)

    return wait


@dataclass(frozen=True)
class Exit:
    """How a supervised process tree ended."""

    returncode: int  # negative: ended by that signal
    duration_s: float
    resources: Resources
    timed_out: Literal["run", "silence"] | None = None  # which deadline it was
    cancelled: bool = False
    out_of_memory: bool = False
    leftovers: int = 0  # processes that outlived the root and were ended


def signal_name(number: int) -> str:
    """What people call a signal."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class Cancellation:
    """Set by SIGINT and SIGTERM while `listening`; everything long polls it."""

    def __init__(self) -> None:
        # No lock: a second signal may come within the handler of the first.
        self._asked = False

    def set(self) -> None:
        """Ask everything under way to stop."""
        self._asked = True

    def __bool__(self) -> bool:
        return self._asked

    @contextlib.contextmanager
    def listening(self, *, last: bool = False) -> Iterator[Cancellation]:
        """Turn SIGINT and SIGTERM into `set()`, in the main thread, until the block ends.

        Args:
            last: Once asked to stop, mlci is about to end by itself: who asks again does not cut that short.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        previous = {number: signal.signal(number, lambda *_: self.set()) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in previous.items():
                # Not a handler of ours: Python takes those away before its own end.
                signal.signal(number, signal.SIG_IGN if last and self else handler)


def supervise(
    argv: Sequence[str],
    *,
    cwd: Path,
    environ: Mapping[str, str],
    on_output: Callable[[bytes], None],
    timeout_s: float | None = None,
    silence_s: float | None = None,
    cancellation: Cancellation | None = None,
    stdin: bytes = b"",
) -> Exit:
    """Run a process in a session of its own, meter its tree, and leave nothing of the tree behind.

    Every process that comes to this one meanwhile counts as an orphan of the tree: start no other.

    Args:
        argv: Program and arguments.
        cwd: Working directory.
        environ: The whole environment.
        on_output: Receives stdout and stderr, merged, in chunks.
        timeout_s: Wall-clock deadline; at it the tree is stopped and `timed_out` is "run".
        silence_s: The same for a time without output and without CPU use of the tree: "silence".
        cancellation: Polled; when set the tree is stopped and `cancelled` is set.
        stdin: What the root reads, from an unnamed file; nothing by default.

    Raises:
        OSError: The program cannot be started.
    """
    become_subreaper()
    strangers = children()
    kills_before = oom_kills()
    start = time.monotonic()
    with tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=dict(environ),
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    timed_out: Literal["run", "silence"] | None = None
    cancelled = False
    tree = Tree(process.pid, strangers=strangers)
    with Meter(process.pid, tree=tree) as meter, Root(process, meter, on_output) as root:
        try:
            while not root.ended(within_s=_POLL_S):
                now = time.monotonic()
                if cancellation:
                    cancelled = True
                elif timeout_s is not None and now - start >= timeout_s:
                    timed_out = "run"
                elif silence_s is not None and now - max(root.last_output, meter.last_active()) >= silence_s:
                    timed_out = "silence"
                if cancelled or timed_out:
                    root.stop(AT_CANCELLATION if cancelled else AT_DEADLINE)
                    break
        finally:
            leftovers = root.finish()
    killed = process.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL) and not (timed_out or cancelled)
    return Exit(
        returncode=process.returncode,
        duration_s=time.monotonic() - start,
        resources=meter.total(),
        timed_out=timed_out,
        cancelled=cancelled,
        out_of_memory=killed and oom_kills() > kills_before,
        leftovers=leftovers,
    )
