"""Teams that have never heard of mlci: repositories of the shapes that people have, each of them made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fakes.command_line import notebook
from fakes.repositories import Repository, repository

Files = dict[str, str]
_PYTHON: dict[str, Any] = {
    "kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"},
    "language_info": {"name": "python", "version": "3.11.4"},
}
_R: dict[str, Any] = {
    "kernelspec": {"name": "ir", "language": "R", "display_name": "R"},
    "language_info": {"name": "R", "version": "4.4.1"},
}
# Trains a model on nothing but the standard library, so that a repository is measured in a second.
_MODEL = '''"""A line through noisy points."""

import random


def points(count, seed):
    source = random.Random(seed)
    return [(x, 2 * x + source.gauss(0, 0.1)) for x in range(count)]


class Line:
    def fit(self, data):
        self.slope = sum(x * y for x, y in data) / sum(x * x for x, _ in data)
        return self

    def predict(self, x):
        return self.slope * x
'''
_FORESTS = (
    "import json\nfrom sklearn.datasets import load_wine\nfrom sklearn.ensemble import RandomForestClassifier\n",
    "trees = 20\nseed = 0\n",
    "from sklearn.model_selection import train_test_split\nX, y = load_wine(return_X_y=True)\n"
    "X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)\n"
    "model = RandomForestClassifier(trees, random_state=seed).fit(X_train, y_train)\n",
    "import joblib\n"
    'metrics = {"accuracy": model.score(X_test, y_test)}\n'
    'with open("metrics.json", "w") as file:\n    json.dump(metrics, file)\n'
    'joblib.dump(model, "model.joblib")\n',
)


def _plain() -> Files:
    return {
        "README.md": "# Wine\n",
        "requirements.txt": "scikit-learn\nipykernel\n",
        ".gitignore": "metrics.json\n*.joblib\n",
        "notebooks/train.ipynb": notebook(*_FORESTS, tags={1: "parameters"}, **_PYTHON),
        "notebooks/look.ipynb": notebook("import pandas as pd", "pd.DataFrame({'x': [1]}).describe()", **_PYTHON),
    }


def _script() -> Files:
    return {
        "requirements.txt": "",
        ".gitignore": "out/\n",
        "line.py": _MODEL,
        "data/limits.json": '{"count": 50}\n',
        "train.py": '''
"""Fits a line."""
import argparse
import json
from pathlib import Path

from line import Line, points


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="out")
    args = parser.parse_args()
    count = json.loads(Path("data/limits.json").read_text())["count"]
    data = points(count, args.seed)
    model = Line().fit(data[::2])
    errors = [(model.predict(x) - y) ** 2 for x, y in data[1::2]]
    out = Path(args.out)
    out.mkdir(exist_ok=True)
    (out / "metrics.json").write_text(json.dumps({"mse": sum(errors) / len(errors), "n": len(errors)}))


if __name__ == "__main__":
    main()
''',
        "tests/test_line.py": "from line import Line\n\n\ndef test_fit():\n    assert Line().fit([(1, 2)])\n",
        "setup.cfg": "[tool:pytest]\n",
    }


def _dvc() -> Files:
    return {
        "requirements.txt": "pyyaml\n",
        ".gitignore": "data/points.json\nmodel.pkl\n",
        "params.yaml": "count: 40\n",
        "dvc.yaml": """
stages:
  prepare:
    cmd: python src/prepare.py
    deps: [src/prepare.py]
    params: [count]
    outs: [data/points.json]
  train:
    cmd: python src/train.py --fast
    deps: [src/train.py, data/points.json]
    outs: [model.pkl]
    metrics:
      - scores.json:
          cache: false
