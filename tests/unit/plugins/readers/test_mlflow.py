from __future__ import annotations

import contextlib
import math
import os
import sqlite3
from pathlib import Path, PurePath

import pytest

from mlci.core.documents import Metric
from mlci.errors import MetricError
from mlci.plugins.readers import mlflow, mlflow_database
from mlci.plugins.readers.mlflow import MlflowReader

FIXTURES = Path(__file__).parents[3] / "fixtures/readers/mlflow"
DATABASE, META = FIXTURES / "mlflow.db", FIXTURES / "mlruns/1/second/meta.yaml"
RUNS = "CREATE TABLE runs (run_uuid, name, status, start_time, end_time, lifecycle_stage);"
METRICS = "CREATE TABLE metrics (key, value, timestamp, run_uuid, step, is_nan);"
FINISHED = "INSERT INTO runs VALUES ('a', 'one', 'FINISHED', 10, 20, 'active');"
VALUE = "INSERT INTO metrics VALUES ('accuracy', 0.5, 1, 'a', 0, 0);"


def database(tmp_path: Path, *statements: str) -> Path:
    path = tmp_path / "mlflow.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript("\n".join(statements))
    return path


def read(path: Path) -> list[Metric]:
    return MlflowReader().read(path, name="runs")


def outcome(path: Path) -> str:
    try:
        return f"runs: {len(read(path))} metrics"
    except MetricError as error:
        return error.message


def run_folder(tmp_path: Path, meta: str, **metrics: str) -> Path:
    (tmp_path / "metrics").mkdir()
    for name, text in metrics.items():
        (tmp_path / "metrics" / name).write_text(text)
    (tmp_path / "meta.yaml").write_text(meta)
    return tmp_path / "meta.yaml"


@pytest.mark.parametrize("path", [DATABASE, META])
def test_read__what_mlflow_writes(path: Path) -> None:
    found = {metric.name: metric for metric in read(path)}
    assert found.keys() == {"auc", "loss", "val/accuracy", "worst"}
    assert found["loss"].value == 0.2
    assert found["loss"].series == tuple((step, 1 / (step + 1)) for step in range(5))
    assert found["val/accuracy"].value == 0.75
    assert math.isnan(found["auc"].value)
    assert found["worst"].value == math.inf


def test_read__a_database_is_left_as_it_was(tmp_path: Path) -> None:
    path = database(tmp_path, "PRAGMA journal_mode = WAL;", RUNS, METRICS, FINISHED, VALUE)
    before = path.read_bytes()
    path.chmod(0o400)
    assert [metric.value for metric in read(path)] == [0.5]
    assert [file.name for file in tmp_path.iterdir()] == ["mlflow.db"]
    assert path.read_bytes() == before


def test_read__the_run_that_ended_last(tmp_path: Path) -> None:
    nested = "INSERT INTO runs VALUES ('b', 'trial', 'FAILED', 12, 13, 'active');"
    older = "INSERT INTO runs VALUES ('c', 'old', 'FINISHED', 1, 2, 'active');"
    deleted = "INSERT INTO runs VALUES ('d', 'gone', 'FINISHED', 30, 40, 'deleted');"
    others = (
        "INSERT INTO metrics VALUES ('accuracy', 9, 1, 'b', 0, 0), ('old', 9, 1, 'c', 0, 0), ('x', 9, 1, 'd', 0, 0);"
    )
    path = database(tmp_path, RUNS, METRICS, FINISHED, VALUE, nested, older, deleted, others)
    assert read(path) == [Metric(name="accuracy", value=0.5, series=((0, 0.5),))]


