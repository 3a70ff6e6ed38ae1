from __future__ import annotations

import base64
import hashlib
import io
import os
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import github
import pytest
import requests

from fakes.github.routing import ROUTES
from fakes.github_server import Fault, GitHubServer, Repository, Request, github_server
from fakes.openapi import VARIABLE, pattern
from fakes.repositories import Repository as Clone
from fakes.repositories import repository as new_clone

HEAD = "a" * 40
TOKEN = "secret"


@pytest.fixture
def server() -> Iterator[GitHubServer]:
    with github_server() as running:
        running.token("secret")
        yield running


@pytest.fixture
def models(server: GitHubServer) -> Repository:
    made = server.repository(permissions={"ada": "write", "root": "admin", "guest": "read"})
    made.pull(1, head_sha=HEAD, head_ref="topic", user="ada")
    return made


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    made = new_clone(tmp_path / "clone")
    made.commits(2)
    return made


@pytest.fixture
def bare(server: GitHubServer, clone: Clone, tmp_path: Path) -> Repository:
    clone.clone(tmp_path / "bare.git", None, "--bare")
    return server.repository(git=tmp_path / "bare.git")


def ask(
    server: GitHubServer, method: str, path: str, json: Any = None, *, token: str | None = TOKEN, **more: Any
) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = path if path.startswith("http") else server.url + path
    return requests.request(
        method, url, json=json, headers=headers | more.pop("headers", {}), timeout=10, allow_redirects=False, **more
    )


def in_models(server: GitHubServer, method: str, path: str, json: Any = None, **more: Any) -> requests.Response:
    return ask(server, method, f"/repos/team/models{path}", json, **more)


def tip(repository: Repository, ref: str = "refs/heads/main") -> str:
    assert repository.git
    found = repository.git.resolve(ref)
    assert found
    return found


def refused(answer: requests.Response, status: int, message: str) -> bool:
    return answer.status_code == status and message in answer.json()["message"]


# Who may do what.


@pytest.mark.usefixtures("models")
def test_token__unknown_is_refused(server: GitHubServer) -> None:
    assert refused(in_models(server, "GET", "", token="stranger"), 401, "Bad credentials")
    assert refused(ask(server, "POST", "/graphql", {"query": "{viewer{login}}"}, token="stranger"), 401, "Bad")


@pytest.mark.usefixtures("models")
def test_token__none_reads_what_is_public(server: GitHubServer) -> None:
    assert in_models(server, "GET", "/pulls/1", token=None).status_code == 200
    assert refused(in_models(server, "POST", "/issues/1/comments", {"body": "x"}, token=None), 401, "Requires")


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("scheme", ["Bearer", "token", "Basic"])
def test_token__schemes(server: GitHubServer, scheme: str) -> None:
    value = base64.b64encode(b"anybody:secret").decode() if scheme == "Basic" else "secret"
    answer = in_models(server, "GET", "", token=None, headers={"Authorization": f"{scheme} {value}"})
    assert answer.status_code == 200
    assert server.requests[-1].token == "secret"


@pytest.mark.parametrize(
    ("method", "path", "body", "permission"),
    [
        ("POST", f"/statuses/{HEAD}", {"state": "success"}, "statuses"),
        ("POST", "/check-runs", {"name": "mlci", "head_sha": HEAD}, "checks"),
        ("POST", "/actions/workflows/release.yml/dispatches", {"ref": "main"}, "actions"),
        ("POST", "/deployments", {"ref": HEAD}, "deployments"),
        ("POST", "/releases", {"tag_name": "v1", "draft": True}, "contents"),
        ("POST", "/issues/1/comments", {"body": "x"}, "pull_requests"),
        ("POST", "/issues/1/comments", {"body": "x"}, "issues"),
    ],
)
def test_token__needs_the_permission_of_what_it_writes(
    server: GitHubServer, models: Repository, method: str, path: str, body: Any, permission: str
) -> None:
    models.workflows.add("release.yml")
    server.token("poor", default="read")
    server.token("exact", default="none").permissions[permission] = "write"
    refusal = in_models(server, method, path, body, token="poor")
    assert refused(refusal, 403, "Resource not accessible by integration")
    assert in_models(server, method, path, body, token="exact").ok


def test_private__hides_from_strangers(server: GitHubServer) -> None:
    server.repository("team/secret", private=True, permissions={"guest": "read"})
    server.token("stranger", "eve")
    server.token("guest", "guest")
    server.token("elsewhere", repository="team/models")
    server.token("nothing", default="none")
    status = {t: ask(server, "GET", "/repos/team/secret/pulls", token=t).status_code for t in server.tokens}
    assert status == {"secret": 200, "stranger": 404, "guest": 200, "elsewhere": 404, "nothing": 403}
    assert ask(server, "GET", "/repos/team/secret", token=None).status_code == 404
    assert ask(server, "GET", "/repos/team/missing").status_code == 404


@pytest.mark.usefixtures("models")
def test_app_token__of_another_repository_only_reads(server: GitHubServer) -> None:
    server.token("elsewhere", repository="team/other")
    assert in_models(server, "GET", "/pulls/1", token="elsewhere").status_code == 200
    refusal = in_models(server, "POST", "/issues/1/comments", {"body": "x"}, token="elsewhere")
    assert refused(refusal, 403, "Resource not accessible by integration")


def test_user_token__is_bound_by_the_rights_of_its_user(server: GitHubServer, models: Repository) -> None:
    server.token("guest", "guest")
    server.token("ada", "ada")
    other = models.comment(1, "x", "root")
    assert in_models(server, "POST", f"/statuses/{HEAD}", {"state": "error"}, token="guest").status_code == 403
    assert in_models(server, "POST", f"/statuses/{HEAD}", {"state": "error"}, token="ada").status_code == 201
    assert in_models(server, "POST", "/issues/1/comments", {"body": "x"}, token="guest").status_code == 201
    edit = f"/issues/comments/{other.id}"
    assert in_models(server, "PATCH", edit, {"body": "y"}, token="guest").status_code == 403
    assert in_models(server, "PATCH", edit, {"body": "y"}, token="ada").status_code == 200
    refusal = in_models(server, "POST", "/check-runs", {"name": "mlci", "head_sha": HEAD}, token="ada")
    assert refused(refusal, 403, "GitHub App")


def test_get_user__answers_users_only(server: GitHubServer) -> None:
    server.token("ada", "ada")
    assert ask(server, "GET", "/user", token="ada").json()["login"] == "ada"
    assert refused(ask(server, "GET", "/user"), 403, "Resource not accessible by integration")


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("login", "right"), [("ada", "write"), ("root", "admin"), ("guest", "read"), ("team", "admin"), ("eve", "read")]
)
def test_collaborator_permission__of_accounts(server: GitHubServer, login: str, right: str) -> None:
    server.user("eve")
    answer = in_models(server, "GET", f"/collaborators/{login}/permission").json()
    assert (answer["permission"], answer["user"]["login"]) == (right, login)


