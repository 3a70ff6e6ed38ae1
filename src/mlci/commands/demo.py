"""`mlci demo`: the main job on an example, in a repository of its own, with nothing to set up."""

from __future__ import annotations

import dataclasses
import importlib.resources
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import click

from mlci.commands.baseline import save
from mlci.commands.compare import compare
from mlci.commands.record import record_own
from mlci.commands.report import terminal_report, write_page, write_report
from mlci.commands.run import check_succeeded, display_for, run_all
from mlci.core.documents import Comparison, RecordsDocument
from mlci.errors import EnvironmentMissingError, UsageError
from mlci.git import Git
from mlci.project import Invocation, Project
from mlci.render.text import duration
from mlci.running import interpreter
from mlci.running.session import Options
from mlci.workspace import REPORT, REPORT_HTML

_FILES = ("mlci.toml", "digits.ipynb", "tumours.py", "gitignore.txt")
_NEEDED = ("ipykernel", "matplotlib", "scikit-learn")
_CHANGED = "tumours.py"
_BEFORE, _AFTER = "THRESHOLD = 0.5", "THRESHOLD = 0.8"
# Whoever runs the demo may sign commits, have hooks, and no name.
_GIT = (
    ("user.name", "mlci demo"),
    ("user.email", "demo@mlci.invalid"),
    ("commit.gpgsign", "false"),
    ("core.hooksPath", "hooks-of-nobody"),
)


def demo(invocation: Invocation, folder: Path) -> tuple[Project, Comparison, RecordsDocument]:
    """Measure the example's main branch, change the model on a branch, measure again, compare.

    Args:
        invocation: How mlci was started.
        folder: An empty folder for the example's repository.

    Raises:
        EnvironmentMissingError: The interpreter lacks what the example imports.
        GitError: There is no git.
    """
    _check_installed(invocation.environ)
    # Even on a CI runner this is nobody's pull request.
    local = {name: value for name, value in invocation.environ.items() if not name.startswith(("GITHUB_", "MLCI_"))}
    inner = dataclasses.replace(invocation, environ=local, folder=folder, config_file=None)
    git = Git(folder, local, config=_GIT)

    _step("The main branch: run, record, save the baseline")
    _write_example(folder)
    git.run("init", "--quiet", "--initial-branch=main")
    _commit(git, "Classify digits and tumours")
    save(_measured(inner))

    _step(f"A branch that changes one line of {_CHANGED}: {_BEFORE} becomes {_AFTER}")
    git.run("switch", "--quiet", "--create", "raise-threshold")
    changed = folder / _CHANGED
    changed.write_text(changed.read_text(encoding="utf-8").replace(_BEFORE, _AFTER), encoding="utf-8")
    _commit(git, "Call fewer tumours malignant")
    project = _measured(inner)

    comparison = compare(project)
    records, _ = project.workspace.records()
    write_report(project, comparison, records)
    write_page(project, comparison, records)
    return project, comparison, records


def _check_installed(environ: Mapping[str, str]) -> None:
    packages = interpreter.probe(sys.executable, environ=environ)().environment.packages
    missing = [name for name in _NEEDED if name not in packages]
    if missing:
        raise EnvironmentMissingError(
            f"the demo trains real models and needs {', '.join(missing)}",
            hint='Install mlci with them: python -m pip install ".[demo]"',
        )


def _write_example(folder: Path) -> None:
    example = importlib.resources.files("mlci.example")
    for name in _FILES:
        target = ".gitignore" if name == "gitignore.txt" else name
        (folder / target).write_bytes(example.joinpath(name).read_bytes())


def _commit(git: Git, message: str) -> None:
    git.run("add", "--all")
    git.run("commit", "--quiet", "--message", message)


def _measured(invocation: Invocation) -> Project:
    project = Project.open(invocation)
    document = run_all(project, Options(python=sys.executable), display_for(invocation))
    record_own(project)
    check_succeeded(document)
    return project


def _step(text: str) -> None:
    click.echo(f"\n== {text}", err=True)


def _empty(into: Path | None) -> Path:
    if into is None:
        return Path(tempfile.mkdtemp(prefix="mlci-demo-")).resolve()
    if into.exists() and any(into.iterdir()):
        raise UsageError(f"{into} is not empty", hint="Name a folder that is not there yet.")
    into.mkdir(parents=True, exist_ok=True)
    return into.resolve()


@click.command("demo")
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), help="Where the example goes.")
@click.pass_obj
def command(invocation: Invocation, into: Path | None) -> None:
    """Try mlci on a small example: no token, no network, under a minute.

    Makes a git repository with a notebook and a script that train scikit-learn models, saves the main branch's
    baseline, changes a model on a branch, runs again, compares and reports: one metric gets better, one worse than
    its tolerance, and one moves by no more than it does from seed to seed.

    \b
    Examples:
      mlci demo
      mlci demo --into ~/mlci-demo
    """
    began = time.monotonic()
    project, comparison, records = demo(invocation, _empty(into))
    _step("The report, as a pull request would get it")
    click.echo(terminal_report(project, comparison, records))
    folder = project.config.root
    click.echo(f"\nAll of it took {duration(time.monotonic() - began)} and lies in {folder}:")
    for path, what in (
        ("mlci.toml", "what runs, and what its metrics must satisfy"),
        (f".mlci/{REPORT_HTML}", "this report as a page for the browser, with charts, plots and notebooks"),
        (f".mlci/{REPORT}", "the same as Markdown"),
        (".mlci/outputs/", "executed notebooks, logs, figures, models"),
        (".mlci/*.json", "what every step decided, for people and scripts"),
    ):
        click.echo(f"  {path:<18} {what}")
    click.echo(f"Next: cd {folder} && mlci gate   (exits {'5: the gate fails' if comparison.blocks else '0'})")
