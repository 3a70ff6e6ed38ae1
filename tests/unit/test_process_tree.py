"""Process trees: who belongs to one, that nothing of it survives, and what the kernel says of those it killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psutil
import pytest

from fakes.control_group import memory_group
from mlci.process_tree import Tree, become_subreaper, children, counted_kills, counting_file, processes, read

WAIT = "import time; time.sleep(300)"
SPAWN = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "{WAIT}"])
print(child.pid, flush=True)
"""
# A daemon as the book says: its parent is gone, its session is its own, its environment is empty.
DAEMON = f"""
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        os.execve(sys.executable, [sys.executable, "-c", "{WAIT}"], {{}})
    os._exit(0)
os.wait()
"""
# Four lines of descent that never stand still: each lives for some milliseconds, in a session of its own, and has one
# child. A limit keeps a fault of ours from doing harm.
BREEDER = """
import os, time
end = time.monotonic() + 20
for _ in range(4):
    if os.fork() == 0:
        while time.monotonic() < end:
            time.sleep(0.005)
            if os.fork():
                time.sleep(0.005)
                os._exit(0)
            os.setsid()
        os._exit(0)
print("begun", flush=True)
"""


@contextlib.contextmanager
def started(code: str) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes], Tree]]:
    """A program, what it says, and its tree."""
    become_subreaper()
    strangers = children()
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    tree = Tree(process.pid, strangers=strangers)
    assert process.stdout
    with process.stdout:
        try:
            yield process, process.stdout, tree
        finally:
            tree.kill()
            process.wait()


def test_processes__agrees_with_psutil() -> None:
    mine = next(process for process in processes() if process.pid == os.getpid())
    theirs = psutil.Process()
    assert mine.parent == theirs.ppid()
    assert mine.session == os.getsid(0)
    assert mine.cpu_s == pytest.approx(sum(theirs.cpu_times()[:2]), abs=0.1)
    assert mine.resident == pytest.approx(theirs.memory_info().rss, rel=0.1)
    assert mine.alive


def test_read__a_process_that_is_not_there() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert read(process.pid) is None


def test_read__a_name_that_looks_like_the_rest_of_the_line(tmp_path: Path) -> None:
    program = tmp_path / ") Z 1 1"
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([program, "300"])
    found = read(process.pid)
    process.kill()
    process.wait()
    assert found
    assert (found.parent, found.alive) == (os.getpid(), True)


def test_sample__descendants_and_nobody_else() -> None:
    stranger = subprocess.Popen([sys.executable, "-c", WAIT])
    with started(SPAWN + WAIT) as (process, said, tree):
        child = int(said.readline())
        assert {found.pid for found in tree.sample()} == {process.pid, child}
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_sample__a_root_that_is_no_child_of_ours() -> None:
    with started(SPAWN + WAIT) as (_, said, outer):
        root = int(said.readline())
        assert [found.pid for found in Tree(root, strangers=children()).sample()] == [root]
        assert len(outer.sample()) == 2


def test_glance__knows_whom_the_last_sample_saw() -> None:
    with started(SPAWN + WAIT) as (process, said, tree):
        child = int(said.readline())
        assert {found.pid for found in tree.glance()} == {process.pid}
        tree.sample()
        assert {found.pid for found in tree.glance()} == {process.pid, child}


def test_end_leftovers__spares_the_root() -> None:
    with started(SPAWN + WAIT) as (process, said, tree):
        child = int(said.readline())
        assert tree.end_leftovers() == 1
        assert process.poll() is None
        assert psutil.Process(child).status() == psutil.STATUS_ZOMBIE  # the root has not waited for it


def test_end_leftovers__a_daemon_without_session_parent_or_environment() -> None:
    with started(DAEMON) as (process, said, tree):
        daemon = int(said.readline())
        process.wait()
        assert psutil.pid_exists(daemon)
        assert tree.end_leftovers() == 1
        assert not psutil.pid_exists(daemon)


def test_end_leftovers__what_forks_while_it_is_being_killed() -> None:
    with started(BREEDER) as (process, said, tree):
        said.readline()
        process.wait()
        time.sleep(0.1)
        assert tree.end_leftovers() >= 1  # how many had come to life by then is chance
        time.sleep(0.1)
        assert not any(item.alive for item in tree.sample())  # a look waits for the dead, whose parents died meanwhile
        assert tree.sample() == []