@pytest.mark.usefixtures("models")
def test_collaborator_permission__of_nobody(server: GitHubServer) -> None:
    for login in ("nobody", "github-actions[bot]"):
        assert refused(in_models(server, "GET", f"/collaborators/{login}/permission"), 404, "is not a user")


# What every answer has.


@pytest.mark.usefixtures("models")
def test_answers__tell_the_rate_limit(server: GitHubServer) -> None:
    headers = in_models(server, "GET", "").headers
    assert int(headers["x-ratelimit-remaining"]) < int(headers["x-ratelimit-limit"])
    assert int(headers["x-ratelimit-reset"]) > time.time()


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("prefix", ["", "/api/v3"])
def test_answers__urls_lead_back_to_the_root_that_was_asked(server: GitHubServer, prefix: str) -> None:
    url = ask(server, "GET", f"{prefix}/repos/team/models/pulls/1").json()["url"]
    assert url == f"{server.url}{prefix}/repos/team/models/pulls/1"
    assert ask(server, "GET", url).status_code == 200
    assert server.requests[-1].path == "/repos/team/models/pulls/1"


@pytest.mark.usefixtures("models")
def test_requests__are_remembered_whole(server: GitHubServer) -> None:
    in_models(server, "POST", "/issues/1/comments", {"body": "x"})
    in_models(server, "GET", "/issues/1/comments?per_page=5&page=1")
    first, second = server.requests
    assert (first.method, first.path, first.body, first.token, first.status) == (
        *("POST", "/repos/team/models/issues/1/comments"),
        *({"body": "x"}, "secret", 201),
    )
    assert (second.query, second.body) == ({"per_page": "5", "page": "1"}, None)


@pytest.mark.parametrize(
    ("query", "shown", "links"),
    [
        ("", range(30), {"next": 2, "last": 5}),
        ("?page=2", range(30, 60), {"prev": 1, "next": 3, "last": 5, "first": 1}),
        ("?page=5", range(120, 121), {"prev": 4, "first": 1}),
        ("?per_page=500", range(100), {"next": 2, "last": 2}),
        ("?per_page=100&page=2", range(100, 121), {"prev": 1, "first": 1}),
        ("?page=9", range(0), {"prev": 8, "first": 1}),
    ],
)
def test_pages__size_and_links(
    server: GitHubServer, models: Repository, query: str, shown: range, links: dict[str, int]
) -> None:
    for number in range(121):
        models.comment(1, str(number), "ada")
    answer = in_models(server, "GET", f"/issues/1/comments{query}")
    assert [comment["body"] for comment in answer.json()] == [str(number) for number in shown]
    assert {name: int(link["url"].rpartition("page=")[2]) for name, link in answer.links.items()} == links


def test_pages__following_next_shows_everything_once(server: GitHubServer, models: Repository) -> None:
    made = [models.comment(1, "x", "ada").id for _ in range(75)]
    seen, url = [], f"{server.url}/repos/team/models/issues/1/comments"
    while url:
        answer = ask(server, "GET", url)
        seen += [comment["id"] for comment in answer.json()]
        url = answer.links.get("next", {}).get("url", "")
    assert seen == made


def test_unknown_path__is_a_complaint() -> None:
    with ExitStack() as ending:
        running = ending.enter_context(github_server())
        running.repository()
        assert ask(running, "GET", "/repos/team/models/weather", token=None).status_code == 404
        with pytest.raises(AssertionError, match="GET /repos/team/models/weather"):
            ending.close()


def test_complaints__do_not_hide_what_failed_first() -> None:
    running = github_server()
    running.__enter__().complaints.append("a complaint")
    assert running.__exit__(ZeroDivisionError, ZeroDivisionError(), None) is False


@pytest.mark.skipif(VARIABLE not in os.environ, reason=f"{VARIABLE} names no description of GitHub's API")
@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/issues/1/comments", {"text": "x"}, "'body' is a required property"),
        (f"/statuses/{HEAD}", {"state": "success", "desription": "x"}, "unknown property 'desription'"),
        (f"/statuses/{HEAD}", {"state": "great"}, "'great' is not one of"),
        ("/issues/1/comments?per_pages=5", {"body": "x"}, "unknown query parameter 'per_pages'"),
    ],
)
def test_bad_request__is_a_complaint(path: str, body: Any, said: str) -> None:
    with ExitStack() as ending:
        running = ending.enter_context(github_server())
        running.token("secret")
        running.repository().pull(1, head_sha=HEAD, head_ref="topic")
        in_models(running, "POST", path, body)
        with pytest.raises(AssertionError, match=said):
            ending.close()


def test_hooks__run_around_each_request_without_the_lock(server: GitHubServer, models: Repository) -> None:
    seen: list[tuple[str, int | None]] = []

    def rival(request: Request) -> None:
        seen.append(("before", request.status))
        models.comment(1, "first", "rival")

    server.before = rival
    server.after = lambda request: seen.append(("after", request.status))
    in_models(server, "POST", "/issues/1/comments", {"body": "second"})
    assert seen == [("before", None), ("after", 201)]
    assert [comment.body for comment in models.comments.values()] == ["first", "second"]


def test_snapshot__leaves_out_ids_and_times(server: GitHubServer, bare: Repository) -> None:
    def act(repository: Repository) -> None:
        repository.pull(1, head_sha=HEAD, head_ref="topic")
        in_models(server, "POST", "/issues/1/comments", {"body": "x"})
        for state in ("pending", "success"):
            in_models(server, "POST", f"/statuses/{tip(bare)}", {"state": state, "context": "mlci"})

    act(bare)
    before = server.snapshot()["team/models"]
    assert before["comments"] == [(1, "github-actions[bot]", "x")]
    assert before["statuses"] == {(tip(bare), "mlci"): ("success", None, None)}
    assert len(before["refs"]["refs/heads/main"]) == 2
    assert bare.git
    server.repository(git=bare.git.folder)
    act(server.repositories["team/models"])
    assert server.snapshot()["team/models"] == before


# Pull requests, comments, issues.


def test_pulls__filters(server: GitHubServer, models: Repository) -> None:
    fork = server.repository("eve/models", fork=True)
    models.pull(2, head_sha="c" * 40, head_ref="topic", head_repository=fork, user="eve")
    models.pull(3, head_sha="d" * 40, head_ref="old", state="closed", base_ref="release")

    def numbers(query: str) -> list[int]:
        return [pull["number"] for pull in in_models(server, "GET", f"/pulls{query}").json()]

    assert numbers("") == [2, 1]
    assert numbers("?state=all") == [3, 2, 1]
    assert numbers("?state=closed&base=release") == [3]
    assert numbers("?head=eve:topic") == [2]
    assert numbers("?head=team:topic") == [1]
    assert numbers("?head=team:missing") == []
    assert numbers("?state=all&sort=created&direction=asc") == [1, 2, 3]


