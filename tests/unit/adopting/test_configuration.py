"""The text of mlci.toml says what was found, in TOML that stays TOML whatever names are in it."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from mlci.adopting.candidates import Candidate
from mlci.adopting.choosing import Adopted, Chosen, adopted
from mlci.adopting.configuration import configuration
from mlci.adopting.dependencies import Dependencies
from mlci.adopting.scan import Part
from mlci.config.checking import check
from mlci.config.file import ConfigFile

PIP = Dependencies(folder="", tool="pip", files=(), install="", python="3.13")


def tables(*runs: Chosen, releases: bool = False) -> dict[str, Any]:
    project = Adopted("", "main", runs, PIP)
    found = tomllib.loads(configuration(project, branch="main", releases=releases))
    check(found, ConfigFile, file="mlci.toml")
    return found


def run(name: str = "train", needs: tuple[str, ...] = (), **more: Any) -> Chosen:
    candidate = Candidate(**{"path": "train.py", "kind": "script", "source": "train.py", **more})
    return Chosen(name, candidate, needs, ())


def test_configuration__a_run_with_everything() -> None:
    found = tables(
        run(
            args=("--seed", "{seed}"),
            env={"SEED": "{seed}", "odd name": "x"},
            given={"rate": 0.1, "fast": True},
            parameters={"trees": 20, "name": 'a "b"'},
            seeded=True,
            metrics=("metrics.json",),
            artifacts=("model.pt",),
            plots=("plot.png",),
            inputs=tuple(f"data/part-{number:03}.csv" for number in range(12)),
            needs=(),
        )
    )["runs"]["train"]
    assert found["seeds"] == [0, 1, 2]
    assert found["parameters"] == {"rate": 0.1, "fast": True}
    assert len(found["inputs"]) == 12


def test_configuration__begins_by_reporting_only() -> None:
    assert tables(run())["gate"] == {"mode": "report"}


def test_configuration__a_rule_that_fits_a_longer_name_is_not_said_twice() -> None:
    assert list(tables(run(names=("train_loss", "loss", "val_acc")))["metrics"]) == ["*loss", "*val_acc"]


def test_configuration__rules_in_the_direction_of_the_name() -> None:
    project = Adopted("", "main", (run(names=("accuracy", "rmse")),), PIP)
    text = configuration(project, branch="main")
    assert tomllib.loads(text)["metrics"] == {"*accuracy": {"max-regression": "2%"}, "*rmse": {"max-regression": "2%"}}
    assert "# higher is better" in text
    assert "# lower is better" in text


@pytest.mark.parametrize("text", ['a"b', "a\\b", "é", "a'b", "{x}", "#", "😀"])
def test_configuration__whatever_a_file_is_called(text: str) -> None:
    assert tables(run(source=text))["runs"]["train"]["script"] == text


def test_configuration__a_model_for_each_run_that_saves_one() -> None:
    assert tables(run(artifacts=("m.pt",)), run("other"), releases=True)["models"] == {"train": {"run": "train"}}
    assert "models" not in tables(run(), releases=True)


def part(folder: str, *candidates: Candidate) -> tuple[Part, tuple[Candidate, ...]]:
    return Part(folder=folder, candidates=candidates, more=0, dependencies=PIP), candidates


def test_adopted__names_tell_runs_and_projects_apart() -> None:
    one = part("x/a", *(Candidate(path=path, kind="script", source=path) for path in ("p/train.py", "q/train.py")))
    two = part("y/a", Candidate(path="t", kind="script", source="train it!.py"))
    first, second = adopted([one, two])
    assert [first.id, second.id] == ["x-a", "y-a"]
    assert [item.name for item in first.runs] == ["x-a-p-train", "x-a-q-train"]
    assert [item.name for item in second.runs] == ["y-a-train-it"]


def test_adopted__whatever_writes_what_a_picked_one_reads_comes_first() -> None:
    make = Candidate(path="make.py", kind="script", source="make.py", makes=("clean.csv",))
    train = Candidate(path="train.py", kind="script", source="train.py", missing=("clean.csv", "far.csv"))
    [project] = adopted([(Part(folder="", candidates=(train, make), more=0, dependencies=PIP), [train])])
    assert [(item.name, item.needs, item.lacking) for item in project.runs] == [
        ("make", (), ()),
        ("train", ("make",), ("far.csv",)),
    ]


def test_adopted__two_that_wait_for_each_other_make_no_cycle() -> None:
    one = Candidate(path="a.py", kind="script", source="a.py", makes=("a.csv",), missing=("b.csv",))
    two = Candidate(path="b.py", kind="script", source="b.py", makes=("b.csv",), missing=("a.csv",))
    [project] = adopted([part("", one, two)])
    assert [(item.name, item.needs) for item in project.runs] == [("a", ()), ("b", ("a",))]
