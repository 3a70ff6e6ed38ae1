"""`predictions`: from a file that a run writes to metrics, slices, and a comparison of the same examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fakes.command_line import Workbench, workbench

# The same examples whatever the seed; so many of them are predicted wrong, which ones depends on the seed.
TRAIN = """
import csv, os, random
seed, wrong = int(os.environ.get("MLCI_SEED", 0)), {wrong}
missed = set(random.Random(seed).sample(range(200), wrong))
with open("p.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["id", "label", "prediction", "score", "country", "note"])
    for example in random.Random(seed).sample(range(200), 200):
        label = example % 2
        guess = 1 - label if example in missed else label
        country = ["DE", "FR", "IT", "PL"][example // 50]
        writer.writerow([f"image-{{example}}", label, guess, 0.9 if guess else 0.1, country, f"note {{example}}"])
"""
CONFIG = """
[runs.train]
script = "train.py"
seeds = [0, 1]
deterministic = true
predictions = { path = "p.csv", metrics = ["accuracy", "roc_auc"] }

[metrics.accuracy]
max-regression = 0.01

[baseline]
store = "folder"
options = { path = "../baselines" }
"""


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return workbench(tmp_path)


def measure(bench: Workbench, *commands: str) -> None:
    for command in commands:
        done = bench.mlci(*command.split())
        assert done.code == 0, done.err


def metrics(document: Any) -> dict[tuple[str, str | None], Any]:
    return {(metric["name"], metric.get("slice")): metric for metric in document["metrics"]}


def test_predictions__of_csv_with_seeds_and_slices_are_compared_with_the_baseline_s(bench: Workbench) -> None:
    bench.write(mlci__toml=CONFIG, train__py=TRAIN.format(wrong=10), __gitignore="p.csv\n")
    bench.commit()
    measure(bench, "run", "record", "baseline save")
    [record] = bench.document("record.json")["records"]
    found = metrics(record)
    parts = {None, "country=DE", "country=FR", "country=IT", "country=PL"}
    assert set(found) == {(name, part) for name in ("accuracy", "roc_auc") for part in parts}
    whole = found["accuracy", None]
    assert (whole["value"], whole["samples"], whole["seeds"], whole["n"]) == (0.95, [0.95, 0.95], [0, 1], 200)
    assert (whole["direction"], found["accuracy", "country=DE"]["n"]) == ("higher", 50)
    assert record["notes"] == ["p.csv: no slices by 'note' (more than 50 values)"]
    assert record["deterministic"] is True
    assert [(item["path"], item["seed"], item["stored"]) for item in record["predictions"]] == [
        ("p.csv", seed, f"outputs/train/seed-{seed}/predictions/p.csv") for seed in (0, 1)
    ]
    bench.repository.git("switch", "--quiet", "--create", "change")
    bench.write(train__py=TRAIN.format(wrong=40))
    bench.commit()
    measure(bench, "run", "record", "compare")
    comparison = bench.document("comparison.json")
    [delta] = [item for item in comparison["deltas"] if (item["metric"], item.get("slice")) == ("accuracy", None)]
    assert (round(delta["change"], 9), delta["gate"]) == (-0.15, "fail")
    assert [note for note in comparison.get("notes", ()) if "example" in note] == []


def test_predictions__of_parquet_by_default_and_with_what_the_run_says(bench: Workbench) -> None:
    script = """
import json
import pyarrow as pa
from pyarrow import parquet
parquet.write_table(pa.table({"key": [3, 1, 2], "y": [1.5, 2.0, 3.0], "guess": [1.0, 2.0, 3.5]}), "p.parquet")
json.dump({"rmse": 0.5}, open("metrics.json", "w"))
"""
    bench.write(
        mlci__toml='[runs.train]\nscript = "train.py"\nmetrics = ["metrics.json"]\n'
        'predictions = { path = "p.parquet", id = "key", label = "y", prediction = "guess" }\n',
        train__py=script,
        __gitignore="p.parquet\nmetrics.json\n",
    )
    bench.commit()
    measure(bench, "run")
    result = bench.result("train")
    assert {name: metric["value"] for (name, _), metric in metrics(result).items()} == pytest.approx(
        {"rmse": 0.5, "mae": 1 / 3}
    )
    assert result["notes"] == ["p.parquet: rmse would be 0.408248; what the run itself says, 0.5, counts"]
    assert result["predictions"]["stored"] == "outputs/train/predictions/p.parquet"


def test_predictions__a_result_that_is_reused_keeps_them(bench: Workbench) -> None:
    bench.write(
        mlci__toml='[runs.train]\nscript = "train.py"\nreuse = true\ninputs = []\npredictions = "p.csv"\n',
        train__py=TRAIN.format(wrong=10),
        __gitignore="p.csv\n",
    )
    bench.commit()
    measure(bench, "run")
    before = bench.result("train")
    (bench.folder / "p.csv").unlink()
    measure(bench, "run")
    after = bench.result("train")
    assert after["reused"] is True
    assert (after["predictions"], after["metrics"]) == (before["predictions"], before["metrics"])
    assert (bench.folder / ".mlci" / after["predictions"]["stored"]).is_file()


@pytest.mark.parametrize(
    ("written", "code", "message"),
    [
        pytest.param(
            '{ path = "p.csv", metrics = ["accuracy", "acuracy"] }',
            3,
            "mlci.toml: runs.train.predictions.metrics[1]: no metric of predictions is called 'acuracy' (did you mean "
            "'accuracy'?)",
            id="metric-that-nobody-knows",
        ),
        pytest.param(
            '{ path = "p.csv", label = "truth" }',
            4,
            "p.csv: there is no column 'truth'; there are: id, label, prediction, score, country, note",
            id="column-that-is-not-there",
        ),
    ],
)
def test_predictions__what_is_wrong_is_said(bench: Workbench, written: str, code: int, message: str) -> None:
    bench.write(
        mlci__toml=f'[runs.train]\nscript = "train.py"\npredictions = {written}\n', train__py=TRAIN.format(wrong=10)
    )
    bench.commit()
    done = bench.mlci("run")
    assert done.code == code
    assert message in done.out + done.err
