from __future__ import annotations

import json
import math
from pathlib import Path, PurePath

import pytest

from mlci.core.documents import Metric
from mlci.errors import MetricError
from mlci.plugins.readers.benchmarks import ActionBenchmarkReader, BencherReader, PytestBenchmarkReader
from mlci.plugins.readers.interface import Reader

FIXTURES = Path(__file__).parents[3] / "fixtures/readers"


def read(reader: Reader, path: Path) -> dict[str, Metric]:
    return {metric.name: metric for metric in reader.read(path, name="m")}


def test_pytest_benchmark__mean_and_its_error() -> None:
    path = FIXTURES / "pytest-benchmark/benchmark.json"
    found = read(PytestBenchmarkReader(), path)
    assert list(found) == [f"tests/test_speed.py::test_{name}" for name in ("sort[10]", "sort[1000]", "once")]
    stats = json.loads(path.read_text())["benchmarks"][0]["stats"]
    metric = found["tests/test_speed.py::test_sort[10]"]
    assert (metric.value, metric.n, metric.unit, metric.direction) == (stats["mean"], 5, "s", "lower")
    assert metric.standard_error == pytest.approx(stats["stddev"] / math.sqrt(5))


def test_pytest_benchmark__one_round_has_no_error() -> None:
    metric = read(PytestBenchmarkReader(), FIXTURES / "pytest-benchmark/benchmark.json")[
        "tests/test_speed.py::test_once"
    ]
    assert (metric.n, metric.standard_error) == (1, None)


def test_bencher__measures_of_every_project_have_a_unit() -> None:
    found = read(BencherReader(), FIXTURES / "bencher/results.json")
    assert {name: (metric.value, metric.unit, metric.direction) for name, metric in found.items()} == {
        "predict/one.latency": (412000.0, "ns", "lower"),
        "predict/one.throughput": (2427.2, "1/s", "higher"),
        "train.build-time": (12.5, "s", "lower"),
        "train.loss": (0.31, None, None),
        "model.onnx.file-size": (1048576.0, "B", "lower"),
    }


def test_github_action_benchmark__only_a_name_says_what_is_better() -> None:
    found = read(ActionBenchmarkReader(), FIXTURES / "github-action-benchmark/results.json")
    assert {name: (metric.value, metric.unit, metric.direction) for name, metric in found.items()} == {
        "Smaller is better - peak memory": (812.5, "Megabytes", "lower"),
        "Bigger Is Better: accuracy": (91.25, "Percent", "higher"),
        "throughput": (1000.0, "req/s", None),
    }


@pytest.mark.parametrize(
    ("reader", "text", "said"),
    [
        (PytestBenchmarkReader(), "{}", "m: benchmarks: expected a list, got nothing"),
        (
            PytestBenchmarkReader(),
            '{"benchmarks": [{"fullname": "a", "stats": null}]}',
            "m: benchmarks[0].stats: expected an object, got nothing",
        ),
        (
            PytestBenchmarkReader(),
            '{"benchmarks": [{"fullname": "a", "stats": {"mean": null}}]}',
            'm: benchmarks[0]: expected "fullname" and a number "stats.mean"',
        ),
        (BencherReader(), '{"a": 1}', "m: a: expected an object, got a single value"),
        (BencherReader(), '{"a": {"b": 1}}', "m: a.b: expected an object, got a single value"),
        (BencherReader(), '{"a": {"b": {"value": "x"}}}', 'm: a.b: expected a number "value"'),
        (ActionBenchmarkReader(), "{}", "m: expected a list of benchmarks, got an object"),
        (ActionBenchmarkReader(), "[1]", "m: [0]: expected an object, got a single value"),
        (ActionBenchmarkReader(), '[{"name": "a"}]', 'm: [0]: expected "name" and a number "value"'),
        (
            ActionBenchmarkReader(),
            '[{"name": "a", "value": 1}, {"name": "a", "value": 2}]',
            "m: the metric 'a' stands twice",
        ),
    ],
)
def test_read__what_is_refused(reader: Reader, text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "m").write_text(text)
    with pytest.raises(MetricError) as caught:
        read(reader, tmp_path / "m")
    assert caught.value.message == said


@pytest.mark.parametrize(
    ("head", "taken"),
    [
        (b'{"a": {"b": {"value": 1}}}', True),
        (b'{"a": {"b": {"value": 1, "lower_value": 0}, "c": {"upper_value": 2, "value": 1}}}', True),
        (b'{"a": {"b": {"value": 1}}, "c": {"d": {"val', True),  # cut
        (b'{"a": {"b": {"value": 1}}, "c": {"d": {}}}', False),
        (b'{"a": {"b": {"value": 1}}, "c": 1}', False),
        (b'{"a": {"b": {"value": 1}, "c": 1}}', False),
        (b'{"a": {"b": {"value": 1, "std": 1}}}', False),
        (b'{"a": {"b": {"lower_value": 1}}}', False),
        (b'{"a": {"value": 1}}', False),
        (b"{}", False),
        (b"", False),
    ],
)
def test_bencher__recognises_values_three_deep(head: bytes, taken: bool) -> None:
    assert BencherReader.recognises(PurePath("m.json"), head) is taken


def test_pytest_benchmark__is_recognised_before_its_benchmarks_come() -> None:
    head = (FIXTURES / "pytest-benchmark/benchmark.json").read_bytes()
    assert PytestBenchmarkReader.recognises(PurePath("m.json"), head[: head.index(b'"benchmarks"')])
    assert not PytestBenchmarkReader.recognises(PurePath("m.json"), b'{"machine_info": {}}')


@pytest.mark.parametrize(
    ("head", "taken"),
    [
        (b'[{"name": "a", "unit": "s", "value": 1', True),
        (b'[{"name": "a", "value": 1}]', False),
        (b'{"name": "a", "unit": "s", "value": 1}', False),
        (b"[[1]]", False),
    ],
)
def test_github_action_benchmark__is_a_list_of_objects(head: bytes, taken: bool) -> None:
    assert ActionBenchmarkReader.recognises(PurePath("m.json"), head) is taken
