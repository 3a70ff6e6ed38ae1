from __future__ import annotations

from pathlib import Path

import pytest

from mlci.core.documents import Metric
from mlci.errors import MetricError
from mlci.plugins.readers.table import CsvReader, TsvReader


def read(tmp_path: Path, text: str, reader: CsvReader | TsvReader | None = None) -> dict[str, Metric]:
    path = tmp_path / "metrics.csv"
    path.write_text(text)
    return {metric.name: metric for metric in (reader or CsvReader()).read(path, name="metrics.csv")}


def test_read__lightning_rows_are_sparse(tmp_path: Path) -> None:
    text = "epoch,step,train_loss,val_acc\n0,49,0.7,\n0,49,,0.81\n1,99,0.4,\n1,99,,0.86\n"
    found = read(tmp_path, text)
    assert {name: metric.value for name, metric in found.items()} == {"train_loss": 0.4, "val_acc": 0.86}
    assert found["val_acc"].series == ((49.0, 0.81), (99.0, 0.86))


def test_read__keras_marks_what_is_missing(tmp_path: Path) -> None:
    found = read(tmp_path, "epoch,acc,val_acc\n0,0.5,NA\n1,0.6,0.55\n2,0.7,NA\n")
    assert (found["acc"].value, found["val_acc"].value) == (0.7, 0.55)
    assert found["acc"].series == ((0.0, 0.5), (1.0, 0.6), (2.0, 0.7))


def test_read__ultralytics_pads_its_headers(tmp_path: Path) -> None:
    text = "                  epoch,      train/box_loss,   metrics/mAP50(B)\n  1,   1.5,   0.3\n  2,   1.2,   0.4\n"
    assert {name: metric.value for name, metric in read(tmp_path, text).items()} == {
        "train/box_loss": 1.2,
        "metrics/mAP50(B)": 0.4,
    }


def test_read__dvclive_plots(tmp_path: Path) -> None:
    found = read(tmp_path, "timestamp\tstep\tloss\n1700000000\t0\t0.9\n1700000001\t1\t0.5\n", TsvReader())
    assert list(found) == ["loss"]
    assert found["loss"].series == ((0.0, 0.9), (1.0, 0.5))


def test_read__without_a_step_rows_are_counted(tmp_path: Path) -> None:
    assert read(tmp_path, "loss\n0.9\n0.5\n")["loss"].series == ((0.0, 0.9), (1.0, 0.5))


def test_read__a_column_of_text_is_no_metric(tmp_path: Path) -> None:
    assert list(read(tmp_path, "model,accuracy\nbig,0.9\n3,0.8\n")) == ["accuracy"]


def test_read__a_long_series_is_thinned(tmp_path: Path) -> None:
    rows = "".join(f"{step},{step / 10}\n" for step in range(1000))
    series = read(tmp_path, f"step,loss\n{rows}")["loss"].series
    assert len(series) == 200
    assert (series[0], series[-1]) == ((0.0, 0.0), (999.0, 99.9))


def test_read__nan_is_a_value(tmp_path: Path) -> None:
    value = read(tmp_path, "step,loss\n0,0.5\n1,nan\n")["loss"].value
    assert value != value  # noqa: PLR0124 - that is what NaN is


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty, expected a line of column names"),
        ("loss,loss\n1,2\n", "the column 'loss' stands twice"),
        ("loss\n1,2\n", "row 1 has 2 fields, the header 1"),
        (",".join(f"c{number}" for number in range(2001)) + "\n", "2,001 columns, at most 2,000 are read"),
        ('"' + "x" * 1_100_000, "line 1: field larger than field limit"),
        ("loss\n" + "x" * 4_200_000, "line 2: of 4,194,304 characters or more"),
    ],
)
def test_read__what_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(MetricError, match=said) as caught:
        read(tmp_path, text)
    assert caught.value.message.startswith("metrics.csv: ")


@pytest.mark.parametrize("text", ["loss\n", "loss\n\n\n", "name\nx\n"])
def test_read__nothing_measured_yet(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == {}


FIXTURES = Path(__file__).parents[3] / "fixtures/readers"


def values(path: Path) -> dict[str, float]:
    return {metric.name: round(metric.value, 4) for metric in CsvReader().read(path, name="m")}


def test_read__what_lightning_wrote() -> None:
    assert values(FIXTURES / "lightning/metrics.csv") == {"train_loss": 1.6501, "val/mae": 0.6647, "val_loss": 0.5903}


def test_read__what_keras_wrote() -> None:
    path = FIXTURES / "keras/training.csv"
    assert values(path) == {"loss": 3.0235, "mae": 1.4416, "val_loss": 3.0235, "val_mae": 1.4416}
    series = {metric.name: metric.series for metric in CsvReader().read(path, name="m")}
    assert [step for step, _ in series["val_mae"]] == [0.0, 2.0]


def test_read__what_ultralytics_writes() -> None:
    new, old = values(FIXTURES / "ultralytics/results.csv"), values(FIXTURES / "ultralytics/padded.csv")
    assert "time" not in new
    assert (new["metrics/mAP50(B)"], new["lr/pg0"]) == (0.3442, 0.0007)
    assert old.keys() < new.keys()
