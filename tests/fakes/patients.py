"""Repositories for `mlci doctor`: a healthy one, to which a test does one thing, and what is then found."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from pathlib import Path

from fakes.command_line import Workbench, notebook, workbench
from fakes.repositories import repository
from mlci.actions import Actions
from mlci.core.finding import Finding
from mlci.diagnosing.examination import AREAS, examine
from mlci.diagnosing.patient import Patient
from mlci.project import Invocation

EXAMPLES = Path(__file__).parents[2] / "examples/workflows"
COMMIT = "9c091bb21b7c1c1d1991bb908d89e4e9dddfe3e0"
TRAIN = """\
import json
import sys

print(sys.argv[1:])
json.dump({"accuracy": 0.9}, open("metrics.json", "w"))
"""
CONFIG = """\
[runs.train]
script = "train.py"
args = ["--seed", "{seed}", "--depth", "{depth}"]
parameters = { depth = 6 }
seeds = [0, 1]
metrics = ["metrics.json"]
inputs = ["data.csv"]
timeout = "5m"

[runs.digits]
notebook = "digits.ipynb"
parameters = { neighbours = 3 }

[metrics.accuracy]
max-regression = 0.01
"""


def example(name: str) -> str:
    """An example workflow, with a real action in it."""
    text = (EXAMPLES / f"{name}.yml").read_text(encoding="utf-8")
    return text.replace("OWNER/mlci", "acme/mlci").replace("0" * 40, COMMIT)


def healthy(folder: Path) -> Workbench:
    """A repository with nothing amiss, and no remote."""
    bench = workbench(folder)
    cells = ["neighbours = 1", "print(neighbours)"]
    bench.write(
        train__py=TRAIN,
        mlci__toml=CONFIG,
        data__csv="1,2\n",
        digits__ipynb=notebook(*cells, tags={0: "parameters"}),
        __gitignore="metrics.json\n.mlci/\n",
    )
    for name in ("pull-request", "main", "fork-comment"):
        workflow(bench, example(name), f"{name}.yml")
    bench.commit("First")
    return bench


def published(folder: Path) -> Workbench:
    """The same, pushed to a remote beside it."""
    bench = healthy(folder)
    origin = repository(folder / "origin")
    origin.git("config", "core.bare", "true")
    bench.repository.git("remote", "add", "origin", str(origin.folder / ".git"))
    bench.repository.git("push", "--quiet", "origin", "main")
    return bench


def workflow(bench: Workbench, text: str, name: str = "mlci.yml") -> None:
    """Write a workflow file."""
    folder = bench.folder / ".github/workflows"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def edit(bench: Workbench, file: str, old: str, new: str) -> None:
    """Change a file, all places of it."""
    path = bench.folder / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def patient(bench: Workbench, environ: Mapping[str, str] | None = None, *, offline: bool = False) -> Patient:
    """The repository, as the command examines it, with these variables beside the bench's."""
    given = bench.environ | dict(environ or {})
    invocation = Invocation(
        environ=given,
        folder=bench.folder,
        config_file=None,
        say=lambda _line: None,
        actions=Actions(given, io.StringIO()),
    )
    return Patient.of(invocation, offline=offline, python=given.get("MLCI_PYTHON", sys.executable))


def amiss(
    bench: Workbench, *areas: str, environ: Mapping[str, str] | None = None, offline: bool = False
) -> list[Finding]:
    """What is found that is not well, in some areas or in all."""
    checks = [item for item in AREAS if not areas or item[0] in areas]
    found = examine(patient(bench, environ, offline=offline), checks)
    return [finding for finding in found if finding.level != "ok"]


def only(found: list[Finding]) -> Finding:
    """The one finding."""
    assert len(found) == 1, found
    return found[0]
