"""The baseline store: whether it can be read, and written by the job that saves."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from mlci.core.finding import Finding
from mlci.diagnosing import remote
from mlci.diagnosing.patient import Patient
from mlci.errors import MlciError
from mlci.plugins.stores.folder import FolderStore
from mlci.plugins.stores.git_branch import GitBranchStore


def check(patient: Patient) -> Iterable[Finding]:
    """What stands between mlci and its baselines."""
    try:
        store = patient.project.store
    except MlciError as error:
        file, line = patient.configured(("baseline", "options"))
        yield Finding(
            slug="store/options",
            level="error",
            subject="[baseline]",
            found=error.message,
            remedy=error.hint or "See docs/how-to/baselines.md for the stores and their options.",
            file=file,
            line=line,
        )
        return
    if isinstance(store, FolderStore):
        yield from _folder(patient, patient.root / store.path)
    elif isinstance(store, GitBranchStore):
        yield from _branch(patient, store)


def _folder(patient: Patient, folder: Path) -> Iterator[Finding]:
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        file, line = patient.configured(("baseline", "options", "path"))
        yield Finding(
            slug="store/folder",
            level="error",
            subject=str(folder),
            found="baselines cannot be written there: it is no folder of yours",
            remedy="Name another one: [baseline] options = { path = ... }",
            file=file,
            line=line,
        )


def _branch(patient: Patient, store: GitBranchStore) -> Iterator[Finding]:
    origin = remote.remote_of(patient, store.remote)
    if origin is None or patient.offline:
        return  # the branch lies in the clone; offline nothing is asked
    told = remote.ask(patient, origin)
    may, said = (None, told.problem) if told.problem else remote.may_push(patient, origin, store.branch)
    if may is False and patient.project.context.in_actions:
        yield Finding(
            slug="store/push",
            level="ok",
            subject=f"branch {store.branch}",
            found="this job may not push to it; the one that saves must, which the workflow files tell",
        )
    elif may is False:
        yield Finding(
            slug="store/push",
            level="warning",
            subject=f"branch {store.branch}",
            found=f"a push to it is refused: {said}",
            remedy="Only the job that saves baselines must be able to: give it `permissions: contents: write`.",
        )
    elif may is None:
        yield Finding(
            slug="store/push",
            level="unknown",
            subject=f"branch {store.branch}",
            found=f"whether baselines can be pushed is not known: {said}",
            remedy="Set GITHUB_TOKEN to a token that may write here, or look at the job that saves.",
        )
