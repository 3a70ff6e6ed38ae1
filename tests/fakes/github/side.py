"""What the fake serves beside GitHub's API: the storage of artifacts, and helpers for stand-ins of workflow steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakes.github.answers import Answer
from fakes.github.state import Request

if TYPE_CHECKING:
    from fakes.github_server import GitHubServer


def blob(state: GitHubServer, request: Request) -> Answer:
    """Serve bytes to whoever has the signed URL, and no Authorization header: the storage takes that for its own."""
    if "authorization" in request.headers:
        text = b"<?xml version='1.0'?><Error><Code>InvalidAuthenticationInfo</Code></Error>"
        return Answer(400, headers={"Content-Type": "application/xml"}, raw=text)
    found = state.blobs.get(request.path.rpartition("/")[2])
    if found is None or "sig" not in request.query:
        text = b"<?xml version='1.0'?><Error><Code>AuthenticationFailed</Code></Error>"
        return Answer(403 if found else 404, headers={"Content-Type": "application/xml"}, raw=text)
    return Answer(headers={"Content-Type": found[1]}, raw=found[0])


def helper(state: GitHubServer, method: str, path: str, query: dict[str, str], raw: bytes) -> Answer:
    """Store and fetch artifacts of runs without any token."""
    here = state.repositories.get(query.get("repository", next(iter(state.repositories), "")))
    run = here.workflow_runs.get(int(query.get("run_id", "0"))) if here else None
    if here is None or run is None or path != "/_fake/artifacts":
        return Answer(404, {"message": "no such run"})
    there = {item.name: item for item in here.artifacts.values() if item.run is run}
    name = query.get("name")
    if method == "POST" and name:
        if name in there and query.get("overwrite") != "true":
            return Answer(409, {"message": f"an artifact {name} exists in this run"})
        if name in there:
            del here.artifacts[there[name].id]
        return Answer(201, {"id": here.artifact(run, name, raw).id})
    if not name:
        return Answer(body=sorted(there))
    if name not in there:
        return Answer(404, {"message": f"no artifact {name} in this run"})
    return Answer(headers={"Content-Type": "application/zip"}, raw=there[name].data)
