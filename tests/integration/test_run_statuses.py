"""What becomes of code that ends in every way that code can end: as a notebook, a percent script, a script, a command.

The table of `fakes.endings` says what each has to come to.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fakes.command_line import Workbench, marked, workbench
from fakes.control_group import memory_group
from fakes.endings import CANARY, HELPER, HERE, KINDS, OWN, PAPERMILL, RUNS, TABLE, Kind, Run

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("statuses")]

EXCEPTION = {"completed": False, "failed": True, "pending": None}
NOTEBOOKS = [run for run in RUNS if run.kind in PAPERMILL and run.expected.cells]


def every(status: str) -> pytest.MarkDecorator:
    return cases(run for run in RUNS if run.expected.status == status)


def cases(runs: Iterable[Run]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("run", list(runs), ids=lambda run: run.name)


every_run = cases(RUNS)
every_notebook = cases(NOTEBOOKS)


@dataclass
class Ran:
    """What mlci has left."""

    bench: Workbench
    results: dict[str, Any] = field(default_factory=dict)  # in run.json, by the run's name
    annotations: dict[str, set[tuple[str | None, int | None]]] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)  # mlci's own exit code
    left: dict[str, list[str]] = field(default_factory=dict)  # processes
    took: dict[str, float] = field(default_factory=dict)  # seconds until mlci's end, of the cancelled from the signal

    def keep(self, runs: Iterable[Run], code: int, out: str, took: float) -> None:
        left, found = marked(CANARY), shown(out)
        for run in runs:
            self.results[run.name] = self.bench.result(run.name)
            self.annotations[run.name] = found.get(run.name, set())
            self.codes[run.name] = code
            self.left[run.name] = left
            self.took[run.name] = took

    def result(self, run: Run) -> Any:
        if run.name not in self.results:
            pytest.skip("the memory of a control group cannot be limited here")
        return self.results[run.name]

    def outputs(self, run: Run) -> Path:
        return self.bench.folder / ".mlci/outputs" / run.name


def shown(log: str) -> dict[str, set[tuple[str | None, int | None]]]:
    """File and line of each error that a runner would show, by the run that its title names."""
    found: dict[str, set[tuple[str | None, int | None]]] = {}
    for properties in re.findall(r"^::error ([^:]+)::", log, re.MULTILINE):
        given = dict(item.split("=", 1) for item in properties.split(","))
        run = given["title"].partition("%2C")[0]
        found.setdefault(run, set()).add((given.get("file"), int(given["line"]) if "line" in given else None))
    return found


def here(text: str) -> int:
    """The line of a file that holds the mark."""
    return 1 + text[: text.index(HERE)].count("\n")


def batches(runs: list[Run]) -> Iterator[list[Run]]:
    """So many at once that the runner shows all annotations: ten."""
    batch: list[Run] = []
    for run in runs:
        if sum(max(1, len(other.expected.at)) for other in [*batch, run]) > 10:
            yield batch
            batch = []
        batch.append(run)
    yield batch


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    made = workbench(tmp_path_factory.mktemp("statuses"))
    made.write(mlci__toml="".join(run.table for run in RUNS), helper__py=HELPER)
    for run in RUNS:
        (made.folder / run.file).write_text(run.text)
    made.commit()
    return made


@pytest.fixture(scope="module")
def ran(bench: Workbench, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    ran = Ran(bench)
    event = tmp_path_factory.mktemp("event") / "event.json"
    event.write_text('{"pull_request": {"number": 1}}')
    runner = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(event)}
    runner["CANARY"] = CANARY

    def ci(runs: list[Run], *, group: Path | None = None, cancel: signal.Signals | None = None) -> None:
        process = bench.start("ci", "-j4", *(run.name for run in runs), **runner)
        if group:
            (group / "cgroup.procs").write_text(str(process.pid))  # before it has started anything
        if cancel:
            for run in runs:
                until(bench.folder / f"{run.name}.begun")
            process.send_signal(cancel)
        asked = time.monotonic()
        out, _ = process.communicate(timeout=120)
        ran.keep(runs, process.returncode, out, time.monotonic() - asked)

    succeeding = [run for run in RUNS if run.expected.status == "succeeded"]
    cancelled = [run for run in RUNS if run.expected.status == "cancelled"]
    hoarding = [run for run in RUNS if run.case == "hoards"]
    ci(succeeding)
    for batch in batches([run for run in RUNS if run not in (*succeeding, *cancelled, *hoarding)]):
        ci(batch)
    with memory_group(700 * 1024 * 1024) as group:
        if group:
            ci(hoarding, group=group)
    for case in dict.fromkeys(run.case for run in cancelled):
        number = signal.Signals[case.partition("-")[0]]
        ci([run for run in cancelled if run.case == case], cancel=number)
    return ran


def until(file: Path) -> None:
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline, f"no {file.name}"
        time.sleep(0.05)


@every_run
def test_ci__status_and_error(ran: Ran, run: Run) -> None:
    result, expected = ran.result(run), run.expected
    error = result["error"] or {"kind": None, "message": ""}
    assert (result["status"], error["kind"]) == (expected.status, expected.kind)
    assert expected.says in error["message"]


@every_run
def test_ci__the_error_says_where(ran: Ran, run: Run) -> None:
    result, expected = ran.result(run), run.expected
    if expected.kind is None:
        assert result["error"] is None
        return
    error = result["error"]
    in_cell = "failed" in expected.cells and run.kind in PAPERMILL
    assert error["cell"] == (2 if in_cell else None)
    if not expected.line:
        assert error["line"] is None
    elif in_cell:
        assert (error["file"], error["line"]) == (run.file, here(TABLE[run.case].code))
    else:
        assert (error["file"], error["line"]) == places(ran, run)[0]


@every_run
def test_ci__annotations(ran: Ran, run: Run) -> None:
    result, expected = ran.result(run), run.expected
    at = [(place["file"], place["line"]) for place in (result["error"] or {"at": []})["at"]]
    assert at == places(ran, run)
    if expected.status in ("succeeded", "cancelled"):
        assert ran.annotations[run.name] == set()
    else:
        assert ran.annotations[run.name] == (set(at) or {(None, None)})


@every_run
def test_ci__exit_code(ran: Ran, run: Run) -> None:
    ran.result(run)
    assert ran.codes[run.name] == {"succeeded": 0, "cancelled": 130}.get(run.expected.status, 4)


@every_run
def test_ci__no_process_is_left(ran: Ran, run: Run) -> None:
    ran.result(run)
    assert ran.left[run.name] == []


@every_run
def test_ci__what_it_has_said_and_measured_is_on_disk(ran: Ran, run: Run) -> None:
    result, expected = ran.result(run), run.expected
    assert [(metric["name"], metric["value"]) for metric in result["metrics"]] == [("before", 0.5)] * expected.before
    kept = result["outputs"]["notebook" if run.kind in PAPERMILL else "log"]
    if expected.status == "skipped":
        assert kept is None
    else:
        assert ("first" in (ran.bench.folder / ".mlci" / kept).read_text()) == expected.before


@every_run
def test_ci__nothing_else_is_on_disk(ran: Ran, run: Run) -> None:
    result, expected = ran.result(run), run.expected
    known = {"metrics.jsonl"} if expected.before else set()
    known |= {Path(result["outputs"][kind]).name for kind in ("notebook", "log") if result["outputs"][kind]}
    known |= {"outputs-in-full"} if result["outputs"]["spilled"] else set()
    folder = ran.outputs(run)
    assert {path.name for path in folder.iterdir()} == known if folder.exists() else not known


@pytest.mark.parametrize("kind", KINDS)
def test_ci__what_was_too_long_is_spilled_whole(ran: Ran, kind: Kind) -> None:
    [file] = ran.result(Run("talks", kind))["outputs"]["spilled"]
    assert "talk " * 10_000 in (ran.bench.folder / ".mlci" / file).read_text()


@every_notebook
def test_ci__each_cell_in_run_json_and_in_papermill_s_metadata(ran: Ran, run: Run) -> None:
    result, expected = ran.result(run), run.expected
    executed = json.loads((ran.outputs(run) / "executed.ipynb").read_text())
    cells = [cell["metadata"]["papermill"] for cell in executed["cells"] if "papermill" in cell["metadata"]]
    assert tuple(cell["status"] for cell in result["cells"]) == expected.cells
    assert tuple(cell["status"] for cell in cells) == expected.cells
    assert [cell["exception"] for cell in cells] == [EXCEPTION[cell] for cell in expected.cells]


@every_notebook
def test_ci__papermill_s_metadata_of_the_notebook(ran: Ran, run: Run) -> None:
    ran.result(run)
    about = json.loads((ran.outputs(run) / "executed.ipynb").read_text())["metadata"]["papermill"]
    status = "succeeded" if run.case == "missing" else run.expected.status  # of the notebook: it has done its part
    assert (about["status"], about["exception"]) == (status, None if status == "succeeded" else True)
    assert about["input_path"] == run.file
    assert about["duration"] > 0


@pytest.mark.skipif(sys.platform != "linux", reason="there is no setsid to make a daemon with")
@pytest.mark.parametrize(("kinds", "what"), [(PAPERMILL, "kernel"), (("script", "command"), "run")])
def test_ci__daemons_that_were_left_behind_are_said(ran: Ran, kinds: tuple[Kind, ...], what: str) -> None:
    runs = [run for run in RUNS if run.expected.status == "succeeded" and run.kind in kinds]
    notes = "".join(str(ran.result(run)["notes"]) for run in runs)
    # Of kernels that end at the same moment one may be said to have left the daemons of both.
    assert sum(map(int, re.findall(rf"(\d+) process\(es\) outlived the {what}", notes))) == len(runs)


@every("cancelled")
def test_ci__is_cancelled_within_five_seconds(ran: Ran, run: Run) -> None:
    assert ran.took[run.name] < 5


@every_run
def test_ci__time_cpu_and_memory(ran: Ran, run: Run) -> None:
    result, expected = ran.result(run), run.expected
    if expected.status == "skipped":
        assert result["resources"] is None
        return
    used = result["resources"]
    assert 0 < used["cpu_s"] < 4 * result["duration_s"] + 1
    assert 1e6 < used["peak_memory_bytes"] < 1e9


def places(ran: Ran, run: Run) -> list[tuple[str, int]]:
    """Where annotations belong."""
    names = [run.file if name is OWN else name for name in run.expected.at]
    return [(name, here((ran.bench.folder / name).read_text())) for name in names]
