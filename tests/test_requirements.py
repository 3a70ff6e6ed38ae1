"""The action's pins satisfy pyproject.toml, are hashed, and name no index."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PINS = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "requirements").glob("*.txt"))}


def pinned(name: str) -> dict[str, str]:
    """Distribution -> version."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", PINS[name], flags=re.MULTILINE)
    return {canonicalize_name(distribution): version for distribution, version in found}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("action", PROJECT["project"]["dependencies"]),
        ("build", PROJECT["build-system"]["requires"]),
        ("uv", ["uv"]),
        *(
            (f"extra-{name}", wanted)
            for name, wanted in PROJECT["project"]["optional-dependencies"].items()
            if name not in ("bench", "demo", "dev", "docs")
        ),
    ],
)
def test_pins__satisfy_pyproject(name: str, wanted: list[str]) -> None:
    pins = pinned(name)
    for requirement in map(Requirement, wanted):
        assert pins[canonicalize_name(requirement.name)] in requirement.specifier, requirement


@pytest.mark.parametrize("name", [name for name in PINS if name.startswith("extra-")])
def test_pins__of_extras_agree_with_those_of_the_action(name: str) -> None:
    extra, action = pinned(name), pinned("action")
    assert {key: extra[key] for key in extra.keys() & action.keys()} == {
        key: action[key] for key in extra.keys() & action.keys()
    }


@pytest.mark.parametrize("name", PINS)
def test_pins__are_hashed(name: str) -> None:
    for entry in re.split(r"\n(?=\S)", PINS[name].strip()):
        assert "==" in entry
        assert "--hash=sha256:" in entry


@pytest.mark.parametrize("name", PINS)
def test_pins__name_no_index(name: str) -> None:
    assert "://" not in PINS[name]
    assert "--index" not in PINS[name]
