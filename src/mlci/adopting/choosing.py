"""From what was found to what will run: names, what comes before what, and which projects there are."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from mlci.adopting.candidates import Candidate
from mlci.adopting.dependencies import Dependencies
from mlci.adopting.scan import Part

_MAX_NAME = 30  # of a project's id, and of a run's own name: both together are a run's
# R's kernel, whose package brings the kernelspec along.
_R = "sudo apt-get update && sudo apt-get install --yes --no-install-recommends r-cran-irkernel"


@dataclass(frozen=True)
class Chosen:
    """A run to configure."""

    name: str
    candidate: Candidate
    needs: tuple[str, ...]
    lacking: tuple[str, ...]  # what it reads, and neither git holds nor a run before it writes


@dataclass(frozen=True)
class Adopted:
    """A project with its own configuration."""

    folder: str
    id: str
    runs: tuple[Chosen, ...]
    dependencies: Dependencies

    @property
    def install(self) -> str:
        """The command that a runner installs it with, in its folder."""
        wanted = any(run.candidate.kind == "notebook" for run in self.runs)
        command = self.dependencies.installing(kernel=wanted, folder=self.folder)
        return f"{command} && {_R}" if any(run.candidate.language == "r" for run in self.runs) else command


def adopted(parts: Iterable[tuple[Part, Sequence[Candidate]]]) -> list[Adopted]:
    """The projects in which something was picked, each with its `id`: "main" where there is one."""
    used = [(part, picked) for part, picked in parts if picked]
    ids = _distinct([PurePosixPath(part.folder).name or "main" for part, _ in used], [part.folder for part, _ in used])
    if len(used) == 1:
        [(part, picked)] = used
        return [Adopted(part.folder, "main", tuple(_runs(part, picked, "")), part.dependencies)]
    # All projects keep their baselines on one branch, by the names of runs: each has its own.
    return [
        Adopted(part.folder, name, tuple(_runs(part, picked, f"{name}-")), part.dependencies)
        for name, (part, picked) in zip(ids, used, strict=True)
    ]


def _runs(part: Part, picked: Sequence[Candidate], prefix: str) -> Iterable[Chosen]:
    """The runs of what was picked and of whatever writes what they read, the first ones first."""
    wanted = list(picked)
    for item in wanted:  # grows meanwhile
        makers = [other for other in part.candidates if set(other.makes) & set(item.missing)]
        wanted += [other for other in makers[:1] if other not in wanted]
    plain = [item.name or PurePosixPath(item.source or "run").stem for item in wanted]
    names = [f"{prefix}{name}" for name in _distinct(plain, [item.source or "" for item in wanted])]

    def own(item: Candidate) -> list[str]:
        return [f"{prefix}{slug(need)}" for need in item.needs]

    made = {path: name for item, name in zip(wanted, names, strict=True) for path in item.makes}
    waiting = {
        name: (
            item,
            {*(need for need in own(item) if need in names), *(made[path] for path in item.missing if path in made)},
        )
        for item, name in zip(wanted, names, strict=True)
    }
    done: list[str] = []
    while waiting:
        ready = (name for name, (_, needs) in waiting.items() if needs <= {*done, name})
        # Where all wait for each other, somebody is first.
        name = next(ready, next(iter(waiting)))
        item, needs = waiting.pop(name)
        lacking = tuple(path for path in item.missing if path not in made)
        yield Chosen(name, item, tuple(need for need in done if need in needs), lacking)
        done.append(name)


def _distinct(names: Sequence[str], paths: Sequence[str]) -> list[str]:
    """Names as runs can have them, each once: told apart by the folder of its path, then by a number."""
    slugs = [slug(name) for name in names]
    taken: list[str] = []
    for name, path in zip(slugs, paths, strict=True):
        folder = PurePosixPath(posixpath.dirname(path)).name
        tried = slug(f"{folder}-{name}") if slugs.count(name) > 1 and folder else name
        found, number = tried, 1
        while found in taken:
            number += 1
            found = f"{tried}-{number}"
        taken.append(found)
    return taken


def slug(text: str) -> str:
    """A name that runs and ids can have."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", text)[:_MAX_NAME].strip("-_")
    return plain or "run"
