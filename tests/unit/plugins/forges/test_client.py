"""The client against a real server: what each answer means, and that the token stays where it belongs."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.github_server import Fault, GitHubServer, github_server
from mlci.errors import ForbiddenError, ForgeError
from mlci.plugins.forges.client import Client, NotFoundError
from mlci.plugins.forges.patience import Patience

TOKEN = "ghs_canary0123456789"
NEEDS = "pull-requests: read"


@pytest.fixture
def server() -> Iterator[GitHubServer]:
    with github_server() as made:
        made.token(TOKEN)
        made.repository("team/models")
        yield made


def client(server: GitHubServer, token: str = TOKEN, deadline_s: float = 2.0, attempt_s: float = 5.0) -> Client:
    waited = [0.0]
    patience = Patience(deadline_s, clock=lambda: waited[0], sleep=lambda s: waited.__setitem__(0, waited[0] + s))
    return Client(server.url, token, patience, attempt_s)


def test_get__json(server: GitHubServer) -> None:
    assert client(server).get("/repos/team/models", needs=NEEDS)["full_name"] == "team/models"


def test_get__enterprise_server(server: GitHubServer) -> None:
    enterprise = Client(f"{server.url}/api/v3", TOKEN, Patience())
    assert enterprise.get("/repos/team/models", needs=NEEDS)["full_name"] == "team/models"
    assert enterprise.graphql("query { viewer { login } }", {}, needs=NEEDS) == {
        "viewer": {"login": "github-actions[bot]"}
    }


def test_get__what_is_not_there(server: GitHubServer) -> None:
    with pytest.raises(NotFoundError, match="GET /repos/team/absent: HTTP 404"):
        client(server).get("/repos/team/absent", needs=NEEDS)


def test_get__a_token_that_is_not_valid(server: GitHubServer) -> None:
    with pytest.raises(ForgeError, match="the token is not valid: Bad credentials"):
        client(server, "ghs_other").get("/repos/team/models", needs=NEEDS)


def test_get__a_missing_permission_names_the_line_to_add(server: GitHubServer) -> None:
    server.arm(Fault("read-only"))
    with pytest.raises(ForbiddenError, match="Resource not accessible by integration") as caught:
        client(server).get("/repos/team/models", needs="statuses: write")
    assert caught.value.hint == "The token lacks a permission: add `statuses: write` to the job's `permissions:`."


def test_get__a_server_that_stays_broken_is_given_up(server: GitHubServer) -> None:
    server.arm(Fault("502", times=99))
    with pytest.raises(ForgeError, match=r"GET /repos/team/models: given up after \d+ tries: HTTP 502"):
        client(server).get("/repos/team/models", needs=NEEDS)


def test_get__a_primary_limit_far_away_is_not_waited_for(server: GitHubServer) -> None:
    server.arm(Fault("primary", retry_after=3_000))
    with pytest.raises(ForgeError, match="rate limit: API rate limit exceeded") as caught:
        client(server).get("/repos/team/models", needs=NEEDS)
    assert "The limit ends in" in str(caught.value.hint)
    assert len(server.requests) == 1


def test_get__a_body_that_drips_is_left_behind(server: GitHubServer) -> None:
    server.arm(Fault("slow", pause_s=0.5))
    assert client(server, attempt_s=0.7).get("/repos/team/models", needs=NEEDS)["full_name"] == "team/models"


def test_get__nobody_listens() -> None:
    nowhere = Client("http://127.0.0.1:9", TOKEN, Patience(0.2))
    with pytest.raises(ForgeError, match=r"given up after .*: no connection \(NewConnectionError\)") as caught:
        nowhere.get("/repos/team/models", needs=NEEDS)
    assert "127.0.0.1" not in caught.value.message


def test_pages__all_of_them(server: GitHubServer) -> None:
    repository = server.repositories["team/models"]
    repository.pull(7, head_sha="a" * 40, head_ref="x", base_sha="b" * 40)
    for number in range(230):
        repository.comment(7, f"Comment {number}", "ada")
    assert len(client(server).pages("/repos/team/models/issues/7/comments", needs=NEEDS)) == 230


def test_token__stands_in_no_repr_or_error(server: GitHubServer) -> None:
    made = client(server, "ghs_wrongcanary")
    assert "ghs_" not in repr(made)
    with pytest.raises(ForgeError) as caught:
        made.get("/repos/team/models", needs=NEEDS)
    assert "ghs_" not in "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert server.requests[0].token == "ghs_wrongcanary"


def test_token__is_not_sent_to_the_storage_of_artifacts(server: GitHubServer, tmp_path: Path) -> None:
    repository = server.repositories["team/models"]
    run = repository.workflow_run(41, event="push", head_sha="a" * 40, head_branch="main")
    artifact = repository.artifact(run, "mlci", b"PK zip")
    path = f"/repos/team/models/actions/artifacts/{artifact.id}/zip"
    client(server).download(path, tmp_path / "zip", max_bytes=100, needs="actions: read")
    assert (tmp_path / "zip").read_bytes() == b"PK zip"
    assert [request.token for request in server.requests] == [TOKEN, None]


def test_download__larger_than_allowed(server: GitHubServer, tmp_path: Path) -> None:
    repository = server.repositories["team/models"]
    run = repository.workflow_run(41, event="push", head_sha="a" * 40, head_branch="main")
    artifact = repository.artifact(run, "mlci", b"x" * 101)
    path = f"/repos/team/models/actions/artifacts/{artifact.id}/zip"
    with pytest.raises(ForgeError, match="larger than 100 bytes"):
        client(server).download(path, tmp_path / "zip", max_bytes=100, needs="actions: read")
