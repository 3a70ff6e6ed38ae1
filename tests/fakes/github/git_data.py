"""The git database: read from, and written to, the bare repository."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from typing import Any

from fakes.github.answers import Answer, Problem, not_found
from fakes.github.plumbing import ZERO, Git, GitError
from fakes.github.routing import Call, R, route
from fakes.github.shapes import api, node_id, web

UNSIGNED = {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}
SIGNED = {"verified": True, "reason": "valid", "signature": "fake", "payload": "fake", "verified_at": None}


def _person(line: str) -> dict[str, str]:
    match = re.fullmatch(r"(.*) <(.*)> (\d+) [+-]\d{4}", line)
    assert match, line
    date = datetime.fromtimestamp(int(match[3]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"name": match[1], "email": match[2], "date": date}


def _verification(commit: dict[str, Any]) -> dict[str, Any]:
    return SIGNED if "<noreply@github.com>" in commit["committer"] else UNSIGNED


def git_commit(call: Call, sha: str) -> dict[str, Any]:
    """A commit as the git database has it."""
    found, url = call.git.commit(sha), f"{api(call, call.repository)}/git"
    page = f"{web(call.repository)}/commit"
    return {
        "sha": sha,
        "node_id": f"C_{sha}",
        "url": f"{url}/commits/{sha}",
        "html_url": f"{page}/{sha}",
        "author": _person(found["author"]),
        "committer": _person(found["committer"]),
        "message": found["message"],
        "tree": {"sha": found["tree"], "url": f"{url}/trees/{found['tree']}"},
        "parents": [
            {"sha": parent, "url": f"{url}/commits/{parent}", "html_url": f"{page}/{parent}"}
            for parent in found["parents"]
        ],
        "verification": _verification(found),
    }


def ref(call: Call, item: tuple[str, str, str]) -> dict[str, Any]:
    """A ref."""
    name, sha, kind = item
    url = f"{api(call, call.repository)}/git"
    return {
        "ref": name,
        "node_id": f"REF_{name}",
        "url": f"{url}/{name}",
        "object": {"type": kind, "sha": sha, "url": f"{url}/{kind}s/{sha}"},
    }


def _unlocked(call: Call, name: str) -> None:
    if name.removeprefix("refs/tags/") in call.repository.immutable_tags:
        raise Problem(422, "Repository rule violations found\n\nCannot change this tag: an immutable release has it")


def _ref(call: Call) -> tuple[str, str, str]:
    name = f"refs/{call.values['ref']}"
    if call.request.method != "GET":
        _unlocked(call, name)
    found = call.git.refs(name).get(name)
    if found is None:
        raise not_found() if call.request.method == "GET" else Problem(422, "Reference does not exist")
    return name, *found


@route("GET", R + "/git/ref/{ref}", contents="read")
def _get_ref(call: Call) -> Answer:
    return Answer(body=ref(call, _ref(call)))


@route("GET", R + "/git/matching-refs/{ref}", contents="read")
def _matching_refs(call: Call) -> Answer:
    found = call.git.refs(f"refs/{call.values['ref']}")
    return call.page([(name, *item) for name, item in found.items()], ref)


@route("POST", R + "/git/refs", contents="write")
def _create_ref(call: Call) -> Answer:
    name, sha = str(call.need("ref")), str(call.need("sha"))
    if not re.fullmatch(r"refs/[^/\s]+/\S+", name):
        raise Problem(422, "Reference name must start with 'refs/' and contain at least two slashes.")
    _unlocked(call, name)
    kind = call.git.kind(sha)
    if kind is None or len(sha) != len(ZERO):
        raise Problem(422, "Object does not exist")
    if name in call.git.refs(name) or not call.git.update(name, sha, ZERO):
        raise Problem(422, "Reference already exists")
    body = ref(call, (name, sha, kind))
    return Answer(201, body, {"Location": body["url"]})


@route("PATCH", R + "/git/refs/{ref}", contents="write")
def _move_ref(call: Call) -> Answer:
    name, old, _ = _ref(call)
    new = str(call.need("sha"))
    kind = call.git.kind(new)
    if kind is None:
        raise Problem(422, "Object does not exist")
    if not call.body.get("force") and not call.git.is_ancestor(old, new):
        raise Problem(422, "Update is not a fast forward")
    if not call.git.update(name, new, old):
        raise Problem(409, "Reference cannot be updated")
    return Answer(body=ref(call, (name, new, kind)))


@route("DELETE", R + "/git/refs/{ref}", contents="write")
def _delete_ref(call: Call) -> Answer:
    name, *_ = _ref(call)
    call.git.delete(name)
    return Answer(204)


def _object(call: Call, sha: str, kind: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{40}", sha) or call.git.kind(sha) != kind:
        raise not_found()
    return sha


@route("GET", R + "/git/commits/{commit_sha}", contents="read")
def _get_commit(call: Call) -> Answer:
    return Answer(body=git_commit(call, _object(call, call.values["commit_sha"], "commit")))


@route("POST", R + "/git/commits", contents="write")
def _create_commit(call: Call) -> Answer:
    message, tree, parents = str(call.need("message")), str(call.need("tree")), call.body.get("parents") or []
    if call.git.kind(tree) != "tree":
        raise Problem(422, "Tree SHA does not exist")
    if any(call.git.kind(parent) != "commit" for parent in parents):
        raise Problem(422, "Parent SHA does not exist or is not a commit object")
    author = _signature(call, call.body.get("author"))
    committer = _signature(call, call.body.get("committer"), author)
    made = call.git.write_commit(message, tree, parents, author, committer)
    body = git_commit(call, made)
    return Answer(201, body, {"Location": body["url"]})


def _signature(call: Call, given: dict[str, str] | None, default: str | None = None) -> str:
    if not given and default:
        return default
    me = call.user
    person = given or {"name": me.login, "email": f"{me.id}+{me.login}@users.noreply.github.com"}
    date = person.get("date")
    seconds = int(datetime.fromisoformat(date).timestamp()) if date else call.server.tick()
    return f"{person['name']} <{person['email']}> {seconds} +0000"


def _tree(call: Call, sha: str, *, recursive: bool) -> dict[str, Any]:
    url = f"{api(call, call.repository)}/git"
    kinds = {"blob": "blobs", "tree": "trees", "commit": "commits"}
    entries = call.git.tree(sha, recursive=recursive)
    tree = [entry | {"url": f"{url}/{kinds[entry['type']]}/{entry['sha']}"} for entry in entries]
    return {"sha": sha, "url": f"{url}/trees/{sha}", "truncated": False, "tree": tree}


@route("GET", R + "/git/trees/{tree_sha}", contents="read")
def _get_tree(call: Call) -> Answer:
    name = call.values["tree_sha"]
    found = call.git.resolve(call.git.commit_of(name) or name, "tree")
    if found is None:
        raise not_found()
    return Answer(body=_tree(call, found, recursive="recursive" in call.request.query))


@route("POST", R + "/git/trees", contents="write")
def _create_tree(call: Call) -> Answer:
    base, git = call.body.get("base_tree"), call.git
    if base and (base := git.resolve(base, "tree")) is None:
        raise Problem(422, "base_tree is not a valid tree oid")
    try:
        made = git.write_tree(base, [_entry(git, item) for item in call.need("tree")])
    except (GitError, KeyError):
        raise Problem(422, "GitRPC::BadObjectState") from None
    body = _tree(call, made, recursive=False)
    return Answer(201, body, {"Location": body["url"]})


def _entry(git: Git, item: dict[str, Any]) -> tuple[str, str, str | None]:
    if "content" in item:
        return item["mode"], item["path"], git.write("blob", item["content"].encode())
    if item["sha"] is not None and git.kind(item["sha"]) is None:
        raise Problem(422, "tree.sha is not a valid blob")
    return item["mode"], item["path"], item["sha"]


@route("POST", R + "/git/blobs", contents="write")
def _create_blob(call: Call) -> Answer:
    content, encoding = str(call.need("content")), call.body.get("encoding", "utf-8")
    try:
        data = base64.b64decode(content, validate=True) if encoding == "base64" else content.encode()
    except binascii.Error:
        raise Problem(422, "content is not valid Base64") from None
    made = call.git.write("blob", data)
    url = f"{api(call, call.repository)}/git/blobs/{made}"
    return Answer(201, {"url": url, "sha": made}, {"Location": url})


@route("GET", R + "/git/blobs/{file_sha}", contents="read")
def _get_blob(call: Call) -> Answer:
    sha = _object(call, call.values["file_sha"], "blob")
    data = call.git.content(sha)
    body = {
        "sha": sha,
        "node_id": f"B_{sha}",
        "size": len(data),
        "url": f"{api(call, call.repository)}/git/blobs/{sha}",
        "content": base64.encodebytes(data).decode(),
        "encoding": "base64",
    }
    return Answer(body=body)


def git_tag(call: Call, sha: str) -> dict[str, Any]:
    """An annotated tag."""
    found, url = call.git.tag(sha), f"{api(call, call.repository)}/git"
    return {
        "node_id": node_id("Tag", int(sha[:8], 16)),
        "tag": found["tag"],
        "sha": sha,
        "url": f"{url}/tags/{sha}",
        "message": found["message"],
        "tagger": _person(found["tagger"]),
        "object": {"type": found["type"], "sha": found["object"], "url": f"{url}/{found['type']}s/{found['object']}"},
        "verification": UNSIGNED,
    }


@route("GET", R + "/git/tags/{tag_sha}", contents="read")
def _get_tag(call: Call) -> Answer:
    return Answer(body=git_tag(call, _object(call, call.values["tag_sha"], "tag")))


@route("POST", R + "/git/tags", contents="write")
def _create_tag(call: Call) -> Answer:
    name, message, target, kind = (str(call.need(key)) for key in ("tag", "message", "object", "type"))
    if call.git.kind(target) != kind:
        raise Problem(422, "Object does not exist or is of another type")
    tagger = _signature(call, call.body.get("tagger"))
    text = f"object {target}\ntype {kind}\ntag {name}\ntagger {tagger}\n\n{message}"
    body = git_tag(call, call.git.write("tag", text.encode()))
    return Answer(201, body, {"Location": body["url"]})