def test_end_leftovers__orphans_that_came_to_another_reaper() -> None:
    reaper = f"""
import ctypes, subprocess, sys, time
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
root = subprocess.Popen([sys.executable, "-c", {DAEMON!r}])
print(root.pid, flush=True)
root.wait()
time.sleep(300)
"""
    with started(reaper) as (process, said, _):
        tree = Tree(int(said.readline()), reaper=process.pid)
        daemon = int(said.readline())
        while read(tree.root):
            time.sleep(0.01)
        assert tree.end_leftovers() == 1
        assert psutil.Process(daemon).status() == psutil.STATUS_ZOMBIE  # its reaper has not waited for it
        assert process.poll() is None


def test_kill__root_and_all() -> None:
    with started(SPAWN + WAIT) as (process, said, tree):
        child = int(said.readline())
        tree.kill()
        assert process.wait() == -signal.SIGKILL
        assert not psutil.pid_exists(child)


V1_CGROUP = "9:name=systemd:/\n4:memory,hugetlb:/docker/abc\n0::/\n"
V2_CGROUP = "0::/system.slice/runner.service\n"
V1_MOUNT = "35 31 0:32 {root} /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory"
V2_MOUNT = "38 31 0:37 {root} /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate"
HYBRID = """\
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
31 23 0:28 / /sys/fs/cgroup rw - tmpfs  rw
"""


@pytest.mark.parametrize(
    ("cgroup", "mountinfo", "file"),
    [
        (V1_CGROUP, HYBRID + V1_MOUNT.format(root="/"), "/sys/fs/cgroup/memory/docker/abc/memory.oom_control"),
        (V1_CGROUP, V1_MOUNT.format(root="/docker/abc"), "/sys/fs/cgroup/memory/memory.oom_control"),
        (V2_CGROUP, V2_MOUNT.format(root="/"), "/sys/fs/cgroup/system.slice/runner.service/memory.events"),
        ("0::/\n", V2_MOUNT.format(root="/"), "/sys/fs/cgroup/memory.events"),
        (V1_CGROUP, HYBRID, None),
        ("", V2_MOUNT.format(root="/"), None),
        ("0::/\n", "", None),
    ],
    ids=["version 1", "version 1 in a container", "version 2", "version 2, topmost", "not mounted", "none", "neither"],
)
def test_counting_file(cgroup: str, mountinfo: str, file: str | None) -> None:
    assert counting_file(cgroup, mountinfo) == file


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\noom_group_kill 0\n", 1),
        ("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n", 4),
        ("oom_kill_disable 0\nunder_oom 0\n", 0),
    ],
    ids=["version 2", "version 1", "version 1 of an old kernel"],
)
def test_counted_kills(text: str, count: int) -> None:
    assert counted_kills(text) == count


@pytest.fixture
def tight_group() -> Iterator[Path]:
    """A control group of little memory."""
    with memory_group(200 * 1024 * 1024) as group:
        if group is None:
            pytest.skip("no control group whose memory is limited can be made here")
        yield group


@pytest.mark.parametrize("shell", [False, True], ids=["root", "child of a shell"])
def test_oom_kills__of_a_real_one(tight_group: Path, tmp_path: Path, shell: bool) -> None:
    code = f"""
        import dataclasses, json, os, pathlib, sys
        from mlci.process import supervise
        pathlib.Path({str(tight_group / "cgroup.procs")!r}).write_text(str(os.getpid()))
        argv = [sys.executable, "-c", "held = b'x' * 400_000_000"]
        if {shell}:
            argv = ["sh", "-c", '"$@"; exit $?', "sh", *argv]
        ended = supervise(argv, cwd=pathlib.Path({str(tmp_path)!r}), environ={{}}, on_output=lambda chunk: None)
        print(json.dumps([ended.returncode, ended.out_of_memory, ended.resources.peak_memory_bytes]))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, check=True, text=True)
    returncode, out_of_memory, peak = json.loads(done.stdout)
    assert (returncode, out_of_memory) == (137 if shell else -9, True)
    assert peak > 50_000_000
