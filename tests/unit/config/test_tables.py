from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlci.config.file import json_schema
from mlci.config.tables import MetricFile, RunTable

ROOT = Path(__file__).parents[3]


def test_json_schema__is_the_committed_one() -> None:
    assert (ROOT / "schema/mlci.schema.json").read_bytes() == json_schema()


def test_json_schema__is_closed_to_unknown_keys() -> None:
    tables = json.loads(json_schema())["$defs"]
    assert all(table["additionalProperties"] is False for table in tables.values())


def test_json_schema__every_key_is_described() -> None:
    for name, table in json.loads(json_schema())["$defs"].items():
        for key, value in table["properties"].items():
            assert value.get("description") or (name, key) == ("GateTable", ""), f"{name}.{key}"


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("sqlite:///mlflow.db", "mlflow.db"),
        ("sqlite:////data/mlflow.db", "/data/mlflow.db"),
        ("file:mlruns", "mlruns/*/*/meta.yaml"),
        ("file:./mlruns/", "./mlruns/*/*/meta.yaml"),
    ],
)
def test_metric_files__an_address_on_disk_is_a_file(address: str, path: str) -> None:
    run = RunTable(metrics=(MetricFile(path=address, format="mlflow"),))
    assert run.metric_files == (MetricFile(path=path, format="mlflow"),)
    assert run.metric_servers == ()


@pytest.mark.parametrize("address", ["http://mlflow.internal:5000", "https://mlflow.internal", "$MLFLOW_TRACKING_URI"])
def test_metric_servers__are_no_files(address: str) -> None:
    server = MetricFile(path=address, format="mlflow", experiment="churn")
    run = RunTable(metrics=("metrics.json", server, "$dir/metrics.json"))
    assert run.metric_servers == (server,)
    assert [file.path for file in run.metric_files] == ["metrics.json", "$dir/metrics.json"]
