"""Workflow runs, their artifacts, dispatches."""

from __future__ import annotations

import hashlib
from typing import Any

from fakes.github.answers import INTEGRATION, Answer, Problem, not_found
from fakes.github.routing import Call, R, route
from fakes.github.shapes import api, minimal_repository, node_id, pull_within, user, web
from fakes.github.state import Artifact, Dispatch, WorkflowRun
from fakes.github.verdicts import suite

EXPIRES = "2099-01-01T00:00:00Z"
INPUTS_LIMIT, PAYLOAD_LIMIT = 25, 10


def workflow_run(call: Call, run: WorkflowRun) -> dict[str, Any]:
    """A run of a workflow."""
    here = call.repository
    url = f"{api(call, here)}/actions/runs/{run.id}"
    workflow = here.workflow_id(run.path.rpartition("/")[2])
    pulls = () if call.flag("exclude_pull_requests") else run.pull_requests
    return {
        **{f"{name}_url": f"{url}/{name}" for name in ("jobs", "logs", "artifacts", "cancel", "rerun")},
        "id": run.id,
        "name": run.name,
        "node_id": node_id("WorkflowRun", run.id),
        "check_suite_id": suite(run.head_sha),
        "check_suite_node_id": node_id("CheckSuite", suite(run.head_sha)),
        "head_branch": run.head_branch,
        "head_sha": run.head_sha,
        "path": run.path,
        "run_number": run.run_number,
        "run_attempt": run.run_attempt,
        "event": run.event,
        "status": run.status,
        "conclusion": run.conclusion,
        "workflow_id": workflow,
        "url": url,
        "html_url": f"{web(here)}/actions/runs/{run.id}",
        "pull_requests": [pull_within(call, pull) for pull in pulls],
        "created_at": run.created_at,
        "updated_at": run.created_at,
        "run_started_at": run.created_at,
        "actor": user(call, run.actor),
        "triggering_actor": user(call, run.actor),
        "check_suite_url": f"{api(call, here)}/check-suites/{suite(run.head_sha)}",
        "previous_attempt_url": None,
        "workflow_url": f"{api(call, here)}/actions/workflows/{workflow}",
        "head_commit": {
            "id": run.head_sha,
            "tree_id": "0" * 40,
            "message": "Change the model",
            "timestamp": run.created_at,
            "author": {"name": "Ada", "email": "ada@example.com"},
            "committer": {"name": "Ada", "email": "ada@example.com"},
        },
        "repository": minimal_repository(call, here),
        "head_repository": minimal_repository(call, run.head_repository),
        "display_title": "Change the model",
    }


@route("GET", R + "/actions/permissions/workflow", administration="read")
def _default_permissions(call: Call) -> Answer:
    if call.token is None or not call.token.allows("administration", "read") or call.token.installation:
        raise Problem(403, INTEGRATION)
    given = call.repository.default_permissions
    return Answer(body={"default_workflow_permissions": given, "can_approve_pull_request_reviews": False})


@route("GET", R + "/actions/runs", actions="read")
def _runs(call: Call) -> Answer:
    call.without("created")
    query = call.request.query
    found = [
        run
        for run in call.repository.workflow_runs.values()
        if query.get("head_sha", run.head_sha) == run.head_sha
        and query.get("event", run.event) == run.event
        and query.get("branch", run.head_branch) == run.head_branch
        and query.get("actor", run.actor.login) == run.actor.login
        and query.get("status") in {None, run.status, run.conclusion}
        and query.get("check_suite_id") in {None, str(suite(run.head_sha))}
    ]
    return call.page(sorted(found, key=lambda r: (r.created_at, r.id), reverse=True), workflow_run, "workflow_runs")


@route("GET", R + "/actions/runs/{run_id}", actions="read")
def _run(call: Call) -> Answer:
    return Answer(body=workflow_run(call, call.find(call.repository.workflow_runs, "run_id")))