@pytest.mark.parametrize("status", ["FAILED", "RUNNING", "KILLED"])
def test_read__a_run_that_began_after_it_and_did_not_finish(tmp_path: Path, status: str) -> None:
    later = "INSERT INTO runs VALUES ('b', 'two', 'X', 21, NULL, 'active');".replace("X", status)
    path = database(tmp_path, RUNS, METRICS, FINISHED, VALUE, later)
    with pytest.raises(MetricError, match=f"^runs: the newest run, 'two', is {status}, not FINISHED$"):
        read(path)


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (["CREATE TABLE other (a);"], "no database of MLflow: it has no table 'runs'"),
        ([RUNS], "no database of MLflow: it has no table 'metrics'"),
        ([RUNS, METRICS], "it holds no run"),
        ([RUNS, "CREATE TABLE metrics (key);", FINISHED], "not a database that can be read: no such column: step"),
        (
            [
                RUNS,
                FINISHED,
                "CREATE VIEW metrics AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT 1) SELECT i FROM n;",
            ],
            "no database of MLflow: 'metrics' is no plain table",
        ),
        (
            [RUNS, METRICS, FINISHED, "INSERT INTO metrics VALUES ('f1', 'high', 1, 'a', 0, 0);"],
            "the metric f1: expected numbers, got 'high' at 0",
        ),
        (
            [RUNS, METRICS, FINISHED, "INSERT INTO metrics VALUES ('f1', 1, 1, 'a', x'00', 0);"],
            "the metric f1: expected numbers, got 1 at b'.x00'",
        ),
        (
            [RUNS, METRICS, FINISHED, "INSERT INTO metrics VALUES (CAST(x'ff' AS TEXT), 1, 1, 'a', 0, 0);"],
            "not a database that can be read: Could not decode to UTF-8",
        ),
        (
            [RUNS, METRICS, FINISHED, "INSERT INTO metrics VALUES (printf('%.*c', 10000000, 'x'), 1, 1, 'a', 0, 0);"],
            "not a database that can be read: string or blob too big",
        ),
        (
            [
                RUNS,
                METRICS,
                FINISHED,
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10001)"
                " INSERT INTO metrics SELECT 'm' || i, 1, 1, 'a', 0, 0 FROM n;",
            ],
            "more than 10,000 metrics",
        ),
    ],
    ids=["other", "no metrics", "empty", "columns", "view", "text", "blob", "encoding", "long", "many"],
)
def test_read__a_database_that_is_not_as_mlflow_makes_it(tmp_path: Path, statements: list[str], said: str) -> None:
    with pytest.raises(MetricError, match=f"^runs: {said}"):
        read(database(tmp_path, *statements))


def test_read__a_query_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_database, "_MAX_WORK", 1_000_000)
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000)"
    values = " INSERT INTO metrics SELECT 'm', 1, 1, 'a', i, 0 FROM n;"
    path = database(tmp_path, RUNS, METRICS, FINISHED, numbers + values)
    with pytest.raises(MetricError, match=r"^runs: not a database that can be read: it takes too long$"):
        read(path)


def test_read__more_values_than_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_database, "_MAX_ROWS", 3)
    values = "INSERT INTO metrics VALUES ('m', 1, 1, 'a', 0, 0), ('m', 1, 1, 'a', 1, 0), ('m', 1, 1, 'a', 2, 0);"
    path = database(tmp_path, RUNS, METRICS, FINISHED, values)
    assert [metric.value for metric in read(path)] == [1]
    path = database(tmp_path, VALUE)
    with pytest.raises(MetricError, match=r"^runs: more than 3 values of one run$"):
        read(path)


def test_read__a_database_cut_short_anywhere(tmp_path: Path) -> None:
    whole, path = DATABASE.read_bytes(), tmp_path / "mlflow.db"
    for cut in range(0, len(whole), 509):
        path.write_bytes(whole[:cut])
        with pytest.raises(MetricError, match=r"^runs: [^\n]+$"):
            read(path)


def test_read__a_database_with_broken_pages_gives_metrics_or_one_line(tmp_path: Path) -> None:
    whole, path = DATABASE.read_bytes(), tmp_path / "mlflow.db"
    for start in range(0, len(whole), 256):
        path.write_bytes(whole[:start] + b"\xa5" * 64 + whole[start + 64 :])
        line = outcome(path)
        assert line.startswith("runs: ")
        assert "\n" not in line


@pytest.mark.parametrize("ending", ["-journal", "-wal"])
def test_read__a_database_that_is_being_written(tmp_path: Path, ending: str) -> None:
    path = database(tmp_path, RUNS, METRICS, FINISHED, VALUE)
    (tmp_path / f"mlflow.db{ending}").write_bytes(b"pages")
    with pytest.raises(MetricError, match=f"^runs: mlflow.db{ending} lies beside it: who wrote it has not closed it$"):
        read(path)


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        ("run_id: a\nstatus: 4\n", "status: the run's is FAILED, only FINISHED ones are read"),
        ("run_id: a\nstatus: 1\n", "status: the run's is RUNNING, only FINISHED ones are read"),
        ("run_id: a\nstatus: 9\n", "status: the run's is unknown, only FINISHED ones are read"),
        ("run_id: a\n", "status: the run's is not said, only FINISHED ones are read"),
        ("experiment_id: a\nname: churn\n", "neither a database of MLflow nor the meta.yaml of a run"),
        ("", "neither a database of MLflow nor the meta.yaml of a run"),
    ],
)
def test_read__a_run_folder_that_is_not_read(tmp_path: Path, meta: str, said: str) -> None:
    with pytest.raises(MetricError, match=f"^runs: {said}$"):
        read(run_folder(tmp_path, meta, accuracy="1 0.5 0\n"))


