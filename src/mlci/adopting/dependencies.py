"""How a project says what it needs, which Python it is for, and the command that installs it on a runner."""

from __future__ import annotations

import posixpath
import re
import shlex
import tomllib
from collections.abc import Iterable
from typing import Any

import msgspec

from mlci.adopting.listing import Listing
from mlci.core.metric import listed

DEFAULT_PYTHON = "3.13"
_KNOWN = ("3.13", "3.12", "3.11", "3.10", "3.9")
_KERNEL = re.compile(r"^[ \t\"'-]*(ipykernel|jupyter|jupyterlab|notebook)\b", re.MULTILINE | re.IGNORECASE)
_REQUIREMENTS = (
    "requirements.txt",
    "requirements/train.txt",
    "requirements/main.txt",
    "requirements/base.txt",
    "requirements/requirements.txt",
    "requirements-train.txt",
    "requirements_train.txt",
    "requirements-dev.txt",
)
_CONDA = ("environment.yml", "environment.yaml", "conda.yml", "conda.yaml", "conda-env.yml")
# What code of this field imports, and what that is called where it is installed.
_PACKAGES = {
    name: name
    for name in listed(
        "catboost joblib keras lightgbm matplotlib mlflow numpy pandas plotly polars pyarrow scipy seaborn statsmodels",
        "tensorflow torch torchvision transformers wandb xgboost",
    )
} | {
    "sklearn": "scikit-learn",
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "yaml": "pyyaml",
    "skimage": "scikit-image",
}


class Dependencies(msgspec.Struct, frozen=True, kw_only=True):
    """What a project needs.

    Args:
        folder: Where the project lies, "" being the repository's top.
        tool: Who installs it.
        files: What says so, from the repository's top.
        install: The command, run in `folder`.
        python: The version of Python.
        environment: The folder of the environment that the command makes, where mlci looks for it.
        kernel: Whether ipykernel is among them.
    """

    folder: str
    tool: str
    files: tuple[str, ...]
    install: str
    python: str
    environment: str | None = None
    kernel: bool = False

    def installing(self, *, kernel: bool, folder: str) -> str:
        """The command, as seen from a folder, with the kernel of notebooks where it is wanted and not among them."""
        place = posixpath.relpath(f"/{self.folder}", f"/{folder}")
        return f"{'' if place == '.' else f'cd {shlex.quote(place)} && '}{self._command(kernel)}"

    def interpreter(self, folder: str) -> str | None:
        """The environment's folder as seen from another one, where mlci does not look for it by itself."""
        place = posixpath.relpath(f"/{self.folder}", f"/{folder}")
        return f"{place}/{self.environment}" if self.environment and place != "." else None

    def _command(self, kernel: bool) -> str:
        if not self.install:  # nothing says what it needs, and it imports nothing that we know
            return "python -m pip install ipykernel" if kernel else "python -m pip --version"
        if not kernel or self.kernel:
            return self.install
        if self.environment is None:
            return f"{self.install} ipykernel"
        if self.tool == "uv":
            return f"{self.install} && python -m uv pip install ipykernel"
        return f"{self.install} && {self.environment}/bin/python -m pip install ipykernel"


def folders(listing: Listing) -> list[str]:
    """Where something says what it needs, the top first."""
    names = {*_CONDA, "requirements.txt", "pyproject.toml", "Pipfile", "poetry.lock", "uv.lock", "setup.py"}
    found = {posixpath.dirname(path) for path in listing.files if posixpath.basename(path) in names}
    return sorted(folder for folder in found if posixpath.basename(folder) not in ("requirements", "docs"))


