"""Fingerprints change with what a run reads, and with nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from fakes.repositories import ENVIRON, repository
from fakes.runs import configured
from mlci.config import load, resolve
from mlci.errors import ConfigError
from mlci.running.inputs import fingerprint

RUN = '[runs.train]\nscript = "train.py"\n'
FILES = {"train__py": "print(1)\n", "data/a__csv": "a\n", "data/deep/b__csv": "b\n", "other__txt": "o\n"}


def taken(folder: Path, lines: str = "", **files: str) -> dict[str, str]:
    config, runs = configured(folder, RUN + lines, **FILES | files)
    return fingerprint(config, runs["train"])


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_fingerprint__the_source_and_the_table(tmp_path: Path) -> None:
    found = taken(tmp_path)
    assert list(found) == ["[runs.train]", "train.py"]
    assert found["train.py"] == sha256("print(1)\n")


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        ("data", ["data/a.csv", "data/deep/b.csv"]),
        ("data/*.csv", ["data/a.csv"]),
        ("data/**/*.csv", ["data/a.csv", "data/deep/b.csv"]),
        ("other.txt", ["other.txt"]),
    ],
)
def test_fingerprint__inputs(tmp_path: Path, pattern: str, files: list[str]) -> None:
    found = taken(tmp_path, f'inputs = ["{pattern}"]')
    assert sorted(found) == sorted(["[runs.train]", "train.py", *files])


def test_fingerprint__caches_and_mlci_s_own_files_are_no_inputs(tmp_path: Path) -> None:
    ignored = {f"data/{name}/x__csv": "x" for name in (".git", ".mlci", ".ipynb_checkpoints", "__pycache__")}
    for name in ignored:
        path = tmp_path / name.replace("x__csv", "x.csv")
        path.parent.mkdir(parents=True)
        path.write_text("x")
    assert "data/a.csv" in taken(tmp_path, 'inputs = ["data"]')
    assert not [path for path in taken(tmp_path, 'inputs = ["data"]') if path.endswith("x.csv")]


@pytest.mark.parametrize("pattern", ["../shared/a.csv", "../shared/*.csv", "../shared"])
def test_fingerprint__an_input_of_another_folder_of_the_repository(tmp_path: Path, pattern: str) -> None:
    made = repository(tmp_path / "repository").folder
    (made / "shared").mkdir()
    (made / "shared/a.csv").write_text("s\n")
    (made / "project").mkdir()
    (made / "project/train.py").touch()
    (made / "project/mlci.toml").write_text(f'{RUN}inputs = ["{pattern}"]\n')
    config = load(made / "project", file=None, environ=ENVIRON)
    assert fingerprint(config, resolve(config, "default")["train"])["../shared/a.csv"] == sha256("s\n")


@pytest.mark.parametrize("line", ['args = ["--fast"]', "seeds = [1]", 'python = "python"', 'env = { A = "1" }'])
def test_fingerprint__what_the_table_says_about_running_counts(tmp_path: Path, line: str) -> None:
    assert taken(tmp_path, line)["[runs.train]"] != taken(tmp_path)["[runs.train]"]


@pytest.mark.parametrize(
    "line",
    ['timeout = "1m"', "parameters = { rate = 1 }", 'only = { events = ["push"] }', 'rules."*" = { min = 0 }'],
)
def test_fingerprint__what_it_says_of_other_things_does_not(tmp_path: Path, line: str) -> None:
    assert taken(tmp_path, line) == taken(tmp_path)


def test_fingerprint__dvc_tracks_a_file_that_is_not_here(tmp_path: Path) -> None:
    pointer = "outs:\n- md5: 0123456789abcdef0123456789abcdef\n  path: big.csv\n"
    found = taken(tmp_path, 'inputs = ["big.csv"]', big__csv__dvc=pointer)
    assert found["big.csv"] == "md5:0123456789abcdef0123456789abcdef"


def test_fingerprint__dvc_lock(tmp_path: Path) -> None:
    lock = "stages:\n  make:\n    outs:\n    - path: made.csv\n      md5: abc\n"
    assert taken(tmp_path, 'inputs = ["made.csv"]', dvc__lock=lock)["made.csv"] == "md5:abc"


def test_fingerprint__a_literal_input_that_is_gone(tmp_path: Path) -> None:
    config, runs = configured(tmp_path, RUN + 'inputs = ["other.txt"]', **FILES)
    (tmp_path / "other.txt").unlink()
    with pytest.raises(ConfigError, match=r"runs\.train\.inputs: there is no file 'other\.txt', and DVC tracks none"):
        fingerprint(config, runs["train"])


@pytest.mark.parametrize("text", ["outs: [", "- a\n- b\n", "outs: 3\n", "outs:\n", "outs: [3]\n"])
def test_fingerprint__a_garbled_dvc_file_is_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"no YAML|there is no file"):
        taken(tmp_path, 'inputs = ["big.csv"]', big__csv__dvc=text)


@pytest.mark.parametrize("text", ["stages: 3\n", "stages: [1]\n", "stages: {a: 3}\n", "stages: {a: {outs: [1]}}\n"])
def test_fingerprint__a_garbled_dvc_lock_tracks_nothing(tmp_path: Path, text: str) -> None:
    assert "other.txt" in taken(tmp_path, 'inputs = ["other.txt"]', dvc__lock=text)