""",
        "data/README.md": "Made by the stage prepare.\n",
        "src/prepare.py": "import json, random, yaml\ncount = yaml.safe_load(open('params.yaml'))['count']\n"
        "json.dump([[x, 2 * x + random.Random(x).random()] for x in range(count)], open('data/points.json', 'w'))\n",
        "src/train.py": "import json, pickle\ndata = json.load(open('data/points.json'))\n"
        "slope = sum(x * y for x, y in data) / sum(x * x for x, _ in data)\n"
        "pickle.dump(slope, open('model.pkl', 'wb'))\n"
        "rmse = (sum((slope * x - y) ** 2 for x, y in data) / len(data)) ** 0.5\n"
        "json.dump({'train': {'rmse': rmse}}, open('scores.json', 'w'))\n",
        "scores.json": '{"train": {"rmse": 0.1}}\n',
    }


def _uv() -> Files:
    return {
        "pyproject.toml": """
[project]
name = "lines"
version = "1.0"
requires-python = ">=3.10"
dependencies = []

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[tool.uv]

[tool.hatch.build.targets.wheel]
packages = ["src/lines"]
""",
        ".gitignore": ".venv/\nreports/\n",
        "src/lines/__init__.py": "",
        "src/lines/model.py": _MODEL,
        "src/lines/train.py": '''
"""Fits a line, as a module of its package."""
import json
import os
from pathlib import Path

from lines.model import Line, points

REPORTS = Path("reports")


def main():
    seed = int(os.environ.get("SEED", "0"))
    data = points(50, seed)
    model = Line().fit(data)
    REPORTS.mkdir(exist_ok=True)
    with open(REPORTS / "evaluation.json", "w") as file:
        json.dump({"r2": 1 - sum((model.predict(x) - y) ** 2 for x, y in data) / sum(y * y for _, y in data)}, file)


if __name__ == "__main__":
    main()
''',
    }


def _poetry() -> Files:
    files = {name.replace("src/lines", "lines"): text for name, text in _uv().items()}
    files["pyproject.toml"] = """
[tool.poetry]
name = "lines"
version = "1.0"
description = ""
authors = []

[tool.poetry.dependencies]
python = "^3.10"

