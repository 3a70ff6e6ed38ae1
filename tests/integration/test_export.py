"""`mlci export`: real notebooks become scripts, and --check runs both and tells whether they do the same.

Here a few notebooks are really checked. All of `tests/fixtures/export` are with

    MLCI_TEST_EXHAUSTIVE=1 pytest tests/integration/test_export.py
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.command_line import Done, Workbench, notebook, workbench
from fakes.exhaustive import EXHAUSTIVE, VARIABLE
from fakes.notebooks import corpus, from_corpus, notebook_of

HELPERS = """
import sys
size = int(sys.argv[sys.argv.index("--size") + 1])
ran_as = __name__
base = 10
def make(n):
    return [base] * n
"""
FEW = ("globals_and_closures", "pickling")
EVERY = [name for name in corpus() if not name.startswith("refused")]
UNLIKE = 'import json, sys\njson.dump({"acc": float("ipykernel.kernelapp" in sys.modules)}, open("metrics.json", "w"))'


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return workbench(tmp_path)


def with_notebook(bench: Workbench, name: str) -> None:
    bench.write(
        **{
            f"notebooks/{name}.ipynb": from_corpus(name),
            "notebooks/helpers_to_run.py": HELPERS,
            "notebooks/lib/helper_of_export.py": "BONUS = 7\n",
            "lib/helper_of_export.py": "BONUS = 7\n",
            "data/numbers.csv": "value\n1\n2\n3.5\n",
        }
    )
    bench.commit()


def checked(bench: Workbench, name: str, *arguments: str) -> tuple[Done, dict[str, str]]:
    done = bench.mlci("export", name, "--check", "--json", *arguments)
    document = json.loads(done.out)
    return done, {f"{row['kind']} {row['name']}": row["verdict"] for row in document["check"].get("rows", [])}


@pytest.mark.parametrize("name", FEW)
def test_check__a_real_notebook_and_its_script_agree(bench: Workbench, name: str) -> None:
    with_notebook(bench, name)
    done, verdicts = checked(bench, f"notebooks/{name}.ipynb")
    assert (done.code, set(verdicts.values())) == (0, {"equal"}), done.err
    assert verdicts["file notebooks/metrics.json"] == "equal"
    assert (bench.folder / f"notebooks/{name}.py").is_file()
    assert not (bench.folder / "notebooks/metrics.json").exists()  # nothing ran in the user's own checkout


@pytest.mark.slow
@pytest.mark.skipif(not EXHAUSTIVE, reason=f"takes minutes: set {VARIABLE}=1")
@pytest.mark.parametrize("name", EVERY)
def test_check__every_real_notebook_and_its_script_agree(bench: Workbench, name: str) -> None:
    with_notebook(bench, name)
    done, verdicts = checked(bench, f"notebooks/{name}.ipynb")
    unstable = {"metric took", "file notebooks/log.txt", "file notebooks/metrics.json"}
    expected = {"equal", "unstable"} if name == "random_itself" else {"equal"}
    assert (done.code, set(verdicts.values())) == (0, expected), done.err
    assert {key for key, verdict in verdicts.items() if verdict == "unstable"} <= unstable


def test_check__a_configured_run_is_checked_as_it_is_configured_and_can_then_be_a_script(bench: Workbench) -> None:
    book = (
        "# %% parameters\nrate = 1\nseed = 0\n# %%\nimport json, pathlib\npathlib.Path('m.bin').write_bytes(bytes(9))\n"
    )
    book += "json.dump({'acc': rate * seed}, open('m.json', 'w'))\nopen('log.txt', 'w').write('not declared')\n"
    run = 'cwd = "notebooks"\nparameters = { rate = 5 }\nseeds = [3, 4]\nmetrics = ["m.json"]\nartifacts = ["m.bin"]\n'
    bench.write(
        mlci__toml=f'[runs.churn]\nnotebook = "notebooks/train.ipynb"\n{run}',
        **{"notebooks/train.ipynb": notebook_of(book)},
    )
    bench.commit()
    done, verdicts = checked(bench, "notebooks/train.ipynb", "-p", "rate=0.5", "--output", "train/churn.py")
    assert (done.code, json.loads(done.out)["check"]["seed"]) == (0, 3), done.err
    assert verdicts == dict.fromkeys(["metric acc", "file notebooks/m.bin", "file notebooks/m.json"], "equal")
    assert '"notebook": 1.5' in done.out  # rate=0.5, seed 3
    bench.write(mlci__toml=f'[runs.churn]\nscript = "train/churn.py"\n{run}')
    assert bench.mlci("run").code == 0
    results = bench.document("run.json")["runs"]
    assert [(result["seed"], result["metrics"][0]["value"]) for result in results] == [(3, 15.0), (4, 20.0)]


def test_check__a_script_that_does_something_else_is_not_written(bench: Workbench) -> None:
    bench.write(**{"train.ipynb": notebook(UNLIKE)})
    bench.commit()
    done, verdicts = checked(bench, "train.ipynb")
    assert (done.code, verdicts) == (7, {"metric acc": "differs", "file metrics.json": "differs"})
    assert "the script does not do the same: 2 differences; the script was not written" in done.err
    assert not (bench.folder / "train.py").exists()


def test_check__what_is_never_the_same_proves_nothing(bench: Workbench) -> None:
    bench.write(**{"train.ipynb": notebook("import os\nopen('x', 'w').write(os.urandom(4).hex())")})
    bench.commit()
    done, verdicts = checked(bench, "train.ipynb", "--force")
    assert (done.code, verdicts) == (7, {"file x": "unstable"})
    assert "nothing shows that the script does the same; the script was written all the same: --force" in done.err
    assert (bench.folder / "train.py").exists()


def test_check__a_notebook_that_fails_is_no_measure(bench: Workbench) -> None:
    bench.write(**{"train.ipynb": notebook("open('data.csv')"), "data.csv": "1", ".gitignore": "data.csv\n"})
    bench.commit()
    done = bench.mlci("export", "train.ipynb", "--check")
    assert done.code == 4
    assert "the notebook itself does not succeed in a clean copy" in done.err
    bench.write(mlci__toml='[baseline]\ncarry = ["data.csv"]\n[runs.a]\ncommand = ["true"]\n')
    done = bench.mlci("export", "train.ipynb", "--check")
    assert "nothing shows" in done.err  # it writes nothing


def test_export__needs_neither_git_nor_a_configuration_and_replaces_nothing(tmp_path: Path) -> None:
    path = tmp_path / "train.ipynb"
    path.write_text(
        notebook_of("# %% parameters\nn = 2\n# %%\n!pip install tqdm\nopen('out.txt', 'w').write('x' * n)\n")
    )
    mlci = [sys.executable, "-I", "-m", "mlci", "-C", str(tmp_path), "export", "train.ipynb"]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*mlci, *arguments], capture_output=True, text=True, check=False)

    done = run("--requirements", "needed.txt")
    assert (done.returncode, done.stderr) == (0, "")
    assert "dropped   cell 2, line 1: !pip install tqdm: packages are installed before a script" in done.stdout
    assert (tmp_path / "needed.txt").read_text() == "tqdm\n"
    assert run().returncode == 0  # the same again
    subprocess.run([sys.executable, tmp_path / "train.py", "--n", "3"], cwd="/", check=True)
    assert (tmp_path / "out.txt").read_text() == "xxx"
    (tmp_path / "train.py").write_text("print('mine')\n")
    done = run()
    assert (done.returncode, (tmp_path / "train.py").read_text()) == (2, "print('mine')\n")
    assert "train.py is there and differs" in done.stderr
    assert run("--force").returncode == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not a notebook"),
        (notebook("x <- 1", kernelspec={"name": "ir", "language": "R", "display_name": "R"}), "a notebook of R"),
        (notebook(), "no cell of it holds code"),
        (notebook("x = ("), "cell 1, line 1: x = (: no Python: '(' was never closed"),
        (notebook("input()"), "nobody answers a script"),
        (notebook("a", "b"), "2 lines cannot be translated truthfully"),
    ],
    ids=["broken", "R", "empty", "syntax", "input", "two"],
)
def test_export__refuses_in_one_line(bench: Workbench, content: str, said: str) -> None:
    bench.write(**{"train.ipynb": content.replace('"a"', '"print(a)"').replace('"b"', '"print(b)"')})
    done = bench.mlci("export", "train.ipynb")
    assert done.code == 2
    assert said in done.err
    assert not (bench.folder / "train.py").exists()
