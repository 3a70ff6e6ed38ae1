"""TAB in a real bash, and what the other shells are told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fakes.command_line import Workbench, workbench
from mlci.cli import COMMANDS

# macOS has a bash of 2007, for which click has no completion.
modern_bash = pytest.mark.skipif(
    subprocess.run(["bash", "-c", "((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404))"], check=False).returncode != 0,
    reason="needs bash 4.4",
)


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    """Two runs of a glob and one of its own; `mlci` is on PATH."""
    made = workbench(tmp_path)
    made.write(
        a__py="# %%\n1\n",
        b__py="# %%\n2\n",
        mlci__toml='[runs.all]\nnotebook = "?.py"\n\n[runs.train]\ncommand = ["true"]\n',
    )
    (made.home / "mlci").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mlci "$@"\n')
    (made.home / "mlci").chmod(0o755)
    return made


def tab(bench: Workbench, *words: str) -> list[str]:
    """What bash offers after these words and TAB."""
    array = " ".join(f"'{word}'" for word in ("mlci", *words))
    script = (
        'eval "$(_MLCI_COMPLETE=bash_source mlci)"\n'
        f"COMP_WORDS=({array}); COMP_CWORD={len(words)}; _mlci_completion mlci\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = f"{bench.home}:/usr/local/bin:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=bench.folder,
        env=bench.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split()


@modern_bash
def test_bash__commands_and_options(bench: Workbench) -> None:
    assert tab(bench, "re") == [name for name in COMMANDS if name.startswith("re")]
    assert tab(bench, "run", "--last") == ["--last-failed"]


@modern_bash
def test_bash__names_of_runs_of_a_glob_and_not_twice(bench: Workbench) -> None:
    assert tab(bench, "run", "") == ["all.a", "all.b", "train"]
    assert tab(bench, "ci", "train", "") == ["all.a", "all.b"]
    assert tab(bench, "record", "--run", "tr") == ["train"]


@modern_bash
def test_bash__the_configuration_that_is_named(bench: Workbench) -> None:
    (bench.folder / "part").mkdir()
    (bench.folder / "part/other.toml").write_text('[runs.other]\ncommand = ["true"]\n')
    assert tab(bench, "-C", "part", "--config", "other.toml", "run", "") == ["other"]


@modern_bash
def test_bash__a_configuration_that_is_wrong_offers_nothing(bench: Workbench) -> None:
    bench.write(mlci__toml="[runs.x]\nnotebok = 1\n")
    assert tab(bench, "run", "") == []


@pytest.mark.parametrize(("shell", "said"), [("zsh", "plain\ntrain\ntrue\n"), ("fish", "plain\ntrain\ntrue\n")])
def test_other_shells__get_the_same_with_what_it_runs(bench: Workbench, shell: str, said: str) -> None:
    words = {"zsh": ("mlci run t", "2"), "fish": ("mlci run t", "t")}[shell]
    environ = {"_MLCI_COMPLETE": f"{shell}_complete", "COMP_WORDS": words[0], "COMP_CWORD": words[1]}
    assert bench.mlci(**environ).out.replace("\t", "\n").replace(",", "\n") == said


def test_commands__are_offered_without_importing_one(bench: Workbench) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mlci"],
        cwd=bench.folder,
        env=bench.environ | {"_MLCI_COMPLETE": "bash_complete", "COMP_WORDS": "mlci ", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.partition(",")[2] for line in done.stdout.split()] == list(COMMANDS)
    assert "click" in done.stderr
    assert "mlci.commands" not in done.stderr


def test_python_m__calls_itself_mlci(bench: Workbench) -> None:
    done = bench.mlci("nothing")
    assert (done.code, done.err.splitlines()[0]) == (2, "Usage: mlci [OPTIONS] COMMAND [ARGS]...")