def test_pull__says_where_it_comes_from(server: GitHubServer, models: Repository) -> None:
    fork = server.repository("eve/models", fork=True)
    pull = models.pull(2, head_sha="c" * 40, head_ref="main", head_repository=fork, user="eve")
    head = in_models(server, "GET", "/pulls/2").json()["head"]
    assert (head["sha"], head["ref"], head["repo"]["id"], head["label"]) == ("c" * 40, "main", fork.id, "eve:main")
    pull.head_repository = None
    assert in_models(server, "GET", "/pulls/2").json()["head"]["repo"] is None
    assert in_models(server, "GET", "/pulls/99").status_code == 404


def test_pull__fields_can_change(server: GitHubServer, models: Repository) -> None:
    pull = models.pulls[1]
    pull.state, pull.merged_at, pull.head_sha = "closed", "2024-05-01T00:00:00Z", "f" * 40
    answer = in_models(server, "GET", "/pulls/1").json()
    assert (answer["state"], answer["merged"], answer["head"]["sha"]) == ("closed", True, "f" * 40)


def test_pulls_of_commit__head_merge_or_within(server: GitHubServer, bare: Repository, clone: Clone) -> None:
    base, first, second = tip(bare), clone.commit(), clone.commit()
    assert bare.git
    clone.git("push", "--quiet", str(bare.git.folder), "HEAD:refs/heads/topic")
    bare.pull(1, head_sha=second, head_ref="topic", base_sha=base)

    def numbers(sha: str) -> list[int]:
        return [pull["number"] for pull in in_models(server, "GET", f"/commits/{sha}/pulls").json()]

    assert numbers(first) == numbers(second) == [1]
    assert numbers(base) == []
    assert in_models(server, "GET", f"/commits/{HEAD}/pulls").status_code == 422


def test_comments__life_of_one(server: GitHubServer, models: Repository) -> None:
    made = in_models(server, "POST", "/issues/1/comments", {"body": "one"})
    assert made.status_code == 201
    assert made.json()["user"]["login"] == "github-actions[bot]"
    path = f"/issues/comments/{made.json()['id']}"
    edited = in_models(server, "PATCH", path, {"body": "two"}).json()
    assert edited["body"] == "two"
    assert edited["updated_at"] > edited["created_at"]
    assert in_models(server, "GET", path).json() == edited
    assert in_models(server, "DELETE", path).status_code == 204
    assert in_models(server, "GET", path).status_code == 404
    assert not models.comments


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("body", "status", "said"),
    [("x" * 65_536, 201, None), ("x" * 65_537, 422, "Body is too long (maximum is 65536 characters)"), (" ", 422, "")],
)
def test_comments__length(server: GitHubServer, body: str, status: int, said: str | None) -> None:
    answer = in_models(server, "POST", "/issues/1/comments", {"body": body})
    assert answer.status_code == status
    assert said is None or said in answer.json()["errors"][0]["message"]


@pytest.mark.usefixtures("models")
def test_comments__on_what_does_not_exist(server: GitHubServer) -> None:
    assert in_models(server, "POST", "/issues/99/comments", {"body": "x"}).status_code == 404
    assert in_models(server, "GET", "/issues/99/comments").status_code == 404


def test_issues__filters_and_life_of_one(server: GitHubServer, models: Repository) -> None:
    models.issue("Other", login="ada")
    made = in_models(server, "POST", "/issues", {"title": "Drift", "body": "x", "labels": ["mlci", "drift"]}).json()
    assert made["number"] == 3

    def numbers(query: str) -> list[int]:
        return [issue["number"] for issue in in_models(server, "GET", f"/issues{query}").json()]

    assert numbers("") == [3, 2, 1]
    assert numbers("?labels=mlci,drift") == numbers("?creator=github-actions[bot]") == [3]
    closed = in_models(server, "PATCH", "/issues/3", {"state": "closed", "labels": ["mlci"]}).json()
    assert (closed["state"], closed["state_reason"]) == ("closed", "completed")
    assert numbers("?state=closed&labels=mlci") == [3]
    assert numbers("?state=open") == [2, 1]


# Verdicts.


def test_statuses__newest_first_and_latest_combined(server: GitHubServer, models: Repository) -> None:
    for context, state in (("mlci", "pending"), ("other", "success"), ("mlci", "success")):
        body = {"state": state, "context": context, "target_url": "https://example.com/", "description": "d"}
        assert in_models(server, "POST", f"/statuses/{HEAD}", body).status_code == 201
    listed = in_models(server, "GET", f"/commits/{HEAD}/statuses").json()
    assert [(s["context"], s["state"]) for s in listed] == [
        ("mlci", "success"),
        ("other", "success"),
        ("mlci", "pending"),
    ]
    combined = in_models(server, "GET", f"/commits/{HEAD}/status").json()
    assert (combined["state"], combined["total_count"]) == ("success", 2)
    assert [status.state for status in models.statuses] == ["pending", "success", "success"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"description": "x" * 141}, "description is too long (maximum is 140 characters)"),
        ({"target_url": "mlci.html"}, "http(s)"),
    ],
)
def test_statuses__refused(server: GitHubServer, models: Repository, changes: dict[str, str], said: str) -> None:
    answer = in_models(server, "POST", f"/statuses/{HEAD}", {"state": "success"} | changes)
    assert answer.status_code == 422
    assert said in answer.json()["errors"][0]["message"]
    assert not models.statuses


def test_statuses__of_a_commit_that_is_not_there(server: GitHubServer, bare: Repository) -> None:
    assert refused(in_models(server, "POST", f"/statuses/{HEAD}", {"state": "success"}), 422, "No commit found")
    assert in_models(server, "POST", f"/statuses/{tip(bare)}", {"state": "success"}).status_code == 201


def remarks(count: int) -> list[dict[str, Any]]:
    return [
        {"path": "a.py", "start_line": i + 1, "end_line": i + 1, "annotation_level": "notice", "message": "m"}
        for i in range(count)
    ]


def test_check_runs__annotations_add_up(server: GitHubServer, models: Repository) -> None:
    output: dict[str, Any] = {"title": "t", "summary": "s", "annotations": remarks(50)}
    made = in_models(server, "POST", "/check-runs", {"name": "mlci", "head_sha": HEAD, "output": output}).json()
    assert (made["status"], made["conclusion"]) == ("queued", None)
    path = f"/check-runs/{made['id']}"
    output["annotations"] = remarks(7)
    done = in_models(server, "PATCH", path, {"conclusion": "failure", "output": output}).json()
    assert (done["status"], done["output"]["annotations_count"]) == ("completed", 57)
    assert len(in_models(server, "GET", f"{path}/annotations?per_page=100").json()) == 57
    assert len(models.check_runs[made["id"]].annotations) == 57


@pytest.mark.usefixtures("models")
def test_check_runs__too_many_annotations_at_once(server: GitHubServer) -> None:
    output = {"title": "t", "summary": "s", "annotations": remarks(51)}
    answer = in_models(server, "POST", "/check-runs", {"name": "mlci", "head_sha": HEAD, "output": output})
    assert refused(answer, 422, "No more than 50 items are allowed; 51 were supplied.")
    server.complaints.clear()


