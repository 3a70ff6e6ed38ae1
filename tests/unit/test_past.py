from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fakes.repositories import ENVIRON, repository
from mlci.git import Git
from mlci.past import _logged


@pytest.mark.parametrize(
    ("committed", "time"),
    [("1700000000 +0000", 1_700_000_000), ("999999999999999 +0000", 0), ("x", 0), ("-5 +0000", 0), ("", 0)],
)
def test_commits__a_time_that_no_browser_makes_a_date_of(tmp_path: Path, committed: str, time: int) -> None:
    made = repository(tmp_path)
    tree = made.git("write-tree")
    content = f"tree {tree}\nauthor A <a@example.com> 1 +0000\ncommitter A <a@example.com> {committed}\n\nOdd\n"
    command = ["git", "-C", str(made.folder), "hash-object", "-t", "commit", "-w", "--literally", "--stdin"]
    sha = subprocess.run(command, input=content, env=ENVIRON, capture_output=True, text=True, check=True).stdout.strip()
    [(known, commit)] = _logged(Git(made.folder, ENVIRON), [sha])
    assert (known, commit.time, commit.subject) == (sha, time, "Odd")
