"""What becomes of an executor's outcome: relative paths, no secret, the first problem of what was left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fakes.runs import configured
from mlci.core.documents import Environment, Failure, Location, Outputs, RunResult, Status
from mlci.core.redaction import Redactor
from mlci.plugins.executors.interface import Job, Outcome
from mlci.running.assembly import assembled
from mlci.running.outputs import Collected
from mlci.workspace import Workspace

SECRET = "s3cr3t-value"


NOTHING = Collected()


def result(folder: Path, collected: Collected = NOTHING, *, status: Status = "succeeded", **outcome: Any) -> RunResult:
    config, runs = configured(folder, '[runs.train]\nscript = "train.py"\n', train__py="")
    workspace = Workspace(config.root / ".mlci")
    job = Job(
        name="train",
        label="train",
        source="train.py",
        cwd=config.root,
        environ={},
        outputs=workspace.folder / "outputs/train",
        repository=config.repository,
        redactor=Redactor((SECRET,)),
    )
    return assembled(
        config,
        workspace,
        runs["train"],
        None,
        job=job,
        outcome=Outcome(status=status, duration_s=1.23456, **outcome),
        collected=collected,
        parameters={"key": SECRET, "rate": 1},
        reproduction={"key": SECRET},
        environment=Environment(),
        inputs={},
    )


def test_assembled__no_secret_is_in_it(tmp_path: Path) -> None:
    error = Failure(kind="exception", message=f"no {SECRET}", traceback=f"at {SECRET}")
    made = result(tmp_path, status="failed", error=error, notes=(f"saw {SECRET}",))
    assert SECRET not in str(made)
    assert made.parameters == {"key": "***", "rate": 1}
    assert made.command == "mlci run train -p 'key=***'"
    assert made.notes == ("saw ***",)


def test_assembled__paths_of_outputs_are_the_workspace_s(tmp_path: Path) -> None:
    made = result(tmp_path, outputs=Outputs(notebook="executed.ipynb", log="log.txt", spilled=("cell-1.txt",)))
    assert made.outputs.notebook == "outputs/train/executed.ipynb"
    assert made.outputs.log == "outputs/train/log.txt"
    assert made.outputs.spilled == ("outputs/train/cell-1.txt",)
    assert made.duration_s == 1.235


@pytest.mark.parametrize(
    ("file", "shown"),
    [("{root}/lib/loss.py", "lib/loss.py"), ("train.ipynb", "train.ipynb"), ("/usr/lib/x.py", "/usr/lib/x.py")],
)
def test_assembled__files_are_relative_to_the_configuration(tmp_path: Path, file: str, shown: str) -> None:
    name = file.format(root=tmp_path.resolve())
    error = Failure(kind="exception", message="no", file=name, at=(Location(file=name, line=3),))
    made = result(tmp_path, status="failed", error=error).error
    assert made is not None
    assert (made.file, made.at) == (shown, (Location(file=shown, line=3),))


def test_assembled__what_was_not_written_fails_what_seemed_to_succeed(tmp_path: Path) -> None:
    problems = tuple(Failure(kind="missing-output", message=message) for message in ("no a", "no b"))
    made = result(tmp_path, Collected(problems=problems))
    assert made.status == "failed"
    assert made.error is not None
    assert (made.error.kind, made.error.message) == ("missing-output", "no a; no b")
