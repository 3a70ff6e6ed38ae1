"""Annotations stand at real lines of files as they lie in the repository."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest

from fakes.comparisons import compared, failed
from fakes.repositories import ENVIRON, repository
from mlci.actions import Actions
from mlci.core.documents import Location, RecordsDocument
from mlci.project import Invocation, Project
from mlci.publishing import Place, findings

NOTEBOOK = Location(file="notebooks/train.ipynb", line=45)
MODULE = Location(file="src/features.py", line=12)
IN_CELL = "train, cell 4"


def places(folder: Path, *, root: str = ".", **changes: object) -> list[Place]:
    """Where a notebook that failed in its fourth cell is annotated; `root` is the configuration's folder."""
    top = repository(folder).folder
    (top / root).mkdir(exist_ok=True)
    (top / root / "mlci.toml").write_text('[runs.train]\ncommand = ["true"]\n')
    actions = Actions(ENVIRON, io.StringIO())
    invocation = Invocation(environ=ENVIRON, folder=top / root, config_file=None, say=print, actions=actions)
    error = failed().error
    assert error is not None
    record = failed(error=msgspec.structs.replace(error, **changes))
    document = RecordsDocument(made_from=(), records=(record,))
    return [place for _, _, place in findings(Project.open(invocation), compared(record), document)]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param((), [Place(title=IN_CELL, file="notebooks/train.ipynb")], id="a cell's line is none of the file"),
        pytest.param(
            (NOTEBOOK,), [Place(title=IN_CELL, file="notebooks/train.ipynb", line=45)], id="in the cell itself"
        ),
        pytest.param(
            (MODULE, Location(file="src/model.py", line=3), NOTEBOOK),
            [
                Place(title="train", file="src/features.py", line=12),
                Place(title=IN_CELL, file="notebooks/train.ipynb", line=45),
            ],
            id="the innermost module, and the cell that called it",
        ),
        pytest.param(
            (MODULE, MODULE), [Place(title="train", file="src/features.py", line=12)], id="one place, one annotation"
        ),
    ],
)
def test_findings__a_failure_s_places(tmp_path: Path, at: tuple[Location, ...], expected: list[Place]) -> None:
    assert places(tmp_path, at=at) == expected


def test_findings__a_script_s_line(tmp_path: Path) -> None:
    assert places(tmp_path, file="train.py", cell=None, line=7) == [Place(title="train", file="train.py", line=7)]


def test_findings__files_are_named_from_the_repository_s_top(tmp_path: Path) -> None:
    found = places(tmp_path, root="team", at=(Location(file="../shared/util.py", line=3), NOTEBOOK))
    assert [place.file for place in found] == ["shared/util.py", "team/notebooks/train.ipynb"]


@pytest.mark.parametrize("file", ["/usr/lib/python3/json.py", "../../outside.py"])
def test_findings__a_file_outside_of_the_repository_is_not_pointed_at(tmp_path: Path, file: str) -> None:
    assert places(tmp_path, file=file, cell=None, line=3) == [Place(title="train")]
    assert places(tmp_path, at=(Location(file=file, line=3),)) == [Place(title="train")]
