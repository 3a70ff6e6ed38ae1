"""Another checkout's runs import another checkout's code, however this one's was installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlci.running.own_code import elsewhere


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A repository with a package in src/, one beside it, and an environment."""
    (tmp_path / "here/lib/src").mkdir(parents=True)
    (tmp_path / "here/tool").mkdir()
    _packages(tmp_path).mkdir(parents=True)
    return tmp_path / "here"


def _packages(folder: Path) -> Path:
    return folder / "venv/lib/python3.12/site-packages"


def moved(here: Path, path: str = "") -> list[str]:
    found = elsewhere(str(here.parent / "venv/bin/python"), path, here, Path("/other"))
    return found.split(":") if found else []


def install(here: Path, name: str, said: object) -> None:
    folder = _packages(here.parent) / f"{name}-1.0.dist-info"
    folder.mkdir()
    (folder / "direct_url.json").write_text(said if isinstance(said, str) else json.dumps(said))


@pytest.mark.parametrize(("project", "found"), [("lib", "/other/lib/src"), ("tool", "/other/tool")])
def test_elsewhere__packages_installed_from_the_repository(here: Path, project: str, found: str) -> None:
    install(here, "own", {"url": f"file://{here / project}", "dir_info": {"editable": True}})
    assert moved(here) == [found]


def test_elsewhere__folders_of_pth_files(here: Path) -> None:
    (_packages(here.parent) / "own.pth").write_text(f"{here / 'lib/src'}\n/usr\nimport something\n")
    assert moved(here) == ["/other/lib/src"]


@pytest.mark.parametrize(
    "said",
    [
        "no json",
        "[]",
        {"url": "https://example.com/own.zip", "archive_info": {}},
        {"url": "file:///elsewhere", "dir_info": {}},
        {"dir_info": {}},
    ],
)
def test_elsewhere__other_packages_stay(here: Path, said: object) -> None:
    install(here, "other", said)
    assert moved(here) == []


def test_elsewhere__pythonpath(here: Path) -> None:
    assert moved(here, f"{here / 'lib'}:/usr/lib/extra:relative:{here / 'lib'}") == [
        "/other/lib",
        "/usr/lib/extra",
        "relative",
    ]
