"""Releases and their assets."""

from __future__ import annotations

import hashlib
from typing import Any

from fakes.github.answers import Answer, invalid, not_found
from fakes.github.routing import Call, R, level, route
from fakes.github.shapes import api, node_id, user, web
from fakes.github.state import Asset, Release

BODY_LIMIT, ASSETS_LIMIT = 125_000, 1_000


def asset(call: Call, item: Asset) -> dict[str, Any]:
    """A file of a release."""
    here = call.repository
    tag = next(r.tag_name for r in here.releases.values() if item.id in r.assets)
    return {
        "url": f"{api(call, here)}/releases/assets/{item.id}",
        "browser_download_url": f"{web(here)}/releases/download/{tag}/{item.name}",
        "id": item.id,
        "node_id": node_id("ReleaseAsset", item.id),
        "name": item.name,
        "label": item.label,
        "state": "uploaded",
        "content_type": item.content_type,
        "size": len(item.data),
        "digest": f"sha256:{hashlib.sha256(item.data).hexdigest()}",
        "download_count": 0,
        "created_at": item.created_at,
        "updated_at": item.created_at,
        "uploader": user(call, item.user),
    }


def release(call: Call, item: Release) -> dict[str, Any]:
    """A release; a draft hides behind a name of no meaning."""
    here = call.repository
    url, page = f"{api(call, here)}/releases/{item.id}", web(here)
    balls = {f"{kind}ball_url": f"{api(call, here)}/{kind}ball/{item.tag_name}" for kind in ("tar", "zip")}
    return (dict.fromkeys(balls) if item.draft else balls) | {
        "url": url,
        "html_url": f"{page}/releases/tag/{f'untagged-{item.id}' if item.draft else item.tag_name}",
        "assets_url": f"{url}/assets",
        "upload_url": f"{url}/assets{{?name,label}}",
        "id": item.id,
        "node_id": node_id("Release", item.id),
        "tag_name": item.tag_name,
        "target_commitish": item.target_commitish,
        "name": item.name,
        "body": item.body,
        "draft": item.draft,
        "prerelease": item.prerelease,
        "immutable": item.immutable and not item.draft,
        "created_at": item.created_at,
        "published_at": item.published_at,
        "author": user(call, item.user),
        "assets": [asset(call, a) for a in item.assets.values()],
    }


def _seen(call: Call, item: Release) -> bool:
    writer = level(call.token, call.repository) in {"write", "admin"}
    return not item.draft or (writer and call.token is not None and call.token.allows("contents", "write"))


def _release(call: Call) -> Release:
    found = call.find(call.repository.releases, "release_id")
    if not _seen(call, found):
        raise not_found()
    return found


def _change(item: Release) -> Release:
    if item.immutable and not item.draft:
        raise invalid("Release", "base", "custom", "Cannot change an immutable release")
    return item


def _publish(call: Call, item: Release) -> None:
    here = call.repository
    if item.tag_name in here.immutable_tags:
        raise invalid("Release", "tag_name", "custom", "tag_name was used by an immutable release")
    if here.git and item.tag_name and here.git.resolve(f"refs/tags/{item.tag_name}") is None:
        target = here.git.commit_of(item.target_commitish)
        if target is None:
            raise invalid("Release", "target_commitish", "invalid")
        here.git.update(f"refs/tags/{item.tag_name}", target)
    item.draft, item.published_at, item.immutable = False, call.server.now(), item.immutable or here.immutable
    if item.immutable:
        here.immutable_tags.add(item.tag_name)


@route("GET", R + "/releases", contents="read")
def _releases(call: Call) -> Answer:
    found = [item for item in call.repository.releases.values() if _seen(call, item)]
    return call.page(sorted(found, key=lambda item: -item.id), release)


@route("GET", R + "/releases/latest", contents="read")
def _latest(call: Call) -> Answer:
    found = [r for r in call.repository.releases.values() if not r.draft and not r.prerelease and r.latest]
    if not found:
        raise not_found()
    return Answer(body=release(call, max(found, key=lambda item: item.published_at or "")))


@route("GET", R + "/releases/tags/{tag}", contents="read")
def _by_tag(call: Call) -> Answer:
    tagged = (r for r in call.repository.releases.values() if r.tag_name == call.values["tag"] and not r.draft)
    found = next(iter(call.listed(tagged)), None)
    if found is None:
        raise not_found()
    return Answer(body=release(call, found))


@route("GET", R + "/releases/{release_id}", contents="read")
def _one_release(call: Call) -> Answer:
    return Answer(body=release(call, _release(call)))


