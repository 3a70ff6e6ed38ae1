"""Metering: CPU and memory of real trees whose members come and go, laps, silence, and GPUs that are not there."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlci.metering import Meter, _Cpu
from mlci.process_tree import Process, Tree

# A program that obeys: each line is run, then answered.
OBEDIENT = "import sys, time, subprocess\nfor line in sys.stdin: exec(line); print('done', flush=True)"
BURN = "end = time.process_time() + {}\nwhile time.process_time() < end: pass"


class Program:
    """A process that does what it is told."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OBEDIENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def do(self, code: str) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"exec({code!r})\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def burn(self, seconds: float) -> None:
        self.do(BURN.format(seconds))

    def burn_in_a_child(self, seconds: float) -> None:
        code = "import time\n" + BURN.format(seconds)
        self.do(f"subprocess.run([sys.executable, '-c', {code!r}])")


def metered(pid: int, *, meter_root: bool = True) -> Meter:
    """A meter of one tree and nothing else: what other tests have left to this process is no orphan of that tree."""
    return Meter(pid, meter_root=meter_root, tree=Tree(pid, reaper=pid))


@pytest.fixture
def program() -> Iterator[Program]:
    program = Program()
    program.do("pass")
    yield program
    program.process.kill()
    program.process.communicate()


def test_cpu_s__a_child_that_no_sample_saw_counts_once_waited_for(program: Program) -> None:
    with metered(program.process.pid) as meter:
        before = meter.cpu_s
        program.burn_in_a_child(0.15)
        program.burn_in_a_child(0.15)
        meter.sample()
    assert 0.25 <= meter.cpu_s - before < 0.8


def test_cpu_s__a_child_that_nobody_waits_for_stays_in_the_sum(program: Program) -> None:
    program.do("import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)")
    with metered(program.process.pid) as meter:
        before = meter.cpu_s
        code = "import time\n" + BURN.format(0.5) + "\ntime.sleep(1.5)"
        program.do(f"subprocess.Popen([sys.executable, '-c', {code!r}]).wait()")
        meter.sample()
    assert 0.45 <= meter.cpu_s - before < 1.0


def test_cpu_s__of_the_descendants_only(program: Program) -> None:
    with metered(program.process.pid, meter_root=False) as meter:
        program.burn(0.4)
        program.burn_in_a_child(0.2)
        meter.sample()
    assert 0.15 <= meter.cpu_s < 0.4


def test_closed__the_system_knows_what_no_sample_saw() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time\n" + BURN.format(0.3)])
    with metered(process.pid) as meter:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        time.sleep(0.3)  # a sample finds the root gone before its owner says so
        meter.closed(usage)
    assert meter.cpu_s == pytest.approx(usage.ru_utime + usage.ru_stime)


def test_closed__the_peak_of_whoever_started_this_process_is_nobodys() -> None:
    # What a process held when it became another one by `exec` is in that one's `ru_maxrss` for ever.
    code = """
        import os, subprocess, sys
        from mlci.metering import Meter
        hold = [sys.executable, "-c", "held = b'x' * 120_000_000"]
        root = subprocess.Popen(["sh", "-c", '"$@"; exit $?', "sh", *hold])
        with Meter(root.pid) as meter:
            meter._closing.set()  # no sample meets the child
            _, _, usage = os.wait4(root.pid, 0)
            root.returncode = 0
            meter.closed(usage)
        print(meter.total().peak_memory_bytes)
    """
    become = f"import os, sys; os.execv(sys.executable, [sys.executable, '-c', {textwrap.dedent(code)!r}])"
    done = subprocess.run(
        [sys.executable, "-c", f"held = b'x' * 400_000_000; {become}"], capture_output=True, check=True, text=True
    )
    assert 120_000_000 < int(done.stdout) < 400_000_000


def test_total__peak_of_a_moment_between_two_samples(program: Program) -> None:
    with metered(program.process.pid) as meter:
        program.do("held = bytearray(90_000_000); del held")
        assert meter.lap().peak_memory_bytes > 90_000_000
    assert meter.total().peak_memory_bytes > 90_000_000


def test_total__what_was_held_before_the_meter_began_is_not_in_it(program: Program) -> None:
    program.do("held = bytearray(90_000_000); del held")
    with metered(program.process.pid) as meter:
        pass
    assert 1_000_000 < meter.total().peak_memory_bytes < 90_000_000


def test_total__processes_that_share_memory_share_its_proportional_size(program: Program) -> None:
    with metered(program.process.pid) as meter:
        program.do("import os; held = bytearray(80_000_000)")
        program.do("if os.fork() == 0: time.sleep(300)")
        deadline = time.monotonic() + 20
        while (meter.total().peak_pss_bytes or 0) < 80_000_000 and time.monotonic() < deadline:
            time.sleep(0.1)
        meter.sample()
        total = meter.total()
        meter.tree.kill()
    assert total.peak_memory_bytes > 160_000_000
    assert 80_000_000 < (total.peak_pss_bytes or 0) < 160_000_000


