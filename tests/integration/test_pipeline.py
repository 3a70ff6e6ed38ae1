"""run, record, baseline, compare, report and gate, one after the other, as on a laptop and in CI."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fakes.command_line import Workbench, notebook, workbench

CONFIG = """
[runs.train]
script = "train.py"
metrics = ["metrics.json"]
inputs = ["train.py"]

[metrics.accuracy]
max-regression = 0.01
"""


def training(accuracy: float, loss: float = 0.5) -> str:
    return f"import json\njson.dump({{'accuracy': {accuracy}, 'loss': {loss}}}, open('metrics.json', 'w'))\n"


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    bench = workbench(tmp_path)
    bench.write(mlci__toml=CONFIG, train__py=training(0.9), __gitignore="metrics.json\n")
    bench.commit()
    return bench


def measure(bench: Workbench) -> None:
    for command in ("run", "record", "compare", "report"):
        done = bench.mlci(command)
        assert done.code == 0, done.err


def save_baseline(bench: Workbench) -> None:
    for command in (["run"], ["record"], ["baseline", "save"]):
        done = bench.mlci(*command)
        assert done.code == 0, done.err


def on_a_branch(bench: Workbench, accuracy: float, loss: float = 0.5) -> str:
    """Save the main branch's baseline, then measure a change on a branch; the main branch's commit."""
    main = bench.repository.git("rev-parse", "HEAD")
    save_baseline(bench)
    bench.repository.git("switch", "--quiet", "--create", "change")
    bench.write(train__py=training(accuracy, loss))
    bench.commit()
    measure(bench)
    return main


def test_pipeline__a_regression_fails_the_gate(bench: Workbench) -> None:
    main = on_a_branch(bench, 0.8, 0.4)
    comparison = bench.document("comparison.json")
    assert (comparison["verdict"], comparison["blocks"]) == ("fail", True)
    assert comparison["baselines"]["train"]["commit"] == main
    verdicts = {delta["metric"]: (delta["verdict"], delta["gate"]) for delta in comparison["deltas"]}
    assert verdicts == {"accuracy": ("regressed", "fail"), "loss": ("improved", "none")}
    gate = bench.mlci("gate")
    assert gate.code == 5
    assert "train: accuracy: 0.1 worse, at most 0.01 allowed" in gate.err


def test_pipeline__a_pass_is_two_lines(bench: Workbench) -> None:
    main = on_a_branch(bench, 0.895)
    fold = bench.mlci("report", "--markdown").out.split("<details>")[0].strip().splitlines()
    assert len(fold) == 2
    assert fold[0] == "### ✅ mlci: pass: 1 of 2 metrics gated"
    assert f"baseline `{main[:7]}` (the merge base)" in fold[1]
    assert bench.mlci("gate").code == 0


def test_pipeline__no_baseline_is_said_and_is_no_pass(bench: Workbench) -> None:
    measure(bench)
    assert bench.document("comparison.json")["verdict"] == "no-baseline"
    gate = bench.mlci("gate")
    assert gate.code == 0
    assert "the gate passes (no-baseline)" in gate.out


def test_pipeline__a_missing_baseline_can_fail(bench: Workbench) -> None:
    bench.write(mlci__toml=CONFIG + '[baseline]\nmissing = "fail"\n')
    bench.commit()
    measure(bench)
    assert bench.mlci("gate").code == 5


def test_pipeline__report_mode_never_blocks(bench: Workbench) -> None:
    bench.write(mlci__toml=CONFIG + '[gate]\nmode = "report"\n')
    bench.commit()
    on_a_branch(bench, 0.5)
    assert bench.document("comparison.json")["verdict"] == "fail"
    gate = bench.mlci("gate")
    assert gate.code == 0
    assert "the gate does not block: the verdict is fail" in gate.out


def test_pipeline__the_nearest_measured_ancestor_with_its_distance(bench: Workbench) -> None:
    measured = bench.repository.git("rev-parse", "HEAD")
    save_baseline(bench)
    for _ in range(2):
        bench.commit("Not measured")
    bench.repository.git("switch", "--quiet", "--create", "change")
    bench.commit("Change")
    measure(bench)
    baseline = bench.document("comparison.json")["baselines"]["train"]
    assert (baseline["commit"], baseline["distance"]) == (measured, 2)
    assert "2 commits before the merge base" in bench.mlci("report").out


def test_pipeline__changed_inputs_are_flagged(bench: Workbench) -> None:
    on_a_branch(bench, 0.905)
    assert bench.document("comparison.json")["baselines"]["train"]["changed"] == ["input train.py changed"]


def test_pipeline__an_unchanged_run_can_be_skipped(bench: Workbench) -> None:
    bench.write(mlci__toml=CONFIG.replace("inputs =", 'only = { paths = "inputs" }\ninputs ='))
    bench.commit()
    main = bench.repository.git("rev-parse", "HEAD")
    save_baseline(bench)
    bench.repository.git("switch", "--quiet", "--create", "docs")
    bench.write(README__md="Words\n")
    bench.commit()
    plan = bench.mlci("plan")
    assert f"skip  train  inputs unchanged since the baseline {main[:7]}" in plan.out
    assert json.loads(bench.mlci("plan", "--json").out) == {"include": []}
    measure(bench)
    assert bench.document("comparison.json")["verdict"] == "pass"
    assert "inputs unchanged since the baseline" in bench.mlci("report").out


def test_pipeline__a_parameter_that_a_run_never_receives_does_not_keep_it_selected(bench: Workbench) -> None:
    shared = "[defaults]\nparameters = { unused = 1 }\n"
    bench.write(mlci__toml=shared + CONFIG.replace("inputs =", 'only = { paths = "inputs" }\ninputs ='))
    bench.commit()
    save_baseline(bench)
    bench.repository.git("switch", "--quiet", "--create", "docs")
    bench.commit()
    assert "skip  train  inputs unchanged" in bench.mlci("plan").out


@pytest.mark.parametrize("change", ['args = ["--fast"]', "parameters = { rate = 2 }", "seeds = [1]"])
def test_pipeline__a_changed_table_is_a_changed_input(bench: Workbench, change: str) -> None:
    lines = CONFIG.replace("inputs =", 'only = { paths = "inputs" }\ninputs =')
    bench.write(mlci__toml=lines, train__py="# MLCI_PARAMETERS MLCI_SEED\n" + training(0.9))
    bench.commit()
    save_baseline(bench)
    bench.repository.git("switch", "--quiet", "--create", "change")
    bench.write(mlci__toml=lines.replace("metrics =", f"{change}\nmetrics =", 1))
    bench.commit()
    assert "run   train" in bench.mlci("plan").out


def test_pipeline__one_document_of_another_run_is_refused(bench: Workbench) -> None:
    measure(bench)
    comparison = (bench.folder / ".mlci/comparison.json").read_bytes()
    bench.mlci("run")
    assert bench.mlci("gate").code == 2
    bench.mlci("record")
    (bench.folder / ".mlci/comparison.json").write_bytes(comparison)
    done = bench.mlci("gate")
    assert done.code == 2
    assert "comparison.json was not made from the record.json beside it" in done.err


def test_record__several_machines(bench: Workbench) -> None:
    bench.write(
        mlci__toml=CONFIG.replace('inputs = ["train.py"]', "") + '[runs.other]\nscript = "other.py"\n', other__py=""
    )
    bench.commit()
    for name in ("train", "other"):
        assert bench.mlci("run", name, MLCI_WORKSPACE=f"machines/{name}").code == 0
    assert bench.mlci("record", "machines/train", "machines/other").code == 0
    statuses = {record["name"]: record["status"] for record in bench.document("record.json")["records"]}
    assert statuses == {"train": "succeeded", "other": "succeeded"}


def test_record__a_run_that_was_not_named(bench: Workbench) -> None:
    bench.write(mlci__toml=CONFIG + '[runs.other]\nscript = "other.py"\n', other__py="")
    bench.commit()
    bench.mlci("run", "train")
    assert bench.mlci("record").code == 0
    statuses = {record["name"]: record["status"] for record in bench.document("record.json")["records"]}
    assert statuses == {"train": "succeeded", "other": "skipped"}


def test_record__a_machine_that_was_lost(bench: Workbench) -> None:
    bench.write(mlci__toml=CONFIG + '[runs.other]\nscript = "other.py"\n', other__py="")
    bench.commit()
    bench.mlci("run", "train", MLCI_WORKSPACE="machines/train")
    done = bench.mlci("record", "machines/train")
    assert done.code == 0
    assert "other: planned, but no workspace holds its result" in done.err
    bench.mlci("compare")
    assert bench.mlci("gate").code == 5


def test_baseline__show_and_list(bench: Workbench) -> None:
    main = on_a_branch(bench, 0.9)
    shown = bench.mlci("baseline", "show", "train").out
    assert main in shown
    assert "accuracy = 0.9" in shown
    assert main in bench.mlci("baseline", "list").out
    [entry] = json.loads(bench.mlci("baseline", "list", "--json").out)
    assert entry == {"run": "train", "profile": "default", "commit": main}


def test_baseline__folder_store(bench: Workbench) -> None:
    bench.write(
        mlci__toml=CONFIG + '[baseline]\nstore = "folder"\noptions = { path = "baselines" }\n',
        __gitignore="metrics.json\nbaselines/\n",
    )
    bench.commit()
    on_a_branch(bench, 0.5)
    assert list((bench.folder / "baselines").rglob("*.json"))
    assert bench.mlci("gate").code == 5


def test_ci__a_failed_run_exits_4_and_still_reports(bench: Workbench) -> None:
    bench.write(mlci__toml='[runs.note]\nnotebook = "note.ipynb"\n', note__ipynb=notebook("x = 1", "x / 0"))
    bench.commit()
    done = bench.mlci("ci")
    assert done.code == 4
    fold = done.out.split("\n\n")[0]
    assert "note failed in note.ipynb, cell 2, line 1: ZeroDivisionError: division by zero" in fold
    assert "mlci run note" in fold
    assert (bench.folder / ".mlci/report.md").exists()


def test_ci__a_pull_request_s_failed_run_is_annotated(bench: Workbench, tmp_path: Path) -> None:
    bench.write(train__py="raise ValueError('50% | no')\n")
    bench.commit()
    summary, outputs, event = tmp_path / "summary", tmp_path / "outputs", tmp_path / "event.json"
    event.write_text('{"pull_request": {"number": 1}}')
    done = bench.mlci(
        "ci",
        GITHUB_ACTIONS="true",
        GITHUB_EVENT_NAME="pull_request",
        GITHUB_EVENT_PATH=str(event),
        GITHUB_STEP_SUMMARY=str(summary),
        GITHUB_OUTPUT=str(outputs),
    )
    assert done.code == 4
    assert "::error file=train.py,line=1,title=train::ValueError: 50%25 | no" in done.out
    assert summary.read_text().startswith("### ❌ mlci: fail, blocking: 1 run did not succeed")
    assert "verdict<<" in outputs.read_text()


def test_ci__outside_of_the_default_branch_saves_nothing(bench: Workbench) -> None:
    assert bench.mlci("ci").code == 0
    assert bench.mlci("baseline", "list").out == ""