@pytest.mark.usefixtures("models")
def test_check_runs__latest_of_each_name(server: GitHubServer) -> None:
    ids = [
        in_models(server, "POST", "/check-runs", {"name": name, "head_sha": HEAD}).json()["id"]
        for name in ("mlci", "lint", "mlci")
    ]

    def listed(query: str) -> list[int]:
        answer = in_models(server, "GET", f"/commits/{HEAD}/check-runs{query}").json()
        assert answer["total_count"] == len(answer["check_runs"])
        return [run["id"] for run in answer["check_runs"]]

    assert listed("") == [ids[2], ids[1]]
    assert listed("?check_name=mlci") == [ids[2]]
    assert listed("?check_name=mlci&filter=all") == [ids[2], ids[0]]


# Workflow runs and artifacts.


def test_workflow_runs__filters_that_the_fake_lacks(server: GitHubServer, models: Repository) -> None:
    models.workflow_run(event="push", head_sha=HEAD, head_branch="main")
    in_models(server, "GET", "/actions/runs?created=2024-05-01T00:00:00Z")
    assert server.complaints.pop().endswith("the fake cannot filter by 'created'")


def test_workflow_runs__filters(server: GitHubServer, models: Repository) -> None:
    first = models.workflow_run(event="push", head_sha=HEAD, head_branch="main")
    fork = server.repository("eve/models", fork=True)
    second = models.workflow_run(
        77, event="pull_request", head_sha="c" * 40, head_branch="topic", head_repository=fork, status="in_progress"
    )

    def listed(query: str) -> list[int]:
        return [run["id"] for run in in_models(server, "GET", f"/actions/runs{query}").json()["workflow_runs"]]

    assert listed("") == [second.id, first.id]
    assert listed(f"?head_sha={HEAD}&event=push&branch=main&status=success") == [first.id]
    assert listed("?status=in_progress") == [77]
    run = in_models(server, "GET", "/actions/runs/77").json()
    assert (run["head_repository"]["id"], run["repository"]["id"]) == (fork.id, models.id)
    assert (run["conclusion"], run["path"], run["pull_requests"]) == (None, ".github/workflows/mlci.yml", [])


def test_artifacts__are_fetched_from_a_storage_that_wants_no_token(server: GitHubServer, models: Repository) -> None:
    run = models.workflow_run(event="push", head_sha=HEAD, head_branch="main")
    models.artifact(run, "other", b"other")
    made = models.artifact(run, "mlci", b"PK data")
    listed = in_models(server, "GET", f"/actions/runs/{run.id}/artifacts?name=mlci").json()
    assert [(a["id"], a["workflow_run"]["head_sha"]) for a in listed["artifacts"]] == [(made.id, HEAD)]
    redirect = ask(server, "GET", listed["artifacts"][0]["archive_download_url"])
    assert redirect.status_code == 302
    target = redirect.headers["Location"]
    assert ask(server, "GET", target, token=None).content == b"PK data"
    assert ask(server, "GET", target).status_code == 400
    assert ask(server, "GET", target.partition("?")[0], token=None).status_code == 403


def test_artifacts__expired_or_missing(server: GitHubServer, models: Repository) -> None:
    run = models.workflow_run(event="push", head_sha=HEAD, head_branch="main")
    made = models.artifact(run, "mlci", b"", expired=True)
    assert in_models(server, "GET", f"/actions/artifacts/{made.id}/zip").status_code == 410
    assert in_models(server, "GET", "/actions/artifacts/5/zip").status_code == 404
    assert in_models(server, "GET", "/actions/runs/5/artifacts").status_code == 404


def test_fake_artifacts__store_and_fetch_without_a_token(server: GitHubServer, models: Repository) -> None:
    run = models.workflow_run(event="push", head_sha=HEAD, head_branch="main")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("run.json", "{}")
    where = f"{server.url}/_fake/artifacts?repository=team/models&run_id={run.id}"

    def post(more: str = "") -> int:
        return requests.post(f"{where}&name=mlci{more}", data=packed.getvalue(), timeout=5).status_code

    assert requests.get(f"{where}&name=mlci", timeout=5).status_code == 404
    assert [post(), post(), post("&overwrite=true")] == [201, 409, 201]
    assert requests.get(where, timeout=5).json() == ["mlci"]
    assert requests.get(f"{where}&name=mlci", timeout=5).content == packed.getvalue()
    assert [item.name for item in models.artifacts.values()] == ["mlci"]
    assert not server.requests


def test_dispatch__known_workflows_only(server: GitHubServer, models: Repository) -> None:
    models.workflows.add("release.yml")
    body = {"ref": "main", "inputs": {"model": "churn"}}
    number = models.workflow_id("release.yml")
    for name in ("release.yml", number):
        assert in_models(server, "POST", f"/actions/workflows/{name}/dispatches", body).status_code == 204
    assert in_models(server, "POST", "/actions/workflows/other.yml/dispatches", body).status_code == 404
    assert [(d.workflow, d.ref, d.inputs) for d in models.dispatches] == [
        ("release.yml", "main", {"model": "churn"})
    ] * 2


def test_dispatch__run_details_where_asked_for(server: GitHubServer, models: Repository) -> None:
    models.workflows.add("release.yml")
    body = {"ref": "main", "return_run_details": True}
    answer = in_models(server, "POST", "/actions/workflows/release.yml/dispatches", body)
    assert answer.status_code == 200
    assert models.workflow_runs[answer.json()["workflow_run_id"]].event == "workflow_dispatch"


def test_repository_dispatch__is_recorded(server: GitHubServer, models: Repository) -> None:
    body = {"event_type": "promoted", "client_payload": {"model": "churn"}}
    assert in_models(server, "POST", "/dispatches", body).status_code == 204
    assert [(d.event_type, d.client_payload) for d in models.dispatches] == [("promoted", {"model": "churn"})]


# Git.


def test_branch__and_its_tip(server: GitHubServer, bare: Repository, clone: Clone) -> None:
    assert bare.git
    clone.git("push", "--quiet", str(bare.git.folder), "HEAD:refs/heads/mlci/history")
    for name in ("main", "mlci/history", "mlci%2Fhistory"):
        assert in_models(server, "GET", f"/branches/{name}").json()["commit"]["sha"] == tip(bare)
    assert refused(in_models(server, "GET", "/branches/none"), 404, "Branch not found")


@pytest.mark.usefixtures("models")
def test_git__without_a_repository(server: GitHubServer) -> None:
    assert refused(in_models(server, "GET", "/git/ref/heads/main"), 409, "Git Repository is empty.")


