"""What a run is started with, and which parameters it could never receive."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from fakes.command_line import notebook
from fakes.runs import configured
from mlci.plugins.executors.interface import Deadlines, Job, OutputLimits
from mlci.running.jobs import fill, make, receivable, reproduction, typed, unreceived

SCRIPT = '[runs.train]\nscript = "train.py"\n'


NOTEBOOK = '[runs.train]\nnotebook = "n.ipynb"\n'


def job(folder: Path, lines: str, environ: dict[str, str] | None = None, **given: Any) -> Job:
    config, runs = configured(folder, lines, train__py="", n__ipynb=notebook("1"))
    outputs = folder / "outputs"
    return make(
        runs["train"],
        seed=given.pop("seed", None),
        gpus=given.pop("gpus", ()),
        secrets=given.pop("secrets", ()),
        parameters=given,
        python="/env/bin/python",
        outputs=outputs,
        environ=environ or {},
        repository=config.repository,
    )


def refused(folder: Path, lines: str, *names: str, **files: str) -> dict[str, str]:
    config, runs = configured(folder, lines, **{"train__py": ""} | files)
    return unreceived(config, runs["train"], names)


def test_make__a_script_is_started_by_the_run_s_interpreter(tmp_path: Path) -> None:
    made = job(tmp_path, f'{SCRIPT}args = ["--rate", "{{rate}}", "{{other}}"]\n', rate=0.5)
    assert made.argv == ("/env/bin/python", str(tmp_path.resolve() / "train.py"), "--rate", "0.5", "{other}")


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        ('["python", "-m", "train"]', ("/env/bin/python", "-m", "train")),
        ('["make", "model-{seed}"]', ("make", "model-3")),
    ],
)
def test_make__commands(tmp_path: Path, command: str, argv: tuple[str, ...]) -> None:
    assert job(tmp_path, f"[runs.train]\ncommand = {command}\n", seed=3).argv == argv


def test_make__environment(tmp_path: Path) -> None:
    made = job(
        tmp_path,
        f'{SCRIPT}env = {{ RATE = "{{rate}}" }}\n',
        {"PATH": "/bin", "PYTHONPATH": "/mine", "MLCI_SEED": "9", "GITHUB_TOKEN": "secret", "INPUT_X": "1"},
        seed=1,
        rate=2,
    )
    assert made.environ["RATE"] == "2"
    assert made.environ["MLCI_SEED"] == "1"
    assert json.loads(made.environ["MLCI_PARAMETERS"]) == {"rate": 2, "seed": 1}
    assert made.environ["PYTHONPATH"].split(os.pathsep)[1:] == ["/mine"]
    assert not {"GITHUB_TOKEN", "INPUT_X"} & made.environ.keys()


def test_make__without_seeds_a_seed_of_mlci_s_own_environment_is_not_handed_on(tmp_path: Path) -> None:
    assert "MLCI_SEED" not in job(tmp_path, SCRIPT, {"MLCI_SEED": "9"}).environ


def test_make__a_run_with_metrics_on_a_tracking_server_can_be_told_from_every_other(tmp_path: Path) -> None:
    lines = f'{SCRIPT}metrics = [{{ path = "https://mlflow.internal", format = "mlflow" }}]\n'
    given = {"MLFLOW_RUN_CONTEXT": '{"team": "risk"}'}
    one, other = (job(tmp_path, lines, given).environ for _ in range(2))
    assert one["MLCI_EXECUTION"] != other["MLCI_EXECUTION"]
    assert json.loads(one["MLFLOW_RUN_CONTEXT"]) == {"team": "risk", "mlci.execution": one["MLCI_EXECUTION"]}
    assert "MLCI_EXECUTION" not in job(tmp_path, SCRIPT).environ


def test_make__the_label_names_the_seed(tmp_path: Path) -> None:
    assert job(tmp_path, SCRIPT).label == "train"
    assert job(tmp_path, SCRIPT, seed=4).label == "train (seed 4)"


def test_make__limits(tmp_path: Path) -> None:
    made = job(
        tmp_path,
        f'{SCRIPT}timeout = "2m"\ncell-timeout = "30s"\nsilence-timeout = "1h"\nmax-cell-output = "2K"\n',
    )
    assert made.deadlines == Deadlines(run_s=120, cell_s=30, silence_s=3600)
    assert made.limits == OutputLimits(cell=2048, total=64 * 1024**2)
    assert job(tmp_path, SCRIPT).deadlines == Deadlines()


def test_make__secrets_are_known_by_name_or_by_what_their_names_look_like(tmp_path: Path) -> None:
    lines = f'{SCRIPT}env = {{ API_KEY = "key-{{part}}" }}\nsecrets = ["quiet"]\n'
    made = job(
        tmp_path,
        lines,
        {"GITHUB_TOKEN": "token-value", "NAMED": "named-value", "PATH": "/some/path"},
        part="part-value",
        quiet="quiet-value",
        secrets=("NAMED",),
    )
    said = made.redactor.text("token-value named-value key-part-value quiet-value /some/path")
    assert said == "*** *** *** *** /some/path"


def test_make__gpus_of_its_own_unless_its_table_says_otherwise(tmp_path: Path) -> None:
    environ = {"CUDA_VISIBLE_DEVICES": "0,1"}
    assert job(tmp_path, SCRIPT, environ, gpus=("1",)).environ["CUDA_VISIBLE_DEVICES"] == "1"
    assert job(tmp_path, SCRIPT, environ).environ["CUDA_VISIBLE_DEVICES"] == "0,1"
    table = f'{SCRIPT}env = {{ CUDA_VISIBLE_DEVICES = "" }}\n'
    assert not job(tmp_path, table, environ, gpus=("1",)).environ["CUDA_VISIBLE_DEVICES"]


def test_make__a_crash_shows_where_it_was_unless_the_user_has_decided(tmp_path: Path) -> None:
    assert job(tmp_path, SCRIPT).environ["PYTHONFAULTHANDLER"] == "1"
    assert job(tmp_path, SCRIPT, {"PYTHONFAULTHANDLER": ""}).environ["PYTHONFAULTHANDLER"] == ""


def test_make__deterministic(tmp_path: Path) -> None:
    lines = f'{SCRIPT}deterministic = true\nenv = {{ OMP_NUM_THREADS = "2" }}\n'
    made = job(tmp_path, lines, {"PYTHONHASHSEED": "7"}, seed=3)
    assert made.deterministic_seed == 3
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONHASHSEED", "MPLBACKEND", "CUBLAS_WORKSPACE_CONFIG")
    assert [made.environ[name] for name in names] == ["2", "1", "7", "Agg", ":4096:8"]


def test_make__deterministic_notebooks_keep_their_pictures(tmp_path: Path) -> None:
    made = job(tmp_path, f"{NOTEBOOK}deterministic = true\n")
    assert made.deterministic_seed == 0
    assert made.environ["PYTHONHASHSEED"] == "0"
    assert "MPLBACKEND" not in made.environ


def test_make__not_deterministic_unless_asked(tmp_path: Path) -> None:
    made = job(tmp_path, SCRIPT, seed=3)
    assert made.deterministic_seed is None
    assert not {"PYTHONHASHSEED", "OMP_NUM_THREADS", "MPLBACKEND"} & made.environ.keys()


def test_fill__only_known_names() -> None:
    given = {"a": 1, "b": "x y", "c": True, "d": [1, "z"]}
    assert fill("{a} {b} {c} {d} {e} {} {{a}}", given) == '1 x y true [1, "z"] {e} {} {1}'


def test_unreceived__a_script_that_reads_nothing(tmp_path: Path) -> None:
    assert refused(tmp_path, SCRIPT, "seed", "rate") == {
        "seed": "no {seed} in its args or env, and its code does not read MLCI_SEED",
        "rate": "no {rate} in its args or env, and its code does not read MLCI_PARAMETERS",
    }


@pytest.mark.parametrize(
    ("lines", "source"),
    [
        ('args = ["--seed={seed}"]', ""),
        ('env = { SEED = "{seed}" }', ""),
        ("", 'import os; os.environ["MLCI_SEED"]'),
        ("", 'import os; os.environ["MLCI_PARAMETERS"]'),
        ('inputs = ["lib/*.py"]', ""),
    ],
)
def test_unreceived__ways_to_receive_a_seed(tmp_path: Path, lines: str, source: str) -> None:
    reader = 'import os; os.environ["MLCI_SEED"]'
    assert refused(tmp_path, f"{SCRIPT}{lines}\n", "seed", train__py=source, **{"lib/seeds__py": reader}) == {}


def test_unreceived__a_command_s_file_is_read(tmp_path: Path) -> None:
    text = '[runs.train]\ncommand = ["python", "train.py"]\n'
    assert refused(tmp_path, text, "seed", train__py="MLCI_SEED") == {}
    assert "seed" in refused(tmp_path, text, "seed", train__py="")


def test_unreceived__a_notebook(tmp_path: Path) -> None:
    cells = notebook("rate = 1\ngone = 2", "print(rate)", tags={0: "parameters"})
    found = refused(tmp_path, '[runs.train]\nnotebook = "n.ipynb"\n', "rate", "gone", n__ipynb=cells)
    assert found == {"gone": "no code after its parameters cell reads 'gone'"}


def test_unreceived__a_notebook_in_another_language_has_the_benefit_of_the_doubt(tmp_path: Path) -> None:
    cells = notebook("x <- 1", kernelspec={"name": "ir", "language": "R", "display_name": "R"})
    assert refused(tmp_path, '[runs.train]\nnotebook = "n.ipynb"\n', "rate", n__ipynb=cells) == {}


def test_receivable__drops_what_nothing_would_read(tmp_path: Path) -> None:
    config, runs = configured(tmp_path, f'{SCRIPT}args = ["{{rate}}"]\n', train__py="")
    received, refused = receivable(config, runs["train"], {"rate": 1, "other": 2})
    assert received == {"rate": 1}
    assert list(refused) == ["other"]


@pytest.mark.parametrize(
    ("profile", "given", "command"),
    [
        ("default", {}, "mlci run train"),
        ("smoke", {}, "mlci run train --profile smoke"),
        ("default", {"a": 1, "b": "x; rm"}, "mlci run train -p a=1 -p 'b=x; rm'"),
    ],
)
def test_reproduction(tmp_path: Path, profile: str, given: dict[str, Any], command: str) -> None:
    _, runs = configured(tmp_path, SCRIPT, train__py="")
    assert reproduction(runs["train"], profile=profile, default_profile="default", given=given) == command


@pytest.mark.parametrize("text", ["None", "True", "False", "1", "-3", "1.5", "1e3", "true", "", "x", "0x10", "1_000"])
def test_typed__as_papermill(text: str) -> None:
    from papermill.cli import _resolve_type  # noqa: PLC0415 - heavy

    expected = _resolve_type(text)
    assert typed(text) == expected
    assert type(typed(text)) is type(expected)
