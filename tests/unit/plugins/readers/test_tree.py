from __future__ import annotations

import math
from pathlib import Path

import pytest

from mlci.errors import MetricError
from mlci.plugins.readers.interface import Reader
from mlci.plugins.readers.tree import JsonReader, TomlReader, YamlReader

READERS: dict[str, Reader] = {".json": JsonReader(), ".yaml": YamlReader(), ".toml": TomlReader()}


def read(tmp_path: Path, text: str, suffix: str = ".json") -> dict[str, float]:
    path = tmp_path / f"metrics{suffix}"
    path.write_text(text)
    return {metric.name: metric.value for metric in READERS[suffix].read(path, name=path.name)}


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".json", '{"test": {"accuracy": 0.9, "by": {"class 1": 1}}, "loss": 1e-3}'),
        (".yaml", "test:\n  accuracy: 0.9\n  by: {class 1: 1}\nloss: 1.0e-3\n"),
        (".toml", 'loss = 1e-3\n[test]\naccuracy = 0.9\nby = {"class 1" = 1}\n'),
    ],
)
def test_read__nested_dictionaries_are_joined_with_dots(tmp_path: Path, suffix: str, text: str) -> None:
    assert read(tmp_path, text, suffix) == {"test.accuracy": 0.9, "test.by.class 1": 1.0, "loss": 0.001}


def test_read__what_is_no_number_is_passed_over(tmp_path: Path) -> None:
    text = '{"ok": true, "name": "x", "none": null, "list": [1, 2], "empty": {}, "n": 3, "date": "2024"}'
    assert read(tmp_path, text) == {"n": 3.0}
    assert read(tmp_path, "when: 2024-01-01\nn: 3\n", ".yaml") == {"n": 3.0}


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".json", '{"a": NaN, "b": Infinity, "c": -Infinity}'),
        (".json", '{"a": "NaN", "b": "inf", "c": "-Infinity"}'),
        (".yaml", "a: .nan\nb: .inf\nc: -.inf\n"),
        (".toml", "a = nan\nb = inf\nc = -inf\n"),
    ],
)
def test_read__what_is_not_finite_is_read_not_hidden(tmp_path: Path, suffix: str, text: str) -> None:
    found = read(tmp_path, text, suffix)
    assert math.isnan(found["a"])
    assert (found["b"], found["c"]) == (math.inf, -math.inf)


def test_read__a_whole_number_beyond_floats(tmp_path: Path) -> None:
    assert read(tmp_path, '{"n": 1' + "0" * 400 + "}") == {"n": math.inf}


@pytest.mark.parametrize(
    ("suffix", "text", "said"),
    [
        (".json", '{"a": 1, "a": 2}', "the key 'a' stands twice"),
        (".yaml", "a: 1\na: 2\n", "the key 'a' stands twice in one mapping"),
        (".toml", "a = 1\na = 2\n", "not TOML: Cannot overwrite a value"),
        pytest.param(".toml", f"a{' . a' * 100_000} = 1\n", "not TOML: more than 200 dots in one key", id="dotted key"),
        pytest.param(".toml", f"[a{'.a' * 100_000}]\n", "not TOML: more than 200 dots in one key", id="dotted table"),
        pytest.param(".toml", f"a{'.a' * 100} = 1\n", "nested deeper than 32 levels", id="deep key"),
        pytest.param(".yaml", f"a: 1{':00' * 1_000}.5\n", "not YAML: int too large to convert", id="hours of hours"),
        (".json", '{"a": {"b": 1}, "a.b": 2}', "the metric 'a.b' stands twice"),
        (".json", "[1]", "expected a dictionary of metrics at the top, got a list"),
        (".json", "0.9", "expected a dictionary of metrics at the top, got a single value"),
        (".yaml", "", "expected a dictionary of metrics at the top, got nothing"),
        (".yaml", "a: &x [1]\nb: *x\n", "aliases are not read"),
        (".yaml", "!!python/object/apply:os.system [ls]", "not YAML: could not determine a constructor"),
        (".yaml", "a: [", "not YAML"),
        (".json", '{"a":' * 40 + "1" + "}" * 40, "nested deeper than 32 levels"),
        (".yaml", "{a: " * 40 + "1" + "}" * 40, "nested deeper than 32 levels"),
        (".yaml", "[" * 5000, "nested too deep|not YAML"),
    ],
)
def test_read__what_is_refused(tmp_path: Path, suffix: str, text: str, said: str) -> None:
    with pytest.raises(MetricError, match=said) as caught:
        read(tmp_path, text, suffix)
    assert caught.value.message.startswith(f"metrics{suffix}: ")


def test_read__too_many(tmp_path: Path) -> None:
    with pytest.raises(MetricError, match="more than 10,000 metrics"):
        read(tmp_path, "{" + ",".join(f'"m{number}": 1' for number in range(10_001)) + "}")
