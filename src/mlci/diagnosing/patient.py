"""What is examined: a project, whose configuration may be broken, with what several areas ask of it, asked once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from mlci import git
from mlci.config import DEFAULT_PROFILE, Run, resolve
from mlci.core.finding import Finding, Level
from mlci.diagnosing.toml_lines import line_of
from mlci.errors import ConfigError, MlciError
from mlci.project import Invocation, Project

ASK_S = 20  # for one question to a server


@dataclass(frozen=True)
class Patient:
    """One repository as it lies here.

    Args:
        project: With defaults for a configuration where that is broken.
        broken: Why the configuration is refused, if it is.
        offline: Nothing may be asked of a network.
        python: The interpreter that the command line asks for.
    """

    project: Project
    broken: ConfigError | None = None
    offline: bool = False
    python: str | None = None

    @classmethod
    def of(cls, invocation: Invocation, *, offline: bool = False, python: str | None = None) -> Patient:
        """The repository that mlci was started in.

        Raises:
            GitError: Git is not installed, without which nothing can be told.
        """
        try:
            return cls(Project.open(invocation), None, offline, python)
        except ConfigError as error:
            return cls(Project.broken(invocation), error, offline, python)

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment of mlci itself."""
        return self.project.invocation.environ

    @property
    def root(self) -> Path:
        """The configuration's folder."""
        return self.project.config.root

    @cached_property
    def top(self) -> Path | None:
        """The top of the work tree; None outside of one."""
        found = git.top_level(self.project.invocation.folder, self.environ)
        return found.resolve() if found else None

    @property
    def clone(self) -> git.Git:
        """Git in the work tree."""
        return git.Git(self.top or self.root, self.environ)

    @cached_property
    def profiles(self) -> tuple[str, ...]:
        """Every profile that a run may be under."""
        return (DEFAULT_PROFILE, *(name for name in self.project.config.settings.profiles if name != DEFAULT_PROFILE))

    @cached_property
    def resolved(self) -> dict[tuple[str, str], dict[str, Run] | MlciError]:
        """(table, profile) -> its runs, or what is wrong with it: one that is broken hides no other."""
        config = self.project.config
        found: dict[tuple[str, str], dict[str, Run] | MlciError] = {}
        for profile in self.profiles:
            for group, table in config.settings.runs.items():
                settings = msgspec.structs.replace(config.settings, runs={group: table})
                try:
                    found[group, profile] = resolve(dataclasses.replace(config, settings=settings), profile)
                except MlciError as error:
                    found[group, profile] = error
        return found

    def runs(self, profile: str) -> list[Run]:
        """The runs of a profile, without those that are broken."""
        return [
            run
            for (_, of), runs in self.resolved.items()
            if of == profile and isinstance(runs, dict)
            for run in runs.values()
        ]

    @property
    def every_run(self) -> list[Run]:
        """Every run once, under the first profile that it is whole under."""
        found: dict[str, Run] = {}
        for profile in self.profiles:
            for run in self.runs(profile):
                found.setdefault(run.name, run)
        return list(found.values())

    def shown(self, path: Path) -> str | None:
        """`path` from the repository's top, as annotations want it; None for what lies elsewhere."""
        top = self.top or self.root
        return path.relative_to(top).as_posix() if path.is_relative_to(top) else None

    @property
    def config_path(self) -> Path:
        """The configuration file."""
        return self.root / Path(self.project.config.shown).name

    def configured(self, keys: Sequence[str]) -> tuple[str | None, int | None]:
        """File and line of a key of the configuration, such as ("runs", "train", "seeds")."""
        return self.shown(self.config_path), line_of(self.config_path, keys)

    @cached_property
    def told(self) -> dict[str, Any]:
        """Answers of servers that several areas need."""
        return {}

    @cached_property
    def tracked(self) -> frozenset[str]:
        """What git holds, from the repository's top."""
        return frozenset(self._listed())

    @cached_property
    def in_lfs(self) -> frozenset[str]:
        """What of it git keeps elsewhere, with LFS."""
        return frozenset(self._listed(":(attr:filter=lfs)"))

    def _listed(self, *patterns: str) -> list[str]:
        if self.top is None:
            return []
        done = self.clone.attempt("ls-files", "-z", "--", *patterns)
        return [path for path in done.stdout.decode("utf-8", "surrogateescape").split("\0") if path]

    def at_run(self, run: Run, key: str, *, slug: str, level: Level, found: str, remedy: str) -> Finding:
        """A finding about a key of a run's table."""
        file, line = self.configured(("runs", run.group, *key.split(".")))
        return Finding(
            slug=slug, level=level, subject=f"run {run.name}", found=found, remedy=remedy, file=file, line=line
        )
