from __future__ import annotations

import json
import math
from pathlib import Path, PurePath

import pytest

from mlci.core.documents import Metric
from mlci.errors import MetricError
from mlci.plugins.readers.evidently import EvidentlyReader

FIXTURE = Path(__file__).parents[3] / "fixtures/readers/evidently/report.json"


def read(tmp_path: Path, report: object) -> list[Metric]:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report))
    return EvidentlyReader().read(path, name="report")


def one(tmp_path: Path, value: object, **config: object) -> list[Metric]:
    return read(tmp_path, {"metrics": [{"metric_name": "M()", "config": config, "value": value}], "tests": []})


def test_read__what_evidently_writes() -> None:
    found = {(metric.name, metric.slice): metric for metric in EvidentlyReader().read(FIXTURE, name="report")}
    assert found["Accuracy(classification_name=default)", None].value == pytest.approx(0.9333, abs=1e-4)
    labels = [found["F1ByLabel(classification_name=default)", f"class={label}"].value for label in "abc"]
    assert labels == pytest.approx([0.9778, 0.9231, 0.8889], abs=1e-4)
    assert found["UniqueValueCount(column=target).count", "class=a"].value == 23
    drift = found["ValueDrift(column=x,method=K-S p_value,threshold=0.05)", None]
    assert (drift.value < 0.05, drift.direction) == (True, "higher")
    assert found["DriftedColumnsCount(drift_share=0.5).share", None].direction == "lower"
    tests = {name: metric.value for (name, _), metric in found.items() if name.startswith("tests.")}
    assert tests == {"tests.success": 1, "tests.fail": 1, "tests.warning": 0, "tests.error": 0, "tests.skipped": 0}


def test_read__a_distance_of_drift_is_better_lower(tmp_path: Path) -> None:
    [metric] = one(tmp_path, 0.1, type="evidently:metric_v2:ValueDrift", method="Wasserstein distance (normed)")
    assert metric.direction == "lower"


@pytest.mark.parametrize("value", [None, "text", [1, 2], {}, {"a": None}, True])
def test_read__what_is_no_number_is_passed_over(tmp_path: Path, value: object) -> None:
    assert one(tmp_path, value) == []


def test_read__nan_is_a_number(tmp_path: Path) -> None:
    [metric] = one(tmp_path, math.nan)
    assert math.isnan(metric.value)


def test_read__a_mean_and_its_deviation(tmp_path: Path) -> None:
    assert one(tmp_path, {"mean": 1.0, "std": 0.5}) == [
        Metric(name="M().mean", value=1),
        Metric(name="M().std", value=0.5),
    ]


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ([], "expected an object, got a list"),
        ({}, "metrics: expected a list, got nothing"),
        ({"metrics": {"a": 1}}, "metrics: expected a list, got an object"),
        ({"metrics": [1]}, r"metrics\[0\]: expected an object, got a single value"),
        ({"metrics": [{"value": 1}]}, r"metrics\[0\].metric_name: expected text, got nothing"),
        ({"metrics": [{"metric_name": "M()", "value": 1}] * 2}, r"the metric 'M\(\)' stands twice"),
        ({"metrics": [], "tests": "none"}, "tests: expected a list, got text"),
        ({"metrics": [], "tests": [1]}, r"tests\[0\]: expected an object, got a single value"),
        ({"metrics": [], "tests": [{"status": "FINE"}]}, r"tests\[0\].status: expected one of success, .*, got 'fine'"),
        (
            {"metrics": [{"metric_name": f"M({index})", "value": 1} for index in range(10_001)]},
            "more than 10,000 metrics",
        ),
    ],
    ids=["list", "nothing", "object", "number", "unnamed", "twice", "text", "test", "status", "many"],
)
def test_read__what_is_refused(tmp_path: Path, report: object, said: str) -> None:
    with pytest.raises(MetricError, match=f"^report: {said}"):
        read(tmp_path, report)


@pytest.mark.parametrize(
    ("head", "recognised"),
    [
        (FIXTURE.read_bytes(), True),
        (FIXTURE.read_bytes()[:400], True),
        (b'{"metrics": {"accuracy": 0.5}}', False),
        (b'{"metrics": [{"name": "accuracy", "value": 0.5}]}', False),
        (b"", False),
    ],
)
def test_recognises(head: bytes, recognised: bool) -> None:
    assert EvidentlyReader.recognises(PurePath("report.json"), head) is recognised
