from __future__ import annotations

import json
from pathlib import Path

import pytest

from fakes.loopback import Answer, Request, serving
from fakes.runs import configured
from mlci.core.documents import Metric
from mlci.running.outputs import Collected
from mlci.running.tracked import with_tracked

LINES = """
[runs.train]
command = ["true"]
metrics = [{ path = "$SERVER", format = "mlflow" }]
"""


def tracking(request: Request) -> Answer:
    run = {
        "info": {"run_id": "r1", "status": "FINISHED", "start_time": 1},
        "data": {"metrics": [{"key": "accuracy", "value": 0.9}]},
    }
    return Answer(body=json.dumps({"runs": [run]} if "runs" in request.path else {"experiments": []}).encode())


def joined(folder: Path, *metrics: Metric, **environ: str) -> Collected:
    _, runs = configured(folder, LINES)
    with serving(tracking) as url:
        return with_tracked(
            Collected(metrics=metrics, notes=("kept",)),
            runs["train"],
            environ={"SERVER": url, "MLCI_EXECUTION": "e1"} | environ,
            commit="c" * 40,
            started_at="2026-01-31T12:00:00.000+00:00",
        )


def test_with_tracked__stands_beside_what_the_run_left_here(tmp_path: Path) -> None:
    found = joined(tmp_path, Metric(name="loss", value=0.1), Metric(name="accuracy", value=0.9, unit="%"))
    assert {metric.name: (metric.value, metric.unit) for metric in found.metrics} == {
        "loss": (0.1, None),
        "accuracy": (0.9, "%"),
    }
    assert (found.problems, found.notes) == ((), ("kept",))


@pytest.mark.parametrize(
    ("value", "environ", "said"),
    [
        (0.8, {}, "metric 'accuracy': the run says 0.8, MLflow run r1 at 127.0.0.1:"),
        (0.9, {"SERVER": ""}, "$SERVER is not set: expected the address of a tracking server"),
        (0.9, {"SERVER": "sqlite:///mlflow.db"}, "MLflow: expected the address of a tracking server, http://HOST"),
    ],
    ids=["other value", "not set", "no server"],
)
def test_with_tracked__what_cannot_be_had_is_a_problem_of_the_run(
    tmp_path: Path, value: float, environ: dict[str, str], said: str
) -> None:
    found = joined(tmp_path, Metric(name="accuracy", value=value), **environ)
    [problem] = found.problems
    assert problem.kind == "metrics"
    assert problem.message.startswith(said)
    assert "\n" not in problem.message