def test_git__a_commit_from_parts(server: GitHubServer, bare: Repository) -> None:
    base = tip(bare)
    content = base64.b64encode(b"\x00\xff").decode()
    blob = in_models(server, "POST", "/git/blobs", {"content": content, "encoding": "base64"}).json()["sha"]
    tree = in_models(
        server,
        "POST",
        "/git/trees",
        {
            "base_tree": base,
            "tree": [
                {"path": "runs/a.bin", "mode": "100644", "type": "blob", "sha": blob},
                {"path": "runs/b.txt", "mode": "100644", "type": "blob", "content": "text"},
                {"path": "train.py", "mode": "100644", "type": "blob", "sha": None},
            ],
        },
    ).json()["sha"]
    body = {"message": "Record\n\nmlci", "tree": tree, "parents": [base]}
    made = in_models(server, "POST", "/git/commits", body).json()
    moved = in_models(server, "PATCH", "/git/refs/heads/main", {"sha": made["sha"]})
    assert moved.json()["object"]["sha"] == made["sha"]
    assert bare.git
    assert bare.git.text("log", "--format=%B", "-1", "main") == "Record\n\nmlci"
    assert bare.git.run("show", "main:runs/a.bin") == b"\x00\xff"
    assert bare.git.text("ls-tree", "-r", "--name-only", "main").split() == ["runs/a.bin", "runs/b.txt"]
    listed = in_models(server, "GET", "/git/trees/main?recursive=1").json()["tree"]
    assert [entry["path"] for entry in listed] == ["runs", "runs/a.bin", "runs/b.txt"]
    again = in_models(server, "GET", f"/git/commits/{made['sha']}").json()
    assert (again["tree"]["sha"], again["parents"][0]["sha"]) == (tree, base)


def test_git__a_tree_within_a_tree(server: GitHubServer, bare: Repository) -> None:
    sub = bare.git.text("rev-parse", "main^{tree}") if bare.git else ""
    entry = {"path": "copy", "mode": "040000", "type": "tree", "sha": sub}
    for base in (tip(bare), None):
        body = {"tree": [entry]} | ({"base_tree": base} if base else {})
        made = in_models(server, "POST", "/git/trees", body).json()
        assert ("copy", sub) in [(item["path"], item["sha"]) for item in made["tree"]]


def test_refs__life_of_one(server: GitHubServer, bare: Repository) -> None:
    body = {"ref": "refs/heads/mlci/history", "sha": tip(bare, "main~1")}
    assert in_models(server, "POST", "/git/refs", body).status_code == 201
    assert refused(in_models(server, "POST", "/git/refs", body), 422, "Reference already exists")
    listed = in_models(server, "GET", "/git/matching-refs/heads/mlci/").json()
    assert [ref["ref"] for ref in listed] == ["refs/heads/mlci/history"]
    path = "/git/refs/heads/mlci/history"
    assert in_models(server, "PATCH", path, {"sha": tip(bare)}).status_code == 200
    back = {"sha": tip(bare, "main~1")}
    assert refused(in_models(server, "PATCH", path, back), 422, "Update is not a fast forward")
    assert in_models(server, "PATCH", path, back | {"force": True}).status_code == 200
    assert in_models(server, "DELETE", path).status_code == 204
    assert refused(in_models(server, "DELETE", path), 422, "Reference does not exist")
    assert in_models(server, "GET", "/git/ref/heads/mlci/history").status_code == 404


def test_refs__bad_names_and_objects(server: GitHubServer, bare: Repository) -> None:
    assert in_models(server, "POST", "/git/refs", {"ref": "main", "sha": tip(bare)}).status_code == 422
    body = {"ref": "refs/heads/new", "sha": HEAD}
    assert refused(in_models(server, "POST", "/git/refs", body), 422, "Object does not exist")


def test_tags__annotated(server: GitHubServer, bare: Repository) -> None:
    body = {"tag": "churn@v1.0.0", "message": "First", "object": tip(bare), "type": "commit"}
    made = in_models(server, "POST", "/git/tags", body).json()
    in_models(server, "POST", "/git/refs", {"ref": "refs/tags/churn@v1.0.0", "sha": made["sha"]})
    ref = in_models(server, "GET", "/git/ref/tags/churn@v1.0.0").json()["object"]
    assert (ref["type"], ref["sha"]) == ("tag", made["sha"])
    assert in_models(server, "GET", f"/git/tags/{made['sha']}").json()["message"] == "First"
    assert tip(bare, "refs/tags/churn@v1.0.0") == tip(bare)


def test_compare__where_two_commits_parted(server: GitHubServer, bare: Repository, clone: Clone) -> None:
    clone.git("checkout", "--quiet", "-b", "topic", "HEAD~1")
    head = clone.commit("other.py")
    assert bare.git
    clone.git("push", "--quiet", str(bare.git.folder), "topic")

    def compare(basehead: str) -> tuple[str, int, int]:
        found = in_models(server, "GET", f"/compare/{basehead}").json()
        return found["status"], found["ahead_by"], found["behind_by"]

    found = in_models(server, "GET", "/compare/main...topic").json()
    assert found["merge_base_commit"]["sha"] == tip(bare, "main~1")
    assert [commit["sha"] for commit in found["commits"]] == [head]
    assert [(file["filename"], file["status"]) for file in found["files"]] == [("other.py", "added")]
    assert compare("main...topic") == ("diverged", 1, 1)
    assert compare(f"{tip(bare, 'main~1')}...main") == ("ahead", 1, 0)
    assert compare("main...main") == ("identical", 0, 0)
    assert in_models(server, "GET", "/compare/main...none").status_code == 404


def test_compare__with_a_fork(server: GitHubServer, bare: Repository, clone: Clone, tmp_path: Path) -> None:
    clone.commit("evil.py")
    clone.clone(tmp_path / "fork.git", None, "--bare")
    server.repository("eve/models", fork=True, git=tmp_path / "fork.git")
    found = in_models(server, "GET", "/compare/main...eve:main").json()
    assert (found["status"], found["ahead_by"], found["base_commit"]["sha"]) == ("ahead", 1, tip(bare))
    assert in_models(server, "GET", "/compare/main...nobody:main").status_code == 404


# GraphQL.

MUTATION = """
mutation ($input: CreateCommitOnBranchInput!) {
  createCommitOnBranch(input: $input) { commit { oid url } }
}
"""


def commit_on(
    server: GitHubServer, expected: str, *, token: str | None = None, branch: str = "main", **changes: Any
) -> Any:
    added = [{"path": "runs/1.json", "contents": base64.b64encode(b"{}").decode()}]
    variables = {
        "branch": {"repositoryNameWithOwner": "team/models", "branchName": branch},
        "expectedHeadOid": expected,
        "message": {"headline": "Record"},
        "fileChanges": {"additions": added, "deletions": []},
    }
    body = {"query": MUTATION, "variables": {"input": variables | changes}}
    answer = ask(server, "POST", "/graphql", body, token=token or "secret")
    assert answer.status_code == 200
    return answer.json()


@pytest.mark.parametrize("path", ["/graphql", "/api/graphql"])
def test_graphql__viewer(server: GitHubServer, path: str) -> None:
    answer = ask(server, "POST", path, {"query": "query { me: viewer { login } }", "variables": {}})
    assert answer.json() == {"data": {"me": {"login": "github-actions[bot]"}}}


