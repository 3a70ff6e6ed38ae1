"""What tells the noise of a baseline is fetched where it is needed, and only there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner

from fakes.comparisons import measured
from fakes.scenes import CONFIG, Scene, scene
from mlci.commands.compare import compare, wait_option, with_noise
from mlci.core.comparison import Baseline
from mlci.core.documents import Metric, PredictionsFile, Record
from mlci.errors import StoreError
from mlci.project import Project
from mlci.waiting import Wait


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Scene]:
    """Main has four measured commits; the oldest has the highest accuracy."""
    with scene(tmp_path) as made:
        made.work.git("switch", "--quiet", "main")
        made.main = made.work.commits(3)[-1]
        made.project().store.save(
            [measured(commit=commit, metrics={"accuracy": 0.9 - at / 100}) for at, commit in enumerate(past(made))]
        )
        yield made


def past(team: Scene) -> list[str]:
    return team.work.git("rev-list", "--reverse", "main").split()


def project(team: Scene) -> Project:
    return replace(team.project(), base_commit=team.main)


def noisy(team: Scene, now: Record, **before: Any) -> tuple[Baseline, list[str]]:
    """The baseline of `now` with its noise, and the notes; `before` are changes of the baseline's record."""
    here = project(team)
    found = here.baseline("train", "default")
    assert found.record is not None
    notes: list[str] = []
    record = msgspec.structs.replace(found.record, **before)
    return with_noise(here, now, replace(found, record=record), notes), notes


def values(baseline: Baseline) -> list[float]:
    return [record.metrics[0].value for record in baseline.history]


def seeds(count: int, name: str = "accuracy") -> dict[str, Any]:
    return {"metrics": (Metric(name=name, value=0.9, samples=(0.9,) * count),)}


def now(team: Scene, **fields: Any) -> Record:
    return msgspec.structs.replace(measured(commit=team.merge, metrics={"accuracy": 0.8}), **fields)


def test_with_noise__earlier_records_newest_first_up_to_the_baseline(team: Scene) -> None:
    assert values(noisy(team, now(team))[0]) == pytest.approx([0.87, 0.88, 0.89, 0.9])
    older = replace(project(team), base_commit=past(team)[1])
    found = with_noise(older, now(team), older.baseline("train", "default"), [])
    assert values(found) == pytest.approx([0.89, 0.9])


def test_with_noise__as_many_as_are_configured(team: Scene) -> None:
    team.configure(CONFIG.replace("[baseline]", "[baseline]\nhistory = 2"))
    assert values(noisy(team, now(team))[0]) == pytest.approx([0.87, 0.88])


@pytest.mark.parametrize(
    ("current", "before", "needed"),
    [
        ({}, {}, True),
        (seeds(1), seeds(1), True),
        (seeds(3), seeds(1), False),
        (seeds(1), seeds(2), False),
        (seeds(3), seeds(0), False),
        (seeds(1, "ungated"), seeds(1, "ungated"), False),
        ({"deterministic": True}, {"deterministic": True}, False),
        ({"deterministic": True}, {}, True),
        ({"status": "skipped"}, {}, False),
        ({"metrics": ()}, {}, False),
    ],
)
def test_with_noise__history_only_for_gated_metrics_without_seeds(
    team: Scene, current: dict[str, Any], before: dict[str, Any], needed: bool
) -> None:
    assert bool(noisy(team, now(team, **current), **before)[0].history) == needed


def test_with_noise__no_history_for_bounds_of_the_value(team: Scene) -> None:
    team.configure(CONFIG.replace("max-regression = 0.01", "min = 0.5"))
    assert noisy(team, now(team))[0].history == ()


def test_with_noise__a_history_that_cannot_be_read_is_a_note(team: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> list[Record]:
        raise StoreError("the branch is gone")

    monkeypatch.setattr("mlci.plugins.stores.folder.FolderStore.history", refuse)
    found, notes = noisy(team, now(team))
    assert found.history == ()
    assert notes == ["train: earlier records are not read: the branch is gone"]


def test_with_noise__why_predictions_say_nothing_is_a_note(team: Scene) -> None:
    files = (PredictionsFile(path="predictions.csv", sha256="a" * 64, size=1),)
    found, notes = noisy(team, now(team, predictions=files), predictions=files)
    assert found.examples == {}
    assert len(notes) == 1
    assert notes[0].startswith("train: predictions are not compared example by example: ")
    assert noisy(team, now(team, predictions=files))[1] == []


def test_compare__strict_decides_nothing_where_parameters_differ(team: Scene) -> None:
    team.measure(now(team, parameters={"trees": 500}))
    assert compare(project(team)).deltas[0].gate != "inconclusive"
    team.configure(CONFIG.replace("[baseline]", '[baseline]\ncomparable = "strict"'))
    delta = compare(project(team)).deltas[0]
    assert delta.gate == "inconclusive"
    assert "parameter trees absent → 500" in str(delta.reason)


@click.command()
@wait_option
def waits(wait: Wait) -> None:
    click.echo(f"{wait.limit_s:g}")


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        ([], {}, "0"),
        (["--wait", "1h30m"], {}, "5400"),
        ([], {"MLCI_WAIT": "90s"}, "90"),
        (["--wait", "soon"], {}, "expected a duration such as"),
    ],
)
def test_wait_option__a_duration(arguments: list[str], environ: dict[str, str], said: str) -> None:
    assert said in CliRunner().invoke(waits, arguments, env=environ).output
