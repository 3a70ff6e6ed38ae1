from __future__ import annotations

import json
from pathlib import Path, PurePath
from typing import Any

import pytest

from mlci.core.documents import Metric
from mlci.errors import MetricError
from mlci.plugins.readers.promptfoo import PromptfooReader

FIXTURE = Path(__file__).parents[3] / "fixtures/readers/promptfoo/results.json"
STATS = {"successes": 3, "failures": 1, "errors": 0}
COUNTS = [
    Metric(name="successes", value=3, direction="higher"),
    Metric(name="failures", value=1, direction="lower"),
    Metric(name="errors", value=0, direction="lower"),
    Metric(name="pass_rate", value=0.75, direction="higher", n=4),
]


def read(tmp_path: Path, document: object) -> list[Metric]:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(document))
    return PromptfooReader().read(path, name="results")


def prompt(**metrics: object) -> dict[str, Any]:
    return {"provider": "echo", "raw": "Say it", "metrics": metrics}


def summary(*prompts: object) -> dict[str, Any]:
    return {"version": 3, "stats": STATS, "results": [], "prompts": list(prompts)}


def test_read__what_promptfoo_writes() -> None:
    found = {(metric.name, metric.slice): metric for metric in PromptfooReader().read(FIXTURE, name="results")}
    first, second = "provider=echo,prompt=1", "provider=echo,prompt=2"
    assert {key: metric.value for key, metric in found.items()} == {
        ("successes", None): 1,
        ("failures", None): 3,
        ("errors", None): 0,
        ("pass_rate", None): 0.25,
        ("pass_rate", first): 0.5,
        ("pass_rate", second): 0,
        ("fidelity", None): 1,
        ("fidelity", first): 1,
        ("fidelity", second): 1,
        ("politeness", None): 0.5,
        ("politeness", first): 1,
        ("politeness", second): 0,
    }
    assert (found["pass_rate", None].n, found["politeness", None].n, found["fidelity", first].n) == (4, 2, 2)


@pytest.mark.parametrize(
    "document",
    [
        {"evalId": "e", "results": summary()},
        summary(),
        {"results": {"version": 2, "stats": STATS, "results": [], "table": {"head": {"prompts": []}, "body": []}}},
        {"results": {"stats": STATS}},
    ],
    ids=["command", "library", "version 2", "least"],
)
def test_read__each_nesting(tmp_path: Path, document: object) -> None:
    assert read(tmp_path, document) == COUNTS


def test_read__one_prompt_is_no_slice(tmp_path: Path) -> None:
    metrics = prompt(namedScores={"tone": 3, "f1": 0.8}, namedScoresCount={"tone": 4})
    assert read(tmp_path, summary(metrics)) == [
        *COUNTS,
        Metric(name="tone", value=0.75, n=4),
        Metric(name="f1", value=0.8),  # derived: it counts no assertions
    ]


def test_read__weights_of_assertions_weigh(tmp_path: Path) -> None:
    metrics = prompt(namedScores={"tone": 3}, namedScoresCount={"tone": 2}, namedScoreWeights={"tone": 6})
    assert read(tmp_path, summary(metrics))[-1] == Metric(name="tone", value=0.5, n=2)


def test_read__the_table_of_version_2(tmp_path: Path) -> None:
    table = {"head": {"prompts": [prompt(namedScores={"tone": 1}, namedScoresCount={"tone": 2})]}}
    found = read(tmp_path, {"results": {"version": 2, "stats": STATS, "table": table}})
    assert found[-1] == Metric(name="tone", value=0.5, n=2)


def test_read__no_test_has_no_pass_rate(tmp_path: Path) -> None:
    assert [metric.name for metric in read(tmp_path, {"results": {"stats": {}}})] == ["successes", "failures", "errors"]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "expected an object, got a list"),
        ({}, "results: expected an object, got nothing"),
        ({"results": {}}, "results: stats: expected an object, got nothing"),
        ({"results": {"stats": {"successes": "all"}}}, "results: stats.successes: expected a number, got 'all'"),
        (summary(1), r"prompts\[0\]: expected an object, got a single value"),
        (summary(prompt(namedScores=[1])), "namedScores: expected an object, got a list"),
        (summary(prompt(namedScores={"tone": "good"})), "namedScores.tone: expected a number, got 'good'"),
        (
            summary(prompt(testPassCount="all"), prompt()),
            "provider=echo,prompt=1.successes: expected a number, got 'all'",
        ),
        (summary(prompt(namedScores={"errors": 1})), "the metric 'errors' stands twice"),
    ],
)
def test_read__what_is_refused(tmp_path: Path, document: object, said: str) -> None:
    with pytest.raises(MetricError, match=f"^results: {said}"):
        read(tmp_path, document)


@pytest.mark.parametrize(
    ("head", "recognised"),
    [
        (FIXTURE.read_bytes(), True),
        (b'{"results": {"version": 2, "stats": {}}, "config": {}}', True),
        (b'{"results": {"arc": {"acc,none": 0.5}}, "config": {}}', False),
        (b'{"results": 3}', False),
        (b"", False),
    ],
)
def test_recognises(head: bytes, recognised: bool) -> None:
    assert PromptfooReader.recognises(PurePath("results.json"), head) is recognised
