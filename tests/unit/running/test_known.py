"""Known places are found without walking for ever, and `dvc.yaml` adds to them."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

import pytest

from mlci.running import known


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def looked(folder: Path, place: str) -> list[str] | None:
    found = known.look(folder, place)
    return None if found is None else [path.relative_to(folder).as_posix() for path in found]


FILES = (
    "metrics.json",
    "results.csv",
    "a/all_results.json",
    "a/b/all_results.json",
    "runs/results.csv",
    "runs/x/results.csv",
    "runs/x/y/results.csv",
    "runs/x/other.csv",
    "mlruns/1/abc/meta.yaml",
    "mlruns/1/meta.yaml",
    "logs/version_3/metrics.csv",
    "logs/other/metrics.csv",
)


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("metrics.json", ["metrics.json"]),
        ("missing.json", []),
        ("missing/*/x", []),
        ("runs", []),
        ("*/all_results.json", ["a/all_results.json"]),
        ("runs/**/results.csv", ["runs/results.csv", "runs/x/results.csv", "runs/x/y/results.csv"]),
        ("runs/**/*.csv", ["runs/results.csv", "runs/x/other.csv", "runs/x/results.csv", "runs/x/y/results.csv"]),
        ("mlruns/*/*/meta.yaml", ["mlruns/1/abc/meta.yaml"]),
        ("logs/version_*/metrics.csv", ["logs/version_3/metrics.csv"]),
    ],
)
def test_look__is_as_a_glob_is(tmp_path: Path, place: str, found: list[str]) -> None:
    write(tmp_path, *FILES)
    assert (
        looked(tmp_path, place)
        == found
        == sorted(path.relative_to(tmp_path).as_posix() for path in globbed(tmp_path, place))
    )


def globbed(folder: Path, place: str) -> list[Path]:
    return [path for path in folder.glob(place) if path.is_file()]


@pytest.mark.parametrize("place", known.PLACES)
def test_matches__what_look_finds_and_nothing_else(tmp_path: Path, place: str) -> None:
    write(tmp_path, *FILES)
    pattern = PurePath(place).parts
    assert [name for name in sorted(FILES) if known.matches(PurePath(name).parts, pattern)] == looked(tmp_path, place)


def test_look__a_link_round_in_a_circle(tmp_path: Path) -> None:
    write(tmp_path, "runs/a/results.csv")
    (tmp_path / "runs/a/again").symlink_to("..")
    assert looked(tmp_path, "runs/**/results.csv") == ["runs/a/results.csv"]


def test_look__gives_up_where_there_is_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MAX_ENTRIES", 5)
    write(tmp_path, *(f"runs/{number}.txt" for number in range(5)))
    assert looked(tmp_path, "runs/**/results.csv") == []
    write(tmp_path, "runs/results.csv")
    assert looked(tmp_path, "runs/**/results.csv") is None


def test_look__many_files_beside_a_name_that_is_known_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "MAX_ENTRIES", 5)
    write(tmp_path, "out/all_results.json", *(f"out/{number}.txt" for number in range(9)))
    assert looked(tmp_path, "*/all_results.json") == ["out/all_results.json"]


def test_look__folders_deeper_than_python_can_recurse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    depth = 1_500
    monkeypatch.chdir(tmp_path)
    for _ in range(depth):
        Path("runs").mkdir()
        os.chdir("runs")
    try:
        assert looked(tmp_path, "runs/**/results.csv") == []
    finally:  # nothing that recurses can remove them
        for _ in range(depth):
            os.chdir("..")
            Path("runs").rmdir()


DVC = """
stages:
  train:
    cmd: python train.py
    wdir: model
    metrics:
      - scores.json:
          cache: false
      - ../top.json
  each:
    foreach: [a, b]
    do:
      cmd: echo ${item}
  template:
    cmd: echo
    metrics: ["${dir}/x.json", "glob*.json", "metrics.json"]
metrics:
  - eval/scores.json
  - metrics.json
"""


def test_places__what_dvc_names_comes_first(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(DVC)
    named = ["eval/scores.json", "metrics.json", "model/scores.json", "top.json"]
    assert known.named_by_dvc(tmp_path) == tuple(named)
    assert known.places(tmp_path) == (*named, *(place for place in known.PLACES if place != "metrics.json"))


NOTHING = {
    "torn": "metrics: [",
    "a number": "metrics: 3",
    "a list": "- metrics",
    "no paths": "metrics: [1, null, {}, [x]]",
    "no lists": "stages: {a: {metrics: {b: c}}, metrics: 1}",
    "a NUL": 'metrics: ["a\\0b"]',
    "depth": "metrics: " + "[" * 5_000,
    "an object": "metrics: !!python/object:os.system x",
    "a list of itself": "metrics: &a [*a]",
    "too large": "metrics:\n" + "- x.json\n" * 20_000,
}


@pytest.mark.parametrize("text", NOTHING.values(), ids=NOTHING)
def test_places__a_dvc_yaml_that_names_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "dvc.yaml").write_text(text)
    assert known.places(tmp_path) == known.PLACES


def test_places__a_dvc_yaml_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_bytes(b"metrics: \xff\xfe")
    assert known.places(tmp_path) == known.PLACES
