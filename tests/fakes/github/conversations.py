"""Accounts, repositories, pull requests, issues and comments."""

from __future__ import annotations

from typing import Any

from fakes.github import shapes
from fakes.github.answers import INTEGRATION, Answer, Problem, invalid, not_found
from fakes.github.routing import Call, R, level, route
from fakes.github.state import LEVELS, Comment, Issue, Pull

BODY_LIMIT = 65_536


@route("GET", "/user")
def _user(call: Call) -> Answer:
    assert call.token
    if call.token.installation:
        raise Problem(403, INTEGRATION)
    return Answer(body=shapes.private_user(call, call.user))


@route("GET", R)
def _repository(call: Call) -> Answer:
    body = shapes.full_repository(call, call.repository)
    if call.token is None:
        return Answer(body=body)
    right = LEVELS.index(level(call.token, call.repository))
    names = {"admin": "admin", "maintain": "admin", "push": "write", "triage": "write", "pull": "read"}
    return Answer(body=body | {"permissions": {name: right >= LEVELS.index(of) for name, of in names.items()}})


@route("GET", R + "/collaborators/{username}/permission")
def _permission(call: Call) -> Answer:
    here, login = call.repository, call.values["username"]
    if call.token is None or level(call.token, here) not in {"write", "admin"}:
        raise Problem(403, "Must have push access to view collaborator permission.")
    account = call.server.users.get(login.lower())
    if account is None or (account.type == "Bot" and login not in here.permissions):
        raise Problem(404, f"{login} is not a user")
    right = here.level(login)
    rights = {"admin": right == "admin", "push": right in {"write", "admin"}, "pull": right != "none"}
    person = shapes.user(call, account) | {"role_name": right, "permissions": rights}
    return Answer(body={"permission": right, "role_name": right, "user": person})


@route("GET", R + "/pulls", pull_requests="read")
def _pulls(call: Call) -> Answer:
    query = call.request.query
    state, head, base = query.get("state", "open"), query.get("head"), query.get("base")

    def label(pull: Pull) -> str:
        return f"{pull.head_repository.owner.login}:{pull.head_ref}" if pull.head_repository else ""

    found = [
        pull
        for pull in call.repository.pulls.values()
        if state in {"all", pull.state} and head in {None, label(pull)} and base in {None, pull.base_ref}
    ]
    key = "updated_at" if query.get("sort") == "updated" else "number"
    newest = query.get("direction", "desc" if "sort" not in query or query["sort"] == "created" else "asc") == "desc"
    found.sort(key=lambda pull: getattr(pull, key), reverse=newest)
    return call.page(found, shapes.pull)


@route("GET", R + "/pulls/{pull_number}", pull_requests="read")
def _pull(call: Call) -> Answer:
    return Answer(body=shapes.full_pull(call, call.find(call.repository.pulls, "pull_number")))


@route("GET", R + "/commits/{commit_sha}/pulls", pull_requests="read")
def _pulls_of_commit(call: Call) -> Answer:
    sha, git = call.values["commit_sha"], call.repository.git
    if git and git.commit_of(sha) is None:
        raise Problem(422, f"No commit found for SHA: {sha}")

    def holds(pull: Pull) -> bool:
        if sha in {pull.head_sha, pull.merge_commit_sha}:
            return True
        tip = git.resolve(pull.head_sha) if git else None
        return bool(git and tip and git.is_ancestor(sha, tip) and not git.is_ancestor(sha, pull.base_sha))

    found = [pull for pull in call.repository.pulls.values() if holds(pull)]
    return call.page(sorted(found, key=lambda pull: -pull.number), shapes.pull)


def _commented(call: Call) -> Issue | Pull:
    return call.find(call.repository.numbered(), "issue_number")


def _text(call: Call, resource: str) -> str:
    text = call.need("body")
    if not isinstance(text, str) or not text.strip():
        raise invalid(resource, "data", "unprocessable", "Body cannot be blank")
    if len(text) > BODY_LIMIT:
        raise invalid(resource, "data", "unprocessable", f"Body is too long (maximum is {BODY_LIMIT} characters)")
    return text


