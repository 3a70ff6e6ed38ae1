"""From tables to runs: layers laid over each other, globs expanded, paths checked, every key's origin kept."""

from __future__ import annotations

import difflib
import os.path
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from mlci.config.checking import unknown_key
from mlci.config.loading import Config, Kind, kinds_of
from mlci.config.tables import NAME_PATTERN, RunTable

DEFAULT_PROFILE = "default"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZES = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_MERGED = ("parameters", "env")
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run as it would be executed under one profile."""

    name: str
    group: str  # the table's name; differs from `name` where a glob made several runs
    profile: str
    kind: Kind
    source: str  # the file, relative to the configuration, or the program
    path: Path | None  # the file, absolute
    cwd: Path
    timeout_s: float | None
    table: RunTable  # effective values
    origins: Mapping[str, str]  # effective key (dotted for parameters and env) -> where it was written
    own_parameters: frozenset[str]  # those that the run itself names: it must be able to receive them


def profile_for(config: Config, event: str, asked: str | None) -> str:
    """The profile that was asked for, else the event's, else "default".

    Raises:
        ConfigError: The profile that was asked for does not exist.
    """
    if asked is not None:
        if asked != DEFAULT_PROFILE and asked not in config.settings.profiles:
            raise unknown_key(asked, config.settings.profiles, file=config.shown, path="profiles")
        return asked
    for name, profile in config.settings.profiles.items():
        if event in profile.events:
            return name
    return DEFAULT_PROFILE


def resolve(config: Config, profile: str) -> dict[str, Run]:
    """Every run under `profile`, by name, in the order of the file.

    Raises:
        ConfigError: A path that is not there or leaves the repository, or two runs of one name.
    """
    runs: dict[str, Run] = {}
    for group in config.settings.runs:
        for run in _expand(config, group, profile):
            if run.name in runs:
                raise config.error(f"runs.{group}", f"two runs would be called {run.name!r}")
            runs[run.name] = run
    return runs


def seconds(duration: str) -> float:
    """The seconds of a duration such as "1h30m"."""
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)([smhd])", duration))


def size(text: str) -> int:
    """The bytes of a size such as "1.5M"."""
    number, unit = re.findall(r"^([\d.]+) ?([KMGT]?)", text)[0]
    return int(float(number) * _SIZES[unit])


def _expand(config: Config, group: str, profile: str) -> Iterator[Run]:
    values, origins = _layers(config, group, profile)
    table = msgspec.convert(values, RunTable)
    kind = kinds_of(table)[0]
    key = f"runs.{group}.{kind}"
    own = frozenset(config.tables["runs"][group].get("parameters", {}))
    words = {"command": table.command or (), "committed": tuple(file.path for file in table.metric_files)}
    source = " ".join(words[kind]) if kind in words else getattr(table, kind)
    files: list[tuple[str, str, Path | None]]
    if kind in words:
        files = [(group, source, None)]
    elif kind == "notebook" and _GLOB.search(source):
        files = list(_globbed(config, group, source))
    else:
        files = [(group, source, _file(config, key, source))]
    for name, shown, path in files:
        if kind == "notebook" and path and path.suffix not in (".ipynb", ".py"):
            raise config.error(key, f"expected an .ipynb or a percent .py, got {shown!r}")
        if table.reuse and "inputs" not in origins:
            raise config.error(
                f"runs.{group}.reuse",
                "a run that is reused must declare its inputs",
                hint="Say inputs = [...]: the data and files that it reads; [] if there are none.",
            )
        cwd = _cwd(config, group, table, path if kind == "notebook" else None)
        _check_patterns(config, group, table, cwd)
        yield Run(
            name=name,
            group=group,
            profile=profile,
            kind=kind,
            source=shown,
            path=path,
            cwd=cwd,
            timeout_s=seconds(table.timeout) if table.timeout else None,
            table=table,
            origins=origins,
            own_parameters=own,
        )


def _layers(config: Config, group: str, profile: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Defaults, then the run, then the profile; `parameters` and `env` are laid over key by key."""
    tables = config.tables
    layers = [
        ("[defaults]", tables.get("defaults", {})),
        (f"[runs.{group}]", tables["runs"][group]),
        (f"[profiles.{profile}]", tables.get("profiles", {}).get(profile, {})),
    ]
    if tables["runs"][group].get("committed"):
        layers = layers[1:2]  # what all runs say is about their execution
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for where, layer in layers:
        for key, value in layer.items():
            if where.startswith("[profiles") and key == "events":
                continue
            if key in _MERGED:
                values[key] = {**values.get(key, {}), **value}
                origins |= {f"{key}.{name}": f"{config.shown} {where}" for name in value}
            else:
                values[key] = value
                origins[key] = f"{config.shown} {where}"
    return values, origins


