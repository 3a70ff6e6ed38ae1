"""The migration pages do what they say: their configurations, scripts and commands, on files as those tools write."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fakes.command_line import Done, Workbench, notebook, workbench
from test_docs import ROOT, blocks

PYTHON3: Any = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
HOW_TO = ROOT / "docs/how-to"


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    """A repository, and `mlci` on the PATH of its scripts."""
    made = workbench(tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("mlci", "python"):
        module = " -m mlci" if name == "mlci" else ""
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n')
        (programs / name).chmod(0o755)
    return made


def sh(bench: Workbench, script: str) -> Done:
    """Run a block of a page, which has to succeed."""
    path = os.pathsep.join([str(bench.home.parent / "bin"), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=bench.folder,
        env=bench.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def metrics(bench: Workbench) -> dict[str, float]:
    """The metrics of the one record."""
    [record] = bench.document("record.json")["records"]
    return {metric["name"]: metric["value"] for metric in record["metrics"]}


def gated(bench: Workbench) -> tuple[float, float, str]:
    """Baseline, value and result of the one metric that has a rule."""
    [delta] = [item for item in bench.document("comparison.json")["deltas"] if item["gate"] != "none"]
    return delta["baseline"], delta["current"], delta["gate"]


def test_cml__script_and_rules(bench: Workbench) -> None:
    page = HOW_TO / "migrate-from-cml.md"
    [config], [train] = blocks(page, "toml"), blocks(page, "python")
    bench.write(
        mlci__toml=config,
        train__py=f"{train}\nopen('confusion.png', 'wb').write(bytes.fromhex('89504e470d0a1a0a'))\n",
        __gitignore="metrics.json\nconfusion.png\n",
    )
    bench.commit()
    assert bench.mlci("ci").code == 0
    assert bench.mlci("baseline", "save").code == 0
    assert bench.repository.git("switch", "--quiet", "--create", "worse") == ""
    bench.write(train__py=(bench.folder / "train.py").read_text().replace("0.93", "0.83"))
    bench.commit()
    assert bench.mlci("ci").code == 0
    assert gated(bench) == (0.93, 0.83, "fail")
    assert bench.mlci("gate").code == 0  # `mode = "report"` does not block


def test_nbmake__a_glob_tags_and_metadata(bench: Workbench) -> None:
    [glob, _] = blocks(HOW_TO / "migrate-from-nbmake.md", "toml")
    (bench.folder / "notebooks").mkdir()
    written = {
        "raises": notebook("1 / 0", tags={0: "raises-exception"}, **PYTHON3),
        "skips": notebook("1 / 0", tags={0: "skip-execution"}, **PYTHON3),
        "allows": notebook("1 / 0", execution={"allow_errors": True}, **PYTHON3),
    }
    for name, text in written.items():
        (bench.folder / f"notebooks/{name}.ipynb").write_text(text)
    bench.write(mlci__toml=glob)
    bench.commit()
    bench.mlci("run", "-j", "auto")
    found = {item["name"]: item["status"] for item in bench.document("run.json")["runs"]}
    assert found == {"notebooks.raises": "succeeded", "notebooks.skips": "succeeded", "notebooks.allows": "failed"}
    assert (bench.folder / ".mlci/outputs/notebooks.raises/executed.ipynb").is_file()
    assert bench.repository.git("status", "--porcelain") == ""


def test_papermill__parameters_seeds_and_kept_notebooks(bench: Workbench) -> None:
    page = HOW_TO / "migrate-from-nbmake.md"
    [_, config] = blocks(page, "toml")
    [_, keep] = blocks(page, "sh")
    code = "import json\njson.dump({'accuracy': 0.8 + epochs / 100 + seed / 1000}, open('metrics.json', 'w'))"
    bench.write(
        mlci__toml=config,
        train__ipynb=notebook("epochs = 1\nseed = 0", code, tags={0: "parameters"}, **PYTHON3),
        __gitignore="metrics.json\nout/\n",
    )
    bench.commit()
    assert bench.mlci("ci").code == 0
    assert metrics(bench) == {"accuracy": pytest.approx(0.851)}

    scrap = {
        "application/scrapbook.scrap.json+json": {"name": "accuracy", "data": 0.9, "encoder": "json", "version": 1}
    }
    executed = json.loads(notebook("sb.glue('accuracy', 0.9)"))
    executed["cells"][0]["outputs"] = [{"output_type": "display_data", "data": scrap, "metadata": {}}]
    (bench.folder / "out").mkdir()
    (bench.folder / "out/train-0.ipynb").write_text(json.dumps(executed))
    assert "saved train" in sh(bench, keep).out
    assert metrics(bench) == {"accuracy": 0.9}


@pytest.fixture
def pipeline(bench: Workbench) -> Workbench:
    """A DVC pipeline whose branch made the metric worse, with the metrics committed."""
    [pipeline, _] = blocks(HOW_TO / "migrate-from-dvc.md", "yaml")
    bench.write(dvc__yaml=pipeline, params__yaml="train: {trees: 100}\n", train__py="", __gitignore=".mlci\n")
    bench.write(metrics__json='{"test": {"accuracy": 0.9, "loss": 0.3}}')
    bench.commit()
    bench.repository.git("switch", "--quiet", "--create", "worse")
    bench.write(metrics__json='{"test": {"accuracy": 0.85, "loss": 0.3}}')
    bench.commit()
    return bench


def test_dvc__metrics_that_are_committed(pipeline: Workbench) -> None:
    pipeline.write(mlci__toml=blocks(HOW_TO / "migrate-from-dvc.md", "toml")[0])
    assert pipeline.mlci("ci").code == 0
    assert metrics(pipeline) == {"test.accuracy": 0.85, "test.loss": 0.3}
    assert gated(pipeline) == (0.9, 0.85, "fail")


def test_dvc__history_and_training_in_ci(pipeline: Workbench) -> None:
    page = HOW_TO / "migrate-from-dvc.md"
    pipeline.write(mlci__toml=blocks(page, "toml")[1])
    pipeline.commit()
    # What `dvc repro --force` does with this pipeline, without DVC.
    dvc = pipeline.home.parent / "bin/dvc"
    dvc.write_text(
        '#!/bin/sh\n[ "$*" = "repro --force" ] || exit 0\necho \'{"test": {"accuracy": 0.8}}\' > metrics.json\n'
    )
    dvc.chmod(0o755)
    [history] = blocks(page, "sh")
    said = sh(pipeline, history).out
    assert re.search(r"test\.accuracy.*\n.*\n.*\n +[0-9a-f]{7} .* 0\.9", said)
    path = os.pathsep.join([str(dvc.parent), os.environ["PATH"]])
    assert pipeline.mlci("ci", PATH=path).code == 0
    assert gated(pipeline) == (0.9, 0.8, "fail")
    # Where everything is up to date DVC writes nothing, and what a run has not written does not count.
    pipeline.write(mlci__toml=(pipeline.folder / "mlci.toml").read_text().replace(', "--force"', ""))
    pipeline.mlci("ci", PATH=path)
    assert metrics(pipeline) == {}


@pytest.mark.parametrize(
    ("tool", "unit", "kept"), [("pytest", "iter/sec", 80.0), ("customSmallerIsBetter", "s", 0.0125)]
)
def test_github_action_benchmark__history_and_the_next_result(
    bench: Workbench, tool: str, unit: str, kept: float
) -> None:
    page = HOW_TO / "migrate-from-github-action-benchmark.md"
    [config], [keep], [commands] = blocks(page, "toml"), blocks(page, "python"), blocks(page, "sh")
    report = {
        "machine_info": {},
        "commit_info": {},
        "benchmarks": [{"fullname": "bench.py::test_predict", "stats": {"mean": 0.03, "stddev": 0.0001, "rounds": 40}}],
    }
    bench.write(mlci__toml=config, report__json=json.dumps(report), __gitignore="output.json\n")
    commit = bench.commit()
    entry = {
        "commit": {"author": {"name": "A", "username": "a"}, "id": commit, "message": "Change", "url": ""},
        "date": 1700000000000,
        "tool": tool,
        "benches": [{"name": "bench.py::test_predict", "value": kept, "unit": unit, "range": "stddev: 0.0001"}],
    }
    data = {"lastUpdate": 1700000000000, "repoUrl": "", "entries": {"Benchmark": [entry]}}
    bench.write(keep__py=keep, data__js=f"window.BENCHMARK_DATA = {json.dumps(data, indent=2)}")
    assert "benchmark  default" in sh(bench, commands.partition("\n")[2]).out

    # The benchmark itself, without pytest-benchmark: its report is there already.
    pytest_ = bench.home.parent / "bin/pytest"
    pytest_.write_text("#!/bin/sh\ncp report.json output.json\n")
    pytest_.chmod(0o755)
    bench.commit()
    assert bench.mlci("ci", PATH=os.pathsep.join([str(pytest_.parent), os.environ["PATH"]])).code == 0
    assert gated(bench) == (0.0125, 0.03, "fail")
