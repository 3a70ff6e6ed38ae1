"""The model registry as git tags say it, by the conventions of GTO, so that either tool reads what the other wrote.

`MODEL@v1.2.0` registers a version, `MODEL#STAGE#3` puts the version of the same commit into a stage, the number
counting all of a model's stage tags; an exclamation mark undoes either (`MODEL@v1.2.0!`, `MODEL#STAGE!#4`). In a
repository of one model a version may also be the plain tag `v1.2.0`. Source: GTO 1.10, `gto/constants.py`, `tag_re`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mlci.core import versions
from mlci.core.versions import Version

MODEL_PATTERN = r"^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9])?$"
_TAG = re.compile(
    r"(?:(?P<model>[A-Za-z0-9](?:[A-Za-z0-9/_-]*[A-Za-z0-9])?)@)?(?P<version>v\d[0-9A-Za-z.-]*)(?P<undone>!?)"
    r"|(?P<staged>[A-Za-z0-9](?:[A-Za-z0-9/_-]*[A-Za-z0-9])?)#(?P<stage>[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)"
    r"(?P<left>!?)#(?P<count>\d{1,9})"
)


@dataclass(frozen=True, kw_only=True)
class Tag:
    """One annotated tag.

    Args:
        name: Without refs/tags/.
        commit: What it points at in the end.
        created: Seconds since the epoch.
        message: As its author wrote it.
    """

    name: str
    commit: str
    created: int = 0
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A version of a model."""

    version: Version
    tag: Tag


@dataclass(frozen=True, kw_only=True)
class Staged:
    """What is in a stage."""

    stage: str
    commit: str
    count: int
    tag: Tag


@dataclass(frozen=True, kw_only=True)
class Registry:
    """What the tags say of one model.

    Args:
        model: Its name.
        versions: The registered ones, the oldest first.
        stages: What each stage holds now.
        history: Every stage tag, the oldest first.
        count: The highest number of a stage tag.
    """

    model: str
    versions: tuple[Registered, ...] = ()
    stages: Mapping[str, Staged]
    history: tuple[Staged, ...] = ()
    count: int = 0

    @property
    def latest(self) -> Registered | None:
        """The highest version, previews left aside unless there is nothing else."""
        final = [item for item in self.versions if item.version.pre is None]
        return max(final or list(self.versions), key=lambda item: item.version, default=None)

    def of(self, version: Version) -> Registered | None:
        """A version, if it is registered."""
        return next((item for item in self.versions if item.version == version), None)

    def at(self, commit: str) -> Registered | None:
        """The highest version registered at a commit."""
        return max((item for item in self.versions if item.tag.commit == commit), key=lambda i: i.version, default=None)

    def staged_version(self, stage: str) -> Registered | None:
        """The version that a stage holds."""
        staged = self.stages.get(stage)
        return self.at(staged.commit) if staged else None


def read(tags: Iterable[Tag], model: str, *, plain: bool) -> Registry:
    """What `tags` say of `model`.

    Args:
        tags: Every annotated tag of the repository.
        model: Its name.
        plain: Plain tags such as `v1.2.0` are this model's, too.
    """
    registered: dict[Version, Registered] = {}
    undone: set[Version] = set()
    moves: list[tuple[Staged, bool]] = []
    for tag in tags:
        found = _TAG.fullmatch(tag.name)
        if not found:
            continue
        if found["version"] and (found["model"] == model or (plain and found["model"] is None)):
            version = versions.parse(found["version"])
            if version and found["undone"]:
                undone.add(version)
            elif version:
                registered[version] = Registered(version=version, tag=tag)
        elif found["staged"] == model:
            staged = Staged(stage=found["stage"], commit=tag.commit, count=int(found["count"]), tag=tag)
            moves.append((staged, bool(found["left"])))
    moves.sort(key=lambda move: move[0].count)
    stages: dict[str, Staged] = {}
    for staged, left in moves:
        if left:
            stages.pop(staged.stage, None)
        else:
            stages[staged.stage] = staged
    return Registry(
        model=model,
        versions=tuple(sorted((r for v, r in registered.items() if v not in undone), key=lambda item: item.version)),
        stages=stages,
        history=tuple(staged for staged, left in moves if not left),
        count=max((staged.count for staged, _ in moves), default=0),
    )


def version_tag(model: str, version: Version, *, plain: bool) -> str:
    """The name of the tag that registers a version."""
    return str(version) if plain else f"{model}@{version}"


def stage_tag(registry: Registry, stage: str) -> str:
    """The name of the next tag that fills a stage."""
    return f"{registry.model}#{stage}#{registry.count + 1}"
