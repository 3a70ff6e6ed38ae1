"""Where frameworks leave their metrics when nobody tells them another place: `metrics = ["auto"]` looks there."""

from __future__ import annotations

import fnmatch
import functools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

import yaml

AUTO = "auto"
# In the order in which they count: of two places that give one metric different values, the first one is right. What a
# framework says in the end comes before the logs of the way there.
PLACES = (
    "metrics.json",
    "dvclive/metrics.json",
    "dvclive/plots/metrics/**/*.tsv",
    "all_results.json",
    "*/all_results.json",
    "trainer_state.json",
    "*/trainer_state.json",
    "wandb/latest-run/files/wandb-summary.json",
    "lightning_logs/version_*/metrics.csv",
    "runs/**/results.csv",
    "mlflow.db",
    "mlruns/*/*/meta.yaml",
    "runs/**/events.out.tfevents.*",
)
# One folder a training, though a run may write several of them: the last one counts.
NEWEST = frozenset({"lightning_logs/version_*/metrics.csv"})
# Nothing else counts there: MLflow calls what it says of a model so too.
ONLY = {"mlruns/*/*/meta.yaml": "mlflow"}
MAX_ENTRIES = 20_000  # names that are looked at for one place
MAX_BYTES = 64 * 1024 * 1024  # of one place, where nobody has asked for it
MAX_DVC = 128 * 1024
_GLOB = re.compile(r"[*?\[]")


def places(cwd: Path) -> tuple[str, ...]:
    """What a run in `cwd` may write, as patterns relative to it: what `dvc.yaml` names comes before `PLACES`."""
    return tuple(dict.fromkeys((*named_by_dvc(cwd), *PLACES)))


def named_by_dvc(cwd: Path) -> tuple[str, ...]:
    """The metrics of `dvc.yaml` and of its stages; none where there is no such file, or it cannot be read."""
    try:
        with (cwd / "dvc.yaml").open("rb") as file:
            text = file.read(MAX_DVC + 1)
    except OSError:
        return ()
    return metrics_of_dvc(text) if b"metrics" in text and len(text) <= MAX_DVC else ()


@functools.lru_cache(maxsize=16)
def metrics_of_dvc(text: bytes) -> tuple[str, ...]:
    """The paths that the text of a `dvc.yaml` lists, relative to it."""
    try:
        tree = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return ()
    stages = _mapping(_mapping(tree).get("stages")).values()
    named = [*_listed(tree), *(path for stage in map(_mapping, stages) for path in _listed(stage))]
    # A path that DVC itself would fill in cannot be known here.
    return tuple(dict.fromkeys(path for path in named if not (_GLOB.search(path) or "${" in path or "\0" in path)))


def _listed(table: object) -> Iterator[str]:
    """The paths of a `metrics` list, whose items may be mappings of a path to its options."""
    given, folder = _mapping(table).get("metrics"), _mapping(table).get("wdir", "")
    for item in given if isinstance(given, list) else ():
        path = next(iter(item), None) if isinstance(item, dict) else item
        if isinstance(path, str) and isinstance(folder, str):
            yield os.path.normpath(PurePath(folder, path))


def _mapping(value: object) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def look(cwd: Path, place: str) -> list[Path] | None:
    """The files of a place, sorted; None: there is more than can be looked through."""
    found: list[Path] = []
    seen = 0
    ahead: list[tuple[Path, tuple[str, ...]]] = [(cwd, PurePath(place).parts)]
    while ahead:
        at, rest = ahead.pop()
        if not rest:
            found += [Path(os.path.normpath(at))] if os.path.isfile(at) else []  # noqa: PTH113 - to pathlib a long path is an error
            continue
        part, below = rest[0], rest[1:]
        if not _GLOB.search(part):
            ahead.append((at / part, below))
            continue
        if part == "**":
            ahead.append((at, below))
        for entry in _entries(at):
            seen += 1
            if seen > MAX_ENTRIES:
                return None
            if part == "**":
                # A link could lead round in a circle.
                ahead += [(at / entry.name, rest)] if entry.is_dir(follow_symlinks=False) else []
            elif fnmatch.fnmatchcase(entry.name, part):
                ahead.append((at / entry.name, below))
    return sorted(found)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        return


def matches(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """As `Path.glob`, part by part: "**" stands for any number of folders, "*" for what is within one."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(matches(path[start:], pattern[1:]) for start in range(len(path) + 1))
    return bool(path) and fnmatch.fnmatchcase(path[0], pattern[0]) and matches(path[1:], pattern[1:])
