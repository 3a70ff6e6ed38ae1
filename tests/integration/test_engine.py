"""`mlci run` on notebooks that are hard to run: floods, odd files, chance, forks, kernels and workers that die."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from fakes.command_line import Done, Workbench, living, notebook, workbench

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("engine")]

MIB = 1024 * 1024


@dataclass
class Ran:
    """What one `mlci run` left."""

    bench: Workbench
    done: Done

    def executed(self, run: str, seed: int | None = None) -> Any:
        """The executed notebook, which is a valid one."""
        [result] = [one for one in self.results if (one["name"], one["seed"]) == (run, seed)]
        assert result["status"] == "succeeded", result["error"]
        node = nbformat.read(self.bench.folder / ".mlci" / result["outputs"]["notebook"], as_version=4)
        nbformat.validate(node)
        return node

    def said(self, run: str, seed: int | None = None) -> Any:
        """What the last cell printed, which is JSON."""
        return json.loads(text(self.executed(run, seed).cells[-1]))

    @property
    def results(self) -> list[Any]:
        found: list[Any] = self.bench.document("run.json")["runs"]
        return found


def text(cell: Any) -> str:
    """All that a cell printed."""
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def pictures(node: Any) -> int:
    """How many pictures are in a notebook."""
    return sum("image/png" in output.get("data", {}) for cell in node.cells for output in cell.get("outputs", ()))


def ran(bench: Workbench, configuration: str, *options: str, code: int = 0, **environ: str) -> Ran:
    bench.write(mlci__toml=configuration)
    bench.commit()
    done = bench.mlci("run", *options, **environ)
    assert done.code == code, done.err
    return Ran(bench, done)


def until(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.02)


# -- floods -----------------------------------------------------------------------------------------------------------

LINES = "for number in range(40_000): print('line', number, flush=True)"
TEXT = "for number in range(50): print(f'block {number} ' + 'x' * 1_048_000)"
PICTURES = """
import base64, os
from IPython.display import display
for number in range(200):
    data = base64.b64encode(os.urandom(225_000)).decode()
    display({"image/png": data, "text/plain": f"picture {number}"}, raw=True)
"""
BAR = """
import sys, time
for percent in range(0, 101):
    sys.stderr.write(f"\\r{percent:3d}%|{'#' * (percent // 10)}{' ' * (10 - percent // 10)}|")
    sys.stderr.flush()
