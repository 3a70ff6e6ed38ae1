"""Git: whether the base can be found and reached from here, and what of the files is a pointer only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mlci.core.finding import Finding, Level
from mlci.diagnosing import remote
from mlci.diagnosing.patient import Patient
from mlci.render.text import plain

_OLDEST = (2, 30)
_LFS = b"version https://git-lfs.github.com/spec/"
_MOST_LFS = 10_000


def check(patient: Patient) -> Iterable[Finding]:
    """What is wrong with the clone and its remote."""
    version = patient.clone.answer("version") or ""
    numbers = re.search(r"(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < _OLDEST:
        yield _finding("old-git", "error", "git", f"{version} is too old", "Install git 2.30 or newer.")
    if patient.top is None:
        yield _finding(
            "no-repository",
            "error",
            str(patient.root.name),
            "it is not in a git repository, so no commit has a baseline",
            "Run: git init && git add -A && git commit -m 'First'",
        )
        return
    if patient.clone.answer("rev-parse", "--verify", "--quiet", "HEAD^{commit}") is None:
        yield _finding(
            "no-commit", "error", "HEAD", "there is no commit yet", "Run: git add -A && git commit -m 'First'"
        )
        return
    yield from _history(patient)
    yield from _pointers(patient)


def _history(patient: Patient) -> Iterator[Finding]:
    """The base branch, and whether HEAD's history meets it."""
    base = patient.project.config.settings.baseline.branch
    shallow = patient.clone.answer("rev-parse", "--is-shallow-repository") == "true"
    places = (f"refs/heads/{base}", f"refs/remotes/origin/{base}")
    tips = [tip for place in places for tip in [patient.clone.answer("rev-parse", "--verify", "--quiet", place)] if tip]
    origin = remote.remote_of(patient)
    told = remote.ask(patient, origin) if origin and not patient.offline else None
    if told and told.problem:
        yield _finding(
            "remote",
            "warning",
            "remote origin",
            f"it cannot be read from here: {told.problem}",
            "Check the address (git remote -v) and your access to it (git fetch); without it there are no baselines.",
        )
    if patient.broken:
        return  # it may name another base
    reached = told is not None and told.problem is None
    if not tips and not (told and base in told.branches):
        yield from _no_base(patient, base, told.default if told else None, known=reached or origin is None)
    elif shallow and not reached:
        yield _finding(
            "shallow",
            "unknown" if origin and patient.offline else "warning",
            "history",
            "the clone is shallow, and what it lacks cannot be fetched from here",
            "Run: git fetch --unshallow (in a workflow: `fetch-depth: 0` of actions/checkout)",
        )
    elif not shallow and tips and not any(patient.clone.answer("merge-base", "HEAD", tip) for tip in tips):
        yield _finding(
            "unrelated",
            "error",
            f"branch {base}",
            "HEAD has no commit in common with it, so nothing is a baseline",
            "Check out a branch that was made from it, or name another one: [baseline] branch",
        )
    if patient.clone.answer("config", "--get-regexp", r"^remote\..*\.promisor$") and told and told.problem:
        yield _finding(
            "partial",
            "warning",
            "history",
            "the clone is partial: git fetches contents when it needs them, and the remote cannot be read",
            "Clone without --filter, or mend the access to the remote.",
        )


def _no_base(patient: Patient, base: str, default: str | None, *, known: bool) -> Iterator[Finding]:
    branches = (
        patient.clone.answer("for-each-ref", "--format=%(refname:short)", "--count=50", "refs/heads") or ""
    ).split()
    near = default or next((name for name in ("main", "master", "trunk", "develop") if name in branches), None)
    file, line = patient.configured(("baseline", "branch"))
    yield Finding(
        slug="git/base-branch",
        level="error" if known else "unknown",
        subject=f"branch {plain(base, limit=80)}",
        found="the base branch is neither here nor on the remote" if known else "the base branch is not here",
        remedy=f'Say in {patient.project.config.shown}: [baseline] branch = "{plain(near, limit=80)}"'
        if near and near != base
        else "Push it, or name another one: [baseline] branch",
        file=file,
        line=line,
    )


def _pointers(patient: Patient) -> Iterator[Finding]:
    """Files whose content git LFS keeps, and that were not fetched."""
    if patient.top is None:
        return
    bare = []
    for path in sorted(patient.in_lfs)[:_MOST_LFS]:
        if not (patient.top / path).is_file():
            continue
        try:
            with (patient.top / path).open("rb") as file:
                bare += [path] if file.read(len(_LFS)) == _LFS else []
        except OSError:
            continue
    if bare:
        more = f" and {len(bare) - 1} more" if len(bare) > 1 else ""
        yield _finding(
            "lfs",
            "error",
            plain(bare[0]),
            f"this{more} is a pointer of git LFS, not the content",
            "Run: git lfs pull (in a workflow: `lfs: true` of actions/checkout)",
        )


def _finding(what: str, level: Level, subject: str, found: str, remedy: str) -> Finding:
    return Finding(slug=f"git/{what}", level=level, subject=subject, found=found, remedy=remedy)
