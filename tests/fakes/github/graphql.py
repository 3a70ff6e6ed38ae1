"""The few GraphQL operations of the fake GitHub."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fakes.github.answers import INTEGRATION, Answer, Problem
from fakes.github.plumbing import Git
from fakes.github.routing import Call, level
from fakes.github.shapes import WEB, node_id

_TOKEN = re.compile(r'[\s,]+|#[^\n]*|(?P<token>"(?:[^"\\]|\\.)*"|\.\.\.|[{}()\[\]:$!=@]|-?\d+|\w+)')


@dataclass(frozen=True)
class Field:
    """A field of a query: its arguments, and the fields below it."""

    name: str
    alias: str
    arguments: dict[str, Any]
    below: tuple[Field, ...]


class GraphQLError(Exception):
    """One of the errors that GraphQL answers under HTTP status 200."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Query:
    """A parsed operation; fragments and directives are none of our business."""

    def __init__(self, text: str, variables: Mapping[str, Any]) -> None:
        self._tokens = [m["token"] for m in _TOKEN.finditer(text) if m["token"]]
        self._variables = variables
        while self._tokens and self._tokens[0] != "{":
            if self._take() == "(":
                while self._take() != ")":
                    pass
        self.fields = self._selection()

    def _take(self) -> str:
        if not self._tokens:
            raise GraphQLError("PARSE", "Unexpected end of document")
        return self._tokens.pop(0)

    def _selection(self) -> tuple[Field, ...]:
        self._take()
        found = []
        while self._tokens and self._tokens[0] != "}":
            found.append(self._field())
        self._take()
        return tuple(found)

    def _field(self) -> Field:
        alias = name = self._take()
        if self._tokens[0] == ":":
            self._take()
            name = self._take()
        arguments: dict[str, Any] = {}
        if self._tokens[0] == "(":
            self._take()
            arguments = self._pairs(")")
        return Field(name, alias, arguments, self._selection() if self._tokens[0] == "{" else ())

    def _pairs(self, end: str) -> dict[str, Any]:
        found = {}
        while (name := self._take()) != end:
            self._take()
            found[name] = self._value()
        return found

    def _value(self) -> Any:
        token = self._take()
        if token == "$":
            return self._variables.get(self._take())
        if token == "{":
            return self._pairs("}")
        if token == "[":
            items = []
            while self._tokens[0] != "]":
                items.append(self._value())
            self._take()
            return items
        if token.startswith('"'):
            return token[1:-1].encode().decode("unicode_escape")
        known = {"true": True, "false": False, "null": None}
        return known[token] if token in known else int(token) if token.lstrip("-").isdigit() else token


def graphql(call: Call) -> Answer:
    """Answer a query; as on GitHub what goes wrong in it is no HTTP error."""
    if call.token is None:
        raise Problem(401, "This endpoint requires you to be authenticated.")
    data: dict[str, Any] = {}
    errors = []
    try:
        asked = Query(str(call.body.get("query", "")), call.body.get("variables") or {})
    except (GraphQLError, IndexError) as error:
        return Answer(body={"errors": [{"message": str(error), "locations": [{"line": 1, "column": 1}]}]})
    for item in asked.fields:
        try:
            data[item.alias] = _selected(item, _SERVED.get(item.name, _unknown(item))(call, item.arguments))
        except GraphQLError as error:
            data[item.alias] = None
            where = {"path": [item.alias], "locations": [{"line": 1, "column": 1}]}
            errors.append({"type": error.kind, "message": str(error)} | where)
    return Answer(body={"data": data} | ({"errors": errors} if errors else {}))


def _selected(asked: Field, value: Any) -> Any:
    if not asked.below or not isinstance(value, dict):
        return value
    for item in asked.below:
        if item.name not in value:
            raise GraphQLError("undefinedField", f"Field '{item.name}' doesn't exist on '{asked.name}'")
    return {item.alias: _selected(item, value[item.name]) for item in asked.below}