def _check(call: Call, tag: str, *, draft: bool, own: int | None = None) -> None:
    if len(call.body.get("body") or "") > BODY_LIMIT:
        raise invalid("Release", "body", "custom", f"body is too long (maximum is {BODY_LIMIT} characters)")
    others = (r for r in call.repository.releases.values() if r.id != own and not r.draft)
    if not draft and any(r.tag_name == tag for r in others):
        raise invalid("Release", "tag_name", "already_exists")


@route("POST", R + "/releases", contents="write")
def _create_release(call: Call) -> Answer:
    here, given, tag = call.repository, call.body, str(call.need("tag_name"))
    draft = bool(given.get("draft"))
    _check(call, tag, draft=draft)
    made = Release(
        id=call.server.id(),
        tag_name=tag,
        target_commitish=given.get("target_commitish") or here.default_branch,
        name=given.get("name"),
        body=given.get("body"),
        draft=True,
        prerelease=bool(given.get("prerelease")),
        user=call.user,
        created_at=call.server.now(),
        latest=given.get("make_latest", "true") != "false",
    )
    if not draft:
        _publish(call, made)
    here.releases[made.id] = made
    body = release(call, made)
    return Answer(201, body, {"Location": body["url"]}, made=made.id)


@route("PATCH", R + "/releases/{release_id}", contents="write")
def _edit_release(call: Call) -> Answer:
    found, given = _release(call), call.body
    # The words of an immutable release may change; what it stands for may not.
    if found.immutable and not found.draft and any(given.get(n) not in {None, getattr(found, n)} for n in _FIXED):
        _change(found)
    draft = bool(given.get("draft", found.draft))
    _check(call, given.get("tag_name", found.tag_name), draft=draft, own=found.id)
    for name in ("tag_name", "target_commitish", "name", "body", "prerelease"):
        if name in given:
            setattr(found, name, given[name])
    found.latest = given.get("make_latest", str(found.latest).lower()) != "false"
    if found.draft and not draft:
        _publish(call, found)
        return Answer(body=release(call, found), made=found.id)
    if draft:
        found.draft, found.published_at = True, None
    return Answer(body=release(call, found))


_FIXED = ("tag_name", "target_commitish", "draft")


@route("DELETE", R + "/releases/{release_id}", contents="write")
def _delete_release(call: Call) -> Answer:
    # Immutable ones as well: their tags stay burned.
    del call.repository.releases[_release(call).id]
    return Answer(204)


@route("GET", R + "/releases/{release_id}/assets", contents="read")
def _assets(call: Call) -> Answer:
    return call.page(list(_release(call).assets.values()), asset)


@route("POST", R + "/releases/{release_id}/assets", contents="write")
def _upload(call: Call) -> Answer:
    found, name = _change(_release(call)), call.request.query.get("name", "")
    if not name:
        raise invalid("ReleaseAsset", "name", "missing_field")
    if any(item.name == name for item in found.assets.values()):
        raise invalid("ReleaseAsset", "name", "already_exists")
    if len(found.assets) >= ASSETS_LIMIT:
        raise invalid("ReleaseAsset", "base", "custom", f"no more than {ASSETS_LIMIT} assets in a release")
    kind = call.request.headers.get("content-type", "application/octet-stream")
    label = call.request.query.get("label")
    made = Asset(call.server.id(), name, label, kind, call.raw, call.user, call.server.now())
    found.assets[made.id] = made
    return Answer(201, asset(call, made), made=made.id)


def _asset(call: Call) -> tuple[Release, Asset]:
    wanted = call.number("asset_id")
    for item in call.repository.releases.values():
        if wanted in item.assets and _seen(call, item):
            return item, item.assets[wanted]
    raise not_found()


@route("GET", R + "/releases/assets/{asset_id}", contents="read")
def _get_asset(call: Call) -> Answer:
    _, found = _asset(call)
    if "application/octet-stream" not in call.request.headers.get("accept", ""):
        return Answer(body=asset(call, found))
    return Answer(302, headers={"Location": call.server.blob_url(f"asset-{found.id}", found.data, found.content_type)})


@route("PATCH", R + "/releases/assets/{asset_id}", contents="write")
def _edit_asset(call: Call) -> Answer:
    within, found = _asset(call)
    _change(within)
    found.name, found.label = call.body.get("name", found.name), call.body.get("label", found.label)
    return Answer(body=asset(call, found))


@route("DELETE", R + "/releases/assets/{asset_id}", contents="write")
def _delete_asset(call: Call) -> Answer:
    within, found = _asset(call)
    del _change(within).assets[found.id]
    return Answer(204)
