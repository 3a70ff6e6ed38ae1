"""Plan, a matrix of machines, and one report folded from all workspaces, also when a machine died."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from fakes.command_line import Workbench, workbench

CONFIG = """
[runs.small]
command = ["python", "-c", "import json; json.dump({'accuracy': 0.9}, open('small.json', 'w'))"]
metrics = ["small.json"]

[runs.large]
command = ["python", "-c", "import json; json.dump({'loss': 0.1}, open('large.json', 'w'))"]
metrics = ["large.json"]
runs-on = ["self-hosted", "gpu"]

[runs.nightly]
command = ["true"]
only = { events = ["schedule"] }
"""


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    made = workbench(tmp_path)
    made.write(mlci__toml=CONFIG, __gitignore="*.json\nmachines/\n")
    made.commit()
    return made


def machine(bench: Workbench, name: str, *arguments: str) -> None:
    assert bench.mlci(*arguments).code == 0
    target = bench.folder / "machines" / name
    shutil.copytree(bench.folder / ".mlci", target)
    shutil.rmtree(bench.folder / ".mlci")


def test_plan__json_names_each_run_s_runner(bench: Workbench) -> None:
    assert json.loads(bench.mlci("plan", "--json").out) == {
        "include": [
            {"run": "small", "profile": "default", "runs-on": '"ubuntu-latest"'},
            {"run": "large", "profile": "default", "runs-on": '["self-hosted", "gpu"]'},
        ]
    }


def test_record__folds_every_workspace_in_a_folder(bench: Workbench) -> None:
    machine(bench, "mlci-plan", "plan", "--json", "--save")
    machine(bench, "mlci-small", "run", "small")
    machine(bench, "mlci-large", "run", "large")
    assert bench.mlci("record", "machines").code == 0
    records = {item["name"]: item["status"] for item in bench.document("record.json")["records"]}
    assert records == {"small": "succeeded", "large": "succeeded", "nightly": "skipped"}


def test_record__a_machine_that_died_is_a_failed_run(bench: Workbench) -> None:
    machine(bench, "mlci-plan", "plan", "--json", "--save")
    machine(bench, "mlci-small", "run", "small")
    bench.mlci("record", "machines")
    records = {item["name"]: item["status"] for item in bench.document("record.json")["records"]}
    assert records == {"small": "succeeded", "large": "crashed", "nightly": "skipped"}


def test_record__when_every_machine_died_the_plan_still_tells(bench: Workbench) -> None:
    machine(bench, "mlci-plan", "plan", "--save")
    bench.mlci("record", "machines")
    records = {item["name"]: item["error"] for item in bench.document("record.json")["records"]}
    assert records["small"]["kind"] == records["large"]["kind"] == "lost"
    assert bench.mlci("compare").code == 0
    assert bench.mlci("gate").code == 5


def test_record__an_only_workspace_that_was_extracted_into_the_folder_itself(bench: Workbench) -> None:
    # What download-artifact does where its pattern matches one artifact.
    assert bench.mlci("plan", "--save").code == 0
    shutil.move(bench.folder / ".mlci", bench.folder / "machines")
    assert bench.mlci("record", "machines").code == 0


def test_record__a_machine_that_died_between_two_seeds_is_a_failed_run(bench: Workbench) -> None:
    script = "import os, time; time.sleep(60 * int(os.environ['MLCI_SEED'])); open('s.json', 'w').write('{}')"
    bench.write(
        mlci__toml=f'[runs.slow]\ncommand = ["python", "-c", "{script}"]\nseeds = [0, 1]\nmetrics = ["s.json"]\n'
    )
    running = bench.start("run")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        path = bench.folder / ".mlci/run.json"
        if path.is_file() and [run["status"] for run in json.loads(path.read_text())["runs"]] == [
            "succeeded",
            "crashed",
        ]:
            break
        time.sleep(0.1)
    running.kill()
    running.communicate()
    bench.mlci("record")
    [record] = bench.document("record.json")["records"]
    assert (record["status"], record["error"]["kind"]) == ("crashed", "lost")
    assert record["error"]["message"] == "mlci itself was ended before this had finished"


def test_record__a_folder_without_workspaces(bench: Workbench) -> None:
    (bench.folder / "machines").mkdir()
    done = bench.mlci("record", "machines")
    assert done.code == 2
    assert "machines/run.json: there is none" in done.err