print(file=sys.stderr)
"""


@pytest.fixture(scope="module")
def flood(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    bench = workbench(tmp_path_factory.mktemp("flood"))
    bench.write(flood__ipynb=notebook(LINES, TEXT, PICTURES, BAR))
    return ran(bench, '[runs.flood]\nnotebook = "flood.ipynb"\nmax-cell-output = "700K"\n')


def test_flood__head_and_tail_are_in_a_small_notebook(flood: Ran) -> None:
    lines, blocks, shown, _ = flood.executed("flood").cells
    assert text(lines).startswith("line 0\nline 1\n")
    assert text(lines).endswith("line 39998\nline 39999\n")
    assert text(blocks).startswith("block 0 ")
    assert text(blocks).endswith("x" * 1000 + "\n")
    plain = [output.data["text/plain"] for output in shown.outputs if output.output_type == "display_data"]
    assert (plain[0], plain[-1]) == ("picture 0", "picture 199")
    for cell in (blocks, shown):
        assert "left out here: all of it is in outputs-in-full/cell-000" in text(cell)
    executed = flood.bench.folder / ".mlci" / flood.bench.result("flood")["outputs"]["notebook"]
    assert executed.stat().st_size < 4 * 700 * 1024


def test_flood__the_whole_is_beside_it_and_the_result_says_where(flood: Ran) -> None:
    result = flood.bench.result("flood")
    spilled = result["outputs"]["spilled"]
    assert sorted(path.removeprefix("outputs/flood/outputs-in-full/") for path in spilled) == [
        "cell-0002.txt",
        "cell-0003.jsonl",
    ]
    blocks, shown = (flood.bench.folder / ".mlci" / path for path in sorted(spilled))
    assert [len(line) for line in blocks.read_text().splitlines()] == [
        len(f"block {number} ") + 1_048_000 for number in range(50)
    ]
    assert [json.loads(line)["data"]["text/plain"] for line in shown.read_text().splitlines()] == [
        f"picture {number}" for number in range(200)
    ]
    assert result["notes"] == [
        "too much output to keep in the notebook, cell 2, 3: all of it is in outputs-in-full/",
    ]
    assert f"flood: {result['notes'][0]}" in flood.done.err


def test_flood__a_progress_bar_is_the_line_that_a_terminal_shows(flood: Ran) -> None:
    assert text(flood.executed("flood").cells[3]) == "100%|##########|\n"


# -- files that are unusual -------------------------------------------------------------------------------------------

PERCENT = '# %% [markdown]\n# Words\n\n# %% tags=["parameters"]\nword = "default"\n\n# %%\nprint(word)\n'
CODE_3 = {"cell_type": "code", "input": "print('fine')", "language": "python", "outputs": [], "metadata": {}}
FORMAT_3 = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": [CODE_3]}]}
WORDS = {"cell_type": "markdown", "source": "# Words", "metadata": {}}
ODD = {
    "a {b} ü.ipynb": (notebook("print('fine')"), "fine"),
    'it\'s "quoted".ipynb': (notebook("print('fine')"), "fine"),
    "{word}/nested.ipynb": (notebook("import os; print(os.path.basename(os.getcwd()))"), "{word}"),
    "percent.py": (PERCENT, "given"),
    "plain.py": ("print('fine')\n", "fine"),
    "three.ipynb": (json.dumps(FORMAT_3), "fine"),
    "four-one.ipynb": (
        re.sub(r'"id": "\w+", ', "", notebook("print('fine')")).replace('"nbformat_minor": 5', '"nbformat_minor": 1'),
        "fine",
    ),
    "no cells.ipynb": (notebook(), ""),
    "only words.ipynb": (notebook().replace('"cells": []', f'"cells": [{json.dumps(WORDS)}]'), ""),
}


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    bench = workbench(tmp_path_factory.mktemp("odd"))
    tables = []
    for number, (name, (content, _)) in enumerate(ODD.items()):
        path = bench.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        given = 'parameters = { word = "given" }\n' if name == "percent.py" else ""
        tables.append(f"[runs.run{number}]\nnotebook = {json.dumps(name, ensure_ascii=False)}\n{given}")
    return ran(bench, "\n".join(tables), "-j2")


@pytest.mark.parametrize(("number", "name"), list(enumerate(ODD)), ids=list(ODD))
def test_odd__notebook_runs(odd: Ran, number: int, name: str) -> None:
    printed = "".join(text(cell) for cell in odd.executed(f"run{number}").cells if cell.cell_type == "code")
    assert printed.strip() == ODD[name][1]


def test_odd__metadata_calls_the_notebook_as_the_configuration_does(odd: Ran) -> None:
    assert odd.executed("run0").metadata.papermill.input_path == "a {b} ü.ipynb"


def test_odd__whatever_ran_is_left_as_it_was(odd: Ran) -> None:
    assert odd.bench.repository.git("status", "--porcelain") == ""


# -- chance -----------------------------------------------------------------------------------------------------------

CHANCE = """
import json, random
import numpy
print(json.dumps([random.random(), numpy.random.rand(), hash("x")]))
"""
PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 2]);"


@pytest.fixture(scope="module")
def chance(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    bench = workbench(tmp_path_factory.mktemp("chance"))
    bench.write(
        chance__ipynb=notebook(CHANCE),
        seeded__ipynb=notebook("seed = None", "seed", PLOT, CHANCE, tags={0: "parameters"}),
    )
    tables = [
        *(f'[runs.{name}]\nnotebook = "chance.ipynb"\ndeterministic = true' for name in ("same", "again")),
        # Forks of one server have the hashes of that server: only a process of its own has its own.
        '[runs.forked]\nnotebook = "chance.ipynb"',
        '[runs.spawned]\nnotebook = "chance.ipynb"\npreload = ["no_such_module"]',
        *(
            f'[runs.{name}]\nnotebook = "seeded.ipynb"\ndeterministic = true\nseeds = [1, 2]'
            for name in ("seeded", "resown")
        ),
        '[runs.preloaded]\nnotebook = "chance.ipynb"\ndeterministic = true\npreload = ["numpy"]',
    ]
    return ran(bench, "\n".join(tables), "-j2")


def test_deterministic__the_same_numbers_every_time(chance: Ran) -> None:
    assert chance.said("same") == chance.said("again") == chance.said("preloaded")


def test_deterministic__numbers_by_seed(chance: Ran) -> None:
    one, two = chance.said("seeded", 1), chance.said("seeded", 2)
    assert one == chance.said("resown", 1)
    assert two == chance.said("resown", 2)
    assert all(mine != other for mine, other in zip(one[:2], two[:2], strict=True))
    assert one[2] == two[2]  # the hash of a text has nothing to do with it


def test_deterministic__otherwise_every_number_is_another(chance: Ran) -> None:
    assert all(mine != other for mine, other in zip(chance.said("forked"), chance.said("spawned"), strict=True))


def test_deterministic__pictures_are_still_in_the_notebook(chance: Ran) -> None:
    assert pictures(chance.executed("seeded", 1)) == 1


# -- kernels that are forked ------------------------------------------------------------------------------------------

ABOUT = """
import json, os, random, sys
already = "numpy" in sys.modules
import numpy, threadpoolctl
environ = {name: value for name, value in os.environ.items() if name not in ("MLCI_RUN", "MLCI_METRICS")}
print(json.dumps({
    "already": already,
    "random": [random.random(), numpy.random.rand()],
    "like any": {
        "environ": environ,
        "cwd": os.getcwd(),
        "path": sys.path,
        "argv": sys.argv[0],
        "hash": (sys.flags.hash_randomization, os.environ.get("PYTHONHASHSEED")),
        "threads": [pool["num_threads"] for pool in threadpoolctl.threadpool_info()],
        "session": os.getsid(0) == os.getpid(),
    },
}))
"""
PRELOAD = 'preload = ["numpy.random", "matplotlib.pyplot"]'


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("forks")
    bench = workbench(folder)
    (folder / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
    )
    bench.write(plots__ipynb=notebook(PLOT, "'matplotlib'"), about__ipynb=notebook(ABOUT))
    tables = [
        f'[runs.plots]\nnotebook = "plots.ipynb"\n{PRELOAD}',
        *(f'[runs.{name}]\nnotebook = "about.ipynb"\n{PRELOAD}' for name in ("one", "two")),
        '[runs.absent]\nnotebook = "about.ipynb"\npreload = ["no_such_module"]',
        f'[runs.threads]\nnotebook = "about.ipynb"\npreload = ["threaded"]\nenv = {{ PYTHONPATH = "{folder}" }}',
    ]
    return ran(bench, "\n".join(tables))


def test_preload__pictures_are_in_the_notebook(forks: Ran) -> None:
    assert pictures(forks.executed("plots")) == 1


def test_preload__modules_are_there_already(forks: Ran) -> None:
    assert [forks.said(name)["already"] for name in ("one", "two", "absent")] == [True, True, False]
    assert [forks.bench.result(name)["notes"] for name in ("one", "two")] == [[], []]


def test_preload__each_has_its_own_chance(forks: Ran) -> None:
    one, two = (forks.said(name)["random"] for name in ("one", "two"))
    assert all(mine != other for mine, other in zip(one, two, strict=True))


def test_preload__a_fork_is_like_any_other_kernel(forks: Ran) -> None:
    like_any, spawned = forks.said("one")["like any"], forks.said("absent")["like any"]
    for one in (like_any, spawned):
        del one["environ"]["JPY_PARENT_PID"]
    assert like_any == spawned


@pytest.mark.parametrize(("run", "why"), [("absent", "No module named 'no_such_module'"), ("threads", "2 threads")])
def test_preload__what_cannot_be_preloaded_is_said(forks: Ran, run: str, why: str) -> None:
    [note] = forks.bench.result(run)["notes"]
    assert note.startswith("nothing was preloaded: ")
    assert why in note
    assert not forks.said(run)["already"]


# -- several at once --------------------------------------------------------------------------------------------------

TALK = """
import os, sys, time
for number in range(50):
    print(os.environ["MLCI_RUN"], number, flush=True)
    time.sleep(0.005)
