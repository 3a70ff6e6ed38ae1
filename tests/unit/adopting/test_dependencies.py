"""What installs a project, and for which Python, by the files that say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlci.adopting import dependencies
from mlci.adopting.listing import Listing


def listing(folder: Path, **files: str) -> Listing:
    names = []
    for name, text in files.items():
        path = name.replace("___", "/").replace("__", ".")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
        names.append(path)
    return Listing(folder, tuple(sorted(names)))


PROJECT = '[project]\nname = "x"\nrequires-python = ">=3.10,<3.13"\n'
POETRY = '[tool.poetry]\nname = "x"\n[tool.poetry.dependencies]\npython = "^3.9"\n'
KERNEL = " && .venv/bin/python -m pip install ipykernel"


@pytest.mark.parametrize(
    ("files", "install"),
    [
        ({"requirements__txt": "numpy\n"}, "python -m pip install -r requirements.txt ipykernel"),
        ({"requirements__txt": "jupyterlab\n"}, "python -m pip install -r requirements.txt"),
        ({"requirements___train__txt": "x"}, "python -m pip install -r requirements/train.txt ipykernel"),
        ({"pyproject__toml": PROJECT}, "python -m pip install -e . ipykernel"),
        ({"pyproject__toml": "[tool.ruff]\n"}, "python -m pip install ipykernel"),
        (
            {"pyproject__toml": PROJECT, "uv__lock": ""},
            "python -m pip install uv && python -m uv sync --locked && python -m uv pip install ipykernel",
        ),
        (
            {"pyproject__toml": POETRY},
            "python -m pip install poetry && POETRY_VIRTUALENVS_IN_PROJECT=true python -m poetry install" + KERNEL,
        ),
        (
            {"Pipfile": "", "Pipfile__lock": ""},
            "python -m pip install pipenv && PIPENV_VENV_IN_PROJECT=1 python -m pipenv sync" + KERNEL,
        ),
        (
            {"environment__yml": "dependencies:\n  - ipykernel\n"},
            '"$CONDA/bin/conda" env create --prefix .venv --file environment.yml',
        ),
        ({}, "python -m pip install ipykernel"),
    ],
)
def test_install__of_a_project_with_notebooks(tmp_path: Path, files: dict[str, str], install: str) -> None:
    assert dependencies.of(listing(tmp_path, **files), "").installing(kernel=True, folder="") == install


def test_install__where_nothing_says_it_what_is_imported_and_known(tmp_path: Path) -> None:
    found = dependencies.of(listing(tmp_path), "", modules={"sklearn", "pandas", "ours", "os"})
    assert found.installing(kernel=False, folder="") == "python -m pip install pandas scikit-learn"
    assert dependencies.of(listing(tmp_path), "").installing(kernel=False, folder="") == "python -m pip --version"


def test_install__of_a_project_in_a_folder_from_the_top(tmp_path: Path) -> None:
    found = dependencies.of(listing(tmp_path, ml___pyproject__toml=PROJECT, ml___uv__lock=""), "ml")
    assert found.installing(kernel=False, folder="").startswith("cd ml && python -m pip install uv")
    assert found.interpreter("") == "ml/.venv"
    assert found.interpreter("ml") is None


@pytest.mark.parametrize(
    ("files", "versions", "python"),
    [
        ({"__python-version": "3.11.4\n"}, ["3.12"], "3.11"),
        ({"environment__yml": "dependencies:\n  - python=3.10\n"}, [], "3.10"),
        ({"Pipfile": '[requires]\npython_version = "3.9"\n'}, [], "3.9"),
        ({"pyproject__toml": PROJECT}, [], "3.12"),
        ({"pyproject__toml": PROJECT}, ["3.11", "3.13", "3.11"], "3.11"),
        ({"pyproject__toml": PROJECT}, ["3.13"], "3.12"),
        ({"pyproject__toml": POETRY}, [], "3.13"),
        ({"pyproject__toml": '[project]\nrequires-python = "~=3.11.2"\n'}, [], "3.11"),
        ({"pyproject__toml": "not toml"}, [], "3.13"),
        ({}, [], "3.13"),
    ],
)
def test_python__is_the_one_that_is_named_or_was_used_and_is_allowed(
    tmp_path: Path, files: dict[str, str], versions: list[str], python: str
) -> None:
    assert dependencies.of(listing(tmp_path, **files), "", versions=versions).python == python
