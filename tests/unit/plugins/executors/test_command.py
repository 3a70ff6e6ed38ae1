"""Scripts and commands: what becomes of them, what is kept of what they say, and where their errors point."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from mlci.core.documents import Location, Outputs
from mlci.core.redaction import Redactor
from mlci.plugins.executors.command import CommandExecutor
from mlci.plugins.executors.interface import Deadlines, Job, Outcome, OutputLimits, Progress
from mlci.process import Cancellation


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Outcome]:
    """Runs `train.py` in a repository, with options of the job."""

    def execute(code: str, **options: Any) -> Outcome:
        repository = tmp_path / "repository"
        repository.mkdir(exist_ok=True)
        (repository / "train.py").write_text(code)
        (tmp_path / "outputs").mkdir()
        calls = {
            "progress": options.pop("progress", lambda _: None),
            "cancellation": options.pop("cancellation", Cancellation()),
            "go": options.pop("go", lambda: None),
        }
        job: dict[str, Any] = {
            "name": "train",
            "label": "train",
            "source": "train.py",
            "cwd": repository,
            "environ": {"PATH": os.defpath, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"},
            "outputs": tmp_path / "outputs",
            "repository": repository,
            "argv": (sys.executable, "train.py"),
            **options,
        }
        return CommandExecutor().execute(Job(**job), **calls)

    return execute


def test_execute__success(run: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = run("print('fine')")
    assert (outcome.status, outcome.error, outcome.notes) == ("succeeded", None, ())
    assert outcome.outputs == Outputs(log="log.txt")
    assert (tmp_path / "outputs/log.txt").read_text() == "fine\n"
    assert outcome.resources
    assert outcome.resources.cpu_s > 0
    assert outcome.resources.peak_memory_bytes > 1_000_000


def test_execute__nothing_was_printed(run: Callable[..., Outcome], tmp_path: Path) -> None:
    assert run("").outputs == Outputs()
    assert list((tmp_path / "outputs").iterdir()) == []


@pytest.mark.parametrize(
    ("code", "status", "kind", "message"),
    [
        ("raise ValueError('no such thing')", "failed", "exit-code", "ValueError: no such thing"),
        ("import sys; sys.exit(3)", "failed", "exit-code", "exit status 3"),
        ("import sys; sys.exit('bad weather')", "failed", "exit-code", "exit status 1: bad weather"),
        ("import os; os.kill(os.getpid(), 9)", "crashed", "signal", "ended by SIGKILL"),
        ("import os; os.kill(os.getpid(), 40)", "crashed", "signal", "ended by signal 40"),
        ("import sys; sys.exit(137)", "failed", "exit-code", "exit status 137"),
    ],
)
def test_execute__endings(run: Callable[..., Outcome], code: str, status: str, kind: str, message: str) -> None:
    outcome = run(code)
    assert outcome.error
    assert (outcome.status, outcome.error.kind, outcome.error.message) == (status, kind, message)


def test_execute__a_program_that_does_not_exist(run: Callable[..., Outcome]) -> None:
    outcome = run("", argv=("no-such-program",))
    assert outcome.error
    assert (outcome.status, outcome.error.kind) == ("failed", "environment")
    assert outcome.error.message == "cannot start 'no-such-program': No such file or directory"


def test_execute__cancelled_before_its_turn(run: Callable[..., Outcome], tmp_path: Path) -> None:
    cancellation = Cancellation()
    outcome = run("open('started', 'w')", go=cancellation.set, cancellation=cancellation)
    assert outcome.error
    assert (outcome.status, outcome.error.message) == ("cancelled", "never started")
    assert not (tmp_path / "repository/started").exists()


def test_execute__goes_before_the_program_starts(run: Callable[..., Outcome], tmp_path: Path) -> None:
    started = tmp_path / "repository/started"
    before: list[bool] = []
    run("open('started', 'w')", go=lambda: before.append(started.exists()))
    assert before == [False]
    assert started.exists()


def test_execute__cancelled_while_it_runs(run: Callable[..., Outcome]) -> None:
    cancellation = Cancellation()
    outcome = run(
        "import time\nprint('begun')\ntime.sleep(60)",
        cancellation=cancellation,
        progress=lambda _: cancellation.set(),
        follow=True,
    )
    assert outcome.error
    assert (outcome.status, outcome.error.kind) == ("cancelled", "cancelled")
    assert "KeyboardInterrupt" in (outcome.error.traceback or "")


@pytest.mark.parametrize(
    ("deadlines", "message"),
    [
        (Deadlines(run_s=1.2), "still running after 1.2 s"),
        (Deadlines(run_s=60, silence_s=1.2), "silent for 1.2 s: no output and no CPU use"),
    ],
    ids=["run", "silence"],
)
def test_execute__a_deadline_says_which_and_where(
    run: Callable[..., Outcome], tmp_path: Path, deadlines: Deadlines, message: str
) -> None:
    outcome = run("import time\n\ntime.sleep(60)", deadlines=deadlines)
    assert outcome.error
    assert (outcome.status, outcome.error.kind, outcome.error.message) == ("timed-out", "timeout", message)
    assert outcome.error.at == (Location(file=str(tmp_path / "repository/train.py"), line=3),)


def test_execute__where_it_hung_that_took_no_notice_of_an_interrupt(
    run: Callable[..., Outcome], tmp_path: Path
) -> None:
    code = "import signal, threading\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ndef wait():\n"
    code += "    threading.Event().wait(60)\n\nwait()"
    outcome = run(code, deadlines=Deadlines(run_s=1.0))
    assert outcome.status == "timed-out"
    assert outcome.error
    assert outcome.error.at == (Location(file=str(tmp_path / "repository/train.py"), line=4),)


def test_execute__the_innermost_frame_of_the_users_own(run: Callable[..., Outcome], tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    packages = repository / ".venv/lib/python3/site-packages"
    packages.mkdir(parents=True)
    (packages / "library.py").write_text("def f(g):\n    return g()\n")
    (repository / "helper.py").write_text("import json\n\ndef load():\n    return json.loads('{')\n")
    code = f"import sys\nsys.path.append({str(packages)!r})\nimport helper, library\nlibrary.f(helper.load)"
    outcome = run(code)
    assert outcome.error
    assert outcome.error.at[0] == Location(file=str(repository / "helper.py"), line=4)
    assert (outcome.error.file, outcome.error.line) == (str(repository / "helper.py"), 4)


def test_execute__a_frame_outside_of_the_repository_is_not_the_users_own(
    run: Callable[..., Outcome], tmp_path: Path
) -> None:
    (tmp_path / "elsewhere.py").write_text("raise KeyError(1)")
    outcome = run("", argv=(sys.executable, str(tmp_path / "elsewhere.py")))
    assert outcome.error
    assert (outcome.error.file, outcome.error.at) == (None, ())


def test_execute__output_is_redacted_wherever_it_goes(run: Callable[..., Outcome], tmp_path: Path) -> None:
    seen: list[Progress] = []
    code = "import sys, time\nsys.stdout.write('hun'); time.sleep(0.1)\nsys.stdout.write('ter2')\n"
    code += "raise ValueError('hunter2')"
    outcome = run(code, redactor=Redactor(("hunter2",)), progress=seen.append, follow=True)
    log = (tmp_path / "outputs/log.txt").read_text()
    assert outcome.error
    for text in (log, str(outcome.error), "".join(progress.text for progress in seen)):
        assert "hunter2" not in text
    assert log.startswith("***")


def test_execute__progress_carries_no_text_unless_it_is_wanted(run: Callable[..., Outcome]) -> None:
    seen: list[Progress] = []
    run("print('x')", progress=seen.append)
    assert "".join(progress.text for progress in seen) == ""


def test_execute__of_a_flood_the_log_keeps_head_and_tail(run: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = run(
        "print('first')\nfor i in range(20_000): print(i, 'é' * 10)\nprint('last')", limits=OutputLimits(total=20_000)
    )
    folder = tmp_path / "outputs"
    log = (folder / "log.txt").read_bytes()
    assert log.startswith(b"first\n")
    assert log.endswith(b"last\n")
    assert len(log) < 100_000
    assert outcome.outputs.spilled == ("outputs-in-full/log.txt",)
    whole = (folder / outcome.outputs.spilled[0]).read_text(encoding="utf-8")
    assert whole.count("\n") == 20_002


def test_execute__a_daemon_that_was_left_behind_is_ended_and_said(run: Callable[..., Outcome], tmp_path: Path) -> None:
    code = "import subprocess\nchild = subprocess.Popen(['sleep', '300'], start_new_session=True, env={})\n"
    code += "print(child.pid)"
    outcome = run(code)
    assert outcome.status == "succeeded"
    assert outcome.notes == ("1 process(es) outlived the run and were ended",)
    assert not psutil.pid_exists(int((tmp_path / "outputs/log.txt").read_text()))
