"""`mlci demo`, whole: real models, a real repository, one metric better, one worse than allowed, one within noise."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.command_line import Workbench, workbench

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]


@pytest.fixture(scope="module")
def demonstrated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workbench, str]:
    bench = workbench(tmp_path_factory.mktemp("demo"))
    target = bench.home.parent / "example"
    # Even on a runner the demo is nobody's pull request.
    done = bench.mlci("demo", "--into", str(target), GITHUB_ACTIONS="true", GITHUB_EVENT_NAME="pull_request")
    assert done.code == 0, done.err
    bench.repository.folder = target
    return bench, done.out


def test_demo__one_better_one_worse_one_within_noise(demonstrated: tuple[Workbench, str]) -> None:
    bench, _ = demonstrated
    deltas = {
        (delta["run"], delta["metric"], delta["slice"]): delta for delta in bench.document("comparison.json")["deltas"]
    }
    recall, precision = deltas["tumours", "recall", None], deltas["tumours", "precision", None]
    assert (recall["verdict"], recall["gate"]) == ("regressed", "fail")
    assert (precision["verdict"], precision["gate"]) == ("improved", "pass")
    assert recall["noise"] == "3 paired seeds"
    assert recall["interval"][1] < -0.02
    accuracy = deltas["tumours", "accuracy", None]
    assert (accuracy["verdict"], accuracy["gate"]) == ("unchanged", "pass")
    assert accuracy["interval"][0] < 0 < accuracy["interval"][1]
    assert accuracy["change"] != 0
    assert deltas["digits", "accuracy", None]["verdict"] == "unchanged"


def test_demo__says_where_everything_lies(demonstrated: tuple[Workbench, str]) -> None:
    bench, said = demonstrated
    assert "mlci: fail, blocking: 1 metric worse than allowed" in said
    assert f"lies in {bench.folder}" in said
    outputs = bench.folder / ".mlci/outputs"
    assert (outputs / "digits/executed.ipynb").is_file()
    assert (outputs / "tumours/seed-2/plots/figures/tumours.png").read_bytes().startswith(b"\x89PNG")


def test_demo__the_gate_there_fails(demonstrated: tuple[Workbench, str]) -> None:
    bench, _ = demonstrated
    assert bench.mlci("gate").code == 5


def test_demo__into_a_folder_with_something_in_it(tmp_path: Path) -> None:
    bench = workbench(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/file").touch()
    done = bench.mlci("demo", "--into", str(tmp_path / "taken"))
    assert done.code == 2
    assert "is not empty" in done.err
