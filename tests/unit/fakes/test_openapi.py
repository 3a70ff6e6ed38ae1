from __future__ import annotations

import os
import time
from typing import Any

import pytest

from fakes.openapi import VARIABLE, OpenApi, pattern, specificity

R = "/repos/team/models"


def text(**more: Any) -> dict[str, Any]:
    return {"type": "string"} | more


def content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


@pytest.fixture
def small() -> OpenApi:
    """A description with a little of everything that GitHub's has."""
    person = {
        "type": "object",
        "required": ["login", "blog"],
        "properties": {
            "login": text(),
            "blog": text(nullable=True, format="uri"),
            "since": text(format="date-time"),
            "kind": text(nullable=True, enum=["User", "Bot"]),
        },
    }
    body = {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": text(),
            "labels": {
                "type": "array",
                "items": {"oneOf": [text(), {"type": "object", "properties": {"color": text()}}]},
            },
            "inputs": {"type": "object", "additionalProperties": True},
        },
        "anyOf": [{"properties": {"status": text(enum=["done"])}, "required": ["status"]}, {"properties": {}}],
    }
    page = {"name": "page", "in": "query", "schema": {"type": "integer"}}
    person_ref = {"$ref": "#/components/schemas/person"}
    number = {"name": "number", "in": "path", "required": True, "schema": {"type": "integer"}}
    return OpenApi(
        {
            "components": {
                "parameters": {"page": page},
                "schemas": {
                    "person": person,
                    "basic-error": {"type": "object", "properties": {"message": text()}},
                },
            },
            "paths": {
                "/people/{number}": {
                    "get": {"parameters": [number], "responses": {"200": content(person_ref), "404": {}}}
                },
                "/people": {
                    "get": {
                        "parameters": [{"$ref": "#/components/parameters/page"}],
                        "responses": {"200": content({"type": "array", "items": person_ref})},
                    },
                    "post": {
                        "requestBody": {"required": True} | content(body),
                        "responses": {"201": content(person_ref), "204": {}},
                    },
                },
            },
        }
    )


def real() -> OpenApi:
    path = os.environ.get(VARIABLE)
    if not path:
        pytest.skip(f"{VARIABLE} names no description of GitHub's API")
    return OpenApi.load(path)


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("/repos/{owner}/{repo}", "/repos/team/models", {"owner": "team", "repo": "models"}),
        ("/repos/{owner}/{repo}", "/repos/team/models/pulls", None),
        ("/git/ref/{ref}", "/git/ref/heads/mlci/history", {"ref": "heads/mlci/history"}),
        ("/commits/{ref}/status", "/commits/a/b/status", {"ref": "a/b"}),
        ("/pulls/{pull_number}", "/pulls/1/files", None),
        ("/a.b", "/aXb", None),
    ],
)
def test_pattern__slashes_only_in_refs(template: str, path: str, values: dict[str, str] | None) -> None:
    match = pattern(template).match(path)
    assert (match.groupdict() if match else None) == values


def test_specificity__literal_first() -> None:
    assert min("/releases/{id}", "/releases/latest", key=specificity) == "/releases/latest"


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "said"),
    [
        ("GET", "/people", {"page": "2"}, None, None),
        ("GET", "/people", {"page": "two"}, None, "query parameter 'page': 'two' is not of type 'integer'"),
        ("GET", "/people", {"pages": "2"}, None, "unknown query parameter 'pages'"),
        ("GET", "/people/7", {}, None, None),
        ("GET", "/people/x", {}, None, "path parameter 'number': 'x' is not of type 'integer'"),
        ("GET", "/weather", {}, None, "the description knows no such operation"),
        ("DELETE", "/people", {}, None, "the description knows no such operation"),
        ("GET", "/people", {}, {"a": 1}, "the description knows no body here"),
        ("POST", "/people", {}, None, "the body is missing"),
        ("POST", "/people", {}, {"name": "Ada"}, None),
        ("POST", "/people", {}, {"nam": "Ada"}, "'name' is a required property"),
        ("POST", "/people", {}, {"name": "Ada", "nick": 1}, "body: unknown property 'nick'"),
        ("POST", "/people", {}, {"name": "Ada", "status": "done"}, None),
        ("POST", "/people", {}, {"name": 7}, "body.name: 7 is not of type 'string'"),
        ("POST", "/people", {}, {"name": "Ada", "labels": ["a", {"color": "b"}]}, None),
        ("POST", "/people", {}, {"name": "Ada", "labels": [{"colour": "b"}]}, "unknown property 'colour'"),
        ("POST", "/people", {}, {"name": "Ada", "inputs": {"anything": 1}}, None),
    ],
)
def test_validate_request__small(
    small: OpenApi, method: str, path: str, query: dict[str, str], body: object, said: str | None
) -> None:
    found = small.validate_request(method, path, query, body)
    assert (found == []) if said is None else any(said in complaint for complaint in found), found


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"blog": None}, None),
        ({"blog": "https://example.com"}, None),
        ({"blog": "no url"}, "is not a 'uri'"),
        ({"login": None}, "None is not of type 'string'"),
        ({"since": "2024-05-01T12:00:00Z"}, None),
        ({"since": "yesterday"}, "is not a 'date-time'"),
        ({"kind": None}, None),
        ({"kind": "Cat"}, "'Cat' is not one of"),
        ({"blgo": ""}, "unknown property 'blgo'"),
    ],
)
def test_validate_response__nullable_formats_and_names(
    small: OpenApi, changes: dict[str, Any], said: str | None
) -> None:
    body = [{"login": "ada", "blog": ""} | changes]
    for _ in range(2):
        found = small.validate_response("GET", "/people", 200, body)
        assert (found == []) if said is None else (len(found) == 1 and said in found[0]), found