[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"""
    return files


def _conda() -> Files:
    return {
        "environment.yml": "name: lines\nchannels: [conda-forge]\ndependencies:\n  - python=3.12\n  - ipykernel\n",
        ".gitignore": ".venv/\nmetrics.json\n",
        "line.py": _MODEL,
        "experiments/fit_line.py": """# %% [markdown]
# # A line

# %%
import json
import sys

sys.path.insert(0, "..")
from line import Line, points

# %% tags=["parameters"]
count = 60
seed = 1

# %%
data = points(count, seed)
model = Line().fit(data)

# %%
mae = sum(abs(model.predict(x) - y) for x, y in data) / len(data)
with open("metrics.json", "w") as file:
    json.dump({"mae": mae}, file)
""",
    }


def _many() -> Files:
    files = {
        f"analysis/week_{week:03}.ipynb": notebook("import math", f"print(math.sqrt({week}))", **_PYTHON)
        for week in range(196)
    }
    cells = ("import json\nfrom line import Line, points\n", "seed = 0\n", "model = Line().fit(points(30, seed))\n")
    for name in ("baseline", "weighted", "robust"):
        last = f'json.dump({{"error": abs(model.slope - 2)}}, open("{name}_metrics.json", "w"))\n'
        files[f"models/{name}.ipynb"] = notebook(*cells, last, tags={1: "parameters"}, **_PYTHON)
    return {
        "requirements.txt": "ipykernel\n",
        ".gitignore": "*_metrics.json\n",
        "models/line.py": _MODEL,
        "models/broken.ipynb": '{"cells": [',
        **files,
    }


def _monorepo() -> Files:
    def service(metric: str) -> Files:
        return {
            "line.py": _MODEL,
            "train.py": "import json, os\nfrom line import Line, points\n"
            "data = points(30, int(os.environ.get('SEED', 0)))\nmodel = Line().fit(data)\n"
            f"json.dump({{'{metric}': abs(model.slope - 2)}}, open('metrics.json', 'w'))\n",
        }

    parts = {
        "services/churn": {"requirements.txt": "pyyaml\n", **service("mae")},
        "services/fraud": {"requirements.txt": "numpy\n", ".python-version": "3.12\n", **service("rmse")},
    }
    files = {f"{folder}/{name}": text for folder, own in parts.items() for name, text in own.items()}
    return {"README.md": "# Services\n", ".gitignore": "metrics.json\n", "web/index.js": "export {}\n", **files}


def _r() -> Files:
    cells = (
        "count <- 20L\nseed <- 1L\n",
        "set.seed(seed)\nx <- seq_len(count)\ny <- 2 * x + rnorm(count, sd = 0.1)\nmodel <- lm(y ~ x)\n",
        'writeLines(sprintf(\'{"rmse": %f}\', sqrt(mean(residuals(model)^2))), "metrics.json")\nrmse = 0\n',
    )
    return {
        ".gitignore": "metrics.json\n",
        "linear.ipynb": notebook(*cells, tags={0: "parameters"}, **_R),
        "plots.ipynb": notebook('plot(cars)\nprint("done")', **_R),
    }


def _cml() -> Files:
    cml = """
name: cml
on: [push]
jobs:
  train:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: iterative/setup-cml@v2
      - run: |
          python train.py
          cml comment create report.md
"""
    nbmake = """
name: notebooks
on: [pull_request]
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: pytest --nbmake notebooks/
"""
    train = _script()["train.py"].replace('(out / "metrics.json")', 'Path("metrics.json")')
    return {
        ".github/workflows/cml.yml": cml,
        ".github/workflows/notebooks.yml": nbmake,
        "requirements.txt": "ipykernel\n",
        ".gitignore": "metrics.json\n",
        "line.py": _MODEL,
        "data/limits.json": '{"count": 50}\n',
        "train.py": train,
        "notebooks/explore.ipynb": notebook("print(sum(range(10)))", **_PYTHON),
    }


def _mlflow() -> Files:
    return {
        "MLproject": """
name: lines
entry_points:
  main:
    parameters:
      count: {type: float, default: 40}
    command: "python train.py --count {count}"
""",
        "requirements.txt": "mlflow\n",
        ".gitignore": "mlruns/\nmlflow.db\n",
        "line.py": _MODEL,
        "train.py": """
import argparse

import mlflow

from line import Line, points

parser = argparse.ArgumentParser()
parser.add_argument("--count", type=float, required=True)
data = points(int(parser.parse_args().count), 0)
with mlflow.start_run():
    model = Line().fit(data)
    mlflow.log_metric("mae", sum(abs(model.predict(x) - y) for x, y in data) / len(data))
""",
    }


def _none() -> Files:
    return {"README.md": "# Notes\n", "docs/index.md": "Words.\n", "src/app.js": "export {}\n"}


@dataclass(frozen=True)
class Shape:
    """A kind of repository, and what adopting it should come to."""

    files: Callable[[], Files]
    runs: tuple[str, ...]  # by name, of all its configurations
    folders: tuple[str, ...] = (".",)  # of its configurations
    metrics: tuple[str, ...] = ()  # that a report must name


SHAPES = {
    "plain": Shape(_plain, ("train",), metrics=("accuracy",)),
    "script": Shape(_script, ("train",), metrics=("mse",)),
    "dvc": Shape(_dvc, ("prepare", "train"), metrics=("train.rmse",)),
    "uv": Shape(_uv, ("train",), metrics=("r2",)),
    "poetry": Shape(_poetry, ("train",), metrics=("r2",)),
    "conda": Shape(_conda, ("fit_line",), metrics=("mae",)),
    "many": Shape(_many, ("baseline", "robust", "weighted"), metrics=("error",)),
    "monorepo": Shape(
        _monorepo, ("churn-train", "fraud-train"), folders=("services/churn", "services/fraud"), metrics=("mae", "rmse")
    ),
    "r": Shape(_r, ("linear",), metrics=("rmse",)),
    "cml": Shape(_cml, ("explore", "train"), metrics=("mse",)),
    "mlflow": Shape(_mlflow, ("train",), metrics=("mae",)),
    "none": Shape(_none, (), folders=()),
}


def team(folder: Path, shape: str) -> Repository:
    """A repository of one shape, with one commit."""
    made = repository(folder)
    for name, text in SHAPES[shape].files().items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message", "What we have")
    return made
