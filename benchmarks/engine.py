"""What running notebooks costs, against papermill, nbclient and nbmake in the same run on the same machine.

    pip install -e ".[bench]"
    python benchmarks/engine.py                  every case; takes about half an hour, most of it papermill's
    python benchmarks/engine.py one cells-400    some; names as `--list` shows them

Whole processes are timed, started in turn, round by round; each row shows medians in seconds and the ratio of mlci's to
each. `flood` shows the peak resident memory of the largest process in MB as well.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import notebooks

BIN = Path(sys.executable).parent
PYTHON = sys.executable
PAPERMILL_UP_TO = 400  # cells: it is quadratic
PRELOAD = (
    'preload = ["pandas", "sklearn.linear_model", "sklearn.model_selection", "sklearn.datasets", "matplotlib.pyplot"]'
)


@dataclass
class Case:
    """One row of the table.

    Args:
        make: Writes the notebooks into a folder and gives the shell command of each program by its name.
        rounds: How often each is timed.
        memory: Whether memory is shown as well.
    """

    make: Callable[[Path], dict[str, str]]
    rounds: int = 3
    memory: bool = False
    seconds: dict[str, list[float]] = field(default_factory=dict)
    megabytes: dict[str, list[float]] = field(default_factory=dict)


def one(
    folder: Path, notebook: Path, *, papermill: bool = True, nbmake: bool = False, peers: bool = True
) -> dict[str, str]:
    """The commands that run one notebook."""
    _configure(folder, f'[runs.bench]\nnotebook = "{notebook.name}"\n')
    commands = {"mlci": f"{PYTHON} -m mlci run --python {PYTHON}"}
    if peers:
        commands["nbclient"] = f"{BIN}/jupyter execute {notebook.name} --output executed --timeout 3600"
    if papermill:
        commands["papermill"] = f"{BIN}/papermill {notebook.name} executed.ipynb --no-progress-bar --log-level ERROR"
    if nbmake:
        commands["nbmake"] = f"{PYTHON} -m pytest -q -p no:cacheprovider --nbmake {notebook.name}"
    return commands


def cells(count: int) -> Callable[[Path], dict[str, str]]:
    """`count` trivial cells; papermill is left out where it takes minutes."""
    return lambda folder: one(folder, notebooks.trivial(folder / "n.ipynb", count), papermill=count <= PAPERMILL_UP_TO)


def many(folder: Path) -> dict[str, str]:
    """Twenty small notebooks; papermill in a loop, nbmake and mlci two at a time."""
    found = notebooks.small_ones(folder, 20)
    names = " ".join(path.name for path in found)
    plain = '[runs.small]\nnotebook = "small*.ipynb"\n'
    (folder / "preload.toml").write_text(f"{plain}{PRELOAD}\n")
    _configure(folder, plain)
    loop = f"for n in {names}; do {BIN}/papermill $n executed.ipynb --no-progress-bar --log-level ERROR; done"
    run = f"{PYTHON} -m mlci run -j 2 --python {PYTHON}"
    return {
        "mlci": f"{PYTHON} -m mlci --config preload.toml run -j 2 --python {PYTHON}",
        "mlci, no preload": run,
        "nbmake": f"{PYTHON} -m pytest -q -p no:cacheprovider --nbmake -n 2 {names}",
        "papermill": loop,
    }


def again(folder: Path) -> dict[str, str]:
    """The same twenty when nothing has changed."""
    notebooks.small_ones(folder, 20)
    _configure(folder, '[runs.small]\nnotebook = "small*.ipynb"\nreuse = true\ninputs = []\n')
    command = [PYTHON, "-m", "mlci", "run", "-j", "2", "--python", PYTHON]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return {"mlci": " ".join(command)}


CASES: dict[str, Case] = {
    "one": Case(lambda folder: one(folder, notebooks.trivial(folder / "n.ipynb", 1), nbmake=True), rounds=7),
    **{f"cells-{count}": Case(cells(count)) for count in (50, 100, 200, 400, 800)},
    "pictures": Case(lambda folder: one(folder, notebooks.pictures(folder / "n.ipynb", 50))),
    "twenty": Case(many, rounds=2),
    "twenty-reused": Case(again, rounds=5),
    "flood": Case(
        lambda folder: one(folder, notebooks.flood(folder / "n.ipynb"), papermill=False), rounds=1, memory=True
    ),
}


def _configure(folder: Path, text: str) -> None:
    (folder / "mlci.toml").write_text(text)
    git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@mlci.invalid", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "Notebooks"]):
        subprocess.run([*git, *arguments], cwd=folder, check=True, capture_output=True)


def _time(command: str, folder: Path) -> tuple[float, float]:
    """Wall seconds of a shell command, and the peak of its largest process in MB."""
    start = time.perf_counter()
    done = subprocess.run(["sh", "-c", f"{{ {command}; }} >log.txt 2>&1"], cwd=folder, check=False)
    took = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{command}\nfailed in {folder}:\n{(folder / 'log.txt').read_text()[-2000:]}")
    # Of everything that was waited for. It only rises: hence `_apart`.
    return took, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def measure(name: str) -> Iterator[str]:
    """Time a case, each program in turn; its rows."""
    case = CASES[name]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        commands = case.make(folder)
        for _ in range(case.rounds):
            for program, command in commands.items():
                took, peak = _apart(command, folder)
                case.seconds.setdefault(program, []).append(took)
                case.megabytes.setdefault(program, []).append(peak)
                shutil.rmtree(folder / ".pytest_cache", ignore_errors=True)
    ours = statistics.median(case.seconds["mlci"])
    for program, seconds in case.seconds.items():
        median = statistics.median(seconds)
        memory = f" {max(case.megabytes[program]):6.0f} MB" if case.memory else ""
        yield f"| {name} | {program} | {median:.2f} | {median / ours:.2f} |{memory}"


def _apart(command: str, folder: Path) -> tuple[float, float]:
    """`_time` in a process of its own, so that peaks of memory do not add up."""
    done = subprocess.run(
        [PYTHON, __file__, "--time", command, str(folder)], check=True, capture_output=True, text=True
    )
    took, peak = done.stdout.split()
    return float(took), float(peak)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--rounds", type=int, help="in place of each case's own number")
    parser.add_argument("--time", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.list:
        print("\n".join(CASES))
        return
    if given.time:
        print(*_time(given.time[0], Path(given.time[1])))
        return
    packages = ("papermill", "nbclient", "nbmake", "ipykernel", "jupyter_client")
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores,", end=" ")
    print(", ".join(f"{name} {metadata.version(name)}" for name in packages))
    print("\n| case | program | seconds | times mlci |\n|---|---|---|---|")
    for name in given.cases or CASES:
        if given.rounds:
            CASES[name].rounds = given.rounds
        for row in measure(name):
            print(row, flush=True)


if __name__ == "__main__":
    main()
