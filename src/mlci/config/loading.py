"""Finds the configuration, parses it, and refuses every mistake before anything runs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, Literal

import msgspec

from mlci import git
from mlci.config.checking import check, unknown_key
from mlci.config.file import ConfigFile
from mlci.config.tables import NAME_PATTERN, RuleTable, RunTable, SliceRuleTable
from mlci.core.documents import Rule
from mlci.core.metric import DIRECTIONS
from mlci.core.registry import MODEL_PATTERN
from mlci.core.threshold import check_rule
from mlci.errors import ConfigError

FILE = "mlci.toml"
PYPROJECT = "pyproject.toml"
Kind = Literal["notebook", "script", "command", "committed"]
KINDS: tuple[Kind, ...] = ("notebook", "script", "command", "committed")
# What a run may say of which nothing is executed.
_COMMITTED_KEYS = ("committed", "metrics", "cwd", "only", "rules", "runs-on")
_MAX_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Config:
    """A valid configuration and where it came from."""

    shown: str  # how messages call the file
    root: Path  # the folder that paths are relative to
    repository: Path  # nothing outside of it is read or written; the root where there is no git
    settings: ConfigFile
    tables: Mapping[str, Any] = field(repr=False)  # as parsed: which keys were written where

    def rules(self, run: str) -> tuple[tuple[Rule, ...], ...]:
        """The rules for the metrics of `run`: its own first, then those of every run."""
        # A glob makes several runs of one table, each called after it.
        group = (
            run
            if run in self.settings.runs
            else next((name for name in self._globs if run.startswith(f"{name}.")), None)
        )
        own = self.settings.runs[group].rules if group else {}
        return tuple(as_rules(tier) for tier in (own, self.settings.metrics))

    @property
    def _globs(self) -> list[str]:
        """The tables that stand for several runs, the longest name first."""
        found = [
            name
            for name, table in self.settings.runs.items()
            if table.notebook and re.search(r"[*?\[]", table.notebook)
        ]
        return sorted(found, key=len, reverse=True)

    def error(self, path: str, message: str, *, hint: str | None = None) -> ConfigError:
        """An error at the key `path`."""
        return ConfigError(f"{self.shown}: {path}: {message}", hint=hint)


def as_rules(tables: Mapping[str, RuleTable]) -> tuple[Rule, ...]:
    """The gate's rules for tables of the configuration, those of slices among them."""
    found: list[Rule] = []
    for pattern, table in tables.items():
        found.append(as_rule(pattern, table))
        found += [as_rule(pattern, rule, slice_pattern) for slice_pattern, rule in table.slices.items()]
    return tuple(found)


def as_rule(pattern: str, table: SliceRuleTable, slice_pattern: str | None = None) -> Rule:
    """The gate's rule for one table."""
    given = {name: getattr(table, name) for name in SliceRuleTable.__struct_fields__ if name != "direction"}
    direction = DIRECTIONS.get(table.direction) if table.direction else None
    return Rule(pattern=pattern, slice=slice_pattern, direction=direction, **given)


def load(folder: Path, *, file: Path | None, environ: Mapping[str, str]) -> Config:
    """Read the configuration.

    Args:
        folder: Where the search starts; it goes up to the repository's top.
        file: The file that was named, if one was.
        environ: For git.

    Raises:
        ConfigError: None found, two found, not TOML, or anything wrong in it.
    """
    repository = git.top_level(folder, environ)
    path = file.absolute() if file else _find(folder.absolute(), repository)
    shown = path.name if path.parent == folder.absolute() else _relative(path, folder)
    return of_table(_parse(path, shown), path=path, shown=shown, repository=repository)


def of_table(table: Mapping[str, Any], *, path: Path, shown: str, repository: Path | None) -> Config:
    """The configuration that a parsed table is, in a file that need not be written yet.

    Args:
        table: As parsed.
        path: The file, absolute.
        shown: How messages call it.
        repository: The top of the work tree, if there is one.

    Raises:
        ConfigError: Anything wrong in it.
    """
    check(table, ConfigFile, file=shown)
    root = path.parent.resolve()
    settings = msgspec.convert(table, ConfigFile)
    config = Config(
        shown=shown,
        root=root,
        repository=repository.resolve() if repository and root.is_relative_to(repository.resolve()) else root,
        settings=settings,
        tables=table,
    )
    _check_meaning(config)
    return config


