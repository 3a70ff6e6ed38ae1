"""`mlci noise` on code with seeds, on code that is never and code that always is the same, and on code that fails."""

from __future__ import annotations

import json
import math
import statistics
import tomllib
from pathlib import Path

import pytest

from fakes.command_line import Workbench, workbench
from fakes.records import record
from mlci.plugins.stores.folder import FolderStore
from mlci.plugins.stores.interface import Site

SEEDED = """
import json, os, random
noise = random.Random(int(os.environ["MLCI_SEED"])).gauss(0, 0.01)
json.dump({"accuracy": 0.9 + noise}, open("metrics.json", "w"))
"""
CLOCK = """
import json, os
json.dump({"accuracy": 0.9 + int.from_bytes(os.urandom(4), "big") / 2**32 / 10}, open("metrics.json", "w"))
"""
FIXED = 'import json\njson.dump({"accuracy": 0.75}, open("metrics.json", "w"))\n'
FLAKY = """
import json, pathlib
times = pathlib.Path("times")
times.write_text(str(int(times.read_text() if times.exists() else 0) + 1))
if times.read_text() == "2":
    raise SystemExit("out of luck")
json.dump({"accuracy": 0.75 + int(times.read_text()) / 100}, open("metrics.json", "w"))
"""
OWN = (".mlci/run.json", ".mlci/record.json", ".mlci/comparison.json", ".mlci/outputs/train/log.txt")
RULE = "\n[metrics.accuracy]\nmax-regression = 0.01\n"


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return workbench(tmp_path)


def configure(bench: Workbench, code: str, more: str = "", rule: str = RULE) -> None:
    bench.write(
        mlci__toml=f'[runs.train]\nscript = "train.py"\nmetrics = ["metrics.json"]\n{more}{rule}', train__py=code
    )
    bench.commit()


def executed(bench: Workbench) -> list[tuple[str, int | None, str]]:
    """(round, seed, status) of all that was executed."""
    return [
        (path.parent.name, result["seed"], result["status"])
        for path in sorted((bench.folder / ".mlci/noise").glob("*/run.json"))
        for result in json.loads(path.read_text())["runs"]
    ]


def test_noise__a_run_with_seeds_is_executed_with_more_of_them(bench: Workbench) -> None:
    configure(bench, SEEDED, "seeds = [7, 0]\n")
    bench.write(**{name: name for name in OWN})
    done = bench.mlci("noise", "--times", "4", "--json")
    assert done.code == 0
    report = json.loads(done.out)
    [run] = report["runs"]
    [metric] = run["metrics"]
    assert executed(bench) == [("1", seed, "succeeded") for seed in (7, 0, 1, 2)]
    assert (run["seeds"], run["configured"], metric["judged"]) == ([7, 0, 1, 2], 2, "seeds")
    assert metric["deviation"] == pytest.approx(statistics.stdev(metric["values"]))
    assert "train (seed 2): succeeded" in done.err
    assert [(bench.folder / name).read_text() for name in OWN] == list(OWN)  # the user's own documents
    [remedy] = report["remedies"]
    assert tomllib.loads("\n".join(remedy["rule"]))["metrics"]["accuracy"]["max-regression"] > 0.01


def test_noise__a_run_without_seeds_is_executed_as_it_is(bench: Workbench) -> None:
    configure(bench, CLOCK, "reuse = true\ninputs = []\n")
    done = bench.mlci("noise", "train", "--times", "3", "-j", "2", "--json")
    assert done.code == 0
    [metric] = json.loads(done.out)["runs"][0]["metrics"]
    assert executed(bench) == [(number, None, "succeeded") for number in ("1", "2", "3")]
    assert len(set(metric["values"])) == 3
    assert metric["judged"] == "values"
    expected = math.erfc(0.01 / metric["deviation"] / 2) / 2  # of a difference of two above the tolerance
    assert metric["chances"]["fails"] == pytest.approx(expected, abs=0.02)


def test_noise__the_records_of_the_main_branch_tell_the_gate_of_noise(bench: Workbench, tmp_path: Path) -> None:
    configure(bench, CLOCK, rule=RULE + '[baseline]\nstore = "folder"\noptions = { path = "../records" }\n')
    site = Site(folder=bench.folder, environ=bench.environ, token=None, server_url="", warn=print)
    store = FolderStore(path=str(tmp_path / "records"), site=site)
    store.save([record("train", profile="default", commit=bench.commit()) for _ in range(9)])
    bench.commit()
    done = bench.mlci("noise", "--times", "3", "--json")
    assert done.code == 0
    [run] = json.loads(done.out)["runs"]
    assert (run["records"], run["metrics"][0]["judged"]) == (9, "records")


def test_noise__what_repeats_exactly(bench: Workbench) -> None:
    configure(bench, FIXED)
    done = bench.mlci("noise", "--times", "2")
    assert done.code == 0
    assert done.out.startswith("a pull request that changes nothing: always passes\n")
    assert "none: repeats exactly" in done.out
    assert "\n    [runs.train]\n    deterministic = true\n" in done.out


def test_noise__a_failure_is_a_failure_after_what_was_learnt(bench: Workbench) -> None:
    configure(bench, FLAKY)
    done = bench.mlci("noise", "--times", "3")
    assert done.code == 4
    assert "train: 2 executions; the gate compares single values" in done.out
    assert "out of luck" in done.err
    assert "1 of 3 did not succeed: train (failed)" in done.err
    assert not (bench.folder / ".mlci/run.json").exists()


def test_noise__what_has_never_succeeded_is_not_repeated(bench: Workbench) -> None:
    configure(bench, "raise SystemExit(3)\n")
    done = bench.mlci("noise", "--times", "4")
    assert done.code == 4
    assert done.out == "nothing was measured at least twice: there is nothing to tell\n"
    assert executed(bench) == [("1", None, "failed")]


def test_noise__what_a_run_needs_is_repeated_with_it_and_seeds_are_not(bench: Workbench) -> None:
    bench.write(
        mlci__toml=(
            '[runs.prepare]\nscript = "prepare.py"\n'
            '[runs.seeded]\nscript = "seeded.py"\nmetrics = ["metrics.json"]\nseeds = [0, 1]\n'
            '[runs.use]\nscript = "use.py"\nneeds = ["prepare", "seeded"]\nmetrics = ["use.json"]\n'
            'only = { events = ["schedule"] }\n'
            '[runs.other]\nscript = "prepare.py"\n'
        ),
        prepare__py="import os\nopen('data', 'w').write(str(os.urandom(4)[0]))\n",
        seeded__py=SEEDED,
        use__py="import json\njson.dump({'score': int(open('data').read())}, open('use.json', 'w'))\n",
    )
    bench.commit()
    done = bench.mlci("noise", "use", "--times", "2")
    assert done.code == 0
    ran = [line.removesuffix(": running") for line in done.err.splitlines() if line.endswith(": running")]
    assert ran == ["prepare", "seeded (seed 0)", "seeded (seed 1)", "use", "prepare", "use"]
