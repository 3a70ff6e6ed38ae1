"""What is published: the sdist, the wheel that is built from it, and the command that comes of it."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.metadata import Metadata

from fakes.exhaustive import EXHAUSTIVE
from fakes.repositories import ENVIRON
from mlci import __version__

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Built:
    """Both files, and what they hold."""

    sdist: Path
    wheel: Path
    sources: frozenset[str]  # below the sdist's one folder
    modules: frozenset[str]  # in the wheel, but for its metadata
    metadata: str


def program(*command: str | Path, cwd: Path, **environ: str) -> str:
    """What a program prints, which has to succeed."""
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=ENVIRON | environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("dist")
    hatchling = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    program(*hatchling, "-t", "sdist", cwd=ROOT)
    [sdist] = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    [unpacked] = folder.glob("mlci-*/")
    program(*hatchling, "-t", "wheel", cwd=unpacked)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [about] = [name for name in names if name.endswith(".dist-info/METADATA")]
        metadata = archive.read(about).decode()
    return Built(
        sdist,
        wheel,
        frozenset(path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()),
        frozenset(name for name in names if ".dist-info/" not in name),
        metadata,
    )


def package_files() -> set[str]:
    """Everything below src/mlci, links followed, as the wheel calls it."""
    return {
        Path(folder, name).relative_to(ROOT / "src").as_posix()
        for folder, _, names in os.walk(ROOT / "src/mlci", followlinks=True)
        for name in names
        if not name.endswith(".pyc")
    }


def test_wheel__holds_the_package_and_nothing_else(built: Built) -> None:
    assert built.modules == package_files()
    assert {
        "mlci/py.typed",
        "mlci/userlib/mlci_log.py",
        "mlci/userlib/observing/sitecustomize.py",
        "mlci/example/digits.ipynb",
        "mlci/render/pages/charts.js",
        "mlci/render/pages/charts.LICENSES.txt",
        "mlci/workflows/pull-request.yml",
    } <= built.modules


def test_sdist__holds_what_the_wheel_and_the_actions_are_made_of(built: Built) -> None:
    assert {f"src/{name}" for name in package_files()} <= built.sources
    assert {"LICENSE", "README.md", "CHANGELOG.md", "PKG-INFO", "action.yml", "entry.sh"} <= built.sources
    assert {"requirements/action.txt", "docs/README.md", "examples/workflows/main.yml"} <= built.sources
    assert [name for name in built.sources if re.search(r"node_modules|__pycache__|/_build/|^\.", name)] == [
        ".gitignore"
    ]


def test_metadata__is_valid_and_says_what_it_should(built: Built) -> None:
    metadata = Metadata.from_email(built.metadata, validate=True)
    assert (metadata.name, str(metadata.version)) == ("mlci", __version__)
    assert (metadata.license_expression, metadata.license_files) == ("Apache-2.0", ["LICENSE"])
    assert str(metadata.requires_python) == ">=3.11"
    assert metadata.description_content_type == "text/markdown"
    assert Parser().parsestr(built.metadata).get_payload() == (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_wheel__in_a_fresh_environment_runs_the_demo(built: Built, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    program(sys.executable, "-m", "venv", "--without-pip", environment, cwd=tmp_path)
    python = environment / "bin/python"
    install = ["-m", "uv", "--no-config", "--offline", "pip", "install", "--python", str(python), "--no-deps"]
    program(sys.executable, *install, built.wheel, cwd=tmp_path, UV_CACHE_DIR=str(tmp_path / "cache"))
    # What it depends on is this environment's; a folder in a .pth comes last, and no .pth in it is read.
    site = Path(program(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")

    assert program(python, "-c", "import mlci; print(mlci.__file__)", cwd=tmp_path).strip() == str(
        site / "mlci/__init__.py"
    )
    for command in ([environment / "bin/mlci"], [python, "-m", "mlci"]):
        assert program(*command, "--version", cwd=tmp_path) == f"mlci {__version__}\n"
    workflow = (
        "from importlib.resources import files; print((files('mlci') / 'workflows/main.yml').read_text(), end='')"
    )
    assert program(python, "-c", workflow, cwd=tmp_path) == (ROOT / "examples/workflows/main.yml").read_text(
        encoding="utf-8"
    )
    if not EXHAUSTIVE:  # the demo itself is run by tests/integration/test_demo.py each time
        return
    path = os.pathsep.join([str(environment / "bin"), os.environ["PATH"]])
    # nbconvert looks for its templates below sys.prefix, which is another one here.
    shared = {"PATH": path, "HOME": str(tmp_path), "JUPYTER_PATH": str(Path(sys.prefix, "share/jupyter"))}
    said = program(environment / "bin/mlci", "demo", cwd=tmp_path, **shared)
    assert "mlci: fail, blocking: 1 metric worse than allowed" in said


def check_release() -> ModuleType:
    """`.ci/check-release` as a module."""
    loader = SourceFileLoader("check_release", str(ROOT / ".ci/check-release"))
    spec = importlib.util.spec_from_loader("check_release", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_version__and_the_newest_entry_of_the_changelog_agree() -> None:
    entries = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    released = [entry for entry in entries if entry != "Unreleased"]
    assert entries[0] in ("Unreleased", __version__)
    assert released == sorted(set(released), key=lambda name: [int(part) for part in name.split(".")], reverse=True)
    assert not released or released[0] == __version__ or entries[0] == "Unreleased"


INIT = '__version__ = "1.2.0"\n'
CHANGES = "# Changelog\n\n## 1.2.0 - 2027-01-01\n\n- New.\n\n## 1.1.0 - 2026-12-01\n\n- Old.\n"


@pytest.mark.parametrize(
    ("tag", "init", "changes", "said"),
    [
        ("v1.2.0", INIT, CHANGES, []),
        ("v1.3.0", INIT, CHANGES, ["src/mlci/__init__.py says 1.2.0", "CHANGELOG.md says 1.2.0"]),
        ("1.2.0", INIT, CHANGES, ["the tag 1.2.0", "the tag 1.2.0"]),
        ("v1.2.0", INIT, f"# Changelog\n\n## Unreleased\n\n{CHANGES}", ["CHANGELOG.md says Unreleased"]),
    ],
)
def test_check_release__tag_code_and_changelog(tag: str, init: str, changes: str, said: list[str]) -> None:
    problems = check_release().problems(tag, init, changes)
    assert len(problems) == len(said)
    for problem, words in zip(problems, said, strict=True):
        assert words in problem


def test_check_release__prints_the_newest_entry() -> None:
    assert check_release().news(CHANGES) == "- New."


def test_check_release__refuses_a_tag_of_this_checkout_that_nothing_says() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / ".ci/check-release", "v99.0.0"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"src/mlci/__init__.py says {__version__}, the tag v99.0.0" in done.stderr


def test_release_workflow__only_the_job_that_needs_it_can_write() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/release-mlci.yml").read_text(encoding="utf-8"))["jobs"]
    assert {name: job["permissions"] for name, job in jobs.items()} == {
        "build": {"contents": "read"},
        "attest": {"id-token": "write", "attestations": "write"},
        "publish": {"id-token": "write"},
        "release": {"contents": "write"},
    }
    assert [name for name, job in jobs.items() if "environment" in job] == ["publish"]
    # What runs the repository's code holds nothing that writes.
    assert [
        name for name, job in jobs.items() if any("checkout@" in step.get("uses", "") for step in job["steps"])
    ] == ["build"]


def test_hooks__are_valid(tmp_path: Path) -> None:
    validate = [sys.executable, "-m", "pre_commit", "validate-manifest", ".pre-commit-hooks.yaml"]
    program(*validate, cwd=ROOT, PRE_COMMIT_HOME=str(tmp_path))


@pytest.mark.parametrize(("config", "code"), [('command = ["true"]', 0), ('comand = ["true"]', 1)])
def test_hook__mlci_config(tmp_path: Path, config: str, code: int) -> None:
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    # As `pre-commit` runs it, but for the environment, which it would make with pip: mlci is the one of the tests.
    local = {**hook, "language": "system", "entry": f"{sys.executable} -m {hook['entry']}"}
    work = tmp_path / "work"
    work.mkdir()
    (work / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [{"repo": "local", "hooks": [local]}]}))
    (work / "mlci.toml").write_text(f"[runs.train]\n{config}\n")
    for command in (["init", "--quiet"], ["add", "--all"]):
        program(shutil.which("git") or "git", *command, cwd=work)
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "run", "--all-files"],
        cwd=work,
        env=ENVIRON | {"HOME": str(tmp_path), "PRE_COMMIT_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    assert ("mlci.toml: runs.train.comand" in done.stdout) is bool(code)
