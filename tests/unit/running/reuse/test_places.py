"""Which files are a run's declared outputs and inputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.reuse import Scene, scene
from mlci.running.reuse.places import Places

OUTPUTS = '["m.bin", "figures/*.png", "deep/**/*.csv", "run-[0-9]/x"]'


def places(made: Scene) -> Places:
    return made.reuse()._places(made.key())


@pytest.fixture
def made(tmp_path: Path) -> Scene:
    folder = tmp_path / "with [brackets]"
    folder.mkdir()
    return scene(folder, f'inputs = ["data"]\nartifacts = {OUTPUTS}\n', data__dvc="outs: [{md5: abc, path: data}]")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("m.bin", True),
        ("sub/m.bin", False),
        ("figures/a.png", True),
        ("figures/a.svg", False),
        ("figures/deep/a.png", False),
        ("deep/a.csv", True),
        ("deep/er/still/a.csv", True),
        ("deep/a.txt", False),
        ("run-1/x", True),
        ("run-a/x", False),
        ("../m.bin", False),
        (".", False),
    ],
)
def test_is_output(made: Scene, path: str, expected: bool) -> None:
    assert places(made).is_output(f"{made.folder.resolve()}/{path}") is expected


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        (".", True),
        ("figures", True),
        ("deep", True),
        ("deep/er", True),
        ("run-7", True),
        ("data", False),
        ("m.bin", False),
    ],
)
def test_leads_to_output(made: Scene, folder: str, expected: bool) -> None:
    assert places(made).leads_to_output(f"{made.folder.resolve()}/{folder}") is expected


def test_is_input__whatever_lies_in_a_folder_that_dvc_tracks(made: Scene) -> None:
    found = places(made)
    assert found.is_input(str(made.folder.resolve() / "data/deep/a.csv"))
    assert not found.is_input(str(made.folder.resolve() / "database.csv"))


def test_is_input__a_link_counts_as_what_it_leads_to(tmp_path: Path) -> None:
    made = scene(tmp_path, 'inputs = ["link.csv"]', real__csv="1")
    (made.folder / "link.csv").symlink_to(made.folder / "real.csv")
    assert places(made).is_input(str(made.folder.resolve() / "real.csv"))


def test_is_input__of_a_notebook_only_the_code_is_known(tmp_path: Path) -> None:
    text = '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}'
    made = scene(tmp_path, kind='[runs.train]\nnotebook = "train.ipynb"\nreuse = true\n', train__ipynb=text)
    assert not places(made).is_input(str(made.folder.resolve() / "train.ipynb"))
