"""`[baseline] missing = "run"`: the first pull request has a baseline, measured by its own job at the merge base."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.command_line import Done, Workbench, living, workbench
from fakes.git_server import git_server
from fakes.repositories import Repository, fingerprint
from mlci.core.documents import Record, RecordsDocument, decode

CONFIG = """
[baseline]
missing = "run"
carry = ["data"]

[runs.train]
script = "train.py"
metrics = ["metrics.json"]
inputs = ["data/*.csv"]

[metrics.accuracy]
max-regression = 0.01
"""
TRAIN = """
import json, os, pathlib
rows = pathlib.Path("data/rows.csv").read_text().split()
seen = sorted(name for name in os.environ if name.startswith(("GITHUB_", "ACTIONS_")))
json.dump({{"accuracy": {accuracy}, "rows": len(rows), "seen": len(seen)}}, open("metrics.json", "w"))
"""


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    """A main branch that nobody has measured, a change that makes it worse, and data that git does not hold."""
    bench = workbench(tmp_path)
    bench.write(mlci__toml=CONFIG, train__py=TRAIN.format(accuracy=0.9), __gitignore="metrics.json\n/data\n")
    bench.commit()
    bench.repository.git("switch", "--quiet", "--create", "change")
    bench.write(train__py=TRAIN.format(accuracy=0.8), **{"data/rows__csv": "1\n2\n3\n"})
    bench.commit()
    return bench


def configure(bench: Workbench, **keys: str) -> None:
    """Set keys of `[baseline]`, on both branches."""
    text = CONFIG
    for key, value in keys.items():
        lines = [line for line in text.splitlines() if not line.startswith(f"{key} =")]
        text = "\n".join(lines).replace("[baseline]", f"[baseline]\n{key} = {value}") + "\n"
    bench.write(mlci__toml=text)


def measured(bench: Workbench) -> dict[str, Record]:
    data = (bench.folder / ".mlci/baseline.json").read_bytes()
    return {record.name: record for record in decode(data, RecordsDocument, name="baseline.json").records}


def reason(bench: Workbench) -> str:
    return str(bench.document("comparison.json")["baselines"]["train"]["reason"])


def ci(bench: Workbench) -> Done:
    return bench.mlci("ci", GITHUB_TOKEN="ghs_canary", ACTIONS_RUNTIME_TOKEN="canary", GITHUB_ENV="/nowhere")


def test_ci__measures_the_merge_base_where_nobody_has(bench: Workbench) -> None:
    main = bench.repository.git("rev-parse", "main")
    kept = ("train.py", "data/rows.csv", ".git/HEAD", ".git/index", ".git/config")
    before = {name: digest for name, digest in fingerprint(bench.folder).items() if name in kept}
    done = ci(bench)
    assert done.code == 0, done.err
    comparison = bench.document("comparison.json")
    found = comparison["baselines"]["train"]
    assert (found["commit"], found["distance"]) == (main, 0)
    assert found["reason"] == "measured by this very job at the merge base"
    accuracy = next(delta for delta in comparison["deltas"] if delta["metric"] == "accuracy")
    assert (accuracy["baseline"], accuracy["current"], accuracy["gate"]) == (0.9, 0.8, "fail")
    values = {metric.name: metric.value for metric in measured(bench)["train"].metrics}
    assert values == {"accuracy": 0.9, "rows": 3, "seen": 0}
    assert "merge base | train: succeeded" in done.err
    assert {name: digest for name, digest in fingerprint(bench.folder).items() if name in kept} == before
    assert not list((bench.folder / ".git").glob("worktrees/*"))
    assert not list((bench.folder / ".git/mlci").glob("base-*"))
    # Not saved, and not measured again.
    assert bench.mlci("baseline", "list").out == ""
    again = ci(bench)
    assert "merge base |" not in again.err
    assert bench.document("comparison.json")["verdict"] == "fail"


def test_ci__a_run_that_fails_there_is_no_baseline_and_says_why(bench: Workbench) -> None:
    bench.repository.git("switch", "--quiet", "main")
    bench.write(train__py="raise ValueError('no such luck')\n")
    bench.commit()
    bench.repository.git("switch", "--quiet", "--force-create", "change")
    bench.write(train__py=TRAIN.format(accuracy=0.8))
    bench.commit()
    done = ci(bench)
    assert done.code == 0, done.err
    assert bench.document("comparison.json")["verdict"] == "no-baseline"
    assert reason(bench).endswith("this job tried there: failed: ValueError: no such luck")


def test_ci__is_stopped_at_the_limit(bench: Workbench) -> None:
    bench.repository.git("switch", "--quiet", "main")
    bench.write(train__py="import time\ntime.sleep(600)\n")
    bench.commit()
    bench.repository.git("switch", "--quiet", "--force-create", "change")
    configure(bench, limit='"2s"')
    bench.write(train__py=TRAIN.format(accuracy=0.8))
    bench.commit()
    done = bench.mlci("ci", MARK_OF_THIS_TEST=str(bench.folder))
    assert done.code == 0, done.err
    assert living(MARK_OF_THIS_TEST=str(bench.folder)) == []
    assert reason(bench).endswith("failed: not done within the 2s of baseline.limit")


def test_ci__what_is_carried_is_checked_before_anything_runs(bench: Workbench) -> None:
    configure(bench, carry='["../elsewhere"]')
    done = ci(bench)
    assert done.code == 3
    assert "mlci.toml: baseline.carry[0]: expected a path inside of the repository" in done.err
    assert not (bench.folder / ".mlci/run.json").exists()


def test_ci__the_change_that_brings_mlci(bench: Workbench) -> None:
    """At the merge base there is the script, and no configuration."""
    bench.repository.git("switch", "--quiet", "--orphan", "fresh")
    bench.write(train__py=TRAIN.format(accuracy=0.9), __gitignore="metrics.json\n/data\n")
    bench.commit()
    bench.repository.git("branch", "--force", "main")
    bench.write(mlci__toml=CONFIG, **{"data/rows__csv": "1\n"})
    bench.commit()
    assert ci(bench).code == 0
    assert measured(bench)["train"].status == "succeeded"


def test_ci__code_that_is_imported_from_the_checkout_is_the_merge_base_s(bench: Workbench) -> None:
    script = "import json, model\njson.dump({{'accuracy': model.ACCURACY}}, open('metrics.json', 'w'))\n".format()
    bench.repository.git("switch", "--quiet", "main")
    bench.write(train__py=script, **{"src/model__py": "ACCURACY = 0.9\n"})
    bench.commit()
    bench.repository.git("switch", "--quiet", "--force-create", "change")
    bench.write(**{"src/model__py": "ACCURACY = 0.7\n"})
    bench.commit()
    done = bench.mlci("ci", PYTHONPATH=str(bench.folder / "src"))
    assert done.code == 0, done.err
    [delta] = bench.document("comparison.json")["deltas"]
    assert (delta["baseline"], delta["current"]) == (0.9, 0.7)


def test_measure__in_a_shallow_clone_fetches_what_it_lacks(bench: Workbench, tmp_path: Path) -> None:
    with git_server(tmp_path / "served") as server:
        url = server.create()
        bench.repository.git("push", "--quiet", url, "main", "change")
        runner = Repository(tmp_path / "runner")
        bench.repository.git("clone", "--quiet", "--depth=1", "--branch=change", url, str(runner.folder))
        (runner.folder / "data").mkdir()
        (runner.folder / "data/rows.csv").write_text("1\n")
        shallow = Workbench(runner, bench.home)
        untouched = fingerprint(runner.folder)
        assert shallow.mlci("run").code == 0
        done = shallow.mlci("baseline", "measure")
        assert done.code == 0, done.err
        assert "train at the merge base" in done.out
        assert measured(shallow)["train"].metrics[0].value == 0.9
        changed = {name for name, digest in fingerprint(runner.folder).items() if untouched.get(name) != digest}
        assert {name for name in changed if not name.startswith((".mlci/", "metrics.json"))} == set()
        assert shallow.mlci("baseline", "measure").out == "every run has a baseline\n"
