"""Makes a clean environment of the packages that a record names, with uv, and finds it again the next time."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import platform
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlci import process
from mlci.core.documents import Environment, digest
from mlci.errors import VerifyError
from mlci.render.text import plain
from mlci.running import interpreter
from mlci.workspace import write_atomically

_READY = "mlci-ready.json"  # written last: an environment without it is half made
_MAX_UNKNOWN = 50  # packages that no index has, before it is the index that is wrong
_NAME = r"([A-Za-z0-9][A-Za-z0-9._-]*)"
# How uv says that a package does not exist. What cannot be fetched or built at the moment is said otherwise, and is an
# error: leaving it out would verify something else.
_UNKNOWN = (
    re.compile(rf"{_NAME} was not found in the (?:package registry|provided package locations)"),
    re.compile(rf"there is no version of {_NAME}=="),
    re.compile(rf"{_NAME}==\S+ has no (?:usable )?wheels"),
)


@dataclass(frozen=True, kw_only=True)
class CleanEnvironment:
    """An environment, made or found.

    Args:
        python: Its interpreter, absolute.
        left_out: Recorded packages that it has not.
        reused: Whether it was there.
    """

    python: str
    left_out: tuple[str, ...]
    reused: bool


def make(
    recorded: Environment,
    *,
    root: Path,
    environ: Mapping[str, str],
    end: float,
    warn: Callable[[str], None],
) -> CleanEnvironment:
    """An environment of the recorded Python and packages, each pinned, without their dependencies: all are recorded.

    Left out, with a warning that names them: the package of the repository itself, whose name on an index may be a
    stranger's; mlci; and whatever the index does not have in that version for this platform, such as a package that was
    installed from a folder. It lies in the user's cache, by what it is made of.

    Args:
        recorded: What the run ran on.
        root: The configuration's folder: uv reads its settings, such as indexes.
        environ: mlci's own environment.
        end: When it has to be done, in seconds of `time.monotonic`.
        warn: Takes one line for the user.

    Raises:
        VerifyError: The record names no Python, there is no uv, or uv fails.
    """
    if recorded.python is None:
        raise VerifyError("the record names no Python", hint="Name an environment with --python.")
    own = {"mlci", *_own_names(root)}
    pinned = {name: version for name, version in recorded.packages.items() if name not in own}
    by_rule = tuple(f"{name}=={recorded.packages[name]}" for name in sorted(own & recorded.packages.keys()))
    folder = _cache(environ, root) / _key(recorded, pinned, environ)
    ready = folder / _READY
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        left_out = tuple(str(item) for item in json.loads(ready.read_bytes())["left_out"])
        _say_left_out(left_out, warn)
        return CleanEnvironment(python=_python(folder, root, environ), left_out=left_out, reused=True)
    shutil.rmtree(folder, ignore_errors=True)
    uv = _Uv(_command(environ), root, process.child_environ(environ), end)
    try:
        _create(uv, recorded, folder, warn)
        python = _python(folder, root, environ)
        left_out = (*by_rule, *_install(uv, python, pinned, folder))
        write_atomically(ready, json.dumps({"left_out": left_out}).encode())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    _say_left_out(left_out, warn)
    return CleanEnvironment(python=python, left_out=left_out, reused=False)


@dataclass(frozen=True)
class _Uv:
    """Runs uv until a deadline."""

    command: tuple[str, ...]
    root: Path
    environ: Mapping[str, str]
    end: float

    def run(self, *arguments: str) -> process.Completed:
        """One call, whatever it exits with.

        Raises:
            VerifyError: It cannot be started, or took too long.
        """
        try:
            return process.capture(
                [*self.command, "--quiet", "--color", "never", *arguments],
                cwd=self.root,
                environ=self.environ,
                timeout_s=max(0.1, self.end - time.monotonic()),
            )
        except subprocess.TimeoutExpired:
            raise VerifyError(
                "the clean environment was not made in time", hint="Raise verify.timeout, which is for all of it."
            ) from None
        except OSError as error:
            raise VerifyError(f"uv cannot be started: {error.strerror}") from None


def _create(uv: _Uv, recorded: Environment, folder: Path, warn: Callable[[str], None]) -> None:
    """The empty environment: of mlci's own Python where it is the same, of one that uv finds or fetches, or near it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    kind = (recorded.implementation or "cpython").lower()
    exact, near = str(recorded.python), ".".join(str(recorded.python).split(".")[:2])
    same = (platform.python_implementation().lower(), platform.python_version()) == (kind, exact)
    done = None
    for wanted in ([sys.executable] if same else []) + [f"{kind}@{exact}", f"{kind}@{near}"]:
        done = uv.run("venv", "--no-project", "--clear", "--python", wanted, str(folder))
        if done.returncode == 0:
            if wanted.endswith(f"@{near}") and near != exact:
                warn(f"there is no Python {exact} to be had: verified with another {near}")
            return
    raise VerifyError(
        f"no Python {exact} could be had for a clean environment: {_complaint(done)}",
        hint="Install it, or name an environment with --python.",
    )


