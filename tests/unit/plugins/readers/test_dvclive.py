from __future__ import annotations

from pathlib import Path, PurePath

import pytest

from mlci.plugins.readers.dvclive import DvcliveReader

FIXTURES = Path(__file__).parents[3] / "fixtures/readers/dvclive"


def test_read__the_summary_has_the_names_that_the_code_gave() -> None:
    found = DvcliveReader().read(FIXTURES / "metrics.json", name="m")
    assert {metric.name: round(metric.value, 3) for metric in found} == {
        "train/loss": 0.333,
        "val/classes/cat/recall": 0.7,
        "accuracy": 0.8,
        "test/accuracy": 0.81,
    }


@pytest.mark.parametrize(
    ("plot", "name"),
    [("accuracy.tsv", "accuracy"), ("val/classes/cat/recall.tsv", "val/classes/cat/recall")],
)
def test_read__a_plot_is_called_as_in_the_summary(plot: str, name: str) -> None:
    [metric] = DvcliveReader().read(FIXTURES / "plots/metrics" / plot, name="m")
    summary = DvcliveReader().read(FIXTURES / "metrics.json", name="m")
    assert metric.name == name
    assert metric.value in [other.value for other in summary if other.name == name]
    assert [step for step, _ in metric.series] == [0.0, 1.0, 2.0]


def test_read__a_plot_of_an_older_version(tmp_path: Path) -> None:
    path = tmp_path / "plots/metrics/train/loss.tsv"
    path.parent.mkdir(parents=True)
    path.write_text("timestamp\tstep\tloss\n1700000000\t0\t0.9\n1700000001\t1\t0.5\n")
    [metric] = DvcliveReader().read(path, name="m")
    assert (metric.name, metric.series) == ("train/loss", ((0.0, 0.9), (1.0, 0.5)))


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        ("dvclive/metrics.json", True),
        ("results/plots/metrics/loss.tsv", True),
        ("metrics.json", False),
        ("dvclive/plots/metrics/loss.png", False),
        ("plots/metrics.tsv", False),
        ("metrics/loss.tsv", False),
    ],
)
def test_recognises__by_the_place(path: str, taken: bool) -> None:
    assert DvcliveReader.recognises(PurePath(path), b"") is taken
