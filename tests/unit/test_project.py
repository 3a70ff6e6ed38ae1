"""The baseline of a run: the store's record, else what this very job measured, but not for a received record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from fakes.comparisons import failed, measured
from fakes.scenes import Scene, scene
from mlci.core.documents import Record, RecordsDocument
from mlci.errors import DocumentError
from mlci.workspace import BASELINE

HERE = "measured by this very job at the merge base"


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path) as made:
        yield made


def measure(team: Scene, *records: Record) -> None:
    team.project().workspace.write(BASELINE, RecordsDocument(made_from=(), records=records))


def forget(team: Scene) -> None:
    """Leave the store without a record."""
    for file in (team.work.folder / "baselines").rglob("*.json"):
        file.unlink()


def test_baseline__the_store_s_record(team: Scene) -> None:
    measure(team, measured(commit=team.main, metrics={"accuracy": 0.1}))
    found = team.project().baseline("train", "default")
    assert found.record is not None
    assert found.record.metrics[0].value == 0.9
    assert (found.distance, found.reason) == (0, None)


def test_baseline__what_this_job_measured_where_the_store_has_none(team: Scene) -> None:
    forget(team)
    record = measured(commit=team.main, metrics={"accuracy": 0.7})
    measure(team, measured("other", commit=team.main), record)
    found = team.project().baseline("train", "default")
    assert (found.record, found.distance, found.reason) == (record, 0, HERE)


@pytest.mark.parametrize("what", ["commit", "profile", "name"])
def test_baseline__what_was_measured_of_something_else_is_none(team: Scene, what: str) -> None:
    forget(team)
    record = measured(commit="d" * 40 if what == "commit" else team.main)
    measure(team, msgspec.structs.replace(record, **({} if what == "commit" else {what: "other"})))
    found = team.project().baseline("train", "default")
    assert found.record is None
    assert str(found.reason).startswith("no record of train (profile default) at the merge base")


def test_baseline__what_failed_there_says_why(team: Scene) -> None:
    forget(team)
    measure(team, msgspec.structs.replace(failed("train"), origin=measured(commit=team.main).origin))
    found = team.project().baseline("train", "default")
    assert found.record is None
    assert "; this job tried there: failed: " in str(found.reason)


def test_baseline__a_received_record_is_not_held_against_what_came_with_it(team: Scene) -> None:
    """Whoever wrote the record could have written that as well."""
    forget(team)
    measure(team, measured(commit=team.main))
    found = replace(team.project(), base_commit=team.main).baseline("train", "default")
    assert found.record is None


def test_baseline__a_damaged_file_is_one_line(team: Scene) -> None:
    forget(team)
    measure(team)
    team.project().workspace.path(BASELINE).write_text("[" * 5_000)
    with pytest.raises(DocumentError, match=r"\.mlci/baseline\.json"):
        team.project().baseline("train", "default")


def test_reread__sees_what_came_into_the_store_since(team: Scene) -> None:
    project = team.project()
    forget(team)
    assert project.baseline("train", "default").record is None
    project.store.save([measured(commit=team.main)])
    project.reread()
    assert project.baseline("train", "default").record is not None