@route("GET", R + "/issues/{issue_number}/comments", issues="read", pull_requests="read")
def _comments(call: Call) -> Answer:
    number, since = _commented(call).number, call.request.query.get("since", "")
    comments = call.repository.comments.values()
    return call.page([c for c in comments if c.number == number and c.updated_at >= since], shapes.comment)


@route("POST", R + "/issues/{issue_number}/comments", anyone=True, issues="write", pull_requests="write")
def _comment(call: Call) -> Answer:
    made = call.repository.comment(_commented(call).number, _text(call, "IssueComment"), call.user.login)
    body = shapes.comment(call, made)
    return Answer(201, body, {"Location": body["url"]}, made=made.id)


def _own_or_writer(call: Call, item: Comment) -> None:
    assert call.token
    writer = level(call.token, call.repository) in {"write", "admin"}
    if not writer and item.user.login != call.token.login:
        raise Problem(403, "Must have admin rights to Repository.")


@route("GET", R + "/issues/comments/{comment_id}", issues="read", pull_requests="read")
def _one_comment(call: Call) -> Answer:
    return Answer(body=shapes.comment(call, call.find(call.repository.comments, "comment_id")))


@route("PATCH", R + "/issues/comments/{comment_id}", anyone=True, issues="write", pull_requests="write")
def _edit_comment(call: Call) -> Answer:
    found = call.find(call.repository.comments, "comment_id")
    _own_or_writer(call, found)
    found.body, found.updated_at = _text(call, "IssueComment"), call.server.now()
    return Answer(body=shapes.comment(call, found))


@route("DELETE", R + "/issues/comments/{comment_id}", anyone=True, issues="write", pull_requests="write")
def _delete_comment(call: Call) -> Answer:
    found = call.find(call.repository.comments, "comment_id")
    _own_or_writer(call, found)
    del call.repository.comments[found.id]
    return Answer(204)


@route("GET", R + "/issues", issues="read")
def _issues(call: Call) -> Answer:
    call.without("milestone", "assignee", "type", "mentioned", "issue_field_values")
    query = call.request.query
    wanted = {name for name in query.get("labels", "").split(",") if name}
    found = [
        item
        for item in call.repository.numbered().values()
        if query.get("state", "open") in {"all", item.state}
        and wanted <= set(item.labels)
        and query.get("creator", item.user.login) == item.user.login
        and item.updated_at >= query.get("since", "")
    ]
    key = "updated_at" if query.get("sort") == "updated" else "number"
    found.sort(key=lambda item: getattr(item, key), reverse=query.get("direction", "desc") == "desc")
    return call.page(found, shapes.issue)


@route("GET", R + "/issues/{issue_number}", issues="read", pull_requests="read")
def _issue(call: Call) -> Answer:
    return Answer(body=shapes.issue(call, _commented(call)))


def _names(given: list[Any]) -> tuple[str, ...]:
    return tuple(item["name"] if isinstance(item, dict) else item for item in given)


@route("POST", R + "/issues", anyone=True, issues="write")
def _open_issue(call: Call) -> Answer:
    text = None if call.body.get("body") is None else _text(call, "Issue")
    names = _names(call.body.get("labels") or [])
    made = call.repository.issue(str(call.need("title")), body=text, login=call.user.login, labels=names)
    body = shapes.issue(call, made)
    return Answer(201, body, {"Location": body["url"]}, made=made.id)


@route("PATCH", R + "/issues/{issue_number}", anyone=True, issues="write", pull_requests="write")
def _edit_issue(call: Call) -> Answer:
    found, given = _commented(call), call.body
    if level(call.token, call.repository) not in {"write", "admin"} and found.user != call.user:
        raise not_found()
    if given.get("body") is not None:
        found.body = _text(call, "Issue")
    if "title" in given:
        found.title = given["title"]
    if "labels" in given:
        found.labels = _names(given["labels"])
    if given.get("state") not in {None, "open", "closed"}:
        raise invalid("Issue", "state", "invalid")
    found.updated_at = call.server.now()
    if "state" in given:
        found.state = given["state"]
        found.closed_at = found.updated_at if found.state == "closed" else None
    if isinstance(found, Issue):
        default = "completed" if found.state == "closed" else None
        found.state_reason = given.get("state_reason", default if "state" in given else found.state_reason)
    return Answer(body=shapes.issue(call, found))
