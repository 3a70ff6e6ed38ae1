"""Looks through a repository and says what was found: projects, candidates for their runs, what they need."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import msgspec

from mlci.adopting import dependencies
from mlci.adopting.candidates import Candidate, candidate, names_in
from mlci.adopting.dependencies import Dependencies
from mlci.adopting.listing import Listing, listed
from mlci.adopting.pipelines import named_by_dvc, pipeline
from mlci.adopting.ranking import CHOSEN_FROM, WEAK_FROM, Ranked, ranked
from mlci.adopting.surroundings import EXECUTES, Surroundings, look_around
from mlci.git import Git

MAX_CHOSEN = 5  # runs that are suggested: a pull request waits for all of them
MAX_SHOWN = 40  # candidates of a project that are kept
_LACKING = 5


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A project of the repository: what could be run, the likeliest first, and what that needs."""

    folder: str
    candidates: tuple[Candidate, ...]
    more: int  # candidates beyond them
    dependencies: Dependencies

    @property
    def suggested(self) -> tuple[Candidate, ...]:
        """What is likely to be a training; for want of it, notebooks that do something."""
        for least, kinds in ((CHOSEN_FROM, ("notebook", "script", "command", "committed")), (WEAK_FROM, ("notebook",))):
            found = [item for item in self.candidates if item.rank >= least and item.kind in kinds]
            if found:
                # What a team wrote down as one pipeline is wanted whole.
                written = [item for item in found if item.name]
                guessed = [item for item in found if not item.name]
                return tuple(written + guessed[: max(0, MAX_CHOSEN - len(written))])
        return ()


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a repository holds that mlci could work with."""

    branch: str
    parts: tuple[Part, ...]
    surroundings: Surroundings
    files: int
    left_out: int  # files that were not looked at
    broken: dict[str, str] = {}  # notebooks that cannot be read, and why


def scan(folder: Path, environ: Mapping[str, str]) -> tuple[Listing, Found]:
    """Look through the repository that `folder` lies in, without executing or importing anything of it.

    Raises:
        UsageError: There is no repository.
    """
    listing = listed(folder, environ)
    items, unread = ranked(listing)
    homes = _projects(listing, items)
    written = [path for path in listing.files if posixpath.basename(path) in ("dvc.yaml", "MLproject")]
    around = look_around(listing, {name for item in items for name in item.signs.modules})
    today = [listing.text(item.path) or "" for item in around.replaced if item.does == EXECUTES]
    parts = []
    for home in homes:
        own = [item for item in items if _home(item.path, homes) == home]
        piped = [run for path in written if _home(path, homes) == home for run in pipeline(listing, path, home)]
        known = {run.source for run in piped}
        guessed = [made for item in own if (made := candidate(listing, item, home)).source not in known]
        runs = _weighed([_executed(_named(listing, run, own), today) for run in (*piped, *guessed)])
        parts.append(
            Part(
                folder=home,
                candidates=tuple(runs[:MAX_SHOWN]),
                more=len(runs[MAX_SHOWN:]),
                dependencies=_needs(listing, home, own),
            )
        )
    return listing, Found(
        branch=default_branch(listing.root, environ),
        parts=tuple(parts),
        surroundings=around,
        files=len(listing.files),
        left_out=listing.left_out + unread,
        broken={item.path: item.against[0] for item in items if item.source.problem},
    )


def default_branch(root: Path, environ: Mapping[str, str]) -> str:
    """The remote's default branch as the clone knows it, else main or master, else what is checked out."""
    git = Git(root, environ)
    head = git.answer("symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD")
    if head:
        return head.removeprefix("origin/")
    for name in ("main", "master"):
        if git.answer("rev-parse", "--verify", "--quiet", f"refs/heads/{name}"):
            return name
    return git.answer("symbolic-ref", "--quiet", "--short", "HEAD") or "main"


def _named(listing: Listing, run: Candidate, own: Sequence[Ranked]) -> Candidate:
    """A candidate with the names of its metrics, from the code that it runs and from files of them that git holds."""
    said = [
        name for item in own if item.path == posixpath.join(run.project, run.source or "") for name in item.signs.names
    ]
    base = posixpath.join(
        run.project, run.cwd or (posixpath.dirname(run.source or "") if run.kind == "notebook" else "")
    )
    files = [posixpath.normpath(posixpath.join(base, path)) for path in run.metrics]
    files += [path for file in files if file.endswith("dvc.yaml") for path in named_by_dvc(listing, file)]
    names = dict.fromkeys([*run.names, *said, *names_in(listing, files)])
    return msgspec.structs.replace(run, names=tuple(names))


def _executed(run: Candidate, today: Sequence[str]) -> Candidate:
    """A notebook that a workflow executes today is wanted, whatever it does."""
    folder, name = posixpath.split(run.path)
    if run.kind != "notebook" or run.rank < 0 or not any(name in text or (folder and folder in text) for text in today):
        return run
    favour = (*run.favour, "is executed in CI today")
    return msgspec.structs.replace(run, rank=max(run.rank, CHOSEN_FROM), favour=favour)


def _weighed(runs: Sequence[Candidate]) -> list[Candidate]:
    """The candidates in order: what lacks a file that neither git holds nor another one writes goes down."""
    made = {path for run in runs for path in run.makes}
    found = []
    for run in runs:
        lacking = [path for path in run.missing if path not in made]
        if lacking:
            against = (*run.against, f"reads {lacking[0]}, which git does not hold")
            found.append(msgspec.structs.replace(run, rank=run.rank - _LACKING, against=against))
        else:
            found.append(run)
    return sorted(found, key=lambda run: -run.rank)


def _needs(listing: Listing, home: str, own: Sequence[Ranked]) -> Dependencies:
    """What a project needs; where its own folder does not say, what the folder of its likeliest training says."""
    said = dependencies.folders(listing)
    below = [place for item in own if item.rank >= CHOSEN_FROM and (place := _home(item.path, said)) in said]
    return dependencies.of(
        listing,
        below[0] if below and home not in said else home,
        versions=[item.source.python for item in own if item.source.python],
        modules={name for item in own for name in item.signs.modules},
    )


def _projects(listing: Listing, items: Sequence[Ranked]) -> list[str]:
    """The folders of projects: those that say what they need and hold a likely training, if there are several.

    One alone is the whole repository's, so that its configuration lies at the top, where it is found from everywhere.
    """
    homes = [folder for folder in dependencies.folders(listing) if folder]
    likely = [item.path for item in items if item.rank >= CHOSEN_FROM]
    used = sorted({_home(path, [*homes, ""]) for path in likely})
    return used if len(used) > 1 else [""]


def _home(path: str, homes: Sequence[str]) -> str:
    """The nearest project's folder above a file; for one outside of all of them, the top."""
    above = {parent.as_posix() for parent in PurePosixPath(path).parents} - {"."}
    return max((home for home in homes if home in above), key=len, default="")
