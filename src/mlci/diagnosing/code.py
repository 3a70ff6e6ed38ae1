"""What the code of runs says without being run: the modules that it imports, its kernel, its parameters cell."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mlci.config import Run
from mlci.core.finding import Finding
from mlci.diagnosing.patient import Patient
from mlci.errors import EnvironmentMissingError, MlciError
from mlci.running import jobs
from mlci.running.reuse.imports import Modules

_MAX_BYTES = 4 * 1024 * 1024
_MAX_NOTEBOOK = 10 * 1024 * 1024  # above it reviews and checkouts suffer
_OWN = {"mlci_log", "__main__"}
_IMPORT_ERRORS = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
_TAG = "parameters"


def check(patient: Patient) -> Iterable[Finding]:
    """What in notebooks would go another way than meant."""
    for run in patient.every_run:
        if run.kind != "notebook" or run.path is None:
            continue
        yield from _size(patient, run, run.path)
        cells = _cells(run.path)
        tagged = [position for position, cell in enumerate(cells) if _TAG in cell["metadata"].get("tags", [])]
        names = [*run.table.parameters, *(["seed"] if run.table.seeds else [])]
        if names and not tagged and not _refused(patient, run):
            yield patient.at_run(
                run,
                "notebook",
                slug="notebook/no-parameters-cell",
                level="warning",
                found=f"no cell is tagged `parameters`: {', '.join(names)} would be set before the first cell",
                remedy="Tag the cell that assigns them (Jupyter: property inspector; percent script: "
                '`# %% tags=["parameters"]`).',
            )
        elif len(tagged) > 1:
            yield patient.at_run(
                run,
                "notebook",
                slug="notebook/two-parameters-cells",
                level="warning",
                found=f"{len(tagged)} cells are tagged `parameters`, and only the first one counts",
                remedy="Take the tag off the others.",
            )


def _refused(patient: Patient, run: Run) -> bool:
    """Whether it is an error already that a parameter would get lost."""
    try:
        return bool(jobs.receivable(patient.project.config, run, run.table.parameters)[1])
    except MlciError:
        return True


def _size(patient: Patient, run: Run, path: Path) -> Iterator[Finding]:
    size = path.stat().st_size
    if size > _MAX_NOTEBOOK:
        yield patient.at_run(
            run,
            "notebook",
            slug="notebook/large",
            level="warning",
            found=f"the notebook has {size / 1024**2:.0f} MiB, most of it outputs",
            remedy=f"Clear them: jupyter nbconvert --clear-output --inplace {run.source} (at each commit: nbstripout)",
        )


def kernel_of(path: Path, python: str) -> str | None:
    """The kernel of a notebook in another language; None for one that runs in `python`.

    Raises:
        EnvironmentMissingError: Nobody has installed that kernel.
    """
    from mlci.plugins.executors.notebook import kernels, sources  # noqa: PLC0415 - heavy

    metadata = sources.load(path).metadata
    try:
        name, _ = kernels.kernel_for(metadata, python)
    except kernels.NoSuchKernel:
        wanted = metadata.get("kernelspec", {}).get("name")
        raise EnvironmentMissingError(
            f"the notebook wants the kernel {wanted!r}, which is not installed",
            hint="Install it where mlci runs; `jupyter kernelspec list` shows those that are there.",
        ) from None
    return None if name == kernels.PYTHON_KERNEL else name


def imported(patient: Patient, run: Run) -> set[str]:
    """The names of the modules that a run's code imports, that of the repository it imports included, not these."""
    path = run.path
    if path is None:
        named = [run.cwd / word for word in run.table.command or () if word.endswith(".py")]
        path = next((file for file in named if file.is_file()), None)
    if path is None or path.stat().st_size > _MAX_BYTES:
        return set()
    if run.kind == "notebook":
        cells = [str(cell["source"]) for cell in _cells(path) if cell["cell_type"] == "code"]
    else:
        cells = [path.read_text(encoding="utf-8", errors="replace")]
    # A line such as `%pip install x` brings it in time.
    installed = "\n".join(line for cell in cells for line in cell.splitlines() if "pip install" in line)
    plain_cells = [_without_magics(cell) for cell in cells]
    top = patient.top or patient.root
    folders = tuple(dict.fromkeys((run.cwd if run.kind == "notebook" else path.parent, *_searched(patient, run))))
    files = Modules(folders, top).used_by(plain_cells)
    sources = [*plain_cells, *((top / file).read_text(encoding="utf-8", errors="replace") for file in files)]
    names = {name for source in sources for name in _top_levels(source)}
    return {name for name in names if name not in _OWN and name not in installed and not _local(name, folders)}


def _searched(patient: Patient, run: Run) -> Iterator[Path]:
    given = {**patient.environ, **run.table.env}.get("PYTHONPATH", "")
    yield from (run.cwd / part for part in given.split(":") if part)


def _local(name: str, folders: tuple[Path, ...]) -> bool:
    return any((folder / name).is_dir() or (folder / f"{name}.py").is_file() for folder in folders)


def _cells(path: Path) -> list[Any]:
    from mlci.plugins.executors.notebook import sources  # noqa: PLC0415 - heavy

    try:
        return list(sources.load(path).cells)
    except MlciError:
        return []  # said elsewhere


def _without_magics(source: str) -> str:
    if source.lstrip().startswith("%%"):
        return ""
    lines = (line if not line.lstrip().startswith(("%", "!", "?")) else "pass" for line in source.splitlines())
    return "\n".join(lines)


def _top_levels(source: str) -> Iterator[str]:
    """Modules that are imported whenever the source runs: what it tries, or a function does, may be missing."""
    try:
        ahead: list[ast.stmt] = list(ast.parse(source).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    while ahead:
        node = ahead.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.Try) and any(_catches_import(handler) for handler in node.handlers):
            ahead += node.orelse + node.finalbody
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            ahead += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            ahead += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]


def _catches_import(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    return any(isinstance(node, ast.Name) and node.id in _IMPORT_ERRORS for node in ast.walk(handler.type))
