"""Asking a tracking server that is slow, broken or hostile; a real one is asked in the integration tests."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from fakes.loopback import Answer, Request, serving
from mlci.errors import MetricError
from mlci.plugins.readers.mlflow_tracking import TrackingServer, Wanted, tagging

SECRET = "s3cret-of-the-server"
COMMIT = "c" * 40
Handler = Callable[[Request], Answer]


def run(
    run_id: str = "r1", status: str = "FINISHED", start: int = 1000, tags: dict[str, str] | None = None
) -> dict[str, Any]:
    return {
        "info": {"run_id": run_id, "status": status, "start_time": start},
        "data": {
            "metrics": [{"key": "accuracy", "value": 0.9, "timestamp": 1, "step": 3}],
            "tags": [{"key": key, "value": value} for key, value in (tags or {}).items()],
        },
    }


def server(*runs: dict[str, Any], seen: list[Request] | None = None, **more: Any) -> Handler:
    """Answers every search for runs with `runs`, whatever it asks for."""

    def answer(request: Request) -> Answer:
        if seen is not None:
            seen.append(request)
        if request.path.endswith("runs/search"):
            return Answer(body=json.dumps({"runs": runs, **more}).encode())
        return Answer(body=b'{"experiments": [{"experiment_id": "1"}, {"experiment_id": "7"}]}')

    return answer


def found(handler: Handler, wanted: Wanted | None = None, environ: dict[str, str] | None = None, **given: Any) -> Any:
    with serving(handler) as url:
        uri = given.pop("uri", "{}").format(url)
        asked = TrackingServer(uri=uri, environ=environ or {}, **{"retries": 0, **given})
        return asked.find(wanted or Wanted(execution="e1", commit=COMMIT))


def refused(handler: Handler, **given: Any) -> MetricError:
    with pytest.raises(MetricError) as caught:
        found(handler, **given)
    assert "\n" not in caught.value.message
    return caught.value


def test_tagging__tags_of_the_user_stay() -> None:
    made = tagging({"MLFLOW_RUN_CONTEXT": '{"team": "risk"}'}, "e1")
    assert made["MLCI_EXECUTION"] == "e1"
    assert json.loads(made["MLFLOW_RUN_CONTEXT"]) == {"team": "risk", "mlci.execution": "e1"}


@pytest.mark.parametrize("broken", ["", "{", "[1]", "null"])
def test_tagging__what_mlflow_could_not_read_is_replaced(broken: str) -> None:
    made = tagging({"MLFLOW_RUN_CONTEXT": broken}, "e1")
    assert json.loads(made["MLFLOW_RUN_CONTEXT"]) == {"mlci.execution": "e1"}


def test_find__asks_for_the_tag_in_every_experiment() -> None:
    seen: list[Request] = []
    tracked = found(server(run(), seen=seen))
    assert [(metric.name, metric.value) for metric in tracked.metrics] == [("accuracy", 0.9)]
    assert tracked.where.startswith("MLflow run r1 at 127.0.0.1:")
    asked = json.loads(seen[1].body)
    assert (asked["experiment_ids"], asked["filter"]) == (["1", "7"], "tags.`mlci.execution` = 'e1'")
    assert asked["order_by"] == ["attributes.start_time DESC"]


def test_find__the_run_that_contains_others_counts() -> None:
    nested = {"mlflow.parentRunId": "r1"}
    tracked = found(server(run("r3", tags=nested), run("r1"), run("r0")))
    assert tracked.where.startswith("MLflow run r1 ")
    tracked = found(server(run("r3", tags=nested), run("r2", tags=nested)))
    assert tracked.where.startswith("MLflow run r3 ")


def by_commit(*runs: dict[str, Any]) -> Handler:
    """Runs that have no tag of mlci's, or another one."""
    answering = server(*runs)
    return lambda request: answering(request) if b"mlci.execution" not in request.body else Answer(body=b"{}")


def test_find__by_commit_what_is_another_execution_s_or_too_old_is_not_taken() -> None:
    wanted = Wanted(execution="e1", commit=COMMIT, since_ms=500)
    handler = by_commit(run("other", tags={"mlci.execution": "e2"}), run("ours"))
    tracked = found(handler, wanted)
    assert (tracked.where.split()[2], tracked.by_commit) == ("ours", True)
    error = refused(by_commit(run("old", start=499)), wanted=wanted)
    assert f"no run with the tag mlci.execution = e1, nor with mlflow.source.git.commit = {COMMIT}" in error.message
    assert "MLFLOW_RUN_CONTEXT" in str(error.hint)


def test_find__by_commit_alone_any_execution_s_is_taken() -> None:
    tracked = found(server(run("theirs", tags={"mlci.execution": "e2"})), Wanted(commit=COMMIT))
    assert tracked.where.split()[2] == "theirs"


