from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mlci.plugins.readers.notebook import NotebookReader


def scrap(name: str, data: Any, **about: Any) -> dict[str, Any]:
    return {
        "data": {
            "application/scrapbook.scrap.json+json": {"name": name, "data": data, "encoder": "json", "version": 1}
            | about
        }
    }


def record(**values: Any) -> dict[str, Any]:
    return {"data": {"application/papermill.record+json": values}}


def read(tmp_path: Path, *outputs: Any) -> dict[str, float]:
    path = tmp_path / "executed.ipynb"
    path.write_text(json.dumps({"cells": [{"outputs": [output]} for output in outputs]}))
    return {metric.name: metric.value for metric in NotebookReader().read(path, name="executed.ipynb")}


def test_read__scraps_and_papermill_records(tmp_path: Path) -> None:
    assert read(tmp_path, scrap("f1", 0.5), record(loss=0.1, epochs=3)) == {"f1": 0.5, "loss": 0.1, "epochs": 3.0}


def test_read__the_last_one_of_a_name_wins(tmp_path: Path) -> None:
    assert read(tmp_path, scrap("f1", 0.5), record(f1=0.6), scrap("f1", 0.7)) == {"f1": 0.7}


def test_read__what_is_no_number_is_none_of_ours(tmp_path: Path) -> None:
    outputs = [scrap("text", "x"), scrap("table", {"a": 1}), scrap("flag", True), scrap("figure", 1, encoder="display")]
    assert read(tmp_path, *outputs) == {}


def test_read__log_metric_s_own_scraps_come_from_its_file(tmp_path: Path) -> None:
    assert read(tmp_path, scrap("f1", 0.5) | {"metadata": {"mlci": {"metric": "f1"}}}) == {}


def test_read__cells_of_any_shape(tmp_path: Path) -> None:
    path = tmp_path / "executed.ipynb"
    for cells in (
        None,
        3,
        [
            3,
            None,
            {},
            {"outputs": 3},
            {"outputs": [3, {"data": []}, {"data": {"application/scrapbook.scrap.json+json": 3}}]},
        ],
    ):
        path.write_text(json.dumps({"cells": cells}))
        assert NotebookReader().read(path, name="executed.ipynb") == []
