from __future__ import annotations

from pathlib import Path

import pytest

from mlci.releasing.triggers import dead_workflows

DEPLOY = "\njobs:\n  deploy:\n    steps:\n      - uses: OWNER/mlci/deploy@main\n"


@pytest.mark.parametrize(
    ("text", "dead"),
    [
        ("on:\n  push:\n    tags: ['*@v*']", True),
        ("on: release", True),
        ("on: [release, create]", True),
        ("on:\n  release:\n    types: [published]", True),
        ("on:\n  push:\n    tags: ['v*']\n  workflow_dispatch:", False),
        ("on: workflow_call", False),
        ("on: push", False),
        ("on:\n  push:\n    branches: [main]\n    tags: ['v*']", False),
        ("on: {}", False),
        ("- a list", False),
        ("on: [", False),
        ("on: release\nsince: 2026-02-30", False),  # no such day
    ],
)
def test_dead_workflows__those_that_start_on_tags_or_releases_only(tmp_path: Path, text: str, dead: bool) -> None:
    (tmp_path / "deploy.yml").write_text(text + DEPLOY)
    assert list(dead_workflows(tmp_path)) == (["deploy.yml"] if dead else [])


def test_dead_workflows__others_are_none_of_mlci_s_business(tmp_path: Path) -> None:
    (tmp_path / "docs.yml").write_text("on: release\njobs: {}\n")
    assert list(dead_workflows(tmp_path)) == []


def test_dead_workflows__a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert list(dead_workflows(tmp_path / "absent")) == []


def test_dead_workflows__a_link_to_a_device_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "deploy.yml").symlink_to("/dev/zero")
    assert list(dead_workflows(tmp_path)) == []
