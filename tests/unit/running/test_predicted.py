"""What `mlci run` makes of a file of predictions: metrics of the whole and of slices, a copy, and what to say."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fakes.predictions import table as file_of
from fakes.runs import configured
from mlci.config.tables import PredictionsTable, RunTable
from mlci.core.documents import digest
from mlci.core.metric import key
from mlci.core.predictions import Layout
from mlci.errors import MetricError
from mlci.plugins import registry
from mlci.running.outputs import Before, Collected, collect
from mlci.running.predicted import measure_of, metrics_of_file


def share(labels: Sequence[float], predicted: Sequence[float], _: object) -> float:
    """A user's metric: the share of labels that were predicted to be 1."""
    return float(sum(predicted) / len(labels))


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("our-share", f"{__name__}:share", "mlci.metrics")
    monkeypatch.setattr(registry, "_found", lambda kind, _: {"our-share": entry} if kind == "metrics" else {})
    monkeypatch.setattr(EntryPoint, "load", lambda _: share)


def write(folder: Path, **columns: Sequence[object]) -> Path:
    path = folder / "p.csv"
    path.write_bytes(file_of(**({"id": range(len(columns["label"]))} | columns)))
    return path


def computed(path: Path, *metrics: str, said: Any = None, **more: Any) -> tuple[dict[str, float], tuple[str, ...]]:
    found = metrics_of_file(
        path, PredictionsTable(path="p.csv", metrics=metrics, **more), name="p.csv", said=said or {}
    )
    return {item.name + (f" {item.slice}" if item.slice else ""): item.value for item in found.metrics}, found.notes


def test_layout__is_what_the_configuration_has() -> None:
    fields = {field.name for field in dataclasses.fields(Layout)}
    assert fields == {*PredictionsTable.__struct_fields__} - {"path", "metrics"}
    for field in dataclasses.fields(Layout):
        assert getattr(PredictionsTable(path="p.csv"), field.name) == field.default


def test_metrics__of_the_whole_and_of_each_slice(tmp_path: Path) -> None:
    path = write(tmp_path, label=[1, 0, 1, 1], prediction=[1, 0, 0, 1], site=["x", "x", "y", "y"])
    found = metrics_of_file(path, PredictionsTable(path="p.csv"), name="p.csv", said={})
    assert [(item.name, item.slice, item.value, item.n, item.direction) for item in found.metrics] == [
        ("accuracy", None, 0.75, 4, "higher"),
        ("accuracy", "site=x", 1.0, 2, "higher"),
        ("accuracy", "site=y", 0.5, 2, "higher"),
    ]
    assert found.notes == ()


def test_metrics__of_numbers_by_default(tmp_path: Path) -> None:
    path = write(tmp_path, label=[1.5, 2.5], prediction=[2.5, 2.5])
    assert computed(path)[0] == pytest.approx({"rmse": math.sqrt(0.5), "mae": 0.5})


def test_metrics__by_the_names_that_were_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, label=[1, 0], prediction=[1, 0], score=[0.9, 0.1])
    assert computed(path, "roc_auc", "f1_score", "roc_auc")[0] == {"roc_auc": 1, "f1_score": 1}


def test_metrics__unasked_what_the_run_itself_says_counts(tmp_path: Path) -> None:
    path = write(tmp_path, label=[1, 0], prediction=[1, 1])
    values, notes = computed(path, said={("accuracy", None, None): 0.75})
    assert values == {}
    assert notes == ("p.csv: accuracy would be 0.5; what the run itself says, 0.75, counts",)


def test_metrics__undefined_of_the_whole_is_nan_and_of_slices_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, label=[1, 0, 1, 1], score=[0.9, 0.1, 0.5, 0.6], site=["x", "x", "y", "z"])
    values, notes = computed(path)
    assert values == {"roc-auc": 1, "roc-auc site=x": 1}
    assert notes == ("p.csv: roc-auc is undefined of site=y and 1 more: labels of one class only",)
    values, notes = computed(write(tmp_path, label=[1, 1], score=[0.9, 0.1], site=["x", "y"]), "roc-auc")
    assert [name for name, value in values.items() if math.isnan(value)] == ["roc-auc"] == [*values]
    assert notes == ("p.csv: roc-auc is undefined: labels of one class only",)


def test_metrics__what_one_takes_is_said_with_file_and_name(tmp_path: Path) -> None:
    with pytest.raises(MetricError, match=r"^p\.csv: f1: it takes two classes, and there are 3; those ending in"):
        computed(write(tmp_path, label=[1, 2, 3], prediction=[1, 2, 3]), "f1")


@pytest.mark.usefixtures("ours")
def test_metrics__of_a_user_s_function(tmp_path: Path) -> None:
    path = write(tmp_path, label=[1, 0, 0, 0], prediction=[1, 0, 0, 1], site=["x", "x", "y", "y"])
    assert computed(path, "our-share")[0] == {"our-share": 0.5, "our-share site=x": 0.5, "our-share site=y": 0.5}


