"""The table of permissions is the page's, row by row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlci.diagnosing.permissions import CHECK_RUN, NEEDS, lacking, needed

PAGE = (Path(__file__).parents[3] / "docs/reference/permissions.md").read_text(encoding="utf-8")


def test_needs__are_what_the_page_says() -> None:
    said: dict[str, dict[str, str]] = {}
    for command, name, level, what in re.findall(
        r"^\| `mlci ([a-z -]+)` \| `([a-z-]+): (read|write)` \| (.*) \|$", PAGE, re.MULTILINE
    ):
        if what.startswith("only with `[report] check-run"):
            assert {name: level} == CHECK_RUN
        elif not what.startswith("only with"):
            said.setdefault(command, {})[name] = level
    assert said == NEEDS


@pytest.mark.parametrize(
    ("words", "permissions"),
    [
        ("run", {}),
        ("compare", {"contents": "read"}),
        ("baseline save", {"contents": "write"}),
        ("baseline measure", {}),
        ("ci --profile x --no-post", {"contents": "read"}),
        ("ci", {"contents": "read", "pull-requests": "write", "statuses": "write"}),
        (
            "comment --from-run=7",
            {"contents": "read", "actions": "read", "pull-requests": "write", "statuses": "write"},
        ),
        ("", {}),
    ],
)
def test_needed__by_command_and_options(words: str, permissions: dict[str, str]) -> None:
    assert needed(words.split(), on_default_branch=False, check_run=False) == permissions


def test_needed__by_event_and_configuration() -> None:
    assert needed(["ci"], on_default_branch=True, check_run=False)["contents"] == "write"
    assert needed(["comment"], on_default_branch=False, check_run=True)["checks"] == "write"
    assert "checks" not in needed(["compare"], on_default_branch=False, check_run=True)


def test_lacking__writing_includes_reading() -> None:
    assert lacking({"contents": "read", "statuses": "write"}, {"contents": "write"}) == ["statuses: write"]
    assert lacking({"contents": "write"}, {"contents": "read"}) == ["contents: write"]
    assert lacking({}, {}) == []
