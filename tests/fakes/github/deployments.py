"""Deployments and their states."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fakes.github.answers import Answer, Problem, invalid
from fakes.github.routing import Call, R, route
from fakes.github.shapes import api, node_id, user
from fakes.github.state import Deployment, DeploymentStatus

DEPLOYED = ("error", "failure", "inactive", "in_progress", "queued", "pending", "success")


def deployment(call: Call, item: Deployment) -> dict[str, Any]:
    """A deployment."""
    url = f"{api(call, call.repository)}/deployments/{item.id}"
    return {
        "url": url,
        "id": item.id,
        "node_id": node_id("Deployment", item.id),
        "sha": item.sha,
        "ref": item.ref,
        "task": item.task,
        "payload": item.payload,
        "original_environment": item.environment,
        "environment": item.environment,
        "description": item.description,
        "creator": user(call, item.user),
        "created_at": item.created_at,
        "updated_at": item.statuses[-1].created_at if item.statuses else item.created_at,
        "statuses_url": f"{url}/statuses",
        "repository_url": api(call, call.repository),
        "transient_environment": item.transient,
        "production_environment": item.production,
    }


@route("GET", R + "/deployments", deployments="read")
def _deployments(call: Call) -> Answer:
    query = call.request.query

    def wanted(item: Deployment) -> bool:
        names = ("sha", "ref", "task", "environment")
        return all(query.get(name, "none") in {"none", getattr(item, name)} for name in names)

    found = [item for item in call.repository.deployments.values() if wanted(item)]
    return call.page(sorted(found, key=lambda item: -item.id), deployment)


@route("POST", R + "/deployments", deployments="write")
def _deploy(call: Call) -> Answer:
    here, given, ref = call.repository, call.body, str(call.need("ref"))
    sha = (here.git.commit_of(ref) if here.git else None) or (ref if len(ref) == 40 else None)
    if here.git and sha is None:
        raise Problem(422, f"No ref found for: {ref}")
    wanted = given.get("required_contexts")
    latest = {s.context: s.state for s in here.statuses if s.sha == sha}
    bad = [name for name in (latest if wanted is None else wanted) if latest.get(name) != "success"]
    if bad:
        errors = [{"contexts": [{"context": n, "state": latest.get(n, "pending")} for n in bad], "code": "custom"}]
        raise Problem(409, f"Conflict: Commit status checks failed for {ref}.", errors)
    environment = given.get("environment") or "production"
    made = Deployment(
        id=call.server.id(),
        sha=sha or "e" * 40,
        ref=ref,
        task=given.get("task") or "deploy",
        environment=environment,
        payload=given.get("payload") or {},
        description=given.get("description"),
        user=call.user,
        created_at=call.server.now(),
        transient=bool(given.get("transient_environment")),
        production=bool(given.get("production_environment", environment == "production")),
    )
    here.deployments[made.id] = made
    return Answer(201, deployment(call, made), made=made.id)


@route("GET", R + "/deployments/{deployment_id}", deployments="read")
def _deployment(call: Call) -> Answer:
    return Answer(body=deployment(call, call.find(call.repository.deployments, "deployment_id")))


def deployment_status(call: Call, item: DeploymentStatus) -> dict[str, Any]:
    """A state of a deployment."""
    url = f"{api(call, call.repository)}/deployments/{call.values['deployment_id']}"
    return {
        "url": f"{url}/statuses/{item.id}",
        "id": item.id,
        "node_id": node_id("DeploymentStatus", item.id),
        "state": item.state,
        "creator": user(call, item.user),
        "description": item.description,
        "environment": item.environment,
        "target_url": item.target_url,
        "log_url": item.log_url,
        "environment_url": item.environment_url,
        "created_at": item.created_at,
        "updated_at": item.created_at,
        "deployment_url": url,
        "repository_url": api(call, call.repository),
    }


@route("GET", R + "/deployments/{deployment_id}/statuses", deployments="read")
def _deployment_statuses(call: Call) -> Answer:
    found = call.find(call.repository.deployments, "deployment_id")
    return call.page(list(reversed(found.statuses)), deployment_status)


def _retire(call: Call, now: Deployment) -> None:
    for item in call.repository.deployments.values():
        there = item.environment == now.environment and item.id != now.id and not item.transient
        if there and not item.production and item.statuses and item.statuses[-1].state == "success":
            last = item.statuses[-1]
            item.statuses.append(replace(last, id=call.server.id(), state="inactive", created_at=call.server.now()))


@route("POST", R + "/deployments/{deployment_id}/statuses", deployments="write")
def _set_deployment_status(call: Call) -> Answer:
    here, given = call.repository, call.body
    found = call.find(here.deployments, "deployment_id")
    if call.need("state") not in DEPLOYED:
        raise invalid("DeploymentStatus", "state", "custom", "state is not included in the list")
    if len(given.get("description") or "") > 140:
        raise invalid(
            "DeploymentStatus", "description", "custom", "description is too long (maximum is 140 characters)"
        )
    log = given.get("log_url") or given.get("target_url") or ""
    made = DeploymentStatus(
        id=call.server.id(),
        state=given["state"],
        description=given.get("description") or "",
        target_url=given.get("target_url") or log,
        log_url=log,
        environment=given.get("environment") or found.environment,
        environment_url=given.get("environment_url") or "",
        user=call.user,
        created_at=call.server.now(),
    )
    found.statuses.append(made)
    if made.state == "success" and given.get("auto_inactive", True):
        _retire(call, found)
    body = deployment_status(call, made)
    return Answer(201, body, {"Location": body["url"]}, made=made.id)