def of(listing: Listing, folder: str, *, versions: Iterable[str] = (), modules: Iterable[str] = ()) -> Dependencies:
    """What the project in a folder needs.

    Args:
        listing: The repository.
        folder: The project's.
        versions: Of Python, that executed its notebooks.
        modules: That its code imports, for want of anything that says more.
    """

    def at(name: str) -> str:
        return posixpath.join(folder, name)

    project = _toml(listing, at("pyproject.toml"))
    python = _python(listing, folder, project, list(versions))
    conda = next((name for name in _CONDA if listing.is_file(at(name))), None)
    wanted = [name for name in _REQUIREMENTS if listing.is_file(at(name))][:1]
    packaged = bool(project.get("project") or listing.is_file(at("setup.py")))
    pipfile, poetry = listing.is_file(at("Pipfile")), "poetry" in _table(project, "tool")
    environment: str | None = ".venv"
    if listing.is_file(at("uv.lock")) or "uv" in _table(project, "tool"):
        locked = " --locked" if listing.is_file(at("uv.lock")) else ""
        tool, files = "uv", ["uv.lock", "pyproject.toml"]
        install = f"python -m pip install uv && python -m uv sync{locked}"
    elif listing.is_file(at("poetry.lock")) or (poetry and not wanted):
        tool, files = "poetry", ["poetry.lock", "pyproject.toml"]
        install = "python -m pip install poetry && POETRY_VIRTUALENVS_IN_PROJECT=true python -m poetry install"
    elif pipfile:
        locked = "sync" if listing.is_file(at("Pipfile.lock")) else "install"
        tool, files = "pipenv", ["Pipfile.lock", "Pipfile"]
        install = f"python -m pip install pipenv && PIPENV_VENV_IN_PROJECT=1 python -m pipenv {locked}"
    elif conda:
        tool, files = "conda", [conda]
        install = f'"$CONDA/bin/conda" env create --prefix .venv --file {conda}'
    else:
        environment = None
        tool, files = ("pip", wanted) if wanted else ("pip", ["pyproject.toml", "setup.py"] if packaged else [])
        words = [f"-r {shlex.quote(name)}" for name in wanted] + (["-e ."] if packaged else [])
        words = words or sorted({_PACKAGES[name] for name in modules if name in _PACKAGES})
        install = f"python -m pip install {' '.join(words)}" if words else ""
    present = [at(name) for name in files if listing.is_file(at(name))]
    return Dependencies(
        folder=folder,
        tool=tool,
        files=tuple(present),
        install=install,
        python=python,
        environment=environment,
        kernel=any(_KERNEL.search(listing.text(path) or "") for path in present),
    )


def _python(listing: Listing, folder: str, project: dict[str, Any], versions: list[str]) -> str:
    """The version that is named, else one that executed the notebooks and is allowed, else the newest allowed."""
    for name in (".python-version", "runtime.txt"):
        named = re.search(r"3\.\d{1,2}", (listing.text(posixpath.join(folder, name)) or "")[:200])
        if named:
            return named[0]
    conda = "\n".join(listing.text(posixpath.join(folder, name)) or "" for name in _CONDA)
    pinned = re.search(r"^[ \t]*-[ \t]*python[ \t]*[=~>]+[ \t]*(3\.\d{1,2})", conda, re.MULTILINE)
    if pinned:
        return pinned[1]
    pipfile = _table(_toml(listing, posixpath.join(folder, "Pipfile")), "requires").get("python_version")
    if isinstance(pipfile, str) and re.fullmatch(r"3\.\d{1,2}", pipfile):
        return pipfile
    wanted = _table(project, "project").get("requires-python")
    wanted = wanted or _table(_table(_table(project, "tool"), "poetry"), "dependencies").get("python")
    allowed = [version for version in _KNOWN if not isinstance(wanted, str) or _allows(wanted, version)]
    used = sorted((item for item in versions if item in allowed), key=versions.count)
    return used[-1] if used else allowed[0] if allowed else DEFAULT_PYTHON


def _allows(wanted: str, version: str) -> bool:
    """Whether a specification such as ">=3.10,<3.13", "~=3.11" or "^3.10" lets a version in."""
    ours = _numbers(version)
    for operator, text in re.findall(r"(>=|<=|==|!=|~=|\^|~|>|<)\s*([\d.]+)", wanted[:200]):
        other = _numbers(text)
        fits = {
            ">=": ours >= other,
            ">": ours > other or text.count(".") > 1,
            "<=": ours <= other,
            "<": ours < other,
            "==": ours == other,
            "!=": ours != other or text.count(".") > 1,
            "~=": ours >= other if text.count(".") == 1 else ours == other,
            "^": ours >= other,
            "~": ours == other,
        }
        if not fits[operator]:
            return False
    return True


def _numbers(version: str) -> tuple[int, int]:
    parts = [int(part) for part in version.split(".")[:2] if part]
    return parts[0] if parts else 0, parts[1] if len(parts) > 1 else 0


def _toml(listing: Listing, path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(listing.text(path) or "")
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def _table(table: dict[str, Any], name: str) -> dict[str, Any]:
    found = table.get(name)
    return found if isinstance(found, dict) else {}