def _globbed(config: Config, group: str, pattern: str) -> Iterator[tuple[str, str, Path]]:
    """One run a file: the pattern's fixed folder taken off, the rest of the path joined with dots."""
    key = f"runs.{group}.notebook"
    _inside(config, key, config.root, pattern)
    fixed = PurePosixPath(*_until_glob(pattern))
    found = sorted(
        path
        for path in config.root.glob(pattern)
        if path.is_file() and not {".ipynb_checkpoints", ".mlci", ".git"} & set(path.relative_to(config.root).parts)
    )
    if not found:
        raise config.error(key, f"no file matches {pattern!r}")
    for path in found:
        shown = path.relative_to(config.root).as_posix()
        _file(config, key, shown)
        tail = PurePosixPath(shown).relative_to(fixed).with_suffix("").as_posix()
        name = f"{group}.{re.sub(r'[^A-Za-z0-9._-]+', '-', tail.replace('/', '.'))}"
        if not re.match(NAME_PATTERN, name):
            raise config.error(key, f"{shown!r} would make a run called {name!r}, which is no valid name")
        yield name, shown, path


def _until_glob(pattern: str) -> list[str]:
    parts: list[str] = []
    for part in PurePosixPath(pattern).parts[:-1]:
        if _GLOB.search(part):
            break
        parts.append(part)
    return parts


def _file(config: Config, key: str, source: str) -> Path:
    path = _inside(config, key, config.root, source)
    if not path.is_file():
        near = sorted(item.name for item in path.parent.glob(f"*{path.suffix}")) if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, near, n=3) or near[:3]
        raise config.error(key, f"there is no file {source!r}", hint=f"There: {', '.join(close)}." if close else None)
    return path


def _cwd(config: Config, group: str, table: RunTable, notebook: Path | None) -> Path:
    if table.cwd is None:
        return notebook.parent if notebook else config.root
    path = _inside(config, f"runs.{group}.cwd", config.root, table.cwd)
    if not path.is_dir():
        raise config.error(f"runs.{group}.cwd", f"there is no folder {table.cwd!r}")
    return path


def _check_patterns(config: Config, group: str, table: RunTable, cwd: Path) -> None:
    for item in table.inputs:
        path = _inside(config, f"runs.{group}.inputs", config.root, item)
        tracked = path.with_name(f"{path.name}.dvc").exists() or (config.root / "dvc.lock").exists()
        if not (_GLOB.search(item) or path.exists() or table.needs or tracked):
            raise config.error(f"runs.{group}.inputs", f"there is no file {item!r}")
    for key, patterns in (
        ("metrics", [file.path for file in table.metric_files]),
        ("artifacts", table.artifacts),
        ("plots", table.plots),
        ("predictions", [table.predictions_file.path] if table.predictions_file else []),
        ("checkpoint", [table.checkpoint] if table.checkpoint else []),
    ):
        for pattern in patterns:
            _inside(config, f"runs.{group}.{key}", cwd, pattern)


def _inside(config: Config, key: str, folder: Path, path: str) -> Path:
    """`folder / path`, refused where it is absolute or leaves the repository, through links too."""
    if not path or "\0" in path or PurePosixPath(path).is_absolute() or ":" in path[:2] or "\\" in path:
        raise config.error(key, f"expected a relative path with forward slashes, got {path!r}")
    joined = Path(os.path.normpath(folder / path))
    fixed = joined
    while _GLOB.search(fixed.name):
        fixed = fixed.parent
    if not joined.is_relative_to(config.repository) or not fixed.resolve().is_relative_to(config.repository):
        raise config.error(key, f"{path!r} leaves the repository")
    return joined
