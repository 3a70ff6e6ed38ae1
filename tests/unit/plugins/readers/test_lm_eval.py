from __future__ import annotations

import json
from pathlib import Path, PurePath
from typing import Any

import pytest

from mlci.core.documents import Metric
from mlci.errors import MetricError
from mlci.plugins.readers.lm_eval import LmEvalReader

FIXTURE = next((Path(__file__).parents[3] / "fixtures/readers/lm-eval").iterdir())


def read(path: Path) -> dict[str, Metric]:
    return {metric.name: metric for metric in LmEvalReader().read(path, name="m")}


def test_read__what_the_harness_says_of_its_tasks() -> None:
    found = read(FIXTURE)
    assert found.keys() == {
        "colours.acc",
        "sizes.acc",
        "questions.acc",
        "spelling.exact_match,strict",
        "spelling.ter,strict",
    }
    colours = found["colours.acc"]
    assert (round(colours.value, 4), colours.n, colours.direction) == (0.5833, 12, "higher")
    assert colours.standard_error == pytest.approx(0.1486, abs=1e-4)
    assert colours.definition == "version 1.0"
    spelling = found["spelling.ter,strict"]
    # All of them scored 0: no error is said, for other questions would not all score 0.
    assert (spelling.value, spelling.direction, spelling.standard_error) == (100.0, "lower", None)


def test_read__a_group_has_the_sum_of_its_samples() -> None:
    group = read(FIXTURE)["questions.acc"]
    assert (group.value, group.n, group.direction) == (0.5, 24, "higher")


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        # Before version 0.4 there were no filters.
        (
            {"results": {"arc": {"acc": 0.5, "acc_stderr": 0.1}}},
            Metric(name="arc.acc", value=0.5, standard_error=0.1),
        ),
        ({"results": {"arc": {"acc,none": 0.5, "acc_stderr,none": "N/A"}}}, Metric(name="arc.acc", value=0.5)),
        ({"results": {"arc": {"acc,none": 0.5, "acc_stderr,none": -1}}}, Metric(name="arc.acc", value=0.5)),
        ({"results": {"arc": {"acc,none": 1.0, "acc_stderr,none": 0.0}}}, Metric(name="arc.acc", value=1.0)),
        (
            {
                "results": {"arc": {"acc,none": 0.5}},
                "versions": {"arc": [1]},
                "n-shot": 5,
                "task_hashes": {"arc": None},
            },
            Metric(name="arc.acc", value=0.5),
        ),
        (
            {"results": {"g": {"acc,none": 0.5}}, "higher_is_better": {"g": {"acc": None}}, "n-samples": {"g": None}},
            Metric(name="g.acc", value=0.5),
        ),
        (
            {"results": {"g": {"acc,none": 0.5}}, "higher_is_better": [], "n-samples": 1},
            Metric(name="g.acc", value=0.5),
        ),
    ],
)
def test_read__what_is_not_said_is_not_guessed(tmp_path: Path, document: dict[str, Any], expected: Metric) -> None:
    (tmp_path / "m").write_text(json.dumps(document))
    assert LmEvalReader().read(tmp_path / "m", name="m") == [expected]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "m: results: expected an object, got nothing"),
        ('{"results": {"arc": 0.5}}', "m: results.arc: expected an object, got a single value"),
    ],
)
def test_read__what_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "m").write_text(text)
    with pytest.raises(MetricError) as caught:
        read(tmp_path / "m")
    assert caught.value.message == said


@pytest.mark.parametrize(
    ("head", "taken"),
    [
        (b'{"results": {"arc": {"alias": "arc", "acc,none": 0.5', True),
        (b'{"results": {"arc": {"acc": 0.5, "acc_stderr": 0.1', True),
        (b'{"results": {"arc": {"acc": 0.5}}}', False),
        (b'{"results": {"a,b": 1}}', False),
        (b"", False),
    ],
)
def test_recognises__by_the_keys_of_a_task(head: bytes, taken: bool) -> None:
    assert LmEvalReader.recognises(PurePath("results_2026.json"), head) is taken
    assert not LmEvalReader.recognises(PurePath("results.txt"), head)


@pytest.mark.parametrize(
    ("said", "definition"),
    [
        ({"versions": {"arc": 2.0}}, "version 2.0"),
        ({"versions": {"arc": "Yaml"}, "n-shot": {"arc": 0}}, "version Yaml"),
        (
            {"versions": {"arc": 1}, "n-shot": {"arc": 25}, "task_hashes": {"arc": "8f3a11c09b2e" + "0" * 52}},
            "version 1, 25 shots, hash 8f3a11c09b2e",
        ),
        ({"task_hashes": {"arc": "8f3a11c09b2e"}}, "hash 8f3a11c09b2e"),
    ],
)
def test_read__what_a_task_asks_is_its_definition(tmp_path: Path, said: dict[str, Any], definition: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"results": {"arc": {"acc,none": 0.5}}, **said}))
    assert read(path)["arc.acc"].definition == definition