"""


def test_jobs__two_at_once_are_as_one_after_the_other(tmp_path: Path) -> None:
    bench = workbench(tmp_path)
    names = ("a", "b", "c", "d")
    bench.write(**{f"{name}__ipynb": notebook(TALK, "2 + 2", "1 / 0" if name == "c" else "3") for name in names})
    configuration = "\n".join(f'[runs.{name}]\nnotebook = "{name}.ipynb"' for name in names)

    def stored() -> dict[str, Any]:
        kept = {}
        for result in bench.document("run.json")["runs"]:
            cells = json.loads((bench.folder / ".mlci" / result["outputs"]["notebook"]).read_text())["cells"]
            outputs = [cell["outputs"] for cell in cells if cell["cell_type"] == "code"]
            kept[result["name"]] = (result["status"], [cell["status"] for cell in result["cells"]], outputs)
        return kept

    ran(bench, configuration, code=4)
    alone = stored()
    together = ran(bench, configuration, "-j2", "--follow", code=4)
    assert stored() == alone
    assert list(alone) == list(names)
    for name in names:
        shown = re.findall(rf"^{name} \| {name} (\d+)$", together.done.err, re.MULTILINE)
        assert shown == [str(number) for number in range(50)]
    assert not re.search(r"^(\w) \| (?!\1)\w \d+$", together.done.err, re.MULTILINE)


# -- kernels and workers that die -------------------------------------------------------------------------------------

DIE_ONCE = """
import os, pathlib
flag = pathlib.Path({flag!r})
if not flag.exists():
    flag.touch()
    os._exit(7)
