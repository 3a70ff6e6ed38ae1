"""A workflow's step is cancelled as a runner does it, and killed as a machine does it, while its runs are long."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest

from e2e.runner import Finished, Installed, act
from fakes.command_line import marked, notebook
from fakes.endings import CANARY, FIRST
from fakes.repositories import repository
from mlci.plugins.executors.notebook.journal import recover

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.xdist_group("e2e"),
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a daemon can survive mlci's own death"),
]

Kind = Literal["notebook", "script"]
KINDS: tuple[Kind, ...] = ("notebook", "script")
# What a runner sends to the step's entry process when it is cancelled, and how long it waits; then it kills the tree.
SEQUENCE = ((signal.SIGINT, 7.5), (signal.SIGTERM, 2.5))

WORKFLOW = f"""
name: mlci
on: push
permissions: {{}}
jobs:
  mlci:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v7
      - uses: OWNER/mlci@v1
        with:
          args: -j2 --no-post
          python: {sys.executable}
      - if: always()
        run: cp -R .mlci "$KEPT"
"""
CONFIG = f"""
[defaults]
env = {{ CANARY = "{CANARY}" }}

[runs.notebook]
notebook = "long.ipynb"

[runs.script]
script = "long.py"
"""
LONG = """\
import os, pathlib, time
pathlib.Path({begun!r}, os.environ["MLCI_RUN"]).touch()
time.sleep(600)  # here
"""


@dataclass
class Ended:
    """What came of a step that was under way."""

    step: Finished
    workspace: Path  # as the job's next step found it
    took: float  # seconds until no process was left

    def result(self, kind: Kind) -> Any:
        runs = json.loads((self.workspace / "run.json").read_text())["runs"]
        return next(result for result in runs if result["name"] == kind)


def cancel(entry: psutil.Process) -> None:
    for number, grace_s in SEQUENCE:
        entry.send_signal(number)
        with contextlib.suppress(psutil.TimeoutExpired):
            entry.wait(grace_s)
            return
    kill_tree(entry)


def kill_tree(entry: psutil.Process) -> None:
    for process in [entry, *entry.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def kill_entry(entry: psutil.Process) -> None:
    entry.kill()


def ended(folder: Path, installed: Installed, end: Callable[[psutil.Process], None]) -> Ended:
    """Run the workflow, and end its step when both runs are in the middle of their work."""
    begun, kept = folder / "begun", folder / "kept"
    begun.mkdir()
    work = repository(folder / "work")
    long = LONG.format(begun=str(begun))
    files = {
        ".github/workflows/mlci.yml": WORKFLOW,
        "mlci.toml": CONFIG,
        "long.ipynb": notebook(FIRST, long, "print('last')"),
        "long.py": f"{FIRST}\n{long}",
    }
    for name, text in files.items():
        (work.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (work.folder / name).write_text(text)
    work.git("add", "--all")
    work.git("commit", "--quiet", "--message", "Train")
    with ThreadPoolExecutor(1) as aside:
        step = aside.submit(
            act,
            "push",
            {"ref": "refs/heads/main", "repository": {"id": 1, "default_branch": "main", "full_name": "team/models"}},
            repository=work.folder,
            scratch=folder / "act",
            token="",
            server="http://127.0.0.1:1",
            workflow="mlci.yml",
            ours=installed.ours,
            environ={**installed.environ, "KEPT": str(kept)},
        )
        until(lambda: step.done() or all((begun / kind).exists() for kind in KINDS))
        assert not step.done(), step.result().log
        entry = entry_process()
        family = [entry, *entry.children(recursive=True)]
        assert len([each for each in marked(CANARY) if each.startswith("sleep ")]) == len(KINDS)
        asked = time.monotonic()
        end(entry)
        until(lambda: not (marked(CANARY) or any(map(alive, family))), within_s=20)
        took = time.monotonic() - asked
        return Ended(step.result(), kept, took)


def entry_process() -> psutil.Process:
    """The process that the runner has started for the step, which has become mlci."""
    family = psutil.Process().children(recursive=True)
    [runner] = [process for process in family if process.name() == "act"]
    [entry] = [process for process in runner.children() if "mlci" in process.cmdline()]
    return entry


def alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def until(seen: Callable[[], bool], within_s: float = 120) -> None:
    deadline = time.monotonic() + within_s
    while not seen():
        assert time.monotonic() < deadline, f"in vain; there is {marked(CANARY)}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def cancelled(tmp_path_factory: pytest.TempPathFactory, installed: Installed) -> Ended:
    return ended(tmp_path_factory.mktemp("cancelled"), installed, cancel)


@pytest.fixture(scope="module", params=[kill_tree, kill_entry], ids=lambda end: end.__name__)
def killed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, installed: Installed) -> Ended:
    return ended(tmp_path_factory.mktemp("killed"), installed, request.param)


def test_cancel__all_is_over_before_the_runner_kills(cancelled: Ended) -> None:
    assert cancelled.took < sum(grace_s for _, grace_s in SEQUENCE)


def test_cancel__exit_code(cancelled: Ended) -> None:
    assert not cancelled.step.succeeded
    assert "exit status 130" in cancelled.step.log
    assert "stopped; what was done is in .mlci/run.json" in cancelled.step.log


@pytest.mark.parametrize("kind", KINDS)
def test_cancel__status_place_and_metrics(cancelled: Ended, kind: Kind) -> None:
    result = cancelled.result(kind)
    assert (result["status"], result["error"]["kind"]) == ("cancelled", "cancelled")
    assert [(metric["name"], metric["value"]) for metric in result["metrics"]] == [("before", 0.5)]
    assert result["error"]["at"]


def test_cancel__the_notebook_as_far_as_it_came(cancelled: Ended) -> None:
    result = cancelled.result("notebook")
    executed = json.loads((cancelled.workspace / result["outputs"]["notebook"]).read_text())
    assert [cell["status"] for cell in result["cells"]] == ["completed", "failed", "pending"]
    own = [cell for cell in executed["cells"] if "papermill" in cell["metadata"]]  # not what papermill says in between
    assert [cell["metadata"]["papermill"]["status"] for cell in own] == ["completed", "failed", "pending"]
    assert "first" in str(own[0]["outputs"])
    assert executed["metadata"]["papermill"]["status"] == "cancelled"


def test_cancel__the_log_as_far_as_it_came(cancelled: Ended) -> None:
    log = (cancelled.workspace / cancelled.result("script")["outputs"]["log"]).read_text()
    assert log.startswith("first\n")
    assert "KeyboardInterrupt" in log


@pytest.mark.parametrize("kind", KINDS)
def test_killed__run_json_says_lost(killed: Ended, kind: Kind) -> None:
    result = killed.result(kind)
    assert (result["status"], result["error"]["kind"]) == ("crashed", "lost")
    assert not killed.step.succeeded


def test_killed__nothing_survives(killed: Ended) -> None:
    assert killed.took < 10


@pytest.mark.parametrize("killed", [kill_tree], indirect=True, ids=lambda end: end.__name__)
def test_killed__the_journal_tells_how_far_the_notebook_came(killed: Ended) -> None:
    folder = killed.workspace / "outputs/notebook"
    notebook = recover(folder / "journal.jsonl", folder / "executed.ipynb")
    assert [cell.metadata.papermill.status for cell in notebook.cells] == ["completed", "failed", "pending"]
    assert "first" in str(notebook.cells[0].outputs)
