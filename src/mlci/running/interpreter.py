"""Finds the user's Python, which is never assumed to be mlci's own, and asks it what it is."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mlci import process
from mlci.core.documents import Environment
from mlci.errors import EnvironmentMissingError
from mlci.gpu import Gpus
from mlci.running import machine

# Runs in the user's interpreter: standard library only, Python 3.9 and later.
_PROBE = """
import importlib.util, json, platform, sys
from importlib import metadata
packages = {}
for found in metadata.distributions():
    name = found.metadata["Name"]
    if name:
        packages.setdefault(name.lower().replace("_", "-").replace(".", "-"), found.version)
environment = {
    "python": platform.python_version(),
    "implementation": platform.python_implementation(),
    "platform": sys.platform + "-" + platform.machine(),
    "packages": dict(sorted(packages.items())),
}
print(json.dumps({"environment": environment, "ipykernel": importlib.util.find_spec("ipykernel") is not None}))
"""
_PROBE_TIMEOUT_S = 60


class _Told(msgspec.Struct):
    """What the probe prints."""

    environment: Environment
    ipykernel: bool


@dataclass(frozen=True)
class Interpreter:
    """A Python of the user."""

    path: str  # absolute; links are kept, since a virtual environment's python is one
    environment: Environment
    has_ipykernel: bool


def find(root: Path, *, asked: str | None, configured: str | None, environ: Mapping[str, str]) -> tuple[str, str]:
    """The path of the interpreter and where it was named.

    Args:
        root: The configuration's folder; relative names are seen from here.
        asked: By flag or variable: an interpreter, an environment's folder, or a program on PATH.
        configured: The run's `python`, likewise.
        environ: For `VIRTUAL_ENV` and `PATH`.

    Raises:
        EnvironmentMissingError: What was named is no interpreter, or there is none at all.
    """
    for where, named in (
        ("--python", asked),
        ("python", configured),
        ("VIRTUAL_ENV", environ.get("VIRTUAL_ENV")),
    ):
        if named:
            found = _resolve(root, named, environ)
            if found is None:
                raise EnvironmentMissingError(
                    f"{where}: {named!r} is no Python interpreter and no environment's folder",
                    hint="Name an interpreter such as .venv/bin/python, or a folder that holds one.",
                )
            return found, where
    local = _resolve(root, ".venv", environ)
    if local:
        return local, ".venv"
    for name in ("python", "python3"):
        found = shutil.which(name, path=environ.get("PATH"))
        if found:
            return str(Path(found).absolute()), "PATH"
    raise EnvironmentMissingError("no python on PATH", hint="Name the interpreter with --python or in the run.")


def probe(python: str, *, environ: Mapping[str, str]) -> Callable[[], Interpreter]:
    """Ask what `python` is and has installed; the value waits for the answer, which takes as long as a Python starts.

    Raises:
        EnvironmentMissingError: It does not run; from the value as well.
    """
    failure = EnvironmentMissingError(
        f"the interpreter {python} does not run",
        hint="Try it: python -c 'print(1)'. mlci needs 3.9 or newer there.",
    )
    try:
        wait = process.begin(
            [python, "-I", "-c", _PROBE],
            cwd=Path(python).parent,
            environ=process.child_environ(environ),
            timeout_s=_PROBE_TIMEOUT_S,
        )
    except OSError:
        raise failure from None

    def answer() -> Interpreter:
        try:
            told = msgspec.json.decode(wait().stdout, type=_Told)
        except (UnicodeDecodeError, msgspec.DecodeError, subprocess.TimeoutExpired):
            raise failure from None
        environment = msgspec.structs.replace(told.environment, gpu=_gpu(environ))
        return Interpreter(path=python, environment=environment, has_ipykernel=told.ipykernel)

    return answer


def require_ipykernel(interpreter: Interpreter, run: str) -> None:
    """Refuse a notebook whose interpreter has no kernel.

    Raises:
        EnvironmentMissingError: With the exact command that installs it.
    """
    if not interpreter.has_ipykernel:
        raise EnvironmentMissingError(
            f"run {run}: {interpreter.path} has no ipykernel, which notebooks need",
            hint=f"Install it: {interpreter.path} -m pip install ipykernel",
        )


def _gpu(environ: Mapping[str, str]) -> str | None:
    if not machine.gpus(environ):
        return None
    with Gpus() as found:
        return found.describe()


def _resolve(root: Path, named: str, environ: Mapping[str, str]) -> str | None:
    path = Path(os.path.abspath(root / Path(named).expanduser()))  # noqa: PTH100 - resolve() would follow the link
    if path.is_dir():
        for inner in ("bin/python", "Scripts/python.exe"):
            if (path / inner).exists():
                return str(path / inner)
        return None
    if path.is_file():
        return str(path) if os.access(path, os.X_OK) else None
    found = shutil.which(named, path=environ.get("PATH")) if os.sep not in named else None
    return str(Path(found).absolute()) if found else None