"""


def test_kernel__that_dies_before_its_first_cell_is_started_again(tmp_path: Path) -> None:
    bench = workbench(tmp_path)
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-die.py").write_text(DIE_ONCE.format(flag=str(tmp_path / "died")))
    bench.write(fine__ipynb=notebook("print('fine')"))
    again = ran(
        bench,
        '[runs.fine]\nnotebook = "fine.ipynb"\n[cost]\ncpu-hour = 3600\n',
        IPYTHONDIR=str(tmp_path / "ipython"),
    )
    assert (tmp_path / "died").exists()
    assert text(again.executed("fine").cells[0]) == "fine\n"
    [note] = bench.result("fine")["notes"]
    assert note.startswith("the kernel did not start (")
    assert note.endswith("); it had done no work and was started again")
    for command in ("record", "compare", "report"):
        done = bench.mlci(command)
        assert done.code == 0, done.err
    report = (bench.folder / ".mlci" / "report.md").read_text()
    assert "it had done no work and was started again" in report
    # What it cost is said wherever what it used is.
    amount = bench.result("fine")["cost"]
    assert amount["currency"] == "USD"
    assert amount["amount"] == pytest.approx(bench.result("fine")["resources"]["cpu_s"], abs=1e-5)
    assert bench.document("record.json")["records"][0]["cost"] == amount
    assert re.search(rf"\b{amount['amount']:.2f} USD", report)


def test_worker__killed_in_a_cell_leaves_all_that_was_done(tmp_path: Path) -> None:
    bench = workbench(tmp_path)
    canary = uuid.uuid4().hex
    hang = "import pathlib, time\npathlib.Path('in').touch()\ntime.sleep(600)"
    bench.write(
        long__ipynb=notebook("x = 1\nprint('first')", "x + 41", hang, "4"),
        fine__ipynb=notebook("print('fine')"),
        mlci__toml=f'[defaults]\nenv = {{ CANARY = "{canary}" }}\n'
        '[runs.long]\nnotebook = "long.ipynb"\n[runs.fine]\nnotebook = "fine.ipynb"\n',
    )
    bench.commit()
    process = bench.start("run", "long", "fine")
    until((bench.folder / "in").exists)
    [worker] = [
        child
        for child in psutil.Process(process.pid).children()
        if any(file.path.endswith("long/journal.jsonl") for file in child.open_files())
    ]
    worker.kill()
    process.communicate(timeout=60)
    assert process.returncode == 4
    assert living(CANARY=canary) == []
    long = bench.result("long")
    assert (long["status"], bench.result("fine")["status"]) == ("crashed", "succeeded")
    assert [cell["status"] for cell in long["cells"]] == ["completed", "completed", "failed", "pending"]
    node = nbformat.read(bench.folder / ".mlci" / long["outputs"]["notebook"], as_version=4)
    nbformat.validate(node)
    assert text(node.cells[0]) == "first\n"
    assert node.cells[1].outputs[0].data["text/plain"] == "42"
    assert node.metadata.papermill.status == "crashed"
    assert [path.name for path in (bench.folder / ".mlci" / "outputs" / "long").iterdir()] == ["executed.ipynb"]


# -- what users do ----------------------------------------------------------------------------------------------------

PRINTS_FIRST = """import traceback
try:
    1 / 0
