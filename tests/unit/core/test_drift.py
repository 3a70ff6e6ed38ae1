"""Drift reports: those that Evidently 0.7.23 and its predecessors write, and those that nobody should believe."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlci.core import drift
from mlci.core.drift import Finding
from mlci.errors import DocumentError


def column(name: str, value: object, *, method: str = "K-S p_value", threshold: object = 0.05) -> dict[str, Any]:
    """A ValueDrift as Evidently 0.7.23 writes it."""
    return {
        "id": "1cf7e5c2a8eb2a62a2667e70ee06d259",
        "metric_name": f"ValueDrift(column={name},method={method},threshold={threshold})",
        "config": {
            "type": "evidently:metric_v2:ValueDrift",
            "column": name,
            "method": method,
            "threshold": threshold,
        },
        "value": value,
    }


def dataset(share: object, limit: object = 0.5) -> dict[str, Any]:
    """A DriftedColumnsCount likewise."""
    return {
        "id": "15e89f895b482f9b84ba7274ed18a106",
        "metric_name": f"DriftedColumnsCount(drift_share={limit})",
        "config": {"type": "evidently:metric_v2:DriftedColumnsCount", "drift_share": limit},
        "value": {"count": 1.0, "share": share},
    }


def a_test(status: str, name: str = "Mean value of 'age': Less 45.000") -> dict[str, Any]:
    return {"id": "lt", "name": name, "description": "Actual value 49.531 >= 45.000", "status": status}


MEAN = {
    "id": "0",
    "metric_name": "MeanValue(column=age)",
    "config": {"type": "evidently:metric_v2:MeanValue"},
    "value": 1.0,
}


def found(*metrics: object, tests: tuple[object, ...] = ()) -> list[tuple[str, str]]:
    report = json.dumps({"metrics": metrics, "tests": tests}).encode()
    return [(item.kind, item.what) for item in drift.read(report, name="drift.json")]


@pytest.mark.parametrize(
    ("metric", "drifts"),
    [
        (column("age", 1e-71), True),
        (column("age", 0.58), False),
        (column("age", 0.01, method="ks"), True),
        (column("age", 4.1, method="psi", threshold=0.1), True),
        (column("age", 0.1, method="psi", threshold=0.1), True),
        (column("age", 0.02, method="Jensen-Shannon distance", threshold=0.1), False),
        (column("age", 0.6, method="Wasserstein distance (normed)", threshold=0.1), True),
        (column("age", float("nan")), True),
        (column("age", 10**400), True),
    ],
)
def test_read__a_column_drifts_by_its_own_threshold(metric: dict[str, Any], drifts: bool) -> None:
    assert found(metric) == ([("drift", "age")] if drifts else [])


@pytest.mark.parametrize(("share", "drifts"), [(0.49, False), (0.5, True), (1.0, True)])
def test_read__of_a_dataset_the_share_decides_and_columns_are_named(share: float, drifts: bool) -> None:
    metrics = [dataset(share), column("age", 1e-9), column("income", 0.5)]
    findings = drift.read(json.dumps({"metrics": metrics, "tests": []}).encode(), name="r.json")
    assert [item.what for item in findings] == (["dataset"] if drifts else [])
    if drifts:
        assert findings[0].detail == f"{share:.3g} of the columns drifted, it drifts from 0.5: age"


@pytest.mark.parametrize(
    ("status", "fails"), [("SUCCESS", False), ("WARNING", False), ("FAIL", True), ("ERROR", True), ("fail", True)]
)
def test_read__tests(status: str, fails: bool) -> None:
    assert found(MEAN, tests=(a_test(status),)) == ([("test", "Mean value of 'age': Less 45.000")] if fails else [])


def test_read__a_finding_says_where_and_what() -> None:
    report = json.dumps({"metrics": [column("age", 0.001)], "tests": [a_test("FAIL", "A\ntest " + "x" * 500)]})
    first, second = drift.read(report.encode(), name="drift.json")
    assert first == Finding(kind="drift", report="drift.json", what="age", detail="K-S p_value 0.001, threshold 0.05")
    assert (second.what[:7], len(second.what), second.detail) == ("A test ", 200, "Actual value 49.531 >= 45.000")


def test_read__the_first_0_7_had_no_configuration() -> None:
    count = {"metric_id": "DriftedColumnsCount(drift_share=0.3)", "value": {"count": 2, "share": 0.4}}
    assert found(count, {"metric_id": "ValueDrift(column=age)", "value": 0.1}) == [("drift", "dataset")]


@pytest.mark.parametrize("drifts", [True, False])
def test_read__reports_before_0_7(drifts: bool) -> None:
    whole = {"metric": "DatasetDriftMetric", "result": {"dataset_drift": drifts, "share_of_drifted_columns": 0.5}}
    one = {"metric": "ColumnDriftMetric", "result": {"column_name": "age", "drift_detected": drifts}}
    assert found(whole, one) == ([("drift", "dataset")] if drifts else [])
    assert found(one) == ([("drift", "age")] if drifts else [])


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ([], "not a report of Evidently"),
        ({"accuracy": 0.9}, "not a report of Evidently"),
        ({"metrics": [], "tests": []}, "it decides nothing"),
        ({"metrics": [MEAN]}, "it decides nothing"),
        ({"metrics": [], "tests": [a_test("SKIPPED")]}, "it decides nothing"),
        ({"metrics": {}}, "metrics: expected a list of objects"),
        ({"metrics": ["x"]}, "metrics: expected a list of objects"),
        ({"metrics": [], "tests": [a_test("MAYBE\nx")]}, "tests[0].status: expected SUCCESS, FAIL, ..., got MAYBE X"),
        ({"metrics": [], "tests": [{"name": "x"}]}, "tests[0].status"),
        ({"metrics": [dataset("half")]}, "metrics[0]: expected value.share"),
        ({"metrics": [dataset(0.1, limit=True)]}, "metrics[0]: expected value.share"),
        ({"metrics": [{**dataset(0.1), "value": 3}]}, "metrics[0]: expected value.share"),
        ({"metrics": [column("age", "low")]}, "metrics[0].value: expected a number"),
        ({"metrics": [column("age", 0.1, method="custom function 'f'")]}, "cannot be told by the method"),
        ({"metrics": [{"metric_id": "ValueDrift(column=age)", "value": 0.1}]}, "cannot be told by the method"),
        ({"metrics": [{"metric": "D", "result": {"dataset_drift": "no"}}]}, "result.dataset_drift: expected true"),
        ({"metrics": [MEAN] * (drift.MAX_ITEMS + 1)}, "at most 10,000 are read"),
    ],
)
def test_read__what_is_no_report_is_an_error_in_one_line(report: object, said: str) -> None:
    with pytest.raises(DocumentError) as caught:
        drift.read(json.dumps(report).encode(), name="drift.json")
    assert said in caught.value.message
    assert caught.value.message.startswith("drift.json: ")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b'{"metrics": [], "metrics": []}'])
def test_read__what_is_no_json(data: bytes) -> None:
    with pytest.raises(DocumentError):
        drift.read(data, name="drift.json")


def test_read__a_method_of_one_s_own_is_for_tests_to_judge() -> None:
    metric = column("age", 0.9, method="custom function 'f'")
    assert found(metric, tests=(a_test("SUCCESS"),)) == []
    assert found(metric, tests=(a_test("FAIL"),)) == [("test", "Mean value of 'age': Less 45.000")]


def test_read__many_findings_are_cut_and_counted() -> None:
    findings = found(*(column(f"c{number}", 0.0) for number in range(500)))
    assert len(findings) == drift.MAX_FINDINGS
    assert findings[-1] == ("drift", "401 more")
