"""From answers to files: what would be written, proved to be a configuration that mlci takes, beside what is there."""

from __future__ import annotations

import posixpath
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlci.adopting.choosing import Adopted, Chosen, adopted
from mlci.adopting.configuration import configuration, run_table
from mlci.adopting.listing import Listing
from mlci.adopting.origin import Action
from mlci.adopting.scan import Found
from mlci.adopting.workflows import Wanted, workflows
from mlci.adopting.writing import File, compared
from mlci.config import Config, load, of_table, resolve
from mlci.config.loading import FILE, PYPROJECT
from mlci.errors import ConfigError, UsageError
from mlci.running import jobs


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What was decided."""

    picked: Sequence[str]  # the candidates' paths and names, as `key` says them
    branch: str
    action: Action
    forks: bool = False
    releases: bool = False
    full: bool = False


@dataclass(frozen=True, kw_only=True)
class Intent:
    """What is to be written, and what to say beside it."""

    projects: Sequence[Adopted]
    files: Sequence[File]
    kept: Mapping[str, Sequence[Chosen]]  # a configuration that is there already, and runs that it lacks


def intended(listing: Listing, found: Found, answers: Answers, environ: Mapping[str, str]) -> Intent:
    """The files, the configurations first.

    Raises:
        ConfigError: A configuration that is there is wrong, or one that would be written.
        UsageError: Several projects, and workflows that are for one.
    """
    projects = adopted(
        (part, [item for item in part.candidates if key(item.path, item.name) in answers.picked])
        for part in found.parts
    )
    if len(projects) > 1 and (answers.full or answers.releases):
        raise UsageError(
            f"{' and '.join(project.folder or 'the top' for project in projects)} are projects of their own, "
            "for which --full and --releases are not written",
            hint="Leave them out, or name the runs of one project with --run.",
        )
    texts: dict[str, str] = {}
    kept: dict[str, Sequence[Chosen]] = {}
    for project in projects:
        path = posixpath.join(project.folder, FILE)
        text = configuration(project, branch=answers.branch, releases=answers.releases)
        prove(listing.root, path, text)
        there = _there(listing, project.folder, environ)
        if there is None or (there.shown == FILE and _is(listing.root / path, text)):
            texts[path] = text
            continue
        kept[posixpath.join(project.folder, there.shown)] = _lacking(project, there)
        if there.shown == FILE:
            texts[path] = text
    wanted = Wanted(
        action=answers.action,
        branch=answers.branch,
        forks=answers.forks,
        releases=answers.releases,
        full=answers.full,
        lfs=found.surroundings.lfs,
    )
    texts |= workflows(projects, wanted)
    return Intent(projects=projects, files=compared(listing.root, texts), kept=kept)


def key(path: str, name: str | None) -> str:
    """What a candidate is picked by: its file, of a pipeline with the name of the part."""
    return f"{path}:{name}" if name else path


def prove(root: Path, path: str, text: str) -> None:
    """Refuse a configuration that mlci itself would refuse.

    Args:
        root: The repository's top.
        path: Where it would lie.
        text: What it would say.

    Raises:
        ConfigError: With the reason.
    """
    config = of_table(tomllib.loads(text), path=root / path, shown=path, repository=root)
    for run in resolve(config, "default").values():
        refused = jobs.unreceived(config, run, [*run.own_parameters, *([jobs.SEED] if run.table.seeds else [])])
        for name, reason in refused.items():
            raise config.error(f"runs.{run.name}", f"the parameter {name!r} would be ignored: {reason}")


def missing_runs(intent: Intent) -> str:
    """The tables of runs that configurations which are there already lack, to paste."""
    return "\n".join(run_table(run) for runs in intent.kept.values() for run in runs)


def _there(listing: Listing, folder: str, environ: Mapping[str, str]) -> Config | None:
    """The configuration that a project's folder has already."""
    place = listing.root / folder
    if (place / FILE).is_file():
        return load(place, file=place / FILE, environ=environ)
    try:
        return load(place, file=place / PYPROJECT, environ=environ)
    except ConfigError as error:
        if "[tool.mlci]" in error.message or not (place / PYPROJECT).is_file():
            return None
        raise


def _lacking(project: Adopted, there: Config) -> list[Chosen]:
    """The runs of which a configuration has neither the file nor the name."""
    runs = resolve(there, "default")
    known = {run.source for run in runs.values()} | set(there.settings.runs)
    words = {word for table in there.settings.runs.values() for word in table.command or ()}
    return [run for run in project.runs if not {run.candidate.source, run.name} & (known | words)]


def _is(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == text
    except (OSError, UnicodeDecodeError):
        return False
