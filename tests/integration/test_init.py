"""`mlci init` on repositories of every shape: what it writes is taken by mlci, and stays when it runs again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from fakes.command_line import MLCI, Workbench, notebook
from fakes.repositories import Repository, fingerprint, repository
from fakes.teams import SHAPES, team
from mlci.cli import cli

ADOPTABLE = [name for name, shape in SHAPES.items() if shape.runs]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ACTION = f"acme/mlci@{COMMIT}"
WORKFLOW = ".github/workflows/mlci.yml"


def bench_of(tmp_path: Path, shape: str) -> Workbench:
    home = tmp_path / "home"
    home.mkdir()
    return Workbench(team(tmp_path / "work", shape), home)


def mlci(bench: Workbench, *arguments: str, answers: str | None = None) -> Result:
    """In this process, which is enough where nothing is run."""
    done = CliRunner().invoke(cli, ["-C", str(bench.folder), *arguments], input=answers, env=bench.environ)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def written(repository: Repository) -> set[str]:
    return set(repository.git("ls-files", "--others", "--exclude-standard").splitlines())


@pytest.mark.parametrize("shape", ADOPTABLE)
def test_init__writes_what_mlci_takes_and_changes_nothing_the_second_time(tmp_path: Path, shape: str) -> None:
    bench = bench_of(tmp_path, shape)
    expected = SHAPES[shape]
    mlci(bench, "init", "--yes", "--action", ACTION)
    files = {f"{folder}/mlci.toml".removeprefix("./") for folder in expected.folders} | {WORKFLOW}
    assert written(bench.repository) == files
    planned = [CliRunner().invoke(cli, ["-C", str(bench.folder / folder), "plan"]) for folder in expected.folders]
    runs = [run for done in planned for run in re.findall(r"^run   (\S+)", done.output, re.MULTILINE)]
    assert tuple(sorted(runs)) == expected.runs
    before = fingerprint(bench.folder)
    again = mlci(bench, "init", "--yes", "--action", ACTION)
    assert "nothing to write" in again.output
    assert "left as it is" not in again.output
    assert fingerprint(bench.folder) == before


@pytest.mark.parametrize("shape", ["script", "cml", "monorepo"])
def test_init__what_it_chose_succeeds_and_is_measured(tmp_path: Path, shape: str) -> None:
    bench = bench_of(tmp_path, shape)
    mlci(bench, "init", "--yes", "--action", ACTION)
    bench.commit()
    said = ""
    for folder in SHAPES[shape].folders:
        done = bench.mlci("-C", folder, "ci")
        assert done.code == 0, done.out + done.err
        said += done.out
    for metric in SHAPES[shape].metrics:
        assert metric in said


def test_init__a_repository_without_code_gets_a_line_and_no_file(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, "none")
    before = fingerprint(bench.folder)
    done = bench.mlci("init", "--yes")
    assert done.code == 2
    assert "error: no notebook and no training script among 3 files that git knows" in done.err
    assert "[runs.NAME] with command" in done.err
    assert fingerprint(bench.folder) == before


def test_init__outside_of_git(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print(1)\n")
    done = subprocess.run([*MLCI, "init"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "lies in no git repository" in done.stderr


def test_init__dry_run_shows_the_diff_and_writes_nothing(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, "script")
    done = mlci(bench, "init", "--dry-run")
    assert "+++ b/mlci.toml" in done.output
    assert f"+++ b/{WORKFLOW}" in done.output
    assert '+script = "train.py"' in done.output
    assert written(bench.repository) == set()


def test_init__json_says_what_was_found_and_writes_nothing(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, "cml")
    found: dict[str, Any] = json.loads(mlci(bench, "init", "--json").stdout)
    assert [item["tool"] for item in found["surroundings"]["replaced"]] == ["CML", "nbmake"]
    [part] = found["parts"]
    assert [item["path"] for item in part["candidates"]] == ["train.py", "notebooks/explore.ipynb"]
    assert "is executed in CI today" in part["candidates"][1]["favour"]
    assert written(bench.repository) == set()


def test_init__asks_which_runs_branch_forks_and_releases_and_takes_the_answers(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, "plain")
    done = mlci(bench, "init", "--action", ACTION, answers="1,2\ntrunk\ny\ny\ny\n")
    assert done.exit_code == 0, done.output
    names = ("mlci.yml", "mlci-deploy.yml", "mlci-forks.yml", "mlci-release.yml", "mlci-rollback.yml")
    assert written(bench.repository) == {"mlci.toml", *(f".github/workflows/{name}" for name in names)}
    configuration = (bench.folder / "mlci.toml").read_text()
    assert "[runs.look]" in configuration
    assert 'branch = "trunk"' in configuration
    assert '[models.train]\nrun = "train"' in configuration
    assert "branches: [trunk]" in (bench.folder / WORKFLOW).read_text()
    release = (bench.folder / ".github/workflows/mlci-release.yml").read_text()
    assert "uses: ./.github/workflows/mlci-deploy.yml" in release


@pytest.mark.parametrize("answers", ["", "1\n", "none\n"])
def test_init__without_answers_nothing_is_written(tmp_path: Path, answers: str) -> None:
    bench = bench_of(tmp_path, "script")
    done = mlci_process(bench, answers)
    assert done.returncode == 2
    assert "nothing was written" in done.stderr
    assert written(bench.repository) == set()


def mlci_process(bench: Workbench, answers: str) -> subprocess.CompletedProcess[str]:
    command = [
        *MLCI,
        "init",
        "--action",
        ACTION,
        *(["--no-forks", "--no-releases", "--branch", "x"] if "none" in answers else []),
    ]
    return subprocess.run(
        command, cwd=bench.folder, env=bench.environ, input=answers, capture_output=True, text=True, check=False
    )


def test_init__a_hand_edit_survives_and_new_runs_are_suggested(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, "script")
    mlci(bench, "init", "--yes", "--action", ACTION)
    file = bench.folder / "mlci.toml"
    edited = file.read_text().replace('timeout = "30m"', 'timeout = "5m"')
    file.write_text(edited)
    bench.write(**{"second.py": (bench.folder / "train.py").read_text().replace("metrics.json", "second_metrics.json")})
    again = mlci(bench, "init", "--yes", "--action", ACTION)
    assert "mlci.toml: there already and different, left as it is" in again.output
    assert '[runs.second]\nscript = "second.py"' in again.output
    assert "[runs.train]" not in again.output
    assert file.read_text() == edited
    mlci(bench, "init", "--yes", "--action", ACTION, "--force")
    assert "[runs.second]" in file.read_text()
    assert 'timeout = "30m"' in file.read_text()


def test_init__a_configuration_in_pyproject_stays_the_only_one(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, "uv")
    project = bench.folder / "pyproject.toml"
    project.write_text(project.read_text() + '\n[tool.mlci.runs.train]\nscript = "src/lines/train.py"\n')
    mlci(bench, "init", "--yes", "--action", ACTION)
    assert written(bench.repository) == {WORKFLOW}


def test_init__a_broken_configuration_is_said_and_nothing_written(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, "script")
    bench.write(mlci__toml="[runs.train]\nscrypt = 1\n")
    done = bench.mlci("init", "--yes")
    assert done.code == 3
    assert "runs.train.scrypt" in done.err
    assert written(bench.repository) == {"mlci.toml"}


def test_init__without_a_known_release_says_loudly_what_to_replace(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, "script")
    done = mlci(bench, "init", "--yes", "--action", f"OWNER/mlci@{'0' * 40}")
    assert "put mlci's repository and a release's commit there" in done.stderr
    assert f"OWNER/mlci/.github/workflows/check.yml@{'0' * 40}" in (bench.folder / WORKFLOW).read_text()


def test_init__an_action_that_can_be_moved_is_refused(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, "script")
    done = bench.mlci("init", "--yes", "--action", "acme/mlci@v1")
    assert done.code == 2
    assert "All 40 digits of a commit" in done.err


def test_init__only_what_is_named(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, "many")
    mlci(bench, "init", "--yes", "--action", ACTION, "--run", "models/robust.ipynb")
    configuration = (bench.folder / "mlci.toml").read_text()
    assert re.findall(r"^\[runs\.(.*)\]", configuration, re.MULTILINE) == ["robust"]
    done = bench.mlci("init", "--yes", "--run", "no.py")
    assert (done.code, "--run: 'no.py' is no notebook" in done.err) == (2, True)


def test_init__a_workflow_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, "script")
    (bench.folder / ".github").symlink_to(tmp_path / "home", target_is_directory=True)
    done = bench.mlci("init", "--yes")
    assert done.code == 2
    assert "is a link, or lies behind one" in done.err
    assert list((tmp_path / "home").iterdir()) == []


HOSTILE = "\x1b]0;owned\x07::error::x ##[error]"


def test_init__hostile_files_are_words_and_hold_nothing_up(tmp_path: Path) -> None:
    work = repository(tmp_path / "work")
    bench = Workbench(work, tmp_path)
    names = {"[a].ipynb": notebook("model.fit(1)"), "deep.ipynb": "[" * 100_000, "nul.py": "\0", "train.py": HOSTILE}
    names |= {f"{HOSTILE}.py": "model.fit(1)", "loop.py": "model.fit(1)\n" + "if x:\n a()\nel" * 20_000 + "se: pass\n"}
    names |= {"deep.py": "(" * 50_000, "string.py": "'''" + "x" * 600_000 + "'''", "dvc.yaml": "a: &a [1]\nb: *a\n"}
    names |= {"good.py": "import json\nmodel.fit(1)\njson.dump({'accuracy': 1}, open('metrics.json', 'w'))\n"}
    for name, text in names.items():
        (work.folder / name).write_text(text)
    (work.folder / "link.py").symlink_to("/etc/passwd")
    done = mlci(bench, "init", "--yes", "--action", ACTION)
    assert "\x1b" not in done.output
    assert "##[" not in done.output
    assert re.findall(r"^\[runs\.(.*)\]", (work.folder / "mlci.toml").read_text(), re.MULTILINE) == ["good"]


@pytest.mark.parametrize("option", ["--full", "--releases"])
def test_init__several_projects_have_the_short_workflow_only(tmp_path: Path, option: str) -> None:
    bench = bench_of(tmp_path, "monorepo")
    done = bench.mlci("init", "--yes", option)
    assert done.code == 2
    assert "services/churn and services/fraud are projects of their own" in done.err
    assert written(bench.repository) == set()


def check(tool: str, *arguments: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name(tool), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("shape", "full"), [("monorepo", False), ("conda", False), ("r", False), ("r", True), ("conda", True)]
)
def test_init__workflows_pass_the_linters(tmp_path: Path, shape: str, full: bool) -> None:
    bench = bench_of(tmp_path, shape)
    (bench.folder / ".gitattributes").write_text("*.bin filter=lfs\n")
    arguments = ["--forks"] if shape == "monorepo" else ["--forks", "--releases", *(["--full"] if full else [])]
    mlci(bench, "init", "--yes", "--action", ACTION, *arguments)
    files = sorted((bench.folder / ".github/workflows").iterdir())
    for file in files:
        assert yaml.safe_load(file.read_text())["permissions"] == {}
        assert set(re.findall(r"uses: (?!actions/|\./)([\w-]+/[\w-]+).*@(\w+)", file.read_text())) <= {
            ("acme/mlci", COMMIT)
        }
        assert "To change" not in file.read_text()
        assert "pull-request.yml" not in file.read_text()
    check("zizmor", "--offline", "--persona", "pedantic", "--quiet", *map(str, files))
    check("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *map(str, files))
