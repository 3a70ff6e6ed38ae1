"""The parameters cell as typed parameters, and what the command line of a script makes of them."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fakes.notebooks import from_corpus, notebook_of
from mlci.exporting.command_line import options
from mlci.exporting.converting import Surroundings, convert
from mlci.exporting.findings import Findings
from mlci.exporting.parameters import NotPlain, evaluated, parameters_of
from mlci.exporting.reading import Cell, read
from mlci.exporting.statements import blocks


def found(source: str) -> tuple[dict[str, Any], Findings]:
    findings = Findings()
    [block] = blocks([Cell(number=1, code=True, source=source)], findings, allow=False)
    return dict(parameters_of(block.statements, findings)[0]), findings


@pytest.mark.parametrize(
    ("line", "kind", "optional", "default"),
    [
        ("x = 3", "int", False, 3),
        ("x = -1e-3", "float", False, -0.001),
        ("x = 2**10", "int", False, 1024),
        ("x = True", "bool", False, True),
        ("x = 'a' 'b'", "str", False, "ab"),
        ("x = f'{1}/b'", "str", False, "1/b"),
        ("x = [1, 'a']", "list", False, [1, "a"]),
        ("x = (1, 2)", "list", False, (1, 2)),
        ("x = {'a': {'b': None}}", "dict", False, {"a": {"b": None}}),
        ("x = None", "any", True, None),
        ("x: float = 1", "float", False, 1),
        ("x: int | None = None", "int", True, None),
        ("x: Optional[str] = None", "str", True, None),
        ("x: typing.List[int] = [1]", "list", False, [1]),
        ("x: 'Literal[\"a\", \"b\"]' = 'a'", "str", False, "a"),
    ],
)
def test_parameters_of__types(line: str, kind: str, optional: bool, default: object) -> None:
    parameters, _ = found(line)
    item = parameters["x"]
    assert (item.kind, item.optional, item.default) == (kind, optional, default)
    assert eval(item.source) == default  # noqa: S307 - a literal of this test


def test_parameters_of__comments_are_help() -> None:
    parameters, _ = found("# How many\n# trees\ntrees = 3\n\nrate = 0.1  # type: float  per step\n# ------\nx = 1\n")
    assert [item.help for item in parameters.values()] == ["How many trees", "per step", ""]


def test_parameters_of__what_is_computed_from_others_has_their_defaults_as_in_papermill() -> None:
    parameters, findings = found("root = 'data'\npath = root + '/x.csv'\n")
    assert (parameters["path"].default, findings.refused) == ("data/x.csv", [])


def test_parameters_of__what_is_no_plain_value_stays_code() -> None:
    parameters, findings = found("import datetime\ntoday = datetime.date.today()\nn = 1\n")
    assert list(parameters) == ["n"]
    assert findings.notes == ["cell 1: today is no plain value, and so no parameter"]


@pytest.mark.parametrize("text", ["9**9**9", "'a' * 10**9", "[0] * 10**8", "1/0", "f()", "x", "1j", "10**5000"])
def test_evaluated__is_bounded(text: str) -> None:
    with pytest.raises(NotPlain):
        evaluated(ast.parse(text, mode="eval").body, {})


def test_options__names_that_argparse_cannot_take_get_others() -> None:
    assert options(["n_trees", "help", "x", "x_", "_y", "no_cache", "cache", "größe"]) == {
        "n_trees": "--n-trees",
        "help": "--parameter-help",
        "x": "--x",
        "x_": "--parameter-x_",
        "_y": "--y",
        "no_cache": "--no-cache",
        "cache": "--parameter-cache",
        "größe": "--größe",
    }


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parameters")
    path = folder / "notebook.ipynb"
    path.write_text(from_corpus("parameter_types"), encoding="utf-8")
    findings = Findings()
    made = convert(read(path, findings), Surroundings(), findings)
    assert made is not None
    (folder / "script.py").write_text(made.text, encoding="utf-8")
    return folder / "script.py"


def run(script: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd="/",
        env={"PYTHONUTF8": "1"} | environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_script__the_command_line_beats_mlci_which_beats_the_cell(script: Path) -> None:
    given = json.dumps({"rounds": 5, "rate": 0.25, "folder": "from-mlci", "unknown": 1})
    options = ["--rounds", "7", "--no-shuffle", "--verbose", "--layers", "[1]", "--grid", '{"b": 2}', "--kind", "large"]
    done = run(script, *options, "--limit", "2.5", "--ratio", "None", "--lambda", "-2", MLCI_PARAMETERS=given)
    assert (done.returncode, done.stderr) == (0, "script.py: MLCI_PARAMETERS: no parameter is called unknown\n")
    result = json.loads((script.parent / "from-mlci/result.json").read_text(encoding="utf-8"))
    assert result == {
        "rounds": 7,
        "rate": 0.25,
        "name": "grün",
        "shuffle": False,
        "verbose": True,
        "layers": [1],
        "grid": {"b": 2},
        "limit": 2.5,
        "kind": "large",
        "ratio": None,
        "lambda_": -2.0,
        "big": 10240,
        "help": "a name that argparse has",
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rounds", "x"], "argument --rounds: invalid int value: 'x'"),
        (["--layers", "{}"], "argument --layers: invalid JSON list value: '{}'"),
        (["--kind", "huge"], "invalid choice: 'huge'"),
        (["--round", "1"], "unrecognized arguments"),
    ],
)
def test_script__refuses_other_types(script: Path, arguments: list[str], said: str) -> None:
    done = run(script, *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_script__says_what_its_parameters_are(script: Path) -> None:
    done = run(script, "--help", COLUMNS="200")
    assert done.returncode == 0
    assert "The number of rounds; default: 2**3" in done.stdout
    assert "which colour: 100% or less" in done.stdout


def test_script__a_seed_that_nothing_would_receive_is_an_error(script: Path) -> None:
    done = run(script, MLCI_SEED="1")
    assert done.returncode == 2
    assert "no parameter called seed" in done.stderr


def test_script__takes_the_seed_of_mlci(tmp_path: Path) -> None:
    path = tmp_path / "notebook.ipynb"
    path.write_text(notebook_of("# %% parameters\nseed = 0\n# %%\nprint(seed)\n"))
    findings = Findings()
    made = convert(read(path, findings), Surroundings(), findings)
    assert made is not None
    path.with_suffix(".py").write_text(made.text)
    assert run(path.with_suffix(".py"), MLCI_SEED="4").stdout == "4\n"
