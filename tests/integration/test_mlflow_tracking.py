"""Trainings that log to a tracking server: mlci finds their runs there, by its own tag or by their commit."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from fakes.command_line import Workbench, workbench
from fakes.mlflow_server import MlflowServer
from mlci.errors import MetricError
from mlci.plugins.readers.mlflow_tracking import TrackingServer, Wanted

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("mlflow")]

CONFIG = """
[runs.churn]
script = "train.py"
metrics = [{ path = "$MLFLOW_TRACKING_URI", format = "mlflow", experiment = "churn" }]
"""
# As a team writes it that has never heard of mlci.
TRAIN = """
import mlflow

mlflow.set_experiment("churn")
with mlflow.start_run():
    mlflow.log_metric("accuracy", 0.5, step=1)
    mlflow.log_metric("accuracy", 0.9, step=2)
    mlflow.log_metric("loss", 0.0)
    with mlflow.start_run(nested=True):
        mlflow.log_metric("accuracy", 0.1)
"""


@pytest.fixture
def url(mlflow: MlflowServer) -> str:
    return mlflow.url


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    bench = workbench(tmp_path)
    bench.write(mlci__toml=CONFIG, train__py=TRAIN)
    bench.commit()
    return bench


def ask(url: str, path: str, **body: Any) -> Any:
    answer = requests.post(f"{url}/api/2.0/mlflow/{path}", json=body, timeout=30)
    answer.raise_for_status()
    return answer.json()


def logged(
    url: str, experiment: str, status: str = "FINISHED", tags: dict[str, str] | None = None, **metrics: Any
) -> str:
    """A run that another machine has logged; its id."""
    known = requests.get(
        f"{url}/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": experiment}, timeout=30
    ).json()
    experiment_id = (
        known["experiment"]["experiment_id"]
        if "experiment" in known
        else ask(url, "experiments/create", name=experiment)["experiment_id"]
    )
    now = int(time.time() * 1000)
    given = [{"key": key, "value": value} for key, value in (tags or {}).items()]
    run: str = ask(url, "runs/create", experiment_id=experiment_id, start_time=now, tags=given)["run"]["info"]["run_id"]
    for key, value in metrics.items():
        ask(url, "runs/log-metric", run_id=run, key=key, value=value, timestamp=now, step=0)
    ask(url, "runs/update", run_id=run, status=status, end_time=now)
    return run


def test_run__finds_what_the_training_logged(url: str, bench: Workbench) -> None:
    context = json.dumps({"team": "risk"})
    done = bench.mlci("run", MLFLOW_TRACKING_URI=url, MLFLOW_RUN_CONTEXT=context, MLFLOW_DISABLE_TELEMETRY="true")
    assert done.code == 0, done.err
    result = bench.result("churn")
    assert {metric["name"]: metric["value"] for metric in result["metrics"]} == {"accuracy": 0.9, "loss": 0.0}
    assert (result["elsewhere"], result["notes"]) == (None, [])
    experiment = requests.get(
        f"{url}/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": "churn"}, timeout=30
    ).json()["experiment"]["experiment_id"]
    runs = ask(url, "runs/search", experiment_ids=[experiment])["runs"]
    tags = [{tag["key"]: tag["value"] for tag in run["data"]["tags"]} for run in runs]
    assert [tag["team"] for tag in tags] == ["risk", "risk"]
    assert len({tag["mlci.execution"] for tag in tags}) == 1


def test_run__fails_where_the_training_logged_nothing(url: str, bench: Workbench) -> None:
    logged(url, "churn", tags={"mlflow.source.git.commit": bench.repository.git("rev-parse", "HEAD")}, accuracy=1.0)
    time.sleep(0.01)  # that one started before
    bench.write(train__py="print('quiet')\n")
    done = bench.mlci("run", MLFLOW_TRACKING_URI=url)
    assert done.code == 4
    error = bench.result("churn")["error"]
    assert error["kind"] == "metrics"
    assert "no run in the experiment 'churn' with the tag mlci.execution = " in error["message"]


def test_run__without_the_variable_that_names_the_server(bench: Workbench) -> None:
    bench.write(train__py="print('quiet')\n")
    assert bench.mlci("run").code == 4
    message = bench.result("churn")["error"]["message"]
    assert message == "$MLFLOW_TRACKING_URI is not set: expected the address of a tracking server"


def test_run__a_training_on_another_machine_is_found_by_its_commit(url: str, bench: Workbench) -> None:
    # What it starts has git and the server's address, and not the environment that mlci gives.
    bench.write(train__py=f"import os; del os.environ['MLFLOW_RUN_CONTEXT']\n{TRAIN}")
    bench.commit()
    done = bench.mlci("run", MLFLOW_TRACKING_URI=url, MLFLOW_DISABLE_TELEMETRY="true")
    assert done.code == 0, (done.err, bench.result("churn")["error"])
    [note] = bench.result("churn")["notes"]
    assert note.startswith("MLflow run ")
    assert note.endswith(" was found by commit and time: it has no tag of mlci")


def test_record_from__the_newest_run_of_the_commit(url: str, bench: Workbench) -> None:
    commit = bench.repository.git("rev-parse", "HEAD")
    logged(url, "nightly", tags={"mlflow.source.git.commit": commit}, accuracy=0.7)
    newest = logged(url, "nightly", tags={"mlflow.source.git.commit": commit}, accuracy=0.8)
    logged(url, "nightly", tags={"mlflow.source.git.commit": "d" * 40}, accuracy=0.9)
    done = bench.mlci("record", "--from", f"mlflow:{url}#nightly", "--commit", commit[:9], "--run", "churn")
    assert done.code == 0, done.err
    [record] = bench.document("record.json")["records"]
    assert [metric["value"] for metric in record["metrics"]] == [0.8]
    assert record["elsewhere"] == f"MLflow run {newest} at {url.removeprefix('http://')}"
    assert record["origin"]["commit"] == commit


@pytest.mark.parametrize("experiment", [None, "odd"])
def test_find__numbers_and_tags_as_a_real_server_says_them(url: str, experiment: str | None) -> None:
    largest = 1.7976931348623157e308
    logged(
        url, "odd", tags={"mlci.execution": "e-odd"}, nan="NaN", inf="Infinity", low="-Infinity", big=largest, no=0.0
    )
    found = TrackingServer(uri=url, environ={}, experiment=experiment).find(Wanted(execution="e-odd"))
    read = {metric.name: metric.value for metric in found.metrics}
    assert math.isnan(read.pop("nan"))
    assert read == {"inf": math.inf, "low": -math.inf, "big": math.inf, "no": 0.0}


@pytest.mark.parametrize(
    ("wanted", "experiment", "said"),
    [
        (Wanted(execution="e-none"), "odd", "no run in the experiment 'odd' with the tag mlci.execution = e-none"),
        (Wanted(execution="e-none"), "none", "it has no experiment 'none'"),
        (Wanted(execution="e-killed"), None, "it is KILLED, not FINISHED"),
    ],
    ids=["no run", "no experiment", "unfinished"],
)
def test_find__what_a_real_server_does_not_have(url: str, wanted: Wanted, experiment: str | None, said: str) -> None:
    logged(url, "odd", "KILLED", tags={"mlci.execution": "e-killed"}, accuracy=0.5)
    with pytest.raises(MetricError) as caught:
        TrackingServer(uri=url, environ={}, experiment=experiment).find(wanted)
    assert said in caught.value.message