def test_measure_of__a_function_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("ours", "no_such_module_of_ours:cost", "mlci.metrics")
    monkeypatch.setattr(registry, "_found", lambda *_: {"ours": entry})
    with pytest.raises(
        MetricError, match="the metric 'ours' cannot be loaded: No module named 'no_such_module_of_ours'"
    ):
        measure_of("ours")


@pytest.mark.usefixtures("ours")
def test_measure_of__an_unknown_name() -> None:
    with pytest.raises(
        MetricError, match=r"'our_shar' \(did you mean 'our-share'\?\); known: accuracy, .*, our-share$"
    ):
        measure_of("our_shar")


def collected(
    tmp_path: Path, columns: Mapping[str, Sequence[object]] | None, *, also: Sequence[str] = (), **fields: Any
) -> Collected:
    cwd = tmp_path / "repository"
    cwd.mkdir()
    folder = tmp_path / ".mlci/outputs/train"
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text('{"name": "accuracy", "value": 0.75}\n')
    for name in ("p.csv", *also) if columns else ():
        (cwd / name).write_bytes(write(tmp_path, **(columns or {})).read_bytes())
    return collect(
        msgspec.convert({"predictions": "p.csv", "metrics": ()} | fields, RunTable, strict=False),
        cwd=cwd,
        repository=cwd,
        before=Before(),
        folder=folder,
        workspace=tmp_path / ".mlci",
        logged=folder / "metrics.jsonl",
        notebook=None,
    )


def test_collect__keeps_predictions_with_their_digest_and_not_as_artifacts(tmp_path: Path) -> None:
    found = collected(tmp_path, {"label": [1, 0, 1, 1], "prediction": [1, 0, 0, 1]})
    assert (found.problems, found.artifacts, found.notes) == ((), (), ())
    assert found.predictions is not None
    copy = tmp_path / ".mlci" / str(found.predictions.stored)
    assert found.predictions.path == "p.csv"
    assert found.predictions.stored == "outputs/train/predictions/p.csv"
    assert (found.predictions.size, found.predictions.sha256) == (copy.stat().st_size, digest(copy.read_bytes()))
    assert [(key(item), item.value, item.n) for item in found.metrics] == [(("accuracy", None, None), 0.75, 4)]


def test_collect__a_value_that_is_asked_for_and_said_otherwise_is_a_conflict(tmp_path: Path) -> None:
    asked = {"path": "p.csv", "metrics": ["accuracy"]}
    found = collected(tmp_path, {"label": [1, 0], "prediction": [1, 1]}, predictions=asked)
    assert [problem.message for problem in found.problems] == [
        "metric 'accuracy': log_metric says 0.75, p.csv says 0.5"
    ]


def test_collect__unasked_it_is_a_note(tmp_path: Path) -> None:
    found = collected(tmp_path, {"label": [1, 0], "prediction": [1, 1]})
    assert found.problems == ()
    assert [item.value for item in found.metrics] == [0.75]
    assert found.notes == ("p.csv: accuracy would be 0.5; what the run itself says, 0.75, counts",)


@pytest.mark.parametrize(
    ("columns", "fields", "problem"),
    [
        pytest.param(None, {}, ("missing-output", "'p.csv' is declared and was not written"), id="not-written"),
        pytest.param(
            {"label": [1], "guess": [1]},
            {},
            ("metrics", "p.csv: there is no column 'prediction' (or 'score'); there are: id, label, guess"),
            id="not-as-configured",
        ),
    ],
)
def test_collect__problems(
    tmp_path: Path, columns: dict[str, Sequence[object]] | None, fields: dict[str, Any], problem: tuple[str, str]
) -> None:
    found = collected(tmp_path, columns, **fields)
    assert [(item.kind, item.message) for item in found.problems] == [problem]
    assert (found.predictions is None) == (columns is None)


def test_collect__several_files(tmp_path: Path) -> None:
    columns = {"label": [1], "prediction": [1]}
    found = collected(tmp_path, columns, also=("q.csv",), predictions="*.csv")
    message = "'*.csv' is to be one file of predictions, and 2 were written"
    assert [(item.kind, item.message) for item in found.problems] == [("missing-output", message)]
    assert found.predictions is None


def test_resolve__predictions_in_either_form(tmp_path: Path) -> None:
    text = '[runs.a]\ncommand = ["true"]\npredictions = {}\n'
    for written in ('"p.csv"', '{ path = "p.csv", metrics = ["f1"], positive = "yes" }'):
        _, runs = configured(tmp_path, text.format(written))
        assert runs["a"].table.predictions_file is not None
        assert runs["a"].table.predictions_file.path == "p.csv"
