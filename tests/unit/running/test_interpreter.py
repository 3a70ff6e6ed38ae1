"""The user's interpreter is found in one documented order, and asked what it is."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from mlci.errors import EnvironmentMissingError
from mlci.running.interpreter import find, probe, require_ipykernel


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("flag", "configured", "active", "root/.venv", "path"):
        _program(tmp_path / name / "bin/python")
    return tmp_path / "root"


def _program(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("asked", "configured", "active", "local", "expected"),
    [
        ("../flag", "../configured", True, True, ("flag/bin/python", "--python")),
        (None, "../configured", True, True, ("configured/bin/python", "python")),
        (None, None, True, True, ("active/bin/python", "VIRTUAL_ENV")),
        (None, None, False, True, ("root/.venv/bin/python", ".venv")),
        (None, None, False, False, ("path/bin/python", "PATH")),
        ("../flag/bin/python", None, False, False, ("flag/bin/python", "--python")),
        ("python", None, False, True, ("path/bin/python", "--python")),
    ],
)
def test_find__flag_run_active_environment_local_one_path(
    root: Path,
    *,
    asked: str | None,
    configured: str | None,
    active: bool,
    local: bool,
    expected: tuple[str, str],
) -> None:
    top = root.parent
    environ = {"PATH": str(top / "path/bin")} | ({"VIRTUAL_ENV": str(top / "active")} if active else {})
    if not local:
        (root / ".venv/bin/python").unlink()
    path, where = find(root, asked=asked, configured=configured, environ=environ)
    assert (Path(path).relative_to(top).as_posix(), where) == expected


def test_find__a_link_is_kept_since_an_environment_s_python_is_one(root: Path) -> None:
    link = root / "linked/bin/python"
    link.parent.mkdir(parents=True)
    link.symlink_to(sys.executable)
    assert find(root, asked="linked", configured=None, environ={})[0] == str(link)


@pytest.mark.parametrize("named", ["nowhere", "text", "../root"])
def test_find__what_is_no_interpreter(root: Path, named: str) -> None:
    (root / "text").write_text("no program")
    with pytest.raises(EnvironmentMissingError, match=f"--python: '{named}' is no Python interpreter"):
        find(root, asked=named, configured=None, environ={"PATH": ""})


def test_find__none_at_all(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentMissingError, match="no python on PATH"):
        find(tmp_path, asked=None, configured=None, environ={"PATH": str(tmp_path)})


def test_probe__this_one() -> None:
    found = probe(sys.executable, environ={"PATH": ""})()
    assert found.environment.python == platform.python_version()
    assert found.environment.packages["papermill"]
    assert found.has_ipykernel
    require_ipykernel(found, "train")


@pytest.mark.parametrize("script", ["exit 1", "echo words", "echo 3"])
def test_probe__one_that_does_not_run(tmp_path: Path, script: str) -> None:
    _program(tmp_path / "python")
    (tmp_path / "python").write_text(f"#!/bin/sh\n{script}\n")
    with pytest.raises(EnvironmentMissingError, match="does not run"):
        probe(str(tmp_path / "python"), environ={"PATH": "/bin:/usr/bin"})()
