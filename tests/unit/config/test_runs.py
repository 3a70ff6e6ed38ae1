from __future__ import annotations

from pathlib import Path

import pytest

from fakes.repositories import ENVIRON, repository
from mlci.config import Run, load, profile_for, resolve
from mlci.config.runs import seconds, size
from mlci.config.tables import Needed
from mlci.errors import ConfigError

CONFIG = """
[defaults]
timeout = "30m"
env = { A = "defaults", B = "defaults" }

[profiles.smoke]
events = ["pull_request"]
timeout = "1m"
parameters = { epochs = 1 }
env = { B = "smoke" }

[runs.train]
script = "train.py"
parameters = { epochs = 10, rate = 0.1 }
env = { C = "run" }
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = repository(tmp_path / "repository").folder
    (folder / "train.py").touch()
    (folder / "mlci.toml").write_text(CONFIG)
    return folder


def resolved(root: Path, profile: str = "default", text: str | None = None) -> dict[str, Run]:
    if text is not None:
        (root / "mlci.toml").write_text(text)
    return resolve(load(root, file=None, environ=ENVIRON), profile)


def test_resolve__defaults_then_run(root: Path) -> None:
    run = resolved(root)["train"]
    assert run.timeout_s == 1800
    assert run.table.parameters == {"epochs": 10, "rate": 0.1}
    assert run.table.env == {"A": "defaults", "B": "defaults", "C": "run"}


def test_resolve__the_profile_lies_over_the_run(root: Path) -> None:
    run = resolved(root, "smoke")["train"]
    assert run.timeout_s == 60
    assert run.table.parameters == {"epochs": 1, "rate": 0.1}
    assert run.table.env == {"A": "defaults", "B": "smoke", "C": "run"}


def test_resolve__every_value_knows_where_it_was_written(root: Path) -> None:
    origins = resolved(root, "smoke")["train"].origins
    assert origins["timeout"] == "mlci.toml [profiles.smoke]"
    assert origins["script"] == "mlci.toml [runs.train]"
    assert origins["parameters.epochs"] == "mlci.toml [profiles.smoke]"
    assert origins["parameters.rate"] == "mlci.toml [runs.train]"
    assert origins["env.A"] == "mlci.toml [defaults]"


def test_profile_for__flag_then_event_then_default(root: Path) -> None:
    config = load(root, file=None, environ=ENVIRON)
    assert profile_for(config, "pull_request", None) == "smoke"
    assert profile_for(config, "push", None) == "default"
    assert profile_for(config, "push", "smoke") == "smoke"
    assert profile_for(config, "pull_request", "default") == "default"
    with pytest.raises(ConfigError, match=r"profiles.smok: no such key") as caught:
        profile_for(config, "push", "smok")
    assert caught.value.hint == "Did you mean 'smoke'?"


def test_resolve__a_glob_makes_one_run_a_file(root: Path) -> None:
    for name in ("a.ipynb", "deep/b c.ipynb", ".ipynb_checkpoints/a.ipynb"):
        path = root / "notebooks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    runs = resolved(root, text='[runs.all]\nnotebook = "notebooks/**/*.ipynb"\n')
    assert {name: run.source for name, run in runs.items()} == {
        "all.a": "notebooks/a.ipynb",
        "all.deep.b-c": "notebooks/deep/b c.ipynb",
    }
    assert runs["all.a"].cwd == root.resolve() / "notebooks"
    assert {run.group for run in runs.values()} == {"all"}


def test_resolve__two_runs_of_one_name(root: Path) -> None:
    (root / "a.ipynb").touch()
    text = '[runs.all]\nnotebook = "*.ipynb"\n[runs."all.a"]\nscript = "train.py"\n'
    with pytest.raises(ConfigError, match=r"two runs would be called 'all\.a'"):
        resolved(root, text=text)


def test_resolve__working_directories(root: Path) -> None:
    (root / "notebooks").mkdir()
    (root / "notebooks/a.ipynb").touch()
    runs = resolved(
        root,
        text='[runs.a]\nnotebook = "notebooks/a.ipynb"\n[runs.b]\nscript = "train.py"\n'
        '[runs.c]\ncommand = ["make"]\ncwd = "notebooks"\n',
    )
    assert [run.cwd.relative_to(root.resolve()).as_posix() for run in runs.values()] == ["notebooks", ".", "notebooks"]


@pytest.mark.parametrize(
    ("text", "expected"), [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("1h 30m", 5400), ("0.5s", 0.5), ("2d", 172800)]
)
def test_seconds(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100", 100),
        ("512K", 512 * 1024),
        ("1.5M", 1_572_864),
        ("8G", 8 * 1024**3),
        ("8 GiB", 8 * 1024**3),
        ("2TB", 2 * 1024**4),
    ],
)
def test_size__in_steps_of_1024(text: str, expected: int) -> None:
    assert size(text) == expected


def test_resolve__what_a_run_needs_of_the_machine(root: Path) -> None:
    text = '[defaults]\nresources = { gpu = 1, memory = "8G" }\n[runs.a]\nscript = "train.py"\n'
    run = resolved(root, text=f'{text}[runs.b]\nscript = "train.py"\nresources = {{ exclusive = true }}\n')
    assert run["a"].table.resources == Needed(gpu=1, memory="8G")
    assert run["b"].table.resources == Needed(exclusive=True)


@pytest.mark.parametrize("inputs", ["[]", '["train.py"]'])
def test_resolve__reuse_with_inputs_even_none_is_accepted(root: Path, inputs: str) -> None:
    assert resolved(root, text=f'[runs.a]\nscript = "train.py"\nreuse = true\ninputs = {inputs}\n')["a"].table.reuse
