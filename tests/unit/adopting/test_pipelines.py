"""Pipelines that a team has written down become runs, or what git holds, or the pipeline's own command."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlci.adopting.candidates import Candidate
from mlci.adopting.listing import Listing
from mlci.adopting.pipelines import pipeline


def runs(folder: Path, path: str, text: str, *others: str, project: str = "") -> list[Candidate]:
    for name in (path, *others):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text if name == path else "{}")
    return pipeline(Listing(folder, tuple(sorted((path, *others)))), path, project)


STAGES = """
stages:
  prepare: {cmd: python prepare.py, deps: [prepare.py, raw.csv], outs: [clean.csv]}
  train:
    cmd: python train.py --depth 3
    deps: [train.py, clean.csv]
    outs: [model.pkl]
    metrics: [scores.json: {cache: false}]
"""


def test_dvc__a_run_a_stage_in_its_order(tmp_path: Path) -> None:
    prepare, train = runs(tmp_path, "dvc.yaml", STAGES, "prepare.py", "train.py", "raw.csv")
    assert (prepare.source, prepare.inputs, prepare.needs) == ("prepare.py", ("raw.csv",), ())
    assert (train.source, train.args, train.needs) == ("train.py", ("--depth", "3"), ("prepare",))
    assert (train.metrics, train.artifacts) == (("scores.json",), ("model.pkl",))


def test_dvc__in_a_folder_of_the_project(tmp_path: Path) -> None:
    _, train = runs(tmp_path, "p/dvc.yaml", STAGES, "p/prepare.py", "p/train.py", "p/raw.csv")
    assert (train.source, train.cwd, train.metrics) == ("p/train.py", "p", ("scores.json",))


def test_dvc__data_that_only_its_remote_has_leaves_the_metrics_that_git_holds(tmp_path: Path) -> None:
    [run] = runs(tmp_path, "dvc.yaml", STAGES, "prepare.py", "train.py", "raw.csv.dvc", "scores.json")
    assert (run.kind, run.metrics) == ("committed", ("dvc.yaml",))
    assert "git does not hold raw.csv" in run.notes[0]


def test_dvc__what_only_dvc_can_run_is_its_own_command(tmp_path: Path) -> None:
    text = STAGES.replace("--depth 3", "--depth ${depth} | tee log")
    [run] = runs(tmp_path, "dvc.yaml", text, "prepare.py", "train.py", "raw.csv")
    assert (run.command, run.metrics) == (("python", "-m", "dvc", "repro", "--force"), ("scores.json",))


MLPROJECT = """
entry_points:
  main:
    parameters: {rate: {type: float, default: 0.1}, seed: 3, data: path}
    command: "python train.py --rate {rate} --seed {seed}"
"""


def test_mlproject__its_main_entry_point_with_its_defaults(tmp_path: Path) -> None:
    [run] = runs(tmp_path, "MLproject", MLPROJECT, "train.py")
    assert (run.source, run.args) == ("train.py", ("--rate", "{rate}", "--seed", "{seed}"))
    assert (run.given, run.seeded) == ({"rate": 0.1}, True)


def test_mlproject__a_parameter_without_a_default_speaks_against_it(tmp_path: Path) -> None:
    [run] = runs(tmp_path, "MLproject", MLPROJECT.replace("{seed}", "{data}"), "train.py")
    assert run.against == ("does not start without data",)


@pytest.mark.parametrize("path", ["dvc.yaml", "MLproject"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "stages: 3\nentry_points: 4",
        "stages: {a: [1]}\nentry_points: {main: []}",
        "a: &a [x]\nb: *a",
        "stages: {a: {cmd: python ../../x.py, wdir: ../.., metrics: [../../m.json]}}",
        "entry_points: {main: {command: python ../../etc/x.py}}",
    ],
)
def test_pipeline__what_is_none_gives_no_run_outside_of_the_repository(tmp_path: Path, path: str, text: str) -> None:
    for run in runs(tmp_path, path, text):
        assert ".." not in str((run.source, run.cwd, run.metrics))
