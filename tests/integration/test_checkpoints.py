"""`checkpoint`: what a failed attempt had done is there for the next one, and for no other execution."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from fakes.command_line import Workbench, notebook, workbench

# Trains an epoch a time, and fails after two of them unless it goes on from an earlier attempt.
TRAIN = """
import json, os, pathlib, sys
folder = pathlib.Path("checkpoints")
folder.mkdir(exist_ok=True)
found = sorted(path.name for path in folder.iterdir())
resumed = os.environ.get("MLCI_RESUME")
parameters = json.loads(os.environ["MLCI_PARAMETERS"])
for epoch in range(len(found), 4):
    (folder / f"epoch-{epoch}").write_text(str(epoch))
    if epoch == 1 and not found:
        raise SystemExit("out of credit")
pathlib.Path("metrics.json").write_text(json.dumps({"epochs": 4, "found": len(found), "resumed": int(resumed == "1")}))
"""
CONFIGURATION = """
[runs.train]
script = "train.py"
checkpoint = "checkpoints"
metrics = ["metrics.json"]
parameters = { rate = 1 }
"""


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    made = workbench(tmp_path)
    made.write(mlci__toml=CONFIGURATION, train__py=TRAIN, __gitignore="/checkpoints/\n/metrics.json\n")
    made.commit()
    return made


def metrics(bench: Workbench, run: str = "train") -> dict[str, Any]:
    return {metric["name"]: metric["value"] for metric in bench.result(run)["metrics"]}


def kept(bench: Workbench) -> list[str]:
    """The names of what is kept of unfinished attempts."""
    folder = bench.folder / ".mlci" / "checkpoints" / "kept"
    return sorted(path.name for path in folder.rglob("epoch-*"))


def test_last_failed__goes_on_from_the_checkpoint(bench: Workbench) -> None:
    assert bench.mlci("run").code == 4
    assert bench.result("train")["attempts"] == []
    assert kept(bench) == ["epoch-0", "epoch-1"]
    assert not (bench.folder / "checkpoints").exists()

    done = bench.mlci("run", "--last-failed")
    assert done.code == 0, done.err
    assert metrics(bench) == {"epochs": 4, "found": 2, "resumed": 1}
    [attempt] = bench.result("train")["attempts"]
    assert attempt["status"] == "failed"
    assert attempt["duration_s"] > 0
    assert kept(bench) == []
    for command in ("record", "compare", "report"):
        assert bench.mlci(command).code == 0
    assert bench.document("record.json")["records"][0]["attempts"] == [attempt]
    report = (bench.folder / ".mlci" / "report.md").read_text()
    assert "attempt" in report
    assert "failed" in report

    # It has succeeded: the next one begins anew.
    assert bench.mlci("run").code == 4
    assert bench.result("train")["attempts"] == []


def test_run__other_parameters_begin_anew(bench: Workbench) -> None:
    assert bench.mlci("run").code == 4
    assert bench.mlci("run", "-p", "rate=2").code == 4
    result = bench.result("train")
    assert result["attempts"] == []
    assert result["notes"] == ["checkpoints: the checkpoint that is kept is of other code, inputs or parameters"]
    # And goes on from its own.
    assert bench.mlci("run", "-p", "rate=2").code == 0
    assert metrics(bench)["found"] == 2


def test_run__other_code_begins_anew(bench: Workbench) -> None:
    assert bench.mlci("run").code == 4
    bench.write(train__py=TRAIN.replace("== 1 and", "== 0 and"))
    assert bench.mlci("run").code == 4
    assert kept(bench) == ["epoch-0"]


def test_run__what_lay_in_the_folder_is_put_aside(bench: Workbench) -> None:
    (bench.folder / "checkpoints").mkdir()
    (bench.folder / "checkpoints" / "mine").touch()
    assert bench.mlci("run").code == 4
    [note] = bench.result("train")["notes"]
    place = note.rpartition(" moved to ")[2]
    assert [path.name for path in (bench.folder / place).iterdir()] == ["mine"]
    assert kept(bench) == ["epoch-0", "epoch-1"]


def test_run__seeds_have_checkpoints_of_their_own(bench: Workbench) -> None:
    seeds = TRAIN.replace("(str(epoch))", '(os.environ["MLCI_SEED"])').replace(
        '"epochs": 4', '"epochs": 4, "mine": sum(p.read_text() == os.environ["MLCI_SEED"] for p in folder.iterdir())'
    )
    bench.write(mlci__toml=CONFIGURATION + "seeds = [3, 4]\n", train__py=seeds)
    bench.commit()
    assert bench.mlci("run", "-j2").code == 4
    assert kept(bench) == ["epoch-0", "epoch-0", "epoch-1", "epoch-1"]
    done = bench.mlci("run", "--last-failed", "-j2")
    assert done.code == 0, done.err
    for result in bench.document("run.json")["runs"]:
        values = {metric["name"]: metric["value"] for metric in result["metrics"]}
        assert values == {"epochs": 4, "mine": 4, "found": 2, "resumed": 1}
        assert len(result["attempts"]) == 1


def test_run__attempts_add_up(bench: Workbench) -> None:
    bench.write(train__py=TRAIN.replace("== 1 and not found", "< 3 and epoch == len(found)"))
    bench.commit()
    for number in range(3):
        assert bench.mlci("run", "--last-failed" if number else "train").code == 4
        assert len(bench.result("train")["attempts"]) == number
    assert bench.mlci("run", "--last-failed").code == 0
    assert [attempt["status"] for attempt in bench.result("train")["attempts"]] == ["failed"] * 3
    assert metrics(bench)["found"] == 3


def test_run__goes_on_after_mlci_itself_was_killed(bench: Workbench) -> None:
    hang = "pathlib.Path('hangs').touch(); import time; time.sleep(600)"
    bench.write(train__py=TRAIN.replace('raise SystemExit("out of credit")', hang))
    bench.commit()
    process = bench.start("run")
    deadline = time.monotonic() + 60
    while not (bench.folder / "hangs").exists():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = bench.mlci("run", "--last-failed")
    assert done.code == 0, done.err
    assert metrics(bench)["found"] == 2
    assert [attempt["status"] for attempt in bench.result("train")["attempts"]] == ["crashed"]


@pytest.mark.slow
def test_run__a_notebook_goes_on(bench: Workbench) -> None:
    code = 'import os\nos.environ["MLCI_PARAMETERS"] = "{}"\n' + TRAIN
    bench.write(
        train__ipynb=notebook(code),
        mlci__toml='[runs.train]\nnotebook = "train.ipynb"\ncheckpoint = "checkpoints"\nmetrics = ["metrics.json"]\n',
    )
    bench.commit()
    assert bench.mlci("run").code == 4
    assert kept(bench) == ["epoch-0", "epoch-1"]
    done = bench.mlci("run", "--last-failed")
    assert done.code == 0, done.err
    assert metrics(bench) == {"epochs": 4, "found": 2, "resumed": 1}
    assert len(bench.result("train")["attempts"]) == 1
    assert json.loads((bench.folder / "metrics.json").read_text())["resumed"]