@pytest.mark.parametrize(
    ("path", "status", "body", "said"),
    [
        ("/people", 403, {"message": "no"}, None),
        ("/people", 403, {"message": 7}, "7 is not of type"),
        ("/people", 202, None, "the description knows no such status here"),
        ("/people/1", 404, {"message": "no", "status": "404"}, None),
        ("/weather", 200, None, "the description knows no such operation"),
    ],
)
def test_validate_response__statuses(small: OpenApi, path: str, status: int, body: object, said: str | None) -> None:
    found = small.validate_response("GET", path, status, body)
    assert (found == []) if said is None else (len(found) == 1 and said in found[0]), found


def test_load__once_a_process() -> None:
    assert real() is real()


@pytest.mark.parametrize(
    ("method", "path", "template"),
    [
        ("GET", f"{R}/releases/latest", "/repos/{owner}/{repo}/releases/latest"),
        ("GET", f"{R}/releases/5", "/repos/{owner}/{repo}/releases/{release_id}"),
        ("GET", f"{R}/branches/mlci/history", "/repos/{owner}/{repo}/branches/{branch}"),
        ("GET", f"{R}/commits/main/status", "/repos/{owner}/{repo}/commits/{ref}/status"),
        ("GET", f"{R}/compare/main...topic/a", "/repos/{owner}/{repo}/compare/{basehead}"),
        ("PUT", f"{R}/releases/latest", None),
    ],
)
def test_template__of_github(method: str, path: str, template: str | None) -> None:
    assert real().template(method, path) == template


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("PATCH", f"{R}/check-runs/4", {"conclusion": "success", "completed_at": "2024-05-01T12:00:00Z"}, None),
        ("PATCH", f"{R}/check-runs/4", {"conclusoin": "success"}, "unknown property 'conclusoin'"),
        ("POST", f"{R}/issues", {"title": "t", "labels": ["a", {"name": "b"}]}, None),
        ("POST", f"{R}/issues", {"title": "t", "labels": [{"nmae": "b"}]}, "unknown property 'nmae'"),
        ("POST", f"{R}/actions/workflows/mlci.yml/dispatches", {"ref": "main", "inputs": {"model": "a"}}, None),
        ("POST", f"{R}/actions/workflows/mlci.yml/dispatches", {"ref": "main", "input": {}}, "unknown property"),
        ("POST", f"{R}/git/trees", {"tree": [{"path": "a", "mode": "100600"}]}, "'100600' is not one of"),
    ],
)
def test_validate_request__github(method: str, path: str, body: object, said: str | None) -> None:
    found = real().validate_request(method, path, {}, body)
    assert (found == []) if said is None else any(said in complaint for complaint in found), found


def test_validate_response__github_is_quick_after_the_first() -> None:
    api = real()
    user = {"message": "not an artifact"}
    artifacts = {"total_count": 0, "artifacts": []}
    path = f"{R}/actions/runs/1/artifacts"
    assert api.validate_response("GET", path, 200, artifacts) == []
    assert api.validate_response("GET", path, 200, user)
    started = time.perf_counter()
    for _ in range(20):
        api.validate_request("GET", path, {"per_page": "100"})
        api.validate_response("GET", path, 200, artifacts)
    assert (time.perf_counter() - started) / 20 < 0.05