def test_find__numbers_that_json_does_not_have() -> None:
    values = {"nan": "NaN", "inf": "Infinity", "largest": 1.7976931348623157e308, "zero": 0, "absent": None}
    metrics = [{"key": key, **({} if value is None else {"value": value})} for key, value in values.items()]
    tracked = found(server({**run(), "data": {"metrics": metrics}}))
    read = {metric.name: metric.value for metric in tracked.metrics}
    assert math.isnan(read.pop("nan"))
    assert read == {"inf": math.inf, "largest": math.inf, "zero": 0, "absent": 0}


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (run(status="RUNNING"), "it is RUNNING, not FINISHED"),
        ({**run(), "data": {}}, "it has no metric"),
        ({**run(), "data": []}, "MLflow: data: expected an object, got a list"),
        ({**run(), "info": {"run_id": "../x", "status": "FINISHED"}}, "'../x' is not the id of a run"),
        ({**run(), "data": {"metrics": [{"key": "f1", "value": "high"}]}}, "the metric f1: expected a number"),
        ({**run(), "data": {"metrics": [{"key": "f1", "value": 1}] * 2}}, "the metric 'f1' stands twice"),
        ({**run(), "data": {"metrics": [{"key": "f" * 501, "value": 1}]}}, "has 501 characters"),
    ],
    ids=range(7),
)
def test_find__runs_that_say_nothing_usable(made: dict[str, Any], said: str) -> None:
    assert said in refused(server(made)).message


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(500), "HTTP 500"),
        (Answer(400, b'{"error_code": "X", "message": "no\\nsuch\\u001b filter"}'), "HTTP 400: no such  filter"),
        (Answer(404, b"<html>"), "HTTP 404"),
        (Answer(302, headers={"Location": "http://127.0.0.1:9/"}), "HTTP 302"),
        (Answer(200, b"<html>"), "not JSON"),
        (Answer(200, b"[]"), "expected an object, got a list"),
        (Answer(200, b"[" * 100_000), "nested"),
        (Answer(200, b" " * (16 * 1024 * 1024 + 1)), "it answers with more than 16,777,216 bytes"),
    ],
    ids=range(8),
)
def test_find__a_server_that_is_none_is_one_line(answer: Answer, said: str) -> None:
    error = refused(lambda _: answer)
    assert error.message.startswith("MLflow at 127.0.0.1:")
    assert said in error.message


def test_find__an_experiment_that_is_not_there() -> None:
    missing = Answer(404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "No Experiment"}')
    deleted = Answer(200, b'{"experiment": {"experiment_id": "1", "lifecycle_stage": "deleted"}}')
    answers = [missing, deleted]
    while answers:
        assert "it has no experiment 'churn'" in refused(lambda _: answers.pop(), experiment="churn").message


def test_find__pages_are_bounded() -> None:
    seen: list[Request] = []
    nested = run("r2", tags={"mlflow.parentRunId": "r1"})
    found(server(nested, seen=seen, next_page_token="more"), Wanted(execution="e1"))
    searched = [json.loads(request.body).get("page_token") for request in seen if "runs" in request.path]
    assert searched == [None, "more", "more", "more", "more"]


def test_find__a_server_that_stumbles_is_asked_again() -> None:
    answers = [Answer(503), Answer(429, headers={"Retry-After": "86400"})]
    answering = server(run())
    tracked = found(lambda request: answers.pop() if answers else answering(request), retries=3)
    assert tracked.where.startswith("MLflow run r1 ")


@pytest.mark.parametrize("retries", [0, 1])
def test_find__a_server_that_is_not_there(retries: int) -> None:
    with serving(server()) as url:
        pass
    with pytest.raises(MetricError, match=r"^MLflow at 127\.0\.0\.1:\d+: not reached \(ConnectionError\)$"):
        TrackingServer(uri=url, environ={}, retries=retries).find(Wanted(execution="e1"))


@pytest.mark.parametrize(
    ("environ", "uri", "sent"),
    [
        ({}, "{}", None),
        ({"MLFLOW_TRACKING_TOKEN": SECRET}, "{}", f"Bearer {SECRET}"),
        (
            {"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": "pass", "MLFLOW_TRACKING_TOKEN": SECRET},
            "{}",
            "Basic YWRhOnBhc3M=",
        ),
        ({"MLFLOW_TRACKING_TOKEN": SECRET}, "ada:pa%73s@", "Basic YWRhOnBhc3M="),
    ],
    ids=["none", "token", "password", "in the address"],
)
def test_find__credentials_are_sent_and_never_shown(environ: dict[str, str], uri: str, sent: str | None) -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Answer:
        seen.append(request)
        return Answer(401, b'{"message": "who are you"}')

    with serving(answer) as url:
        address = url if uri == "{}" else url.replace("http://", f"http://{uri}")
        asked = TrackingServer(uri=address, environ=environ, retries=0)
        with pytest.raises(MetricError) as caught:
            asked.find(Wanted(execution="e1"))
    assert [request.headers.get("authorization") for request in seen] == [sent]
    assert "MLFLOW_TRACKING_TOKEN, give access" in str(caught.value.hint)
    for secret in (SECRET, "pass", "pa%73s", "YWRh"):
        assert secret not in f"{caught.value.message} {asked!r}"


@pytest.mark.parametrize("token", [f"{SECRET}\nX: 1", f"{SECRET}é"])
def test_find__a_token_that_cannot_be_sent_is_not_shown(token: str) -> None:
    error = refused(server(), environ={"MLFLOW_TRACKING_TOKEN": token})
    assert error.message == "MLFLOW_TRACKING_TOKEN is no token: it holds what cannot be sent"


def test_find__a_line_s_end_after_a_token_is_none_of_it() -> None:
    seen: list[Request] = []
    found(server(run(), seen=seen), environ={"MLFLOW_TRACKING_TOKEN": f"{SECRET}\n"})
    assert {request.headers.get("authorization") for request in seen} == {f"Bearer {SECRET}"}


@pytest.mark.parametrize("uri", ["http://[::1", "http://", "ftp://host", "host:5000", "file:///etc"])
def test_find__addresses_of_no_server(uri: str) -> None:
    with pytest.raises(MetricError, match="expected the address of a tracking server"):
        TrackingServer(uri=uri, environ={}).find(Wanted(execution="e1"))