def test_graphql__needs_a_token_and_known_fields(server: GitHubServer) -> None:
    assert ask(server, "POST", "/graphql", {"query": "{viewer{login}}"}, token=None).status_code == 401
    answer = ask(server, "POST", "/graphql", {"query": "{weather}"}).json()
    assert "doesn't exist" in answer["errors"][0]["message"]
    assert server.complaints.pop().startswith("POST /graphql: Field 'weather'")
    assert "errors" in ask(server, "POST", "/graphql", {"query": "{viewer{"}).json()


def test_create_commit_on_branch__commits(server: GitHubServer, bare: Repository) -> None:
    before = tip(bare)
    answer = commit_on(server, before)
    made = answer["data"]["createCommitOnBranch"]["commit"]
    assert made == {"oid": tip(bare), "url": f"https://github.com/team/models/commit/{tip(bare)}"}
    assert tip(bare, "main~1") == before
    assert bare.git
    assert bare.git.text("show", "main:runs/1.json") == "{}"
    assert in_models(server, "GET", f"/git/commits/{tip(bare)}").json()["verification"]["verified"]
    gone = {"additions": [], "deletions": [{"path": "runs/1.json"}]}
    commit_on(server, tip(bare), fileChanges=gone)
    assert "runs" not in bare.git.text("ls-tree", "--name-only", "main").split()


def test_create_commit_on_branch__stale(server: GitHubServer, bare: Repository) -> None:
    before, stale = tip(bare), tip(bare, "main~1")
    answer = commit_on(server, stale)
    assert answer["data"] == {"createCommitOnBranch": None}
    assert [error["type"] for error in answer["errors"]] == ["STALE_DATA"]
    assert answer["errors"][0]["message"].startswith(f'Expected branch to point to "{stale}" but it did not.')
    assert tip(bare) == before


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"branch": "none"}, "NOT_FOUND"),
        ({"token": "reader"}, "FORBIDDEN"),
        ({"fileChanges": {"deletions": [{"path": "none"}]}}, "NOT_FOUND"),
        ({"fileChanges": {"additions": [{"path": "a", "contents": "%"}]}}, "UNPROCESSABLE"),
    ],
)
def test_create_commit_on_branch__refused(
    server: GitHubServer, bare: Repository, changes: dict[str, Any], kind: str
) -> None:
    server.token("reader", contents="read")
    before = tip(bare)
    assert commit_on(server, before, **changes)["errors"][0]["type"] == kind
    assert tip(bare) == before


# Releases and deployments.


def test_releases__a_draft_is_published_last(server: GitHubServer, bare: Repository) -> None:
    server.token("reader", contents="read")
    body = {"tag_name": "v1", "name": "One", "draft": True, "target_commitish": "main"}
    made = in_models(server, "POST", "/releases", body).json()
    path = f"/releases/{made['id']}"
    assert in_models(server, "GET", "/releases/tags/v1").status_code == 404
    assert in_models(server, "GET", path, token="reader").status_code == 404
    assert in_models(server, "GET", "/releases/latest").status_code == 404
    published = in_models(server, "PATCH", path, {"draft": False}).json()
    assert (published["draft"], published["published_at"] is None) == (False, False)
    for found in ("/releases/tags/v1", "/releases/latest", path):
        assert in_models(server, "GET", found, token="reader").json()["id"] == made["id"]
    assert tip(bare, "refs/tags/v1") == tip(bare)
    duplicate = in_models(server, "POST", "/releases", {"tag_name": "v1"}).json()
    assert duplicate["errors"][0]["code"] == "already_exists"


def upload(server: GitHubServer, release: Any, name: str, data: bytes, kind: str = "application/zip") -> Any:
    url = release["upload_url"].partition("{")[0]
    headers = {"Content-Type": kind}
    return ask(server, "POST", f"{url}?name={name}", data=data, headers=headers)


def test_assets__life_of_one(server: GitHubServer, bare: Repository) -> None:
    release = in_models(server, "POST", "/releases", {"tag_name": "v1", "draft": True}).json()
    made = upload(server, release, "model.json", b"not JSON", "application/json")
    assert made.status_code == 201
    assert made.json()["digest"] == f"sha256:{hashlib.sha256(b'not JSON').hexdigest()}"
    again = upload(server, release, "model.json", b"x")
    assert again.json()["errors"][0]["code"] == "already_exists"
    path = f"/releases/assets/{made.json()['id']}"
    assert in_models(server, "GET", path).json()["name"] == "model.json"
    redirect = in_models(server, "GET", path, headers={"Accept": "application/octet-stream"})
    assert ask(server, "GET", redirect.headers["Location"], token=None).content == b"not JSON"
    assert [a["id"] for a in ask(server, "GET", release["assets_url"]).json()] == [made.json()["id"]]
    assert in_models(server, "DELETE", path).status_code == 204
    assert not bare.releases[release["id"]].assets


def test_releases__immutable_once_published(server: GitHubServer, bare: Repository) -> None:
    bare.immutable = True
    release = in_models(server, "POST", "/releases", {"tag_name": "v1", "draft": True}).json()
    asset = upload(server, release, "model.zip", b"x").json()
    path = f"/releases/{release['id']}"
    assert in_models(server, "PATCH", path, {"draft": False}).json()["immutable"]
    assert upload(server, release, "late.zip", b"x").status_code == 422
    assert in_models(server, "DELETE", f"/releases/assets/{asset['id']}").status_code == 422
    assert in_models(server, "PATCH", path, {"tag_name": "v2"}).status_code == 422
    assert in_models(server, "DELETE", "/git/refs/tags/v1").status_code == 422
    assert in_models(server, "DELETE", path).status_code == 204
    burned = in_models(server, "POST", "/releases", {"tag_name": "v1"}).json()
    assert "immutable release" in burned["errors"][0]["message"]


def test_deployments__and_their_states(server: GitHubServer, models: Repository) -> None:
    wanted = {"ref": HEAD, "environment": "staging", "required_contexts": [], "payload": {"model": "churn"}}
    ids = [in_models(server, "POST", "/deployments", wanted).json()["id"] for _ in range(2)]
    for number in ids:
        path = f"/deployments/{number}/statuses"
        for state in ("in_progress", "success"):
            assert in_models(server, "POST", path, {"state": state}).status_code == 201
    listed = in_models(server, "GET", f"/deployments/{ids[0]}/statuses").json()
    assert [status["state"] for status in listed] == ["inactive", "success", "in_progress"]
    found = in_models(server, "GET", f"/deployments?environment=staging&sha={HEAD}").json()
    assert [item["id"] for item in found] == ids[::-1]
    assert in_models(server, "GET", "/deployments?environment=production").json() == []
    assert models.deployments[ids[0]].payload == {"model": "churn"}


@pytest.mark.usefixtures("models")
def test_deployments__wait_for_required_contexts(server: GitHubServer) -> None:
    body = {"ref": HEAD, "required_contexts": ["mlci"]}
    assert refused(in_models(server, "POST", "/deployments", body), 409, "Commit status checks failed")
    in_models(server, "POST", f"/statuses/{HEAD}", {"state": "success", "context": "mlci"})
    assert in_models(server, "POST", "/deployments", body).status_code == 201


