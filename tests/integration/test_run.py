"""`mlci run` on the code that teams have: argparse, process pools, seeds, needs, parameters."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fakes.command_line import Workbench, notebook, workbench

ARGPARSE = """
import argparse, json
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--rate", type=float, default=1.0)
    given = parser.parse_args()
    json.dump({"loss": given.rate + given.seed}, open("metrics.json", "w"))
if __name__ == "__main__":
    main()
"""
POOL = """
import json, multiprocessing
def square(number):
    return number * number
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        json.dump({"score": sum(pool.map(square, range(10)))}, open("metrics.json", "w"))
"""
SEEDS = 'script = "train.py"\nseeds = [0, 1, 2]\nmetrics = ["metrics.json"]\n'


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return workbench(tmp_path)


def test_run__argparse_script_with_seeds_and_parameters(bench: Workbench) -> None:
    bench.write(
        mlci__toml=f"[runs.train]\n{SEEDS}"
        + 'args = ["--seed", "{seed}", "--rate", "{rate}"]\nparameters = { rate = 0.5 }\n',
        train__py=ARGPARSE,
    )
    bench.commit()
    assert bench.mlci("run", "-p", "rate=0.25").code == 0
    results = bench.document("run.json")["runs"]
    assert [(result["seed"], result["metrics"][0]["value"]) for result in results] == [(0, 0.25), (1, 1.25), (2, 2.25)]
    assert bench.mlci("record").code == 0
    [metric] = bench.document("record.json")["records"][0]["metrics"]
    assert (metric["value"], metric["samples"], metric["seeds"]) == (1.25, [0.25, 1.25, 2.25], [0, 1, 2])


def test_run__spawn_pool(bench: Workbench) -> None:
    bench.write(mlci__toml='[runs.pool]\nscript = "pool.py"\nmetrics = ["metrics.json"]\n', pool__py=POOL)
    bench.commit()
    assert bench.mlci("run").code == 0
    assert bench.result("pool")["metrics"][0]["value"] == 285


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        pytest.param("seed = 42\nprint(seed)\n", "script", id="script"),
        pytest.param(notebook("seed = 42", "print(seed)"), "notebook", id="notebook"),
    ],
)
def test_run__code_that_ignores_its_seed_is_refused(bench: Workbench, source: str, kind: str) -> None:
    name = "train.py" if kind == "script" else "train.ipynb"
    bench.write(**{name.replace(".", "__"): source})
    bench.write(mlci__toml=f'[runs.train]\n{kind} = "{name}"\nseeds = [0, 1, 2]\n')
    bench.commit()
    done = bench.mlci("run")
    assert done.code == 3
    assert "mlci.toml: runs.train.seeds: the seed would be ignored" in done.err
    assert not (bench.folder / ".mlci/run.json").exists()


@pytest.mark.parametrize(
    "read",
    [
        'import os\nseed = int(os.environ["MLCI_SEED"])\n',
        'import json, os\nseed = json.loads(os.environ["MLCI_PARAMETERS"])["seed"]\n',
    ],
    ids=["MLCI_SEED", "MLCI_PARAMETERS"],
)
def test_run__seed_through_the_environment(bench: Workbench, read: str) -> None:
    write = 'import json as j\nj.dump({"loss": seed}, open("metrics.json", "w"))\n'
    bench.write(mlci__toml=f"[runs.train]\n{SEEDS}", train__py=read + write)
    bench.commit()
    assert bench.mlci("run").code == 0
    assert [result["metrics"][0]["value"] for result in bench.document("run.json")["runs"]] == [0, 1, 2]


def test_run__notebook_parameters_as_papermill_types_them(bench: Workbench) -> None:
    cells = ("a = b = c = d = None", "from mlci_log import log_metric", "log_metric('sum', a + b)\nprint(repr((c, d)))")
    bench.write(
        mlci__toml='[runs.note]\nnotebook = "note.ipynb"\n', note__ipynb=notebook(*cells, tags={0: "parameters"})
    )
    bench.commit()
    assert bench.mlci("run", "-p", "a=1", "-p", "b=2.5", "-p", "c=True", "-p", "d=text").code == 0
    result = bench.result("note")
    assert result["parameters"] == {"a": 1, "b": 2.5, "c": True, "d": "text"}
    assert [metric["value"] for metric in result["metrics"]] == [3.5]
    assert "(True, 'text')" in (bench.folder / ".mlci" / result["outputs"]["notebook"]).read_text()


def test_run__a_parameter_that_nothing_receives(bench: Workbench) -> None:
    bench.write(mlci__toml='[runs.train]\nscript = "train.py"\n', train__py="print('fine')\n")
    bench.commit()
    done = bench.mlci("run", "-p", "rate=1")
    assert done.code == 2
    assert "-p rate: no selected run can receive this parameter" in done.err


def test_run__percent_script(bench: Workbench) -> None:
    text = '# %% tags=["parameters"]\nrate = 1\n# %%\nfrom mlci_log import log_metric\nlog_metric("loss", rate)\n'
    bench.write(mlci__toml='[runs.note]\nnotebook = "note.py"\nparameters = { rate = 3 }\n', note__py=text)
    bench.commit()
    assert bench.mlci("run").code == 0
    assert bench.result("note")["metrics"][0]["value"] == 3


def test_run__a_metric_logged_before_the_crash_survives_it(bench: Workbench) -> None:
    text = "import os\nfrom mlci_log import log_metric\nlog_metric('loss', 0.5, step=1)\nos._exit(1)\n"
    bench.write(mlci__toml='[runs.train]\nscript = "train.py"\n', train__py=text)
    bench.commit()
    assert bench.mlci("run").code == 4
    assert bench.result("train")["metrics"][0]["value"] == 0.5


CHAIN = """
[runs.report]
script = "fine.py"
needs = ["train"]
[runs.train]
script = "bad.py"
[runs.other]
script = "fine.py"
"""


def test_run__needs_come_first_and_what_they_block_is_skipped(bench: Workbench) -> None:
    bench.write(mlci__toml=CHAIN, fine__py="", bad__py="raise SystemExit(3)\n")
    bench.commit()
    assert bench.mlci("run").code == 4
    assert bench.result("train")["error"]["message"] == "exit status 3"
    assert bench.result("report")["status"] == "skipped"
    assert bench.result("report")["reason"] == "needs train, which did not succeed"
    assert bench.result("other")["status"] == "succeeded"
    bench.mlci("record")
    bench.mlci("compare")
    assert bench.document("comparison.json")["verdict"] == "fail"


def test_run__fail_fast(bench: Workbench) -> None:
    bench.write(
        mlci__toml='[runs.a]\nscript = "bad.py"\n[runs.b]\nscript = "fine.py"\n', fine__py="", bad__py="1 / 0\n"
    )
    bench.commit()
    assert bench.mlci("run", "--fail-fast").code == 4
    assert bench.result("b")["status"] == "skipped"


def test_run__last_failed_keeps_the_good(bench: Workbench) -> None:
    bench.write(
        mlci__toml=CHAIN,
        fine__py="",
        bad__py="import pathlib\nif not pathlib.Path('ready').exists(): raise SystemExit(3)\n",
        __gitignore="ready\n",
    )
    bench.commit()
    assert bench.mlci("run").code == 4
    kept = bench.result("other")
    (bench.folder / "ready").touch()
    again = bench.mlci("run", "--last-failed")
    assert again.code == 0, again.err
    assert "other" not in again.err
    assert bench.result("other") == kept
    assert [bench.result(name)["status"] for name in ("train", "report")] == ["succeeded", "succeeded"]


def test_run__last_failed_of_another_commit(bench: Workbench) -> None:
    bench.write(mlci__toml='[runs.a]\nscript = "bad.py"\n', bad__py="1 / 0\n")
    bench.commit()
    bench.mlci("run")
    bench.commit("Another")
    done = bench.mlci("run", "--last-failed")
    assert done.code == 2
    assert "another commit" in done.err


@pytest.mark.parametrize(
    ("code", "said"),
    [
        pytest.param("", "'metrics.json' is declared and is as it was before the run", id="stale"),
        pytest.param(
            "import os; os.remove('metrics.json')", "'metrics.json' is declared and was not written", id="gone"
        ),
        pytest.param("open('metrics.json', 'w').write('[1]')", "expected a dictionary of metrics", id="a list"),
        pytest.param("open('metrics.json', 'w').write('{')", "metrics.json: not JSON", id="not JSON"),
    ],
)
def test_run__a_metric_file_that_is_none(bench: Workbench, code: str, said: str) -> None:
    bench.write(
        mlci__toml='[runs.train]\nscript = "train.py"\nmetrics = ["metrics.json"]\n',
        train__py=code + "\n",
        metrics__json='{"accuracy": 1.0}',
    )
    bench.commit()
    assert bench.mlci("run").code == 4
    assert bench.result("train")["status"] == "failed"
    assert said in bench.result("train")["error"]["message"]


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ('["metrics.txt"]', "metrics.txt: no reader for files ending in '.txt'"),
        ('[{ path = "metrics.txt", format = "jsno" }]', "no reader is called 'jsno' (did you mean 'json'?)"),
    ],
)
def test_run__a_format_that_nothing_reads_is_refused_before_anything_runs(
    bench: Workbench, metrics: str, said: str
) -> None:
    bench.write(mlci__toml=f'[runs.train]\nscript = "train.py"\nmetrics = {metrics}\n', train__py="")
    bench.commit()
    done = bench.mlci("run")
    assert done.code == 3
    assert f"mlci.toml: runs.train.metrics[0]: {said}" in done.err


def test_run__artifacts_and_plots_are_kept_with_their_digests(bench: Workbench) -> None:
    bench.write(
        mlci__toml='[runs.train]\nscript = "train.py"\nartifacts = ["model/*.bin"]\nplots = ["a.png"]\n',
        train__py="import os\nos.makedirs('model')\n"
        "open('model/a.bin', 'w').write('x')\nopen('a.png', 'w').write('png')\n",
    )
    bench.commit()
    assert bench.mlci("run").code == 0
    [artifact] = bench.result("train")["artifacts"]
    assert (artifact["path"], artifact["size"]) == ("model/a.bin", 1)
    assert artifact["sha256"] == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert (bench.folder / ".mlci" / artifact["stored"]).read_text() == "x"
    [plot] = bench.result("train")["outputs"]["plots"]
    assert (bench.folder / ".mlci" / plot["stored"]).read_text() == "png"


@pytest.mark.slow
def test_run__an_interpreter_without_ipykernel(bench: Workbench, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    bench.write(mlci__toml='[runs.note]\nnotebook = "note.ipynb"\n', note__ipynb=notebook("1"))
    bench.commit()
    done = bench.mlci("run", "--python", str(tmp_path / "bare"))
    assert done.code == 4
    python = tmp_path / "bare/bin/python"
    assert f"run note: {python} has no ipykernel, which notebooks need" in done.err
    assert f"Install it: {python} -m pip install ipykernel" in done.err


def test_run__code_sees_no_token_of_the_runner(bench: Workbench) -> None:
    names = ("GITHUB_TOKEN", "GH_TOKEN", "ACTIONS_RUNTIME_TOKEN", "GITHUB_ENV", "GITHUB_OUTPUT", "MLCI_GITHUB_TOKEN")
    bench.write(
        mlci__toml='[runs.train]\nscript = "train.py"\n',
        train__py=f"import os\nassert not set({names!r}) & set(os.environ)\nprint('clean')\n",
    )
    bench.commit()
    assert bench.mlci("run", **dict.fromkeys(names, "secret-canary")).code == 0
    for file in (bench.folder / ".mlci").rglob("*"):
        assert not file.is_file() or b"secret-canary" not in file.read_bytes()


def test_run__leaves_the_repository_as_it_was(bench: Workbench) -> None:
    bench.write(mlci__toml='[runs.train]\nscript = "train.py"\n', train__py="print('fine')\n")
    bench.commit()
    assert bench.mlci("run").code == 0
    assert bench.repository.git("status", "--porcelain") == ""
