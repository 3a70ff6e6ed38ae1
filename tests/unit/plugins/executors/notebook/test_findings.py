"""The status of a notebook, and the words and places for what went wrong."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import nbformat
import pytest

from mlci.core.documents import Cell, Failure, Location, Resources
from mlci.metering import Usage
from mlci.plugins.executors.interface import Deadlines, Job
from mlci.plugins.executors.notebook.findings import cells_of, failure_of
from mlci.plugins.executors.notebook.session import Session
from mlci.plugins.executors.notebook.watch import Watch

TRACEBACK = """\
\x1b[31m---------------------------------------------------------------------------\x1b[39m
\x1b[31mValueError\x1b[39m                                Traceback (most recent call last)
Cell In[2], line 2
      1 import util
----> 2 util.fail()

File {util}:1, in fail()
----> 1 def fail(): raise ValueError("one\\ntwo")

\x1b[31mValueError\x1b[39m: one
two"""
DUMP = """\
Fatal Python error: Aborted

Current thread 0x00007f0000000000 (most recent call first):
  File "{util}", line 1 in fail
  File "/tmp/ipykernel_77/1234.py", line 2 in <module>
  File "/usr/lib/python3/site-packages/IPython/core/interactiveshell.py", line 9 in run_code
"""
LOST = "DeadKernelError: Kernel died"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "util.py").write_text("def fail(): raise ValueError()\n")
    node = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("1"), nbformat.v4.new_code_cell("import util\nutil.fail()")]
    )
    (tmp_path / "a.ipynb").write_text(json.dumps(node, indent=1))
    return Job(
        name="a",
        label="a",
        source="a.ipynb",
        cwd=tmp_path,
        environ={"HOME": str(tmp_path / "home")},
        outputs=tmp_path,
        repository=tmp_path,
        notebook=tmp_path / "a.ipynb",
        deadlines=Deadlines(run_s=9.0, cell_s=7.0),
    )


def session(job: Job, *, reason: str | None = None, raised: bool = False) -> Session:
    """In its second cell."""
    made = Session(watch=Watch(job.deadlines))
    made.cell = 2
    made.watch.reason = reason
    if raised:
        made.failure = ("ValueError", "one\ntwo", TRACEBACK.format(util=job.cwd / "util.py"))
    return made


def judged(made: Session, lost: str | None, job: Job, **options: Any) -> tuple[str, Failure | None]:
    given: dict[str, Any] = {"exit_status": None, "log": "", "out_of_memory": False, "resources": None, **options}
    return failure_of(made, lost, job=job, **given)


def line_of(job: Job, text: str) -> int:
    assert job.notebook
    return next(n for n, line in enumerate(job.notebook.read_text().splitlines(), 1) if text in line)


def test_failure_of__nothing_went_wrong(job: Job) -> None:
    assert judged(session(job), None, job) == ("succeeded", None)


def test_failure_of__an_exception_with_its_places(job: Job) -> None:
    status, failure = judged(session(job, raised=True), None, job)
    assert status == "failed"
    assert failure
    assert (failure.kind, failure.message) == ("exception", "ValueError: one")
    assert (failure.file, failure.cell, failure.line) == ("a.ipynb", 2, 2)
    assert failure.at == (
        Location(file=str(job.cwd / "util.py"), line=1),
        Location(file=str(job.notebook), line=line_of(job, "util.fail()")),
    )
    assert failure.traceback
    assert "\x1b" not in failure.traceback


@pytest.mark.parametrize(
    ("reason", "status", "kind", "message"),
    [
        ("run", "timed-out", "timeout", "still running after 9 s"),
        ("cell", "timed-out", "timeout", "the cell was still running after 7 s"),
        ("cancelled", "cancelled", "cancelled", "mlci was told to stop"),
    ],
)
@pytest.mark.parametrize("raised", [True, False], ids=["KeyboardInterrupt", "killed"])
def test_failure_of__a_deadline_counts_whatever_the_traceback_shows(
    job: Job, reason: str, status: str, kind: str, message: str, raised: bool
) -> None:
    found, failure = judged(session(job, reason=reason, raised=raised), LOST, job, exit_status=-9)
    assert found == status
    assert failure
    assert (failure.kind, failure.message, failure.cell) == (kind, message, 2)


def test_failure_of__a_dump_of_the_stacks_says_where_it_hung(job: Job) -> None:
    log = DUMP.format(util=job.cwd / "util.py")
    _, failure = judged(session(job, reason="cell"), LOST, job, log=log)
    assert failure
    assert (failure.cell, failure.line, failure.traceback) == (2, 2, log)
    assert [location.line for location in failure.at] == [1, line_of(job, "util.fail()")]


@pytest.mark.parametrize(
    ("exit_status", "said"),
    [
        (None, ""),
        (3, " (exit status 3)"),
        (0, " (exit status 0)"),
        (-signal.SIGSEGV, " (SIGSEGV)"),
        (-200, " (signal 200)"),
    ],
)
def test_failure_of__a_kernel_that_died(job: Job, exit_status: int | None, said: str) -> None:
    status, failure = judged(session(job), LOST, job, exit_status=exit_status)
    assert status == "crashed"
    assert failure
    assert (failure.kind, failure.message) == ("dead-kernel", f"the kernel died while this cell ran{said}")
    assert failure.at == (Location(file=str(job.notebook), line=line_of(job, "import util")),)


def test_failure_of__the_system_killed_it_for_memory(job: Job) -> None:
    used = Resources(cpu_s=1, peak_memory_bytes=3 * 1024**3)
    status, failure = judged(session(job), LOST, job, exit_status=-9, out_of_memory=True, resources=used)
    assert status == "crashed"
    assert failure
    assert (failure.kind, failure.message) == (
        "out-of-memory",
        "the system killed the kernel at 3072 MiB: out of memory",
    )


@pytest.mark.parametrize(("exit_status", "out_of_memory"), [(-9, False), (1, True), (-11, True)])
def test_failure_of__somebody_else_was_killed_or_killed_it(job: Job, exit_status: int, out_of_memory: bool) -> None:
    _, failure = judged(session(job), LOST, job, exit_status=exit_status, out_of_memory=out_of_memory)
    assert failure
    assert failure.kind == "dead-kernel"


def test_cells_of__code_cells_by_their_place_in_the_source() -> None:
    def cell(source: str, status: str, *tags: str) -> Any:
        about = {"tags": list(tags), "papermill": {"status": status, "duration": 1.5 if status != "pending" else None}}
        return nbformat.v4.new_code_cell(source, metadata=about)

    made = Session(source_cells=4)
    words = nbformat.v4.new_markdown_cell("# Words", metadata={"papermill": {"status": "completed"}})
    cells = [
        cell("x = 1", "completed", "parameters"),
        cell("x = 2", "completed", "injected-parameters"),
        words,
        cell("1 / 0", "failed"),
        cell("2", "pending"),
    ]
    node = nbformat.v4.new_notebook(cells=cells)
    made.begin(node)
    made.usage[3] = Usage(cpu_s=0.12345, peak_memory_bytes=77)
    # Papermill puts marks of its own before what has failed.
    mark = nbformat.v4.new_markdown_cell("here", metadata={"tags": ["papermill-error-cell-tag"]})
    node.cells.insert(3, mark)
    node.cells.insert(0, mark)
    assert cells_of(made) == (
        Cell(index=1, status="completed", duration_s=1.5),
        Cell(index=3, status="failed", duration_s=1.5, cpu_s=0.123, peak_memory_bytes=77),
        Cell(index=4, status="pending"),
    )