# Faults.


def comment(server: GitHubServer, body: str = "x") -> requests.Response:
    return in_models(server, "POST", "/issues/1/comments", {"body": body})


@pytest.mark.parametrize(
    ("kind", "status", "said", "headers"),
    [
        ("500", 500, "Unicorn", {}),
        ("502", 502, "Unicorn", {}),
        ("503", 503, "Unicorn", {}),
        ("429", 429, "Too many", {"Retry-After": "1"}),
        ("429-bare", 429, "Too many", {"Retry-After": None, "x-ratelimit-remaining": None}),
        ("secondary", 403, "You have exceeded a secondary rate limit", {"Retry-After": "1"}),
        ("secondary-bare", 403, "You have exceeded a secondary rate limit", {"Retry-After": None}),
        ("primary", 403, "API rate limit exceeded", {"x-ratelimit-remaining": "0", "Retry-After": None}),
        ("read-only", 403, "Resource not accessible by integration", {"Retry-After": None}),
    ],
)
def test_fault__refuses_without_effect(
    server: GitHubServer, models: Repository, kind: str, status: int, said: str, headers: dict[str, str | None]
) -> None:
    server.arm(Fault(kind, times=2))
    for _ in range(2):
        answer = comment(server)
        assert answer.status_code == server.requests[-1].status == status
        assert said in answer.text
        assert {name: answer.headers.get(name) for name in headers} == headers
    assert not models.comments
    assert comment(server).status_code == 201


@pytest.mark.usefixtures("models")
def test_fault__primary_ends_soon(server: GitHubServer) -> None:
    server.arm(Fault("primary"))
    assert 0 <= int(comment(server).headers["x-ratelimit-reset"]) - int(time.time()) <= 1


def test_fault__committed_502(server: GitHubServer, models: Repository) -> None:
    server.arm(Fault("committed-502"))
    answer = comment(server)
    assert (answer.status_code, "<html>" in answer.text) == (502, True)
    assert len(models.comments) == 1


@pytest.mark.parametrize(("kind", "committed"), [("dropped", 0), ("dropped-committed", 1), ("cut", 1)])
def test_fault__connection_closes(server: GitHubServer, models: Repository, kind: str, committed: int) -> None:
    server.arm(Fault(kind))
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        comment(server)
    assert len(models.comments) == committed
    assert server.requests[-1].status is None
    assert comment(server).status_code == 201


def test_fault__slow_drips_a_whole_answer(server: GitHubServer, models: Repository) -> None:
    made = models.workflow_run(event="push", head_sha=HEAD, head_branch="main")
    artifact = models.artifact(made, "mlci", b"0123456789")
    server.arm(Fault("slow", path="/_blobs/", pause_s=0.02))
    target = in_models(server, "GET", f"/actions/artifacts/{artifact.id}/zip").headers["Location"]
    started = time.monotonic()
    assert ask(server, "GET", target, token=None).content == b"0123456789"
    assert time.monotonic() - started > 0.18


@pytest.mark.usefixtures("models")
def test_fault__slow_is_over_when_the_server_stops() -> None:
    started = time.monotonic()
    with github_server() as running:
        running.repository()
        running.arm(Fault("slow", pause_s=60))
        with pytest.raises(requests.exceptions.RequestException):
            requests.get(f"{running.url}/repos/team/models", timeout=0.2)
    assert time.monotonic() - started < 5


@pytest.mark.usefixtures("models")
def test_fault__empty_body_reads_back_for_a_while(server: GitHubServer) -> None:
    server.arm(Fault("empty-body", method="POST", times=2))
    made = comment(server, "text").json()
    assert made["body"] == "text"
    seen = [in_models(server, "GET", f"/issues/comments/{made['id']}").json()["body"]]
    seen += [in_models(server, "GET", "/issues/1/comments").json()[0]["body"] for _ in range(2)]
    assert seen == ["", "", "text"]


def test_fault__stale_list_leaves_the_old_in_sight(server: GitHubServer, bare: Repository) -> None:
    sha = tip(bare)
    in_models(server, "POST", f"/statuses/{sha}", {"state": "pending", "context": "mlci"})
    in_models(server, "POST", "/check-runs", {"name": "mlci", "head_sha": sha, "status": "in_progress"})
    draft = in_models(server, "POST", "/releases", {"tag_name": "v1", "draft": True}).json()["id"]
    server.arm(*(Fault("stale-list", method, path) for method, path in (("POST", "statuses"), ("POST", "check-runs"))))
    in_models(server, "POST", f"/statuses/{sha}", {"state": "success", "context": "mlci"})
    in_models(server, "POST", "/check-runs", {"name": "mlci", "head_sha": sha, "conclusion": "success"})
    for state, status in (("pending", "in_progress"), ("success", "completed")):
        assert in_models(server, "GET", f"/commits/{sha}/status").json()["state"] == state
        assert in_models(server, "GET", f"/commits/{sha}/check-runs").json()["check_runs"][0]["status"] == status
    server.arm(Fault("stale-list", "PATCH"))
    in_models(server, "PATCH", f"/releases/{draft}", {"draft": False})
    assert [in_models(server, "GET", "/releases/tags/v1").status_code for _ in range(2)] == [404, 200]


@pytest.mark.usefixtures("models")
def test_fault__stale_list_does_not_show_what_was_made(server: GitHubServer) -> None:
    server.arm(Fault("stale-list", method="POST", times=2))
    made = comment(server).json()["id"]
    assert [len(in_models(server, "GET", "/issues/1/comments").json()) for _ in range(3)] == [0, 0, 1]
    assert in_models(server, "GET", f"/issues/comments/{made}").status_code == 200


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("fault", "struck"),
    [
        (Fault("502"), [0]),
        (Fault("502", times=2), [0, 1]),
        (Fault("502", nth=1), [1]),
        (Fault("502", nth=1, times=2), [1, 2]),
        (Fault("502", method="GET"), [1]),
        (Fault("502", method="POST", nth=1), []),
        (Fault("502", path=r"/issues/\d+/comments$", method="POST", times=9), [0, 2]),
    ],
)
def test_fault__strikes_where_it_says(server: GitHubServer, fault: Fault, struck: list[int]) -> None:
    comment(server)
    server.arm(fault)
    answers = [comment(server), in_models(server, "GET", "/pulls"), comment(server)]
    assert [place for place, answer in enumerate(answers) if answer.status_code == 502] == struck


@pytest.mark.usefixtures("models")
def test_fault__can_be_armed_again(server: GitHubServer) -> None:
    fault = Fault("503", nth=0)
    for _ in range(2):
        server.arm(fault)
        assert [comment(server).status_code for _ in range(2)] == [503, 201]


@pytest.mark.usefixtures("models")
def test_fault__first_that_matches_wins(server: GitHubServer) -> None:
    server.arm(Fault("500"), Fault("503"))
    assert [comment(server).status_code for _ in range(3)] == [500, 503, 201]


