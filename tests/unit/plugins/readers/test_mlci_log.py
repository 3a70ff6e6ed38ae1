from __future__ import annotations

from pathlib import Path

import pytest

from mlci.core.documents import Metric
from mlci.errors import MetricError
from mlci.plugins.readers import mlci_log
from mlci.plugins.readers.mlci_log import MlciLogReader


def read(tmp_path: Path, text: str) -> list[Metric]:
    path = tmp_path / "metrics.jsonl"
    path.write_text(text)
    return MlciLogReader().read(path, name="log_metric")


def test_read__the_last_value_counts_and_steps_make_the_series(tmp_path: Path) -> None:
    text = '{"name": "loss", "value": 0.9, "step": 0}\n{"name": "loss", "value": 0.5, "step": 1}\n'
    assert read(tmp_path, text) == [Metric(name="loss", value=0.5, series=((0.0, 0.9), (1.0, 0.5)))]


def test_read__attributes_said_once_hold_for_later_values(tmp_path: Path) -> None:
    text = (
        '{"name": "wer", "value": 0.9, "direction": "lower", "unit": "%", "n": 10, "standard_error": 0.1}\n'
        '{"name": "wer", "value": 0.5}\n'
    )
    assert read(tmp_path, text) == [
        Metric(name="wer", value=0.5, direction="lower", unit="%", n=10, standard_error=0.1)
    ]


@pytest.mark.parametrize(("said", "meant"), [("maximize", "higher"), ("minimize", "lower"), ("lower", "lower")])
def test_read__directions_in_either_words(tmp_path: Path, said: str, meant: str) -> None:
    [metric] = read(tmp_path, f'{{"name": "gain", "value": 1, "direction": "{said}"}}\n')
    assert metric.direction == meant


def test_read__splits_and_slices_are_metrics_of_their_own(tmp_path: Path) -> None:
    lines = [
        '{"name": "f1", "value": 1}',
        '{"name": "f1", "value": 2, "split": "test"}',
        '{"name": "f1", "value": 3, "slice": "a"}',
    ]
    text = "".join(f"{line}\n" for line in lines)
    assert [(metric.value, metric.split, metric.slice) for metric in read(tmp_path, text)] == [
        (1, None, None),
        (2, "test", None),
        (3, None, "a"),
    ]


def test_read__a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    assert [metric.name for metric in read(tmp_path, '{"name": "a", "value": 1}\n{"name": "b", "val')] == ["a"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: not JSON"),
        ("[1]", 'line 2: expected an object with "name" and "value"'),
        ('{"value": 1}', 'line 2: expected an object with "name" and "value"'),
        ('{"name": "a"}', "line 2: value of the metric 'a': expected a number, got None"),
        ('{"name": "a", "value": "x"}', "line 2: value of the metric 'a': expected a number, got 'x'"),
        ('{"name": "a", "value": 1, "step": []}', "line 2: step of the metric 'a': expected a number"),
        (
            '{"name": "a", "value": 1, "direction": "up"}',
            'line 2: direction of the metric \'a\': expected "higher" or "lower" or "maximize" or "minimize"',
        ),
        ('{"name": "a", "value": 1, "split": 3}', "line 2: split of the metric 'a': expected text, got 3"),
        ('{"name": "' + "a" * 70_000 + '", "value": 1}', "line 2: more than 65,536 bytes"),
    ],
)
def test_read__what_is_refused_names_the_line(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(MetricError, match=f"^log_metric, {said}"):
        read(tmp_path, f'{{"name": "ok", "value": 1}}\n{line}\n')


def test_read__steps_gone_over_once_more_replace_the_first(tmp_path: Path) -> None:
    text = "".join(
        f'{{"name": "loss", "value": {value}, "step": {step}}}\n' for step, value in ((0, 9), (1, 8), (1, 7))
    )
    assert read(tmp_path, text) == [Metric(name="loss", value=7, series=((0.0, 9.0), (1.0, 7.0)))]


def test_read__more_lines_than_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlci_log, "_MAX_LINES", 2)
    assert len(read(tmp_path, '{"name": "a", "value": 1}\n' * 2)) == 1
    with pytest.raises(MetricError, match=r"^log_metric: more than 2 lines$"):
        read(tmp_path, '{"name": "a", "value": 1}\n' * 3)


def test_read__an_n_that_is_no_number_of_examples(tmp_path: Path) -> None:
    with pytest.raises(MetricError, match="n of the metric 'a'"):
        read(tmp_path, '{"name": "a", "value": 1, "n": NaN}\n')