def unreadable(folder: Path, *, file: Path | None, environ: Mapping[str, str]) -> Config:
    """A configuration of defaults in place of one that `load` refuses; its id is the file's, where that can be read."""
    repository = git.top_level(folder, environ)
    identity = "main"
    try:
        path = file.absolute() if file else _find(folder.absolute(), repository)
        written = _parse(path, path.name).get("id")
        if isinstance(written, str) and re.match(NAME_PATTERN, written):
            identity = written
    except ConfigError:
        path = folder / FILE
    root = path.parent.resolve()
    return Config(
        shown=path.name,
        root=root,
        repository=repository.resolve() if repository and root.is_relative_to(repository.resolve()) else root,
        settings=ConfigFile(id=identity),
        tables={},
    )


def _find(folder: Path, repository: Path | None) -> Path:
    top = repository.resolve() if repository else folder
    for candidate in [folder, *folder.parents]:
        own = candidate / FILE
        project = candidate / PYPROJECT
        in_project = project.is_file() and "mlci" in _tool(project)
        if own.is_file() and in_project:
            raise ConfigError(f"both {FILE} and [tool.mlci] in {PYPROJECT} configure mlci", hint="Keep one of them.")
        if own.is_file():
            return own
        if in_project:
            return project
        if candidate.resolve() == top:
            break
    raise ConfigError(
        f"no {FILE} and no [tool.mlci] in {PYPROJECT}, from {folder.name or folder}/ up to the repository's top",
        hint="Make one with `mlci init`, or name a file with --config.",
    )


def _tool(project: Path) -> dict[str, Any]:
    tool = read_toml(project, project.name).get("tool", {})
    return tool if isinstance(tool, dict) else {}


def _parse(path: Path, shown: str) -> dict[str, Any]:
    table = read_toml(path, shown)
    if path.name == PYPROJECT:
        found = table.get("tool", {}).get("mlci")
        if not isinstance(found, dict):
            raise ConfigError(f"{shown}: it has no table [tool.mlci]")
        return found
    return table


def read_toml(path: Path, shown: str) -> dict[str, Any]:
    """A TOML file of a size that a person writes.

    Raises:
        ConfigError: It is larger, cannot be read, or is no TOML.
    """
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{shown}: not a file")
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"{shown}: larger than {_MAX_BYTES:,} bytes")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{shown}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{shown}: not TOML: {error}") from None


def _relative(path: Path, folder: Path) -> str:
    try:
        return path.relative_to(folder.absolute()).as_posix()
    except ValueError:
        return path.name


def _check_meaning(config: Config) -> None:
    settings = config.settings
    for kind, names in (("profiles", settings.profiles), ("runs", settings.runs)):
        for name in names:
            if not re.match(NAME_PATTERN, name):
                raise config.error(
                    f'{kind}."{name}"',
                    'expected a name of letters, digits, ".", "_" and "-" (at most 64, no "..")',
                )
    for where, table in (
        ("defaults", settings.defaults),
        *((f"profiles.{n}", t) for n, t in settings.profiles.items()),
    ):
        for key in (*KINDS, "needs"):
            if getattr(table, key):
                raise config.error(f"{where}.{key}", "only a run can say this", hint="Move it to [runs.NAME].")
    _check_events(config)
    _check_models(config)
    _check_targets(config)
    _check_rules(config)
    for name, table in settings.runs.items():
        _check_run(config, f"runs.{name}", table)
    try:
        TopologicalSorter({name: table.needs for name, table in settings.runs.items()}).prepare()
    except CycleError as error:
        raise config.error(f"runs.{error.args[1][0]}.needs", f"a cycle: {' -> '.join(error.args[1])}") from None


def _check_rules(config: Config) -> None:
    tables = {"metrics": config.settings.metrics}
    tables |= {f"runs.{name}.rules": table.rules for name, table in config.settings.runs.items()}
    for path, rules in tables.items():
        for rule in as_rules(rules):
            try:
                check_rule(rule)
            except ValueError as error:
                within = f'.slices."{rule.slice}"' if rule.slice is not None else ""
                raise config.error(f'{path}."{rule.pattern}"{within}', str(error)) from None


