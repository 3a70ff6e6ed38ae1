"""The notebooks that `engine.py` times: written anew into a folder, the same ones for every program."""

from __future__ import annotations

from pathlib import Path

import nbformat

FIT = """\
import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
"""
DATA = """\
features, label = make_classification(n_samples=400, n_features=12, random_state={number})
table = pd.DataFrame(features).assign(label=label)
table.describe()
"""
SCORE = """\
scores = cross_val_score(LogisticRegression(), features, label, cv=3)
print(f"accuracy {{scores.mean():.3f}}")
"""
PLOT = """\
figure, axes = plt.subplots(figsize=(4, 3))
axes.hist(table[0], bins=20)
plt.show()
"""
PICTURE = """\
import base64, os
from IPython.display import Image, display
data = os.urandom(225_000)  # 300 kB in base64
display({"image/png": base64.b64encode(data).decode()}, raw=True)
"""
PICTURES = PICTURE.replace("display({", "for _ in range(2_000):\n    display({")
LINES = "for i in range(40_000):\n    print(i, flush=True)"
TEXT = 'for _ in range(50):\n    print("x" * 1_048_575)'


def trivial(path: Path, cells: int) -> Path:
    """`cells` cells of one assignment each."""
    return _write(path, [f"x = {number}" for number in range(cells)])


def pictures(path: Path, count: int) -> Path:
    """`count` cells, each with a picture of 300 kB."""
    return _write(path, [PICTURE] * count)


def flood(path: Path) -> Path:
    """Lines that are flushed one by one, much text, many pictures."""
    return _write(path, [LINES, TEXT, PICTURES])


def small_ones(folder: Path, count: int) -> list[Path]:
    """Notebooks that import pandas, scikit-learn and matplotlib, fit a model and draw."""
    return [
        _write(folder / f"small{number:02}.ipynb", [FIT, DATA.format(number=number), SCORE.format(), PLOT])
        for number in range(count)
    ]


def _write(path: Path, sources: list[str]) -> Path:
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in sources],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path