def artifact(call: Call, item: Artifact) -> dict[str, Any]:
    """An artifact."""
    url, run = f"{api(call, call.repository)}/actions/artifacts/{item.id}", item.run
    return {
        "id": item.id,
        "node_id": node_id("Artifact", item.id),
        "name": item.name,
        "size_in_bytes": len(item.data),
        "url": url,
        "archive_download_url": f"{url}/zip",
        "expired": item.expired,
        "digest": f"sha256:{hashlib.sha256(item.data).hexdigest()}",
        "created_at": item.created_at,
        "updated_at": item.created_at,
        "expires_at": item.created_at if item.expired else EXPIRES,
        "workflow_run": {
            "id": run.id,
            "repository_id": call.repository.id,
            "head_repository_id": run.head_repository.id,
            "head_branch": run.head_branch,
            "head_sha": run.head_sha,
        },
    }


@route("GET", R + "/actions/runs/{run_id}/artifacts", actions="read")
def _artifacts_of_run(call: Call) -> Answer:
    run, query = call.find(call.repository.workflow_runs, "run_id"), call.request.query
    found = [a for a in call.repository.artifacts.values() if a.run is run and query.get("name", a.name) == a.name]
    found.sort(key=lambda a: a.id, reverse=query.get("direction", "desc") == "desc")
    return call.page(found, artifact, "artifacts")


@route("GET", R + "/actions/artifacts", actions="read")
def _artifacts(call: Call) -> Answer:
    name = call.request.query.get("name")
    found = [a for a in call.repository.artifacts.values() if name in {None, a.name}]
    return call.page(sorted(found, key=lambda a: -a.id), artifact, "artifacts")


@route("GET", R + "/actions/artifacts/{artifact_id}", actions="read")
def _artifact(call: Call) -> Answer:
    return Answer(body=artifact(call, call.find(call.repository.artifacts, "artifact_id")))


@route("GET", R + "/actions/artifacts/{artifact_id}/{archive_format}", actions="read")
def _download(call: Call) -> Answer:
    found = call.find(call.repository.artifacts, "artifact_id")
    if call.token is None:
        raise Problem(401, "Requires authentication")
    if call.values["archive_format"] != "zip":
        raise not_found()
    if found.expired:
        raise Problem(410, "Artifact has expired")
    target = call.server.blob_url(f"artifact-{found.id}", found.data, "application/zip")
    return Answer(302, headers={"Location": target})


@route("POST", R + "/actions/workflows/{workflow_id}/dispatches", actions="write")
def _dispatch(call: Call) -> Answer:
    here, given = call.repository, call.body
    names = {str(here.workflow_id(file)): file for file in here.workflows} | {file: file for file in here.workflows}
    file = names.get(call.values["workflow_id"])
    if file is None:
        raise not_found()
    ref, inputs = str(call.need("ref")), given.get("inputs") or {}
    if here.git and here.git.commit_of(ref.removeprefix("refs/heads/").removeprefix("refs/tags/")) is None:
        raise Problem(422, f"No ref found for: {ref}")
    if len(inputs) > INPUTS_LIMIT:
        raise Problem(422, f"you may only define up to {INPUTS_LIMIT} `inputs` for a `workflow_dispatch` event")
    here.dispatches.append(Dispatch(file, ref, dict(inputs)))
    if not given.get("return_run_details"):
        return Answer(204)
    sha = (here.git.commit_of(ref) if here.git else None) or "d" * 40
    path = f".github/workflows/{file}"
    run = here.workflow_run(event="workflow_dispatch", head_sha=sha, head_branch=ref, path=path, status="queued")
    shape = workflow_run(call, run)
    return Answer(body={"workflow_run_id": run.id, "run_url": shape["url"], "html_url": shape["html_url"]})


@route("POST", R + "/dispatches", contents="write")
def _repository_dispatch(call: Call) -> Answer:
    payload = call.body.get("client_payload") or {}
    if len(payload) > PAYLOAD_LIMIT:
        message = f"No more than {PAYLOAD_LIMIT} properties are allowed; {len(payload)} were supplied."
        raise Problem(422, f"Invalid request.\n\n{message}")
    made = Dispatch(None, event_type=str(call.need("event_type")), client_payload=dict(payload))
    call.repository.dispatches.append(made)
    return Answer(204)
