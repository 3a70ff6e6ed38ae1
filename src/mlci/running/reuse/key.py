"""The key of an execution: the digest of everything named that its result depends on, as far as can be told before."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlci
from mlci import userlib
from mlci.config import Config, Run
from mlci.core.documents import Environment
from mlci.core.redaction import find_secrets
from mlci.plugins.executors.interface import Job
from mlci.running import outputs
from mlci.running.reuse import code, installed
from mlci.running.reuse.imports import Modules

FORMAT = 1  # of keys and entries; another number is another world
_SHOWN = ("parameter", "package", "variable", "python", "implementation", "platform", "mlci", "seed", "language")
_NAMED = 5  # so many changes are named
# What commonly changes a result without a trace in code or packages; a run's own `env` counts as well.
_VARIABLES = (
    *("PYTHONHASHSEED", "PYTHONOPTIMIZE", "TZ", "LANG", "LC_ALL", "MPLBACKEND"),
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    *("CUDA_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG", "TF_DETERMINISTIC_OPS", "KERAS_BACKEND", "JAX_PLATFORMS"),
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One execution that may be spared."""

    config: Config
    run: Run
    job: Job
    seed: int | None
    parameters: Mapping[str, Any]  # those that the run receives, without the seed
    environment: Environment  # of the run's interpreter
    inputs: dict[str, str]  # what `inputs.fingerprint` says


@dataclass(frozen=True, kw_only=True)
class Key:
    """What was asked for, and what it comes down to."""

    request: Request
    digest: str
    parts: dict[str, str]  # name -> value or digest, for people; secrets count in `digest` alone
    made_at_ns: int


def make(request: Request) -> Key:
    """The key of `request`, from the files as they are now."""
    parts = _parts(request)
    secret = _secret(request)
    whole = json.dumps([FORMAT, parts, secret], sort_keys=True, separators=(",", ":"))
    return Key(
        request=request,
        digest=hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest(),
        parts=parts,
        made_at_ns=time.time_ns(),
    )


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """One line for each part that differs, as a person would say it; the most telling first, and not too many."""
    found = []
    for name in [*new, *(name for name in old if name not in new)]:
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if name.partition(" ")[0] in _SHOWN:
            found.append(f"{name}: {before or 'none'} -> {after or 'none'}")
        else:
            found.append(f"{name} is {'new' if before is None else 'gone' if after is None else 'changed'}")
    if len(found) > _NAMED:
        found = [*found[:_NAMED], f"and {len(found) - _NAMED} more"]
    return tuple(found) or ("a secret value changed",)


def _parts(request: Request) -> dict[str, str]:
    config, run, environment = request.config, request.run, request.environment
    pieces = code.pieces(config, run, request.job.argv)
    beyond = installed.look(request.job.python or "")
    modules = Modules(_search_path(request, beyond), config.repository)
    return {
        "run": f"{run.name} {run.profile}",
        **{piece.name: _sha256(piece.text) for piece in pieces if piece.name != "language"},
        **{piece.name: piece.text for piece in pieces if piece.name == "language"},
        **{f"parameter {name}": text for name, (text, secret) in _given(request).items() if not secret},
        **({"seed": str(request.seed)} if request.seed is not None else {}),
        **{_called(name): digest for name, digest in request.inputs.items() if not _is_own(run, name)},
        **({"metrics of dvc.yaml": " ".join(named)} if (named := outputs.named_by_dvc(run.table, run.cwd)) else {}),
        **{f"module {path}": digest for path, digest in modules.used_by([piece.source for piece in pieces]).items()},
        "python": environment.python or "",
        "implementation": environment.implementation or "",
        "platform": environment.platform or "",
        **{f"package {name}": version for name, version in environment.packages.items()},
        **{f"code of package {name}": digest for name, digest in beyond.built},
        **{f"variable {name}": value for name, (value, secret) in _environ(request).items() if not secret},
        "mlci": mlci.__version__,
    }


def _secret(request: Request) -> dict[str, str]:
    both = [*_given(request).items(), *_environ(request).items()]
    return {name: value for name, (value, secret) in both if secret}


def _called(name: str) -> str:
    return f"what {name} says" if name.startswith("[") else f"input {name}"


def _is_own(run: Run, name: str) -> bool:
    """Whether it is the run's own source, of which the code counts, not the file."""
    return run.path is not None and name == run.source


def _given(request: Request) -> dict[str, tuple[str, bool]]:
    """Parameter -> how it is written, and whether it is secret."""
    named = request.run.table.secrets
    return {
        name: (json.dumps(value, sort_keys=True, default=str), bool(find_secrets({name: value}, named=named)))
        for name, value in request.parameters.items()
    }


def _environ(request: Request) -> dict[str, tuple[str, bool]]:
    """The variables that count -> value, and whether it is secret."""
    environ, run = request.job.environ, request.run
    found = {name: environ[name] for name in (*_VARIABLES, *run.table.env) if name in environ}
    found["PYTHONPATH"] = os.pathsep.join(
        os.path.relpath(path, request.config.root) if path.is_relative_to(request.config.repository) else str(path)
        for path in _python_path(request)
    )
    return {name: (value, bool(find_secrets({name: value}, named=run.table.secrets))) for name, value in found.items()}


def _python_path(request: Request) -> list[Path]:
    """The user's own folders of PYTHONPATH, absolute."""
    mine = Path(userlib.__file__).parent
    paths = request.job.environ.get("PYTHONPATH", "").split(os.pathsep)
    folders = [Path(os.path.normpath(request.job.cwd / path)) for path in paths if path]
    return [folder for folder in folders if not folder.is_relative_to(mine)]


def _search_path(request: Request, beyond: installed.Installed) -> tuple[Path, ...]:
    run = request.run
    scripts = [run.path] if run.kind == "script" and run.path else []
    scripts += [run.cwd / word for word in code.named(run, request.job.argv)] if run.kind == "command" else []
    return (*(script.parent for script in scripts), run.cwd, *_python_path(request), *beyond.roots)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
