"""The command line: lazy commands, one line an error, and an exit code for each kind of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import click
import pytest

from mlci import cli, errors

HEAVY = (
    "papermill",
    "nbclient",
    "nbconvert",
    "nbformat",
    "jupytext",
    "github",
    "requests",
    "yaml",
    "msgspec",
    "psutil",
)


def subclasses(kind: type[errors.MlciError]) -> Iterator[type[errors.MlciError]]:
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


ERRORS = sorted(subclasses(errors.MlciError), key=lambda kind: kind.__name__)
DOCUMENTED = {
    "usage": 2,
    "workspace": 2,
    "document": 2,
    "configuration": 3,
    "runs-failed": 4,
    "metric": 4,
    "environment": 4,
    "gate": 5,
    "forge": 6,
    "forbidden": 6,
    "policy": 5,
    "deploy": 7,
    "conflict": 7,
    "verify": 7,
    "store": 6,
    "git": 6,
    "cancelled": 130,
}


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """A list; `mlci plan` raises what is put into it."""
    raised: list[BaseException] = []

    @click.command("plan")
    def command() -> None:
        raise raised[0]

    monkeypatch.setattr("mlci.commands.plan.command", command)
    return raised


def exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.main(list(arguments))
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: str(kind.slug))
def test_main__an_error_is_its_words_and_its_code(
    failing: list[BaseException], capsys: pytest.CaptureFixture[str], kind: type[errors.MlciError]
) -> None:
    failing.append(kind("mlci.toml: a: expected b", hint="Do c."))
    assert exit_code("plan") == DOCUMENTED[kind.slug]
    assert capsys.readouterr().err == "error: mlci.toml: a: expected b\n  Do c.\n"


def test_errors__every_slug_is_documented() -> None:
    assert {kind.slug for kind in ERRORS} == DOCUMENTED.keys()


def test_main__a_bug_shows_its_traceback(failing: list[BaseException], capsys: pytest.CaptureFixture[str]) -> None:
    failing.append(ZeroDivisionError("oops"))
    assert exit_code("plan") == 1
    said = capsys.readouterr().err
    assert "ZeroDivisionError: oops" in said
    assert "has a bug" in said


def test_main__ctrl_c(failing: list[BaseException]) -> None:
    failing.append(KeyboardInterrupt())
    assert exit_code("plan") == 130


@pytest.mark.parametrize("arguments", [("paln",), ("plan", "--nonsense"), ("-C", "nowhere", "plan")])
def test_main__wrong_usage(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(*arguments) == 2
    assert "Usage: mlci" in capsys.readouterr().err


def test_main__version(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--version") == 0
    assert capsys.readouterr().out == f"mlci {metadata.version('mlci')}\n"


def test_main__nothing_asked_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--help") == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {name} " in shown for name in cli.COMMANDS)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_main__every_command_helps_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(name, "--help") == 0
    assert "mlci " in capsys.readouterr().out.partition("Example")[2]


def test_main__help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom mlci.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print('loaded:', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.rpartition("loaded:")[2].split()
    assert "click" in loaded
    assert not set(HEAVY) & set(loaded)


def test_main__a_pipe_that_closes_early_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "mlci.toml").write_text("")
    shell = f"'{sys.executable}' -I -m mlci config --schema | true"
    done = subprocess.run(["sh", "-c", shell], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