except ZeroDivisionError:
    traceback.print_exc()

raise ValueError("this one")"""
TRACKED = """
from multiprocessing import shared_memory
block = shared_memory.SharedMemory(create=True, size=16)
print(block.name)
"""
HABITS = """
[runs.prints]
notebook = "prints.ipynb"
[runs.relative]
notebook = "relative.ipynb"
env = { PYTHONPATH = "lib" }
[runs.tracked]
notebook = "tracked.ipynb"
[runs.unwaited]
notebook = "unwaited.ipynb"
[runs.removes]
notebook = "removes.ipynb"
[runs.later]
notebook = "later.ipynb"
"""


@pytest.fixture(scope="module")
def habits(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    bench = workbench(tmp_path_factory.mktemp("habits"))
    (bench.folder / "lib").mkdir()
    (bench.folder / "lib/mine.py").write_text("WORD = 'found'\n")
    unwaited = "import atexit, subprocess\nsubprocess.Popen(['true'])\natexit.register(open, 'ended', 'w')"
    bench.write(
        prints__ipynb=notebook(PRINTS_FIRST),
        relative__ipynb=notebook("import json, mine\nprint(json.dumps(mine.WORD))"),
        tracked__ipynb=notebook(TRACKED),
        unwaited__ipynb=notebook(unwaited),
        removes__ipynb=notebook("import shutil; shutil.rmtree('.mlci/outputs')"),
        later__ipynb=notebook("1"),
    )
    return ran(bench, HABITS, code=4)


def result(ran: Ran, run: str) -> Any:
    return next(one for one in ran.results if one["name"] == run)


def test_failure__is_where_the_error_was_raised_and_not_where_one_was_printed(habits: Ran) -> None:
    error = result(habits, "prints")["error"]
    assert (error["line"], error["message"]) == (7, "ValueError: this one")
    assert "division by zero" not in error["traceback"]


def test_path__relative_entries_are_seen_from_the_notebook(habits: Ran) -> None:
    error = result(habits, "relative")["error"]
    assert error is None


def test_end__trackers_of_shared_memory_clean_up_and_are_no_leftovers(habits: Ran) -> None:
    found = result(habits, "tracked")
    assert (found["status"], found["notes"]) == ("succeeded", [])


def test_end__exit_handlers_run_though_a_child_was_not_waited_for(habits: Ran) -> None:
    assert result(habits, "unwaited")["notes"] == []
    assert (habits.bench.folder / "ended").exists()


def test_session__one_run_that_breaks_mlci_s_own_folder_does_not_end_the_others(habits: Ran) -> None:
    assert result(habits, "removes")["status"] == "crashed"
    assert result(habits, "later")["status"] == "succeeded"
    assert habits.done.code == 4


def test_session__two_at_once_in_one_folder_are_refused(tmp_path: Path) -> None:
    bench = workbench(tmp_path)
    bench.write(
        mlci__toml='[runs.slow]\nscript = "slow.py"\n',
        slow__py="open('begun', 'w').close()\nimport time; time.sleep(60)",
    )
    bench.commit()
    first = bench.start("run")
    until((bench.folder / "begun").exists)
    second = bench.mlci("run")
    first.terminate()
    first.communicate(timeout=30)
    assert second.code != 0
    assert "another mlci is running in .mlci/" in second.err