@pytest.mark.usefixtures("models")
def test_fault__can_wait(server: GitHubServer) -> None:
    server.arm(Fault("503", after=0.2))
    started = time.monotonic()
    assert comment(server).status_code == 503
    assert time.monotonic() - started >= 0.2


def test_fault__unknown_kind() -> None:
    with pytest.raises(ValueError, match="no such fault: rain"):
        Fault("rain")


# Clients.


@pytest.mark.parametrize("prefix", ["", "/api/v3"])
def test_pygithub__reads_and_writes(server: GitHubServer, models: Repository, prefix: str, tmp_path: Path) -> None:
    for number in range(40):
        models.comment(1, str(number), "ada")
    with github.Github(
        auth=github.Auth.Token("secret"),
        base_url=server.url + prefix,
        retry=None,
        lazy=True,
        seconds_between_requests=None,
        seconds_between_writes=None,
    ) as client:
        repository = client.get_repo("team/models")
        pull = repository.get_pull(1)
        assert (pull.head.sha, pull.head.repo.id) == (HEAD, models.id)
        made = pull.create_issue_comment("one")
        made.edit("two")
        assert [c.body for c in pull.get_issue_comments()][-1] == "two"
        assert [c.id for c in pull.get_issue_comments()] == list(models.comments)
        release = repository.create_git_release("v1", "One", "What is new", draft=True)
        (tmp_path / "model.bin").write_bytes(b"weights")
        assert release.upload_asset(str(tmp_path / "model.bin")).size == 7
        _, data = client.requester.graphql_query("query { viewer { login } }", {})
        assert data["data"]["viewer"]["login"] == "github-actions[bot]"


# All of it, against GitHub's own description.


def arranged(server: GitHubServer, bare: Repository) -> dict[str, Any]:
    """Something of everything; what stands for the parameters of paths."""
    pull = bare.pull(1, head_sha=tip(bare), head_ref="topic", labels=("mlci",))
    run = bare.workflow_run(event="pull_request", head_sha=tip(bare), head_branch="topic", pull_requests=(pull,))
    bare.workflows.add("release.yml")
    server.token("ada", "ada")
    assert bare.git
    tree = bare.git.text("rev-parse", "main^{tree}")
    return {
        "owner": "team",
        "repo": "models",
        "username": "ada",
        "branch": "main",
        "pull_number": 1,
        "issue_number": 1,
        "commit_sha": tip(bare),
        "sha": tip(bare),
        "tree_sha": tree,
        "file_sha": bare.git.text("rev-parse", "main:train.py"),
        "basehead": f"{tip(bare, 'main~1')}...main",
        "run_id": run.id,
        "artifact_id": bare.artifact(run, "mlci", b"zip").id,
        "archive_format": "zip",
        "workflow_id": "release.yml",
        "tag": "v1",
    }


def bodies(known: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """A request for each operation that makes or changes something, in an order that works."""
    sha, tree = known["sha"], known["tree_sha"]
    output = {"title": "t", "summary": "s", "annotations": remarks(2)}
    return [
        ("POST", "/issues/{issue_number}/comments", {"body": "x"}),
        ("PATCH", "/issues/comments/{comment_id}", {"body": "y"}),
        ("POST", "/issues", {"title": "t", "labels": ["a"]}),
        ("PATCH", "/issues/{issue_number}", {"title": "t"}),
        ("POST", "/statuses/{sha}", {"state": "success", "context": "mlci", "description": "fine"}),
        ("POST", "/check-runs", {"name": "mlci", "head_sha": sha, "status": "in_progress", "output": output}),
        ("PATCH", "/check-runs/{check_run_id}", {"conclusion": "neutral", "output": output}),
        ("POST", "/actions/workflows/{workflow_id}/dispatches", {"ref": "main", "return_run_details": True}),
        ("POST", "/dispatches", {"event_type": "e"}),
        ("POST", "/git/refs", {"ref": "refs/heads/made", "sha": sha}),
        ("PATCH", "/git/refs/{ref}", {"sha": sha, "force": True}),
        ("POST", "/git/commits", {"message": "m", "tree": tree, "parents": [sha]}),
        ("POST", "/git/trees", {"tree": [{"path": "a", "mode": "100644", "type": "blob", "content": "c"}]}),
        ("POST", "/git/blobs", {"content": "c"}),
        ("POST", "/git/tags", {"tag": "t", "message": "m", "object": sha, "type": "commit"}),
        ("POST", "/releases", {"tag_name": "v1", "draft": True, "body": "b"}),
        ("POST", "/releases/{release_id}/assets?name=a.bin", None),
        ("PATCH", "/releases/assets/{asset_id}", {"label": "l"}),
        ("PATCH", "/releases/{release_id}", {"draft": False}),
        ("POST", "/deployments", {"ref": "main", "required_contexts": ["mlci"], "payload": {"a": 1}}),
        ("POST", "/deployments/{deployment_id}/statuses", {"state": "success", "description": "d"}),
    ]


MADE = {
    "POST /issues/{issue_number}/comments": ("comment_id", "id"),
    "POST /check-runs": ("check_run_id", "id"),
    "POST /git/tags": ("tag_sha", "sha"),
    "POST /releases": ("release_id", "id"),
    "POST /releases/{release_id}/assets?name=a.bin": ("asset_id", "id"),
    "POST /deployments": ("deployment_id", "id"),
}
REMOVED = (
    *("/issues/comments/{comment_id}", "/releases/assets/{asset_id}", "/releases/{release_id}", "/git/refs/{ref}"),
)


@pytest.mark.skipif(VARIABLE not in os.environ, reason=f"{VARIABLE} names no description of GitHub's API")
def test_every_operation__answers_what_the_description_says(server: GitHubServer, bare: Repository) -> None:
    known = arranged(server, bare) | {"ref": "heads/made"}
    prefix = "/repos/{owner}/{repo}"

    def go(method: str, path: str, body: Any = None) -> requests.Response:
        data = {"data": b"bytes"} if path.endswith("a.bin") else {}
        token = "ada" if path == "/user" or path.endswith("/permissions/workflow") else "secret"  # no App's
        answer = ask(server, method, path.format_map(known), body, token=token, **data)
        assert answer.status_code < 400, (method, path, answer.text)
        return answer

    for method, path, body in bodies(known):
        answer = go(method, prefix + path, body)
        if made := MADE.get(f"{method} {path}"):
            known[made[0]] = answer.json()[made[1]]
    for route in ROUTES:
        if route.method == "GET":
            known["ref"] = "heads/made" if "/git/" in route.template else "main"
            go("GET", route.template)
    known["ref"] = "heads/made"
    for path in REMOVED:
        go("DELETE", prefix + path)
    assert server.complaints == []
    asked = {(request.method, request.path) for request in server.requests}
    missed = [
        f"{route.method} {route.template}"
        for route in ROUTES
        if not any(method == route.method and pattern(route.template).match(path) for method, path in asked)
    ]
    assert missed == []