def _install(uv: _Uv, python: str, pinned: Mapping[str, str], folder: Path) -> tuple[str, ...]:
    """Install what the index has; the others."""
    wanted = dict(pinned)
    unknown: list[str] = []
    while wanted:
        listed = folder / "requirements.txt"
        listed.write_text("".join(f"{name}=={version}\n" for name, version in wanted.items()), encoding="utf-8")
        done = uv.run("pip", "install", "--no-deps", "--python", python, "--requirements", str(listed))
        if done.returncode == 0:
            break
        missing = [name for name in _not_known(done.stderr) if name in wanted]
        if not missing or len(unknown) >= _MAX_UNKNOWN:
            raise VerifyError(
                f"the recorded packages cannot be installed: {_complaint(done)}",
                hint="See the network and UV_INDEX, or name an environment with --python.",
            )
        unknown += [f"{name}=={wanted.pop(name)}" for name in missing]
    return tuple(sorted(unknown))


def _not_known(stderr: bytes) -> list[str]:
    # Older versions draw the cause as a tree and wrap it.
    text = re.sub(r"[\s│├╰─▶×]+", " ", stderr.decode(errors="replace"))
    found = [match[1] for pattern in _UNKNOWN for match in pattern.finditer(text)]
    return list(dict.fromkeys(re.sub(r"[._-]+", "-", name).lower() for name in found))


def _complaint(done: process.Completed | None) -> str:
    lines = done.stderr.decode(errors="replace").split("\n") if done else []
    return plain(" ".join(line.strip() for line in lines if line.strip()), limit=400) or "uv said nothing"


def _say_left_out(left_out: Sequence[str], warn: Callable[[str], None]) -> None:
    if left_out:
        warn(f"not in the clean environment, as they are from no index: {plain(', '.join(left_out))}")


def _own_names(root: Path) -> set[str]:
    """The name of the package that is developed here."""
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")).get("project", {})
        return {re.sub(r"[._-]+", "-", str(project["name"])).lower()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()


def _command(environ: Mapping[str, str]) -> tuple[str, ...]:
    found = shutil.which("uv", path=environ.get("PATH"))
    if found:
        return (found,)
    if importlib.util.find_spec("uv"):
        return (sys.executable, "-I", "-m", "uv")
    raise VerifyError(
        "there is no uv, which makes the clean environment", hint="pip install uv, or name one with --python."
    )


def _cache(environ: Mapping[str, str], root: Path) -> Path:
    # Not the workspace: that travels between the jobs of a workflow as an artifact.
    cache = environ.get("XDG_CACHE_HOME") or (f"{environ['HOME']}/.cache" if environ.get("HOME") else None)
    return Path(cache, "mlci", "environments") if cache else root / ".mlci" / "environments"


def _key(recorded: Environment, pinned: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """What an environment is made of, indexes included: another index may have what one has not."""
    uv = sorted((name, value) for name, value in environ.items() if name.startswith("UV_"))
    here = (sys.platform, platform.machine())
    made_of = [1, here, recorded.python, recorded.implementation, sorted(recorded.packages.items()), sorted(pinned), uv]
    return digest(json.dumps(made_of).encode())[:32]


def _python(folder: Path, root: Path, environ: Mapping[str, str]) -> str:
    return interpreter.find(root, asked=str(folder), configured=None, environ=environ)[0]
