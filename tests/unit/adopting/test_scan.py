"""What is found in a repository: which files count, which of them are trainings, and what a run of them would be."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.command_line import notebook
from fakes.repositories import ENVIRON, Repository, repository
from mlci.adopting import listing as listings
from mlci.adopting import ranking
from mlci.adopting.candidates import Candidate
from mlci.adopting.scan import Found, default_branch, scan

TRAIN = "model.fit(1)\njson.dump({'accuracy': 1}, open('metrics.json', 'w'))\n"


@pytest.fixture
def team(tmp_path: Path) -> Repository:
    return repository(tmp_path)


def found(team: Repository, **files: str) -> Found:
    for name, text in files.items():
        place = team.folder / name.replace("___", "/").replace("__", ".")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return scan(team.folder, ENVIRON)[1]


def suggested(team: Repository, **files: str) -> list[Candidate]:
    return [item for part in found(team, **files).parts for item in part.suggested]


def test_listing__what_git_ignores_or_others_wrote_does_not_count(team: Repository) -> None:
    names = (
        "a__py",
        "new/b__py",
        "__ipynb_checkpoints/c__py",
        "node_modules/d__py",
        "x/site-packages/e__py",
        "out/f__py",
    )
    found(team, __gitignore="out/\n", **{name.replace("/", "___"): "" for name in names})
    assert listings.listed(team.folder, ENVIRON).files == (".gitignore", "a.py", "new/b.py")


def test_listing__no_more_than_can_be_looked_at(team: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listings, "MAX_FILES", 2)
    seen = found(team, a__py="", b__py="", c__py="")
    assert (seen.files, seen.left_out) == (2, 1)


def test_scan__no_more_code_than_can_be_read_and_notebooks_first(
    team: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "MAX_CODE", len(TRAIN) - 1)
    seen = found(team, a__py=TRAIN, b__py=TRAIN, z__ipynb=notebook(TRAIN))
    assert [item.path for item in seen.parts[0].candidates] == ["z.ipynb"]
    assert seen.left_out == 2


def test_scan__tests_tools_and_tutorials_are_no_trainings(team: Repository) -> None:
    names = ("tests/train__py", "test_train__py", "setup__py", "docs/train__py", "old/train__py", "good__py")
    files = {name.replace("/", "___"): TRAIN for name in names}
    assert [item.source for item in suggested(team, **files)] == ["good.py"]


@pytest.mark.parametrize(
    ("code", "leaves"),
    [
        (TRAIN, True),
        ("import mlflow\nmodel.fit(1)\nmlflow.log_metric('f1', 1)\n", True),
        ("import wandb\nmodel.fit(1)\nwandb.log({'f1': 1})\n", False),
        ("model.fit(1)\nprint(accuracy_score(y, z))\n", False),
    ],
)
def test_candidate__knows_whether_metrics_will_be_found(team: Repository, code: str, leaves: bool) -> None:
    assert [item.leaves_metrics for item in suggested(team, train__py=code)] == [leaves]


def test_candidate__of_hydra_says_where_its_files_go(team: Repository) -> None:
    [item] = suggested(team, train__py=f"import hydra\n{TRAIN}")
    assert 'metrics = ["outputs/*/*/metrics.json"]' in item.notes[0]


def test_scan__a_module_that_others_import_is_no_script(team: Repository) -> None:
    files = {"helper__py": TRAIN, "run__py": f"import helper\n{TRAIN}"}
    assert [item.source for item in suggested(team, **files)] == ["run.py"]


def test_scan__a_script_that_asks_for_arguments_is_not_suggested_beside_one_that_does_not(team: Repository) -> None:
    ask = "p.add_argument('--data', required=True)\n"
    [item] = suggested(team, a__py=ask + TRAIN.replace("model.fit(1)", ""), b__py=TRAIN)
    assert item.source == "b.py"


def test_scan__notebooks_that_train_nothing_where_there_is_nothing_better(team: Repository) -> None:
    cells = notebook("print(sum(range(3)))")
    assert [item.source for item in suggested(team, look__ipynb=cells, lib__py="def f(): pass\n")] == ["look.ipynb"]


@pytest.mark.parametrize(
    ("tagged", "code", "seeded"),
    [
        ("seed = 1", "use(seed)", True),
        ("seed = 1", "x = 1", False),  # three equal seeds would read as no noise
        ("seed = 1", "seed = 2\nuse(seed)", False),
        ("trees = 1", "use(seed)", False),
    ],
)
def test_scan__a_notebook_has_seeds_where_its_code_reads_the_one_it_is_given(
    team: Repository, tagged: str, code: str, seeded: bool
) -> None:
    [item] = suggested(team, a__ipynb=notebook(tagged, code, TRAIN, tags={0: "parameters"}))
    assert item.seeded is seeded


@pytest.mark.parametrize(
    ("code", "args", "env", "seeded"),
    [
        ("p.add_argument('--random-seed', type=int)\n", ("--random-seed", "{seed}"), {}, True),
        ("os.environ['SEED']\n", (), {"SEED": "{seed}"}, True),
        ("os.environ['MLCI_SEED']\n", (), {}, True),
        ("", (), {}, False),
    ],
)
def test_scan__how_a_seed_reaches_a_script(
    team: Repository, code: str, args: tuple[str, ...], env: dict[str, str], seeded: bool
) -> None:
    [item] = suggested(team, a__py=code + TRAIN)
    assert (item.args, item.env, item.seeded) == (args, env, seeded)


def test_scan__a_notebook_runs_where_it_finds_what_it_reads(team: Repository) -> None:
    cells = notebook("import tools\npd.read_csv('data/x.csv')", TRAIN)
    [item] = suggested(team, nb___a__ipynb=cells, data___x__csv="", tools__py="")
    assert item.cwd == "."
    assert item.inputs == ("data/x.csv", "tools.py")
    assert item.env == {}


def test_scan__modules_beyond_the_own_folder_are_made_to_be_found(team: Repository) -> None:
    for package in ("lib", "src/pkg"):
        (team.folder / package).mkdir(parents=True)
        (team.folder / package / "__init__.py").touch()
    [item] = suggested(team, jobs___a__py=f"import lib, pkg\n{TRAIN}")
    assert item.env == {"PYTHONPATH": ".:src"}
    assert item.inputs == ("lib/**/*.py", "src/pkg/**/*.py")


def test_scan__what_writes_data_comes_before_what_reads_it(team: Repository) -> None:
    seen = found(team, a__py=f"pd.read_csv('clean.csv')\n{TRAIN}", b__py="frame.to_csv('clean.csv')\n")
    [part] = seen.parts
    assert [item.source for item in part.suggested] == ["a.py"]
    assert part.candidates[0].missing == ("clean.csv",)


def test_scan__data_that_git_does_not_hold_speaks_against_it(team: Repository) -> None:
    [part] = found(team, a__py=f"pd.read_csv('big.csv')\n{TRAIN}", big__csv__dvc="outs: []").parts
    assert "reads big.csv, which git does not hold" in part.candidates[0].against


def test_scan__several_projects_where_each_says_what_it_needs(team: Repository) -> None:
    parts = found(team, a___requirements__txt="", a___t__py=TRAIN, b___requirements__txt="", b___t__py=TRAIN).parts
    assert [part.folder for part in parts] == ["a", "b"]
    assert [part.dependencies.files for part in parts] == [("a/requirements.txt",), ("b/requirements.txt",)]


def test_scan__one_project_in_a_folder_is_the_whole_repository_s(team: Repository) -> None:
    [part] = found(team, ml___requirements__txt="", ml___t__py=TRAIN, web___package__json="{}").parts
    assert part.folder == ""
    assert part.dependencies.installing(kernel=False, folder="") == "cd ml && python -m pip install -r requirements.txt"


def test_default_branch__the_remote_s_then_a_usual_one_then_what_is_checked_out(
    team: Repository, tmp_path: Path
) -> None:
    team.git("switch", "--quiet", "--create", "work")
    team.commit()
    assert default_branch(team.folder, ENVIRON) == "work"
    team.git("branch", "master")
    assert default_branch(team.folder, ENVIRON) == "master"
    clone = team.clone(tmp_path / "clone")
    assert default_branch(clone.folder, ENVIRON) == "work"
