from __future__ import annotations

from typing import Any

import pytest

from fakes.contexts import context
from mlci.posting.pictures import _address

HERE = "https://github.com/Team/models"


def address(home: str | None, **changes: Any) -> str | None:
    return _address(context(**{"in_actions": True, "repository": "Team/models"} | changes), home)


@pytest.mark.parametrize(
    "home",
    [
        "https://github.com/Team/models",
        "https://github.com/team/Models.git",
        "https://GitHub.com/Team/models/",
        "git@github.com:Team/models.git",
        "ssh://git@github.com/Team/models.git",
    ],
)
def test_address__is_the_repository_that_holds_the_data_branch(home: str) -> None:
    assert address(home) == HERE


def test_address__of_an_enterprise_server() -> None:
    assert address("https://git.corp:8443/Team/models.git", server_url="https://git.corp:8443/") == (
        "https://git.corp:8443/Team/models"
    )


@pytest.mark.parametrize(
    ("home", "changes"),
    [
        pytest.param(None, {}, id="a branch of the clone"),
        pytest.param("/srv/git/models.git", {}, id="a path"),
        pytest.param("https://github.com/Team/data.git", {}, id="another repository"),
        pytest.param("https://example.com/Team/models.git", {}, id="another server"),
        pytest.param(f"{HERE}.git", {"repository": None}, id="no repository"),
        pytest.param(f"{HERE}.git", {"in_actions": False}, id="a laptop"),
        pytest.param(f'{HERE}"x', {"repository": 'Team/models"x'}, id="no name"),
        pytest.param(HERE, {"server_url": "javascript://github.com"}, id="no server"),
    ],
)
def test_address__is_none_where_nobody_could_look(home: str | None, changes: dict[str, Any]) -> None:
    assert address(home, **changes) is None
