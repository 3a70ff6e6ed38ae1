"""What init says that somebody still has to do: what is wrong and what to write, in the same line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fakes.repositories import ENVIRON, repository
from mlci.adopting.candidates import Candidate
from mlci.adopting.choosing import Adopted, Chosen
from mlci.adopting.dependencies import Dependencies
from mlci.adopting.origin import UNKNOWN
from mlci.adopting.scan import scan
from mlci.adopting.telling import of_repository, to_do

PIP = Dependencies(folder="", tool="pip", files=("requirements.txt",), install="", python="3.13")


def test_of_repository__names_a_page_that_is_there_for_each_tool(tmp_path: Path) -> None:
    team = repository(tmp_path)
    (team.folder / ".github/workflows").mkdir(parents=True)
    (team.folder / ".github/workflows/ci.yml").write_text(
        "cml comment create\npytest --nbmake\npapermill a.ipynb\nnbconvert --execute\ndvc metrics diff\n"
        "uses: benchmark-action/github-action-benchmark@v1\n"
    )
    _, found = scan(team.folder, ENVIRON)
    pages = [re.search(r"\((\S+) of mlci\)", line) for line in of_repository(found)][1:]
    assert len(pages) == 6
    assert all(page and (Path(__file__).parents[3] / page[1]).is_file() for page in pages)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (
            {},
            ["where train writes metrics cannot be seen: if the report has none, name their file in `metrics`, or add"],
        ),
        ({"names": ("mae", "r2")}, ["where train writes mae, r2 cannot be seen: if the report has none, name"]),
        ({"favour": ("logs metrics (wandb)",)}, ["where train writes metrics cannot be seen"]),
        ({"favour": ("logs metrics (mlflow)",)}, []),
        ({"metrics": ("metrics.json",)}, []),
    ],
)
def test_to_do__says_where_a_first_number_may_come_from(tmp_path: Path, seen: dict[str, Any], said: list[str]) -> None:
    _, found = scan(repository(tmp_path).folder, ENVIRON)
    run = Chosen("train", Candidate(path="train.py", kind="script", source="train.py", **seen), (), ())
    lines = list(to_do(found, [Adopted("", "main", (run,), PIP)], UNKNOWN))[1:]
    assert [line.startswith(start) for line, start in zip(lines, said, strict=True)] == [True] * len(said)
