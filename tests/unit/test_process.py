"""Processes: what a child may see, and that a supervised tree is metered and wholly ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from mlci.process import Cancellation, Exit, capture, child_environ, supervise

DETACHED = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={env})
print(child.pid, flush=True)
"""
STUBBORN = """
import signal, time
def work():
    while True: time.sleep(1)
signal.signal(signal.SIGINT, signal.SIG_IGN)
work()
"""


def supervised(code: str, folder: Path, **options: Any) -> tuple[Exit, str]:
    written: list[bytes] = []
    ended = supervise(
        [sys.executable, "-c", code],
        cwd=folder,
        environ={"PATH": "/usr/bin:/bin", **{name: options.pop(name) for name in list(options) if name.isupper()}},
        on_output=written.append,
        **options,
    )
    return ended, b"".join(written).decode()


def test_child_environ__holds_no_token_and_no_runner_file() -> None:
    withheld = dict.fromkeys(
        (
            *("GITHUB_TOKEN", "GH_TOKEN", "GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY"),
            *("GITHUB_STATE", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "INPUT_KEY"),
            "MLCI_GITHUB_TOKEN",
        ),
        "secret",
    )
    assert child_environ({"PATH": "/bin", "GITHUB_SHA": "1", **withheld}) == {"PATH": "/bin", "GITHUB_SHA": "1"}


def test_child_environ__only_the_oidc_variables_can_be_asked_for() -> None:
    environ = {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "a", "ACTIONS_RUNTIME_TOKEN": "b", "GITHUB_TOKEN": "c"}
    assert child_environ(environ, pass_env=list(environ)) == {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "a"}


def test_capture__stdin_stdout_and_stderr(tmp_path: Path) -> None:
    code = "import sys; print(sys.stdin.read()); print('e', file=sys.stderr); sys.exit(3)"
    done = capture([sys.executable, "-c", code], cwd=tmp_path, environ={}, stdin=b"in")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"in\n", b"e\n")


def test_capture__too_long(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        capture([sys.executable, "-c", "import time; time.sleep(60)"], cwd=tmp_path, environ={}, timeout_s=0.2)


@pytest.mark.parametrize(
    ("code", "returncode"),
    [
        ("print('x')", 0),
        ("import sys; sys.exit(7)", 7),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9),
    ],
)
def test_supervise__how_it_ended(tmp_path: Path, code: str, returncode: int) -> None:
    assert supervised(code, tmp_path)[0].returncode == returncode


def test_supervise__output_of_both_streams_in_order(tmp_path: Path) -> None:
    code = "import sys\nfor i in range(3):\n print(i, flush=True)\n print(-i, file=sys.stderr, flush=True)"
    assert supervised(code, tmp_path)[1].split() == ["0", "0", "1", "-1", "2", "-2"]


def test_supervise__no_output_is_handed_on_after_it_has_returned(tmp_path: Path) -> None:
    written: list[bytes] = []
    code = "import os\nfor _ in range(3000): os.write(1, b'x' * 1000)"
    supervise([sys.executable, "-c", code], cwd=tmp_path, environ={}, on_output=written.append)
    assert sum(map(len, written)) == 3_000_000


def test_supervise__a_root_that_closes_its_output(tmp_path: Path) -> None:
    ended, said = supervised(
        "import os, time\nprint('x', flush=True)\nos.close(1)\nos.close(2)\ntime.sleep(0.3)", tmp_path
    )
    assert (ended.returncode, said) == (0, "x\n")


def test_supervise__a_kernel_that_refuses_a_descriptor_of_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pid: int) -> int:
        raise OSError(pid)

    monkeypatch.setattr(os, "pidfd_open", refuse)
    ended, said = supervised("import time\nprint('x', flush=True)\ntime.sleep(0.3)", tmp_path)
    assert (ended.returncode, said) == (0, "x\n")


def test_supervise__a_consumer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    pids: list[int] = []

    def fail(chunk: bytes) -> None:
        pids.append(int(chunk))
        raise OSError("disk full")

    code = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)"
    with pytest.raises(OSError, match="disk full"):
        supervise([sys.executable, "-c", code], cwd=tmp_path, environ={}, on_output=fail)
    assert not psutil.pid_exists(pids[0])


def test_supervise__a_program_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        supervise(["no-such-program"], cwd=tmp_path, environ={}, on_output=lambda _: None)