def _check_models(config: Config) -> None:
    """Models name runs that exist; plain tags can be one model's only."""
    settings = config.settings
    for name, model in settings.models.items():
        if not re.match(MODEL_PATTERN, name):
            raise config.error(f'models."{name}"', 'expected a name of letters, digits, "-" and "_"')
        run = model.run or name
        if run not in settings.runs:
            raise unknown_key(run, settings.runs, file=config.shown, path=f"models.{name}.run")
        if len(set(model.stages)) != len(model.stages):
            raise config.error(f"models.{name}.stages", "the same stage stands twice")
        if model.sign == "key" and not (model.public_key and (config.root / model.public_key).is_file()):
            raise config.error(f"models.{name}.public-key", "expected the file of the public key that signatures fit")
        if model.sign == "sigstore" and model.signer is None:
            raise config.error(f"models.{name}.signer", "expected the identity that must have signed")
        if model.plain_tags and len(settings.models) > 1:
            raise config.error(f"models.{name}.plain-tags", "plain tags are for repositories of one model")


def _check_targets(config: Config) -> None:
    """Targets and monitors name models, stages and runs that exist."""
    settings = config.settings
    stages = {stage for model in settings.models.values() for stage in model.stages}
    for name, target in settings.targets.items():
        if not re.match(NAME_PATTERN, name):
            raise config.error(f'targets."{name}"', 'expected a name of letters, digits, ".", "_" and "-"')
        if target.stage is not None and settings.models and target.stage not in stages:
            raise unknown_key(target.stage, stages, file=config.shown, path=f"targets.{name}.stage")
    for name, monitor in settings.monitor.items():
        if monitor.stage not in stages and settings.models:
            raise unknown_key(monitor.stage, stages, file=config.shown, path=f"monitor.{name}.stage")
        if (monitor.model or name) not in settings.models:
            raise unknown_key(monitor.model or name, settings.models, file=config.shown, path=f"monitor.{name}.model")
        if monitor.run not in settings.runs:
            raise unknown_key(monitor.run, settings.runs, file=config.shown, path=f"monitor.{name}.run")


def _check_events(config: Config) -> None:
    chosen: dict[str, str] = {}
    for name, profile in config.settings.profiles.items():
        for event in profile.events:
            if event in chosen:
                raise config.error(
                    f"profiles.{name}.events", f"{event!r} already chooses the profile {chosen[event]!r}"
                )
            chosen[event] = name


def kinds_of(table: RunTable) -> list[Kind]:
    """Which kinds a run says it is."""
    return [kind for kind in KINDS if getattr(table, kind) not in (None, False)]


def _check_committed(config: Config, path: str, table: RunTable) -> None:
    """Of a run that executes nothing only what can hold, and plain paths of files."""
    for item in msgspec.structs.fields(RunTable):
        if item.encode_name not in _COMMITTED_KEYS and getattr(table, item.name) != getattr(RunTable(), item.name):
            raise config.error(f"{path}.{item.encode_name}", "a committed run is not executed: it has metrics only")
    if table.only.paths:
        raise config.error(f"{path}.only.paths", "a committed run costs nothing and is always compared")
    if not table.metrics:
        raise config.error(f"{path}.metrics", "expected the files that git holds, or the dvc.yaml that lists them")
    for position, source in enumerate(table.metric_sources):
        if source.is_server or source.path == "auto" or re.search(r"[*?\[]", source.path):
            raise config.error(f"{path}.metrics[{position}]", f"expected the path of one file, got {source.path!r}")


def _check_run(config: Config, path: str, table: RunTable) -> None:
    kinds = kinds_of(table)
    if len(kinds) != 1:
        found = " and ".join(kinds) or "none"
        raise config.error(path, f"expected exactly one of notebook, script, command and committed, got {found}")
    if table.committed:
        _check_committed(config, path, table)
    for position, source in enumerate(table.metric_sources):
        if source.is_server and source.format != "mlflow":
            raise config.error(f"{path}.metrics[{position}]", 'a server is asked with format = "mlflow" only')
        if source.experiment is not None and not source.is_server:
            raise config.error(f"{path}.metrics[{position}]", "experiment goes with the address of a tracking server")
    if table.args and kinds[0] != "script":
        raise config.error(f"{path}.args", f"a {kinds[0]} takes no args; they go with script")
    for need in table.needs:
        if need not in config.settings.runs:
            raise unknown_key(need, config.settings.runs, file=config.shown, path=f"{path}.needs")
    if len(set(table.seeds)) != len(table.seeds):
        raise config.error(f"{path}.seeds", "the same seed stands twice")
    if "seed" in table.parameters and (table.seeds or config.settings.defaults.seeds):
        raise config.error(
            f"{path}.parameters.seed", "the seeds list gives this parameter", hint="Remove one of the two."
        )
