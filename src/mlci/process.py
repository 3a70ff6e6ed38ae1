"""The one place that starts processes: short ones captured, long ones supervised as a whole tree.

On Linux mlci becomes a child subreaper, so that a process that a run leaves behind, even in a session of its own,
comes back to mlci and is ended with the run. Elsewhere only what was seen in the tree while it ran is ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_SAMPLE_S = 0.2  # the meter's period; a kernel with few processes costs it about 1 ms
_POLL_S = 0.02
_PR_SET_CHILD_SUBREAPER = 36
_MARKER = "MLCI_TREE"

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
    _become_subreaper()
    marker = uuid.uuid4().hex
    kills_before = _oom_kills()
    start = time.monotonic()
    with tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env={**environ, _MARKER: marker},
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    reader = threading.Thread(target=_pump, args=(process, on_output), daemon=True)
    reader.start()
    tree = _Tree(process.pid, marker, meter_root=meter_root)
    timed_out = cancelled = False
    try:
        pause = _POLL_S
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
        out_of_memory=_oom_kills() > kills_before,
        leftovers=leftovers,
    )


def _pump(process: subprocess.Popen[bytes], on_output: Callable[[bytes], None]) -> None:
    assert process.stdout is not None  # noqa: S101 - opened as a pipe above
    with process.stdout as stdout:
        while chunk := os.read(stdout.fileno(), 65536):
            on_output(chunk)


def _ended(process: subprocess.Popen[bytes], tree: _Tree, within_s: float) -> bool:
    """Wait up to `within_s` for the root to end, then take a sample of the tree."""
    deadline = time.monotonic() + within_s
    while not tree.reap_root(process):
        if time.monotonic() >= deadline:
            tree.sample()
            return False
        time.sleep(_POLL_S)
    return True


def _stop(process: subprocess.Popen[bytes], tree: _Tree, steps: Sequence[StopStep]) -> None:
    for step in steps:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, step.signal)
        if _ended(process, tree, within_s=step.grace_s):
            return
    tree.kill_root(process)


@dataclass
class _Tree:
    """The processes under one root: found, metered, and ended."""

    root: int
    marker: str
    meter_root: bool
    peak_memory_bytes: int = 0
    _root_cpu_s: float | None = None
    _cpu: dict[tuple[int, float], float] = field(default_factory=dict)
    _seen: dict[tuple[int, float], psutil.Process] = field(default_factory=dict)
    _before: set[int] = field(default_factory=set)
    _inherited: int = 0

    def __post_init__(self) -> None:
        self._inherited = _own_peak()
        _active.add(self.root)
        self._before = {child.pid for child in psutil.Process().children() if child.pid != self.root}
        self.sample()

    @property
    def cpu_s(self) -> float:
        """CPU seconds of the tree, user and system."""
        sampled = sum(seconds for (pid, _), seconds in self._cpu.items() if pid != self.root)
        if not self.meter_root:
            return sampled
        if self._root_cpu_s is None:
            return sum(self._cpu.values())
        # The root's own accounting holds every descendant that was waited for; orphans came to mlci instead.
        return max(self._root_cpu_s, sum(self._cpu.values()))

    def sample(self) -> None:
        """Meter every process of the tree once."""
        memory = 0
        for process in self._members():
            try:
                with process.oneshot():
                    key = (process.pid, process.create_time())
                    times = process.cpu_times()
                    resident = process.memory_info().rss
            except psutil.Error:
                continue
            self._seen[key] = process
            self._cpu[key] = times.user + times.system
            if self.meter_root or process.pid != self.root:
                memory += resident
        self.peak_memory_bytes = max(self.peak_memory_bytes, memory)

    def reap_root(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether the root has ended; takes its resource usage from the operating system when it has."""
        if process.returncode is not None:
            return True
        if not hasattr(os, "wait4"):
            return process.poll() is not None
        try:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        except ChildProcessError:
            process.returncode = 0
            return True
        if pid == 0:
            return False
        process.returncode = os.waitstatus_to_exitcode(status)
        if self.meter_root:
            self._root_cpu_s = usage.ru_utime + usage.ru_stime
            # A child inherits the peak of the process that forked it: only a higher one is its own. Of one that was
            # never seen alive it is at least a bound.
            if usage.ru_maxrss > self._inherited or not self.peak_memory_bytes:
                unit = 1 if sys.platform == "darwin" else 1024
                self.peak_memory_bytes = max(self.peak_memory_bytes, usage.ru_maxrss * unit)
        return True

    def kill_root(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL the root and wait for it."""
        self.sample()
        process.kill()
        while not self.reap_root(process):
            time.sleep(_POLL_S)

    def end_leftovers(self) -> int:
        """Kill what outlived the root, wait until it is gone; how many there were."""
        ended: set[tuple[int, float]] = set()
        for _ in range(20):  # a leftover can fork while it is being killed
            alive = [process for process in self._members() if process.pid != self.root and _is_alive(process)]
            if not alive:
                break
            for process in alive:
                with contextlib.suppress(psutil.Error):
                    ended.add((process.pid, process.create_time()))
                    process.kill()
            psutil.wait_procs(alive, timeout=2)
        self._reap_orphans()
        _active.discard(self.root)
        return len(ended)

    def _members(self) -> list[psutil.Process]:
        found: dict[int, psutil.Process] = {}
        roots = [*self._seen.values(), *self._orphans()]
        with contextlib.suppress(psutil.Error):
            roots.append(psutil.Process(self.root))
        for process in roots:
            with contextlib.suppress(psutil.Error):
                if process.pid in found or not process.is_running():
                    continue
                found[process.pid] = process
                for child in process.children(recursive=True):
                    found.setdefault(child.pid, child)
        return list(found.values())

    def _orphans(self) -> list[psutil.Process]:
        """Processes that came to mlci because their parent, of this tree, is gone."""
        return [child for child in psutil.Process().children() if child.pid != self.root and self._is_ours(child)]

    def _is_ours(self, child: psutil.Process) -> bool:
        if child.pid in self._before or child.pid in _active:
            return False
        try:
            if (child.pid, child.create_time()) in self._seen or child.environ().get(_MARKER) == self.marker:
                return True
            # A process that dropped its environment: ours if nobody else's tree could have lost it.
            return _active == {self.root} and child.name() != "git"
        except psutil.Error:
            return False

    def _reap_orphans(self) -> None:
        for pid, _ in self._seen:
            if pid != self.root:
                with contextlib.suppress(OSError):
                    os.waitpid(pid, os.WNOHANG)


_active: set[int] = set()


def _own_peak() -> int:
    """Mlci's own peak resident set, in the unit of `ru_maxrss`."""
    if sys.platform == "win32":
        return 0
    import resource  # noqa: PLC0415 - does not exist on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _become_subreaper() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _oom_kills() -> int:
    """How many processes the kernel has killed for memory in mlci's control group (v2); 0 where not known."""
    try:
        group = Path("/proc/self/cgroup").read_text().strip().rpartition("::")[2].lstrip("/")
        events = (Path("/sys/fs/cgroup") / group / "memory.events").read_text()
        return int(dict(line.split() for line in events.splitlines()).get("oom_kill", 0))
    except (OSError, ValueError):
        return 0