def test_supervise__a_deadline_lets_python_say_where_it_was(tmp_path: Path) -> None:
    ended, said = supervised("import time\ntime.sleep(60)", tmp_path, timeout_s=1.0)
    assert ended.timed_out == "run"
    assert "KeyboardInterrupt" in said


def test_supervise__who_ignores_that_has_its_stacks_dumped(tmp_path: Path) -> None:
    ended, said = supervised(STUBBORN, tmp_path, timeout_s=1.0, PYTHONFAULTHANDLER="1")
    assert ended.timed_out == "run"
    assert ended.returncode == -signal.SIGABRT
    assert "Current thread" in said
    assert 'File "<string>", line 4 in work' in said
    assert list(tmp_path.iterdir()) == []  # no core dump


def test_supervise__what_ignores_every_signal_is_killed_with_its_children(tmp_path: Path) -> None:
    code = "import subprocess, signal\nfor n in (2, 6, 15): signal.signal(n, signal.SIG_IGN)\n"
    code += "child = subprocess.Popen(['sleep', '300'])\nprint(child.pid, flush=True)\nchild.wait()"
    ended, said = supervised(code, tmp_path, timeout_s=1.0)
    assert ended.returncode == -signal.SIGKILL
    assert not ended.out_of_memory
    assert not psutil.pid_exists(int(said))


def test_supervise__silence(tmp_path: Path) -> None:
    ended, said = supervised("import time\nprint('x', flush=True)\ntime.sleep(60)", tmp_path, silence_s=1.5)
    assert ended.timed_out == "silence"
    assert said.startswith("x\n")


@pytest.mark.parametrize(
    "code",
    [
        "import time\nwhile time.process_time() < 3: pass",
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'import time\\nwhile time.process_time() < 3: pass'])",
        "import time\nfor _ in range(12): print('.', flush=True); time.sleep(0.25)",
    ],
    ids=["computes", "waits for a child that computes", "prints"],
)
def test_supervise__no_silence_is_what(tmp_path: Path, code: str) -> None:
    ended, _ = supervised(code, tmp_path, silence_s=1.5)
    assert (ended.timed_out, ended.returncode) == (None, 0)


def test_supervise__cancellation(tmp_path: Path) -> None:
    cancellation = Cancellation()
    said: list[bytes] = []

    def heard(chunk: bytes) -> None:
        said.append(chunk)
        cancellation.set()

    argv = [sys.executable, "-c", "import time\nprint('began', flush=True)\ntime.sleep(60)"]
    ended = supervise(argv, cwd=tmp_path, environ={}, on_output=heard, cancellation=cancellation)
    assert ended.cancelled
    assert not ended.timed_out
    assert b"KeyboardInterrupt" in b"".join(said)


def test_supervise__cancellation_of_what_ignores_it(tmp_path: Path) -> None:
    cancellation = Cancellation()
    code = "import signal, time\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\nprint('x', flush=True)"
    argv = [sys.executable, "-c", f"{code}\ntime.sleep(60)"]
    ended = supervise(argv, cwd=tmp_path, environ={}, on_output=lambda _: cancellation.set(), cancellation=cancellation)
    assert (ended.cancelled, ended.returncode) == (True, -signal.SIGKILL)
    assert ended.duration_s < 5


@pytest.mark.parametrize("env", ["None", "{}"], ids=["child keeps the environment", "child drops the environment"])
def test_supervise__a_child_in_a_session_of_its_own_is_ended(tmp_path: Path, env: str) -> None:
    ended, said = supervised(DETACHED.replace("{env}", env), tmp_path)
    assert ended.leftovers == 1
    assert not psutil.pid_exists(int(said))


def test_supervise__cpu_and_memory_of_the_whole_tree(tmp_path: Path) -> None:
    work = "import time; held = bytearray(80_000_000)\\nwhile time.process_time() < 0.7: pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '''{work}'''])"
    ended, _ = supervised(code, tmp_path)
    assert 0.6 <= ended.resources.cpu_s < 1.5
    assert ended.resources.peak_memory_bytes > 80_000_000


def test_supervise__reads_stdin_to_its_end(tmp_path: Path) -> None:
    assert supervised("import sys; print(len(sys.stdin.read()))", tmp_path, stdin=b"x" * 200_000)[1] == "200000\n"


def test_listening__turns_signals_into_a_request_and_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Cancellation().listening() as cancellation:
        assert not cancellation
        signal.raise_signal(signal.SIGTERM)
        time.sleep(0.01)
        assert cancellation
    assert signal.getsignal(signal.SIGTERM) is before
