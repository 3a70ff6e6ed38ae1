"""Files of runs: whether git brings them to CI, which would be stale there, and which are too large to move."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from mlci.config import Run
from mlci.core.finding import Finding
from mlci.diagnosing.patient import Patient
from mlci.render.text import plain, size

_GLOB = re.compile(r"[*?\[]")
_GIT_MAX = 100 * 1024**2  # GitHub refuses a push of a larger file
_ASSET_MAX = 2 * 1024**3
_MOST_FILES = 100_000
_SHOWN = 3


def check(patient: Patient) -> Iterable[Finding]:
    """What is not where CI will look for it."""
    if patient.top is None:
        return
    for run in patient.every_run:
        yield from _untracked(patient, run)
        yield from _absent_data(patient, run)
        yield from _stale(patient, run)
        yield from _heavy(patient, run)
    yield from _large(patient)
    if any(path == ".mlci" or path.startswith(".mlci/") or "/.mlci/" in path for path in patient.tracked):
        yield Finding(
            slug="files/workspace",
            level="warning",
            subject=".mlci",
            found="git tracks mlci's workspace, so that each checkout brings old results",
            remedy="Run: git rm -r --cached .mlci",
            file=".mlci",
        )


def _untracked(patient: Patient, run: Run) -> Iterator[Finding]:
    own = [run.path] if run.path else []
    own += [run.cwd / word for word in run.table.command or () if (run.cwd / word).is_file()]
    for path in own:
        shown = patient.shown(path)
        if shown and shown not in patient.tracked:
            yield patient.at_run(
                run,
                run.kind,
                slug="files/untracked",
                level="error",
                found=f"{shown} is not in git, so CI does not have it",
                remedy=f"Run: git add {shown}",
            )
    for item in run.table.inputs:
        path = (patient.root / item).resolve()
        shown = patient.shown(path)
        if _GLOB.search(item) or not shown or not path.exists() or _by_dvc(patient, path):
            continue
        inside = shown in patient.tracked or any(name.startswith(f"{shown}/") for name in patient.tracked)
        if not inside:
            yield patient.at_run(
                run,
                "inputs",
                slug="files/untracked-input",
                level="warning",
                found=f"its input {shown} is not in git: CI needs another way to it",
                remedy=f"Run: git add {shown}; or dvc add {shown}; or fetch it in the workflow before mlci.",
            )


def _by_dvc(patient: Patient, path: Path) -> bool:
    return path.with_name(f"{path.name}.dvc").is_file() or (patient.root / "dvc.lock").is_file()


def _absent_data(patient: Patient, run: Run) -> Iterator[Finding]:
    for item in run.table.inputs:
        path = patient.root / item
        if not _GLOB.search(item) and not path.exists() and path.with_name(f"{path.name}.dvc").is_file():
            yield patient.at_run(
                run,
                "inputs",
                slug="files/dvc",
                level="warning",
                found=f"its input {item} is tracked by DVC and not here",
                remedy=f"Run: dvc pull {item}.dvc (in the workflow: before mlci)",
            )


def _stale(patient: Patient, run: Run) -> Iterator[Finding]:
    if run.kind == "committed":
        return
    tracked = []
    for file in run.table.metric_files:
        shown = patient.shown(run.cwd / file.path)
        tracked += [shown] if shown in patient.tracked else []
    if tracked:
        yield patient.at_run(
            run,
            "metrics",
            slug="files/stale-metrics",
            level="warning",
            found=f"git tracks {tracked[0]}, which the run is to write: a checkout brings old values",
            remedy=f"Run: git rm --cached {tracked[0]} && echo {tracked[0]} >> .gitignore; "
            "or say committed = true, if nothing is to be run.",
        )


def _heavy(patient: Patient, run: Run) -> Iterator[Finding]:
    for pattern in run.table.artifacts:
        path = run.cwd / pattern
        if not _GLOB.search(pattern) and path.is_file() and path.stat().st_size >= _ASSET_MAX:
            yield patient.at_run(
                run,
                "artifacts",
                slug="files/large-artifact",
                level="warning",
                found=f"{pattern} has {size(path.stat().st_size)}, and an asset of a release has less than 2 GiB",
                remedy='Keep it elsewhere: [artifacts] store = "s3://bucket/models"',
            )


def _large(patient: Patient) -> Iterator[Finding]:
    top = patient.top or patient.root
    large = []
    for path in sorted(patient.tracked)[:_MOST_FILES]:
        try:
            bytes_ = (top / path).lstat().st_size
        except OSError:
            continue
        large += [(bytes_, path)] if bytes_ > _GIT_MAX and path not in patient.in_lfs else []
    if large:
        shown = ", ".join(f"{plain(path)} ({size(bytes_)})" for bytes_, path in sorted(large, reverse=True)[:_SHOWN])
        yield Finding(
            slug="files/large",
            level="warning",
            subject=plain(large[0][1]),
            found=f"GitHub refuses files of more than 100 MiB: {shown}",
            remedy="Keep them with DVC or git LFS: git lfs migrate import --include=FILE",
            file=large[0][1],
        )
