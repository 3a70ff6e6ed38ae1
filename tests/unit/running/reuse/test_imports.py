"""Which modules of the repository code imports, without running it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlci.running.inputs import sha256
from mlci.running.reuse.imports import Modules

FILES = {
    "features.py": "",
    "random.py": "",
    "uses_features.py": "import features",
    "loop_a.py": "import loop_b",
    "loop_b.py": "import loop_a",
    "broken.py": "def",
    "pkg/__init__.py": "",
    "pkg/one.py": "from . import two\nfrom .sub.deep import thing",
    "pkg/two.py": "",
    "pkg/unused.py": "",
    "pkg/sub/__init__.py": "",
    "pkg/sub/deep.py": "from .. import three\nfrom ..one import x",
    "pkg/three.py": "",
    "space/inner.py": "",
    "src/lib/__init__.py": "from lib.core import *",
    "src/lib/core.py": "",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "repository" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "outside.py").touch()
    return (tmp_path / "repository").resolve()


def used(folder: Path, *sources: str) -> list[str]:
    modules = Modules((folder, folder / "src", folder / "gone", folder.parent), folder)
    found = modules.used_by(sources)
    assert all(sha256(folder / path) == digest for path, digest in found.items())
    return sorted(found)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import json, numpy, outside", []),
        ("import features", ["features.py"]),
        ("import features as f, random", ["features.py", "random.py"]),
        ("def f():\n    import uses_features", ["features.py", "uses_features.py"]),
        ("import loop_a", ["loop_a.py", "loop_b.py"]),
        ("import broken", ["broken.py"]),
        ("import pkg", ["pkg/__init__.py"]),
        ("from pkg import two", ["pkg/__init__.py", "pkg/two.py"]),
        ("from pkg import name", ["pkg/__init__.py"]),
        (
            "import pkg.one",
            [f"pkg/{name}.py" for name in ("__init__", "one", "sub/__init__", "sub/deep", "three", "two")],
        ),
        ("import space.inner", ["space/inner.py"]),
        ("from lib import core", ["src/lib/__init__.py", "src/lib/core.py"]),
        ("import lib", ["src/lib/__init__.py", "src/lib/core.py"]),
        ("import importlib; importlib.import_module('pkg.two')", ["pkg/__init__.py", "pkg/two.py"]),
        ("__import__('features')", ["features.py"]),
        ("import importlib; importlib.import_module(name)", []),
        ("from . import features", []),
        ("this is no Python", []),
    ],
)
def test_used_by(folder: Path, source: str, expected: list[str]) -> None:
    assert used(folder, source) == expected


def test_used_by__several_pieces_of_code(folder: Path) -> None:
    assert used(folder, "import features", "nonsense(", "import random") == ["features.py", "random.py"]


def test_used_by__a_module_that_was_edited(folder: Path) -> None:
    assert used(folder, "import uses_features") == ["features.py", "uses_features.py"]
    (folder / "uses_features.py").write_text("import random  # now")
    assert used(folder, "import uses_features") == ["random.py", "uses_features.py"]


def test_used_by__the_first_folder_wins_as_in_python(folder: Path) -> None:
    (folder / "lib.py").touch()
    assert used(folder, "import lib") == ["lib.py"]


def test_used_by__a_package_anywhere_beats_a_bare_folder(folder: Path) -> None:
    (folder / "lib").mkdir()
    assert used(folder, "import lib.core") == ["src/lib/__init__.py", "src/lib/core.py"]


def test_used_by__a_link_out_of_the_repository(folder: Path) -> None:
    (folder / "linked.py").symlink_to(folder.parent / "outside.py")
    assert used(folder, "import linked") == []