def _unknown(asked: Field) -> Callable[[Call, Mapping[str, Any]], Any]:
    def refuse(call: Call, _: Mapping[str, Any]) -> Any:
        message = f"Field '{asked.name}' doesn't exist"
        call.server.complaints.append(f"POST /graphql: {message}, or the fake does not serve it")
        raise GraphQLError("undefinedField", message)

    return refuse


def _viewer(call: Call, _: Mapping[str, Any]) -> dict[str, Any]:
    me = call.user
    return {"login": me.login, "databaseId": me.id, "id": node_id("User", me.id), "__typename": me.type}


def _create_commit(call: Call, arguments: Mapping[str, Any]) -> dict[str, Any]:
    given = arguments.get("input") or {}
    wanted = [given.get(name) for name in ("branch", "expectedHeadOid", "message")]
    if None in wanted:
        raise GraphQLError("INVALID", "Variable $input of type CreateCommitOnBranchInput! was provided invalid value")
    branch = given["branch"]
    name, short = str(branch.get("repositoryNameWithOwner")), str(branch.get("branchName"))
    git = _writable(call, name)
    ref = short if short.startswith("refs/heads/") else f"refs/heads/{short}"
    head = git.resolve(ref)
    if head is None:
        raise GraphQLError("NOT_FOUND", f"The branch '{short}' was not found.")
    expected = given["expectedHeadOid"]
    stale = GraphQLError("STALE_DATA", f'Expected branch to point to "{expected}" but it did not.  Pull and try again.')
    if head != expected:
        raise stale
    message = given["message"]["headline"]
    if given["message"].get("body"):
        message += f"\n\n{given['message']['body']}"
    tree = _changed(git, git.commit(head)["tree"], given.get("fileChanges") or {})
    seconds = call.server.tick()
    author = f"{call.user.login} <{call.user.id}+{call.user.login}@users.noreply.github.com> {seconds} +0000"
    made = git.write_commit(message, tree, [head], author, f"GitHub <noreply@github.com> {seconds} +0000")
    if not git.update(ref, made, head):
        raise stale
    commit = {"oid": made, "url": f"{WEB}/{name}/commit/{made}", "id": f"C_{made}"}
    reference = {"name": ref.removeprefix("refs/heads/"), "id": f"REF_{ref}", "target": {"oid": made}}
    return {"commit": commit, "ref": reference, "clientMutationId": given.get("clientMutationId")}


def _writable(call: Call, name: str) -> Git:
    assert call.token
    found = next((r for key, r in call.server.repositories.items() if key.lower() == name.lower()), None)
    right = level(call.token, found) if found else "none"
    if found is None or right == "none":
        raise GraphQLError("NOT_FOUND", f"Could not resolve to a Repository with the name '{name}'.")
    if right == "read" or not call.token.allows("contents", "write"):
        raise GraphQLError("FORBIDDEN", INTEGRATION)
    if found.git is None:
        raise GraphQLError("NOT_FOUND", "The repository is empty.")
    return found.git


def _changed(git: Git, base: str, changes: Mapping[str, Any]) -> str:
    entries: list[tuple[str, str, str | None]] = []
    present = {entry["path"] for entry in git.tree(base, recursive=True)}
    for item in changes.get("deletions") or ():
        if item["path"] not in present:
            raise GraphQLError("NOT_FOUND", f"A path was requested for deletion that does not exist: {item['path']}")
        entries.append(("100644", item["path"], None))
    for item in changes.get("additions") or ():
        try:
            content = base64.b64decode(item["contents"], validate=True)
        except binascii.Error:
            raise GraphQLError("UNPROCESSABLE", f"contents of {item['path']} are not valid Base64") from None
        entries.append(("100644", item["path"], git.write("blob", content)))
    return git.write_tree(base, entries)


_SERVED: dict[str, Callable[[Call, Mapping[str, Any]], Any]] = {
    "viewer": _viewer,
    "createCommitOnBranch": _create_commit,
}
