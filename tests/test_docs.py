"""The documentation says what is: reference pages, links, configurations and the tutorial's own steps."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from fakes.command_line import workbench
from mlci.cli import COMMANDS
from mlci.config.checking import check
from mlci.config.tables import ConfigFile

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATED: dict[Path, str] = generator().pages()


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of one language."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", text, flags=re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) for indent, body in found]


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_reference__is_what_the_code_says(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == GENERATED[path], "run: python docs/generate.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links__lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_configurations__are_accepted(page: Path) -> None:
    for text in blocks(page, "toml"):
        table = tomllib.loads(text)
        if "project" not in table:
            check(table, ConfigFile, file=page.name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands__exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"(?:`|&& )mlci ([a-z-]+)", text):
        assert name in COMMANDS, name


def test_readme__has_the_two_commands() -> None:
    commands = [line for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines()]
    assert commands == ['python -m pip install ".[demo]" && mlci demo', 'python -m pip install -e ".[dev]" && pytest']


def test_ci__runs_the_readme_s_test_command() -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert 'pip install --quiet --disable-pip-version-check -e ".[dev]"' in script
    assert "check pytest" in script


def test_example_workflow__differs_from_ours_in_the_action_and_the_folder_only() -> None:
    ours = (ROOT / ".github/workflows/mlci.yml").read_text(encoding="utf-8")
    example = (ROOT / "examples/wine/.github/workflows/mlci.yml").read_text(encoding="utf-8")

    def shape(text: str) -> str:
        text = re.sub(r"OWNER/mlci(/\w+)?@0{40} # the commit of a release", r".\1", text)
        text = re.sub(r"^ +working-directory: examples/wine\n", "", text, flags=re.MULTILINE)
        text = re.sub(r"#.*|^ +with:\n(?= +(- |#)|\n)|examples/wine/", "", text, flags=re.MULTILINE)
        return text.replace("uses: ./\n", "uses: .\n").replace("the example needs", "the code needs")

    def lines(text: str) -> list[str]:
        return [line.rstrip() for line in shape(text).splitlines() if line.strip()]

    assert lines(ours) == lines(example)
    permissions = re.findall(r"^ +([a-z-]+: (?:read|write)) #", example, flags=re.MULTILINE)
    assert permissions == [
        "contents: read",
        "contents: read",
        "pull-requests: write",
        "statuses: write",
        "contents: write",
    ]


@pytest.mark.slow
def test_tutorial__does_what_it_says(tmp_path: Path) -> None:
    page = ROOT / "docs/tutorial.md"
    bench = workbench(tmp_path)
    [train], [config] = blocks(page, "python"), blocks(page, "toml")
    bench.write(train__py=train, mlci__toml=config)
    _, first, save, change = blocks(page, "sh")
    mlci = shlex.join([sys.executable, "-m", "mlci"])
    for step in (first, save, change):
        script = re.sub(r"^mlci\b", mlci, step, flags=re.MULTILINE)
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=bench.folder,
            env=bench.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == (5 if step is change else 0), done.stderr
    [metric] = [item for item in bench.document("record.json")["records"][0]["metrics"] if item["name"] == "accuracy"]
    assert metric["value"] == pytest.approx(0.852)
