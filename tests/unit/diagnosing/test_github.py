"""What GitHub tells of tokens, rules and time, by a fake held to its own description."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from fakes.command_line import Workbench
from fakes.github_server import Fault, GitHubServer, Repository, github_server
from fakes.patients import CONFIG, amiss, edit, healthy, only, patient
from mlci.core.finding import Finding
from mlci.diagnosing.github import clock, repository_of

TOKEN = "ghs_canaryCANARYcanary0123456789"
CHECKS = "required_status_checks"


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return healthy(tmp_path)


@pytest.fixture
def server() -> Iterator[GitHubServer]:
    with github_server() as made:
        yield made


@pytest.fixture
def team(server: GitHubServer, bench: Workbench) -> Repository:
    server.token(TOKEN)
    return server.repository(git=bench.folder / ".git", permissions={"ada": "write", "linus": "read"})


def told(bench: Workbench, server: GitHubServer, *areas: str, **environ: str) -> list[Finding]:
    event = {"GITHUB_ACTIONS": "true", "GITHUB_API_URL": server.url, "GITHUB_REPOSITORY": "team/models"}
    given = {"GITHUB_TOKEN": TOKEN} | event | environ
    found = amiss(bench, *(areas or ("github",)), environ=given)
    assert TOKEN not in str(found)
    return found


@pytest.mark.usefixtures("team")
def test_check__a_job_s_own_token(bench: Workbench, server: GitHubServer) -> None:
    assert told(bench, server) == []
    assert {request.method for request in server.requests} == {"GET"}


def test_check__without_a_token(bench: Workbench) -> None:
    assert only(amiss(bench, "github", environ={"GITHUB_REPOSITORY": "team/models"})).slug == "github/no-token"


@pytest.mark.usefixtures("team")
@pytest.mark.parametrize(
    ("environ", "slug", "level"),
    [
        ({"GITHUB_TOKEN": "ghp_expired"}, "token", "error"),
        ({"GITHUB_REPOSITORY": "team/other"}, "token", "error"),
        ({"GITHUB_API_URL": "http://127.0.0.1:1"}, "unreachable", "unknown"),
        ({"GITHUB_REPOSITORY": "../x?"}, "no-repository", "unknown"),
    ],
)
def test_check__no_answer(
    bench: Workbench, server: GitHubServer, environ: dict[str, str], slug: str, level: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("mlci.diagnosing.github.ASK_S", 0.5)
    found = only(told(bench, server, **environ))
    assert (found.slug, found.level) == (f"github/{slug}", level)


@pytest.mark.usefixtures("team")
def test_check__a_server_that_fails(bench: Workbench, server: GitHubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlci.diagnosing.github.ASK_S", 0.5)
    server.arm(Fault("503", times=1000))
    assert only(told(bench, server)).slug == "github/unreachable"


@pytest.mark.parametrize(
    ("scopes", "login", "private", "slug"),
    [
        (("repo",), "ada", True, None),
        (("public_repo",), "ada", False, None),
        (("public_repo",), "ada", True, "scope"),
        (("gist", "read:org"), "ada", False, "scope"),
        ((), "ada", False, "scope"),
        (("repo",), "linus", False, "role"),
        (None, "linus", False, None),  # of such a token GitHub does not tell
    ],
)
def test_token__of_a_classic_one_scopes_and_role(
    bench: Workbench,
    server: GitHubServer,
    team: Repository,
    scopes: tuple[str, ...] | None,
    login: str,
    private: bool,
    slug: str | None,
) -> None:
    team.private = private
    server.token("ghp_of_a_person", login, installation=False, scopes=scopes)
    found = told(bench, server, GITHUB_TOKEN="ghp_of_a_person")
    assert [item.slug for item in found] == ([f"github/{slug}"] if slug else [])


@pytest.mark.parametrize("rule", ["pull_request", "update", "creation"])
def test_rules__that_keep_baselines_out(bench: Workbench, server: GitHubServer, team: Repository, rule: str) -> None:
    team.rules["mlci-data"] = [_rule(rule)]
    found = only(told(bench, server))
    assert (found.slug, found.level, rule in found.found) == ("github/data-branch", "error", True)


@pytest.mark.parametrize("rule", ["required_signatures", "deletion", "non_fast_forward", "required_linear_history"])
def test_rules__that_mlci_can_live_with(bench: Workbench, server: GitHubServer, team: Repository, rule: str) -> None:
    team.rules["mlci-data"] = [_rule(rule)]
    assert told(bench, server) == []


def _rule(kind: str) -> dict[str, Any]:
    review = {
        "dismiss_stale_reviews_on_push": False,
        "require_code_owner_review": False,
        "require_last_push_approval": False,
        "required_approving_review_count": 1,
        "required_review_thread_resolution": False,
    }
    parameters = {"pull_request": review, "update": {"update_allows_fetch_and_merge": False}}
    return {"type": kind} | ({"parameters": parameters[kind]} if kind in parameters else {})


def test_rules__protection_of_the_older_kind(bench: Workbench, server: GitHubServer, team: Repository) -> None:
    bench.repository.git("branch", "mlci-data")
    team.protected["mlci-data"] = ()
    found = only(told(bench, server))
    assert (found.slug, found.level) == ("github/protected", "unknown")


def _required(*contexts: str) -> dict[str, Any]:
    checks = [{"context": context} for context in contexts]
    given = {CHECKS: checks, "strict_required_status_checks_policy": False}
    return {"type": CHECKS, "parameters": given}


def test_required__a_status_that_nothing_sets(bench: Workbench, server: GitHubServer, team: Repository) -> None:
    team.rules["main"] = [_required("tests", "mlci/main", "mlci/other")]
    assert told(bench, server) == []
    team.rules["main"] = [_required("tests", "mlci/other")]
    assert only(told(bench, server)).slug == "github/required-status"
    team.rules["main"] = []
    team.protected["main"] = ("mlci/other",)
    assert only(told(bench, server)).slug == "github/required-status"
    edit(bench, "mlci.toml", "[runs.train]", 'id = "other"\n[runs.train]')
    assert told(bench, server) == []


def test_paths__are_an_error_where_the_status_is_required(
    bench: Workbench, server: GitHubServer, team: Repository
) -> None:
    edit(bench, ".github/workflows/pull-request.yml", "pull_request:\n", "pull_request:\n    paths: ['**.py']\n")
    assert only(told(bench, server, "workflow")).level == "warning"
    team.rules["main"] = [_required("mlci/main")]
    assert only(told(bench, server, "workflow")).level == "error"


def test_default_branch__is_another(bench: Workbench, server: GitHubServer, team: Repository) -> None:
    team.default_branch = "trunk"
    found = only(told(bench, server))
    assert (found.slug, 'branch = "trunk"' in found.remedy) == ("github/default-branch", True)
    bench.write(mlci__toml=f'{CONFIG}\n[baseline]\nbranch = "trunk"\n')
    assert [item.slug for item in told(bench, server, "github", "workflow")] == ["workflow/branches"]


@pytest.mark.parametrize(("default", "slugs"), [("write", []), ("read", ["workflow/permissions"])])
def test_default_permissions__as_far_as_they_can_be_read(
    bench: Workbench, server: GitHubServer, team: Repository, default: str, slugs: list[str]
) -> None:
    text = (bench.folder / ".github/workflows/fork-comment.yml").read_text()
    cut = text[: text.index("    permissions:\n")] + text[text.index("    steps:\n") :]
    (bench.folder / ".github/workflows/fork-comment.yml").write_text(cut.replace("permissions: {}\n", ""))
    assert only(told(bench, server, "workflow")).slug == "workflow/default-permissions"
    team.default_permissions = default
    server.token("ghp_of_an_owner", "ada", installation=False, scopes=("repo",))
    assert [item.slug for item in told(bench, server, "workflow", GITHUB_TOKEN="ghp_of_an_owner")] == slugs


def test_clock__is_that_of_the_server() -> None:
    now = 1_700_000_000.0
    assert list(clock(formatdate(now - 250, usegmt=True), now)) == []
    assert list(clock("yesterday", now)) == list(clock(None, now)) == []
    assert "10 min 00 s ahead of" in only(list(clock(formatdate(now - 600, usegmt=True), now))).found
    assert "1 h 00 min behind" in only(list(clock(formatdate(now + 3600, usegmt=True), now))).found


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://github.com/team/models.git", "team/models"),
        ("https://ada:secret@github.com/team/models", "team/models"),
        ("git@github.com:team/models.git", "team/models"),
        ("ssh://git@github.com/team/models.git", "team/models"),
        ("https://github.com.evil.example/team/models.git", None),
        ("https://gitlab.com/team/models.git", None),
        ("../models.git", None),
    ],
)
def test_repository_of__is_told_by_the_remote(bench: Workbench, url: str, name: str | None) -> None:
    bench.repository.git("remote", "add", "origin", url)
    assert repository_of(patient(bench)) == name