def test_read__the_value_at_the_last_step_then_of_the_last_moment(tmp_path: Path) -> None:
    text = "5 0.1 2\n1 0.2 0\n3 0.4 1\n2 0.3 1\n6 nan 3 validation 1a2b\n"
    [metric] = read(run_folder(tmp_path, "run_uuid: a\nstatus: 3\n", accuracy=text))
    assert metric.series[:3] == ((0, 0.2), (1, 0.4), (2, 0.1))
    assert math.isnan(metric.value)


def test_read__values_without_a_step_and_infinities(tmp_path: Path) -> None:
    found = read(run_folder(tmp_path, "run_id: a\nstatus: 3\n", a="1 0.5\n", b="1 -inf 0\n", c="1 1e999 0\n"))
    assert {metric.name: metric.value for metric in found} == {"a": 0.5, "b": -math.inf, "c": math.inf}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 0.5 0\nhigh\n", "line 2: expected a time, a value and a step"),
        ("1 high 0\n", "line 1: expected a time, a value and a step"),
        ("\n", "line 1: expected a time, a value and a step"),
        ("\x00\x00", "line 1: expected a time, a value and a step"),
        ("x" * 10_000_000, "line 1: expected a time, a value and a step"),
    ],
    ids=["second", "value", "blank", "NUL", "long"],
)
def test_read__a_line_that_is_no_value(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(MetricError, match=f"^runs: metrics/accuracy, {said}$"):
        read(run_folder(tmp_path, "run_id: a\nstatus: 3\n", accuracy=text))


def test_read__an_empty_metric_file(tmp_path: Path) -> None:
    with pytest.raises(MetricError, match=r"^runs: metrics/accuracy: it is empty"):
        read(run_folder(tmp_path, "run_id: a\nstatus: 3\n", accuracy=""))


def test_read__metric_files_too_large_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow, "_MAX_HISTORY", 10)
    with pytest.raises(MetricError, match=r"^runs: metrics/b: larger than 2 bytes$"):
        read(run_folder(tmp_path, "run_id: a\nstatus: 3\n", a="1 0.5 0\n", b="1 0.5 0\n"))


def test_read__a_folder_of_metrics_that_is_a_link_leads_nowhere(tmp_path: Path) -> None:
    path = run_folder(tmp_path, "run_id: a\nstatus: 3\n", a="1 0.5 0\n")
    (tmp_path / "metrics").rename(tmp_path / "elsewhere")
    (tmp_path / "metrics").symlink_to(tmp_path / "elsewhere")
    assert read(path) == []


def test_read__a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = run_folder(tmp_path, "run_id: a\nstatus: 3\n", a="1 0.5 0\n")
    os.mkfifo(tmp_path / "metrics/pipe")
    assert [metric.name for metric in read(path)] == ["a"]


def test_read__a_link_leads_nowhere(tmp_path: Path) -> None:
    path = run_folder(tmp_path, "run_id: a\nstatus: 3\n", a="1 0.5 0\n")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/b").write_text("1 0.5 0\n")
    (tmp_path / "metrics/file").symlink_to(tmp_path / "secret/b")
    (tmp_path / "metrics/folder").symlink_to(tmp_path / "secret")
    assert [metric.name for metric in read(path)] == ["a"]


@pytest.mark.parametrize(
    ("path", "head", "recognised"),
    [
        (DATABASE, DATABASE.read_bytes(), True),
        (META, META.read_bytes(), True),
        (PurePath("mlflow.db"), b"", True),
        (PurePath("mlruns/*/*/meta.yaml"), b"", True),
        (PurePath("tracking"), b"SQLite format 3\0... CREATE TABLE latest_metrics", True),
        (PurePath("app.db"), b"SQLite format 3\0", False),
        (PurePath("mlflow.db"), b"text", False),
        (PurePath("mlruns/1/meta.yaml"), b"experiment_id: '1'\nname: churn\n", False),
        (PurePath("meta.yaml"), b"", False),
        (PurePath("metrics.json"), b"", False),
    ],
)
def test_recognises(path: PurePath, head: bytes, recognised: bool) -> None:
    assert MlflowReader.recognises(path, head) is recognised
