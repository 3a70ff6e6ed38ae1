"""Fingerprints what a run reads, so that a later run can tell whether it changed."""

from __future__ import annotations

import hashlib
import json
import os.path
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from mlci.config import Config, Run
from mlci.errors import ConfigError

_GLOB = re.compile(r"[*?\[]")
_IGNORED = {".git", ".mlci", ".mlci-reuse", ".ipynb_checkpoints", "__pycache__"}
_CHUNK = 1024 * 1024
_NOT_INPUTS = (
    *("parameters", "rules", "only", "needs", "pass-env", "timeout", "cell-timeout", "silence-timeout"),
    *("max-cell-output", "max-output", "preload", "resources", "reuse", "checkpoint", "secrets"),
)


def fingerprint(config: Config, run: Run) -> dict[str, str]:
    """Path -> sha256 of each of the run's `inputs` and of its own source file; and of what its table says.

    Paths are relative to the configuration; an input may lie in another folder of the repository ("../data.csv").
    A path that DVC tracks is taken from its `.dvc` file or from `dvc.lock`, as "md5:...", be the data here or not.

    Raises:
        ConfigError: A literal input is neither a file nor tracked by DVC.
    """
    root = config.root
    found = {f"[runs.{run.group}]": _digest(run)}
    if run.path is not None:
        found[run.source] = sha256(run.path)
    for pattern in run.table.inputs:
        literal = not _GLOB.search(pattern)
        tracked = _tracked(root, pattern) if literal else None
        if tracked:
            found[pattern] = tracked
            continue
        files = list(_files(config, pattern))
        if literal and not files:
            raise ConfigError(f"runs.{run.group}.inputs: there is no file {pattern!r}, and DVC tracks none")
        found |= {Path(os.path.relpath(path, root)).as_posix(): sha256(path) for path in files}
    return dict(sorted(found.items()))


def _digest(run: Run) -> str:
    """Of what the run's table says about how it runs; parameters stand in the record themselves."""
    said = {key: value for key, value in msgspec.to_builtins(run.table).items() if key not in _NOT_INPUTS}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def sha256(path: Path) -> str:
    """The digest of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _files(config: Config, pattern: str) -> Iterator[Path]:
    # Patterns may climb to another folder of the repository; glob itself takes no "..".
    joined = Path(os.path.normpath(config.root / pattern))
    top = config.repository
    if not _GLOB.search(pattern):
        candidates = sorted(joined.rglob("*")) if joined.is_dir() else [joined]
    else:
        fixed = joined
        while _GLOB.search(str(fixed)):
            fixed = fixed.parent
        candidates = sorted(fixed.glob(joined.relative_to(fixed).as_posix()))
    for path in candidates:
        if path.is_file() and path.is_relative_to(top) and not _IGNORED & set(path.relative_to(top).parts):
            yield path


def _tracked(root: Path, path: str) -> str | None:
    pointer = root / f"{path}.dvc"
    if pointer.is_file():
        for out in _outs(_yaml(pointer)):
            if out.get("md5"):
                return f"md5:{out['md5']}"
    lock = root / "dvc.lock"
    if lock.is_file():
        stages = _yaml(lock).get("stages")
        for stage in stages.values() if isinstance(stages, dict) else ():
            for out in _outs(stage):
                if out.get("path") == path and out.get("md5"):
                    return f"md5:{out['md5']}"
    return None


def _outs(stage: object) -> list[dict[str, Any]]:
    found = stage.get("outs") if isinstance(stage, dict) else None
    return [out for out in found if isinstance(out, dict)] if isinstance(found, list) else []


def _yaml(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError(f"{path.name}: not a DVC file: it is no YAML") from None
    return loaded if isinstance(loaded, dict) else {}
