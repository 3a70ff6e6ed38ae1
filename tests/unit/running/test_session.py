"""What a session does around its executions: it prepares the next, and takes that back where it is not to be."""

from __future__ import annotations

import io
import sys
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import pytest

from fakes.command_line import notebook
from fakes.executors import FakeExecutor
from fakes.repositories import ENVIRON, repository
from mlci.actions import Actions
from mlci.commands.run import run_all
from mlci.core.documents import RunsDocument
from mlci.process_tree import children
from mlci.project import Invocation, Project
from mlci.running import session
from mlci.running.display import Display
from mlci.running.session import Options

CONFIG = "".join(f'[runs.{name}]\nnotebook = "n.ipynb"\n' for name in "abc")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = repository(tmp_path / "repository").folder
    (made / "mlci.toml").write_text(CONFIG)
    (made / "n.ipynb").write_text(notebook("1"))
    return made


def ran(folder: Path, monkeypatch: pytest.MonkeyPatch, executor: FakeExecutor, **options: Any) -> RunsDocument:
    monkeypatch.setattr(session.Session, "_executor", lambda _self, _kind: executor)
    stream = io.StringIO()
    actions = Actions({}, stream)
    project = Project.open(Invocation(ENVIRON, folder, None, print, actions))
    return run_all(project, Options(python=sys.executable, **options), Display(stream, actions, live=False))


def statuses(document: RunsDocument) -> list[str]:
    return [result.status for result in document.runs]


def test_session__the_next_is_prepared_while_one_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert statuses(ran(folder, monkeypatch, FakeExecutor("waits_for_b"))) == ["failed", "succeeded", "succeeded"]


def test_session__what_was_prepared_in_vain_never_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resource_tracker.ensure_running()  # for workers that are spawned, as beside the threads of other tests
    before = children()
    document = ran(folder, monkeypatch, FakeExecutor("waits_for_b"), fail_fast=True)
    assert statuses(document) == ["failed", "skipped", "skipped"]
    assert not (folder / ".mlci/outputs/b/ran").exists()
    assert children() == before


def test_session__what_fails_to_be_prepared_fails_in_its_turn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = ran(folder, monkeypatch, FakeExecutor("waits_for_b", hasty=True))
    assert statuses(document) == ["failed", "failed", "failed"]
    assert {result.error.message for result in document.runs if result.error} == {"no kernel"}