def test_lap__each_has_its_own(program: Program) -> None:
    with metered(program.process.pid) as meter:
        program.do("held = bytearray(90_000_000)")
        program.burn(0.2)
        first = meter.lap()
        program.do("del held")
        meter.lap()
        idle = meter.lap()
        program.burn_in_a_child(0.2)
        last = meter.lap()
    assert first.cpu_s >= 0.19
    assert first.peak_memory_bytes > 90_000_000
    assert idle.cpu_s < 0.05
    assert idle.peak_memory_bytes < 90_000_000
    assert last.cpu_s >= 0.19


def test_last_active__computing_is_active_and_waiting_is_not(program: Program) -> None:
    with metered(program.process.pid) as meter:
        program.burn(0.3)
        time.sleep(1.1)  # what was too little to notice at once is forgotten after a second
        meter.sample()
        after_work = meter.last_active()
        program.do("for _ in range(30): time.sleep(0.05)")
        assert meter.last_active() == after_work
        program.burn_in_a_child(0.3)
        meter.sample()
        assert meter.last_active() > after_work + 1


def test_last_active__a_program_that_looks_at_its_clock_is_waiting() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    meter = metered(process.pid)
    meter._take([seen(process.pid, 0, 1.0)])
    worked = meter.last_active()
    meter._take([seen(process.pid, 0, 1.001)])
    assert meter.last_active() == worked
    meter._take([seen(process.pid, 0, 2.0)])
    assert meter.last_active() > worked


def test_meter__of_a_root_that_is_gone_already() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with metered(process.pid) as meter:
        assert meter.lap().cpu_s == 0
    assert meter.total().cpu_s == 0


def seen(pid: int, parent: int, cpu_s: float, waited_s: float = 0.0) -> Process:
    return Process(pid, 0.0, parent, 0, cpu_s, waited_s, 0, alive=True)


def test_cpu__what_was_waited_for_only_later_is_not_counted_twice() -> None:
    cpu = _Cpu(root=1)
    cpu.update([seen(1, 0, 1.0), seen(2, 1, 5.0)])
    cpu.update([seen(1, 0, 1.0)])  # the look at the parent came before its wait, that for the child after
    assert cpu.total_s == 6.0
    cpu.update([seen(1, 0, 1.0, waited_s=5.5)])
    assert cpu.total_s == 6.5


def test_cpu__of_orphans_and_of_whole_branches() -> None:
    cpu = _Cpu(root=1)
    cpu.update([seen(1, 0, 1.0), seen(2, 1, 2.0), seen(3, 2, 4.0), seen(4, 99, 8.0)])
    cpu.update([seen(1, 0, 1.0, waited_s=6.5)])  # 2 waited for 3, the root for 2; 4 was nobody's
    assert cpu.total_s == 15.5


FAKE_NVML = """
class _Process:
    def __init__(self, pid, used):
        self.pid, self.usedGpuMemory = pid, used
class _Rates:
    def __init__(self, gpu):
        self.gpu = gpu
PID = {pid}
open_ = False
def nvmlInit():
    global open_
    open_ = True
def nvmlShutdown():
    global open_
    open_ = False
def nvmlDeviceGetCount():
    return 3
def nvmlDeviceGetHandleByIndex(index):
    assert open_
    return index
def nvmlDeviceGetComputeRunningProcesses(device):
    if device == 2:
        raise RuntimeError("not supported")
    return [_Process(PID, 1000), _Process(1, 77)] if device == 0 else [_Process(1, 77)]
def nvmlDeviceGetGraphicsRunningProcesses(device):
    return [_Process(PID, None)] if device == 0 else []
def nvmlDeviceGetUtilizationRates(device):
    return _Rates((60, 90, 100)[device])
"""


@contextlib.contextmanager
def nvml(source: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (folder / "pynvml.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    yield
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)


def test_total__gpu_memory_and_the_busiest_gpu_in_use(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        nvml(FAKE_NVML.format(pid=program.process.pid), tmp_path, monkeypatch),
        metered(program.process.pid) as meter,
    ):
        deadline = time.monotonic() + 20
        while meter.total().gpu_memory_bytes is None and time.monotonic() < deadline:
            time.sleep(0.05)
    assert meter.total().gpu_memory_bytes == 1000
    assert meter.total().gpu_utilisation == 0.6


@pytest.mark.parametrize(
    "source",
    ["raise ImportError('no')", "def nvmlInit(): raise OSError('no driver')", "def nvmlInit(): pass"],
    ids=["no library", "no driver", "a library that is something else"],
)
def test_total__no_gpu_is_no_error(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    with nvml(source, tmp_path, monkeypatch), metered(program.process.pid) as meter:
        time.sleep(0.3)
        meter.sample()
    assert meter.total().gpu_memory_bytes is None
    assert meter.total().gpu_utilisation is None
    assert meter.total().peak_memory_bytes > 0
