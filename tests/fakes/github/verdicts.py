"""Commit statuses and check runs."""

from __future__ import annotations

from typing import Any

from fakes.github.answers import Answer, Problem, invalid
from fakes.github.routing import Call, R, route
from fakes.github.shapes import WEB, api, minimal_repository, node_id, pull_within, user, web
from fakes.github.state import CheckRun, Status

STATES = ("error", "failure", "pending", "success")
CONCLUSIONS = ("success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required", "stale")
DESCRIPTION_LIMIT, STATUS_LIMIT, ANNOTATION_LIMIT, OUTPUT_LIMIT = 140, 1000, 50, 65_535
ACTIONS_APP = 15_368


def commit_of(call: Call, name: str) -> str:
    """The commit that a ref or sha names; without a git repository every full sha is one."""
    git = call.repository.git
    tips = [name] if len(name) == 40 else _tips(call, name)
    found = git.commit_of(name) if git else next(iter(tips), None)
    if found is None:
        raise Problem(422, f"No commit found for SHA: {name}")
    return found


def _tips(call: Call, branch: str) -> list[str]:
    here = call.repository
    return [p.head_sha for p in here.pulls.values() if p.head_repository is here and p.head_ref == branch]


def simple_status(call: Call, item: Status) -> dict[str, Any]:
    """A status in the combined one."""
    return {
        "url": f"{api(call, call.repository)}/statuses/{item.sha}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{item.user.id}?v=4",
        "id": item.id,
        "node_id": node_id("StatusContext", item.id),
        "state": item.state,
        "description": item.description,
        "target_url": item.target_url,
        "context": item.context,
        "created_at": item.created_at,
        "updated_at": item.created_at,
    }


def status(call: Call, item: Status) -> dict[str, Any]:
    """A status."""
    return simple_status(call, item) | {"creator": user(call, item.user)}


@route("POST", R + "/statuses/{sha}", statuses="write")
def _set_status(call: Call) -> Answer:
    here, given, sha = call.repository, call.body, call.values["sha"]
    if call.need("state") not in STATES:
        raise invalid("Status", "state", "custom", "State is not included in the list")
    if len(sha) != 40 or (here.git and here.git.resolve(sha) is None):
        raise Problem(422, f"No commit found for SHA: {sha}")
    description, target, context = given.get("description"), given.get("target_url"), given.get("context") or "default"
    if description is not None and len(description) > DESCRIPTION_LIMIT:
        message = f"description is too long (maximum is {DESCRIPTION_LIMIT} characters)"
        raise invalid("Status", "description", "custom", message)
    if target and not target.startswith(("http://", "https://")):
        raise invalid("Status", "target_url", "custom", "target_url must use http(s) scheme")
    if sum(s.sha == sha and s.context == context for s in here.statuses) >= STATUS_LIMIT:
        message = "This SHA and context has reached the maximum number of statuses."
        raise invalid("Status", "base", "custom", message)
    made = Status(call.server.id(), sha, given["state"], context, description, target, call.user, call.server.now())
    here.statuses.append(made)
    body = status(call, made)
    return Answer(201, body, {"Location": body["url"]}, made=made.id)


@route("GET", R + "/commits/{ref}/statuses", statuses="read")
def _statuses(call: Call) -> Answer:
    sha = commit_of(call, call.values["ref"])
    return call.page([s for s in reversed(call.repository.statuses) if s.sha == sha], status)


@route("GET", R + "/commits/{ref}/status", statuses="read")
def _combined(call: Call) -> Answer:
    here, sha = call.repository, commit_of(call, call.values["ref"])
    latest = {s.context.lower(): s for s in call.listed(s for s in here.statuses if s.sha == sha)}
    states = {s.state for s in latest.values()}
    state = "failure" if states & {"error", "failure"} else "success" if states == {"success"} else "pending"
    url = f"{api(call, here)}/commits/{sha}"
    repository = minimal_repository(call, here)
    more = {"state": state, "sha": sha, "repository": repository, "commit_url": url, "url": f"{url}/status"}
    return call.page(latest.values(), simple_status, "statuses", **more)


def check_run(call: Call, item: CheckRun) -> dict[str, Any]:
    """A check run."""
    here = call.repository
    url, output = f"{api(call, here)}/check-runs/{item.id}", item.output
    return {
        "id": item.id,
        "head_sha": item.head_sha,
        "node_id": node_id("CheckRun", item.id),
        "external_id": item.external_id,
        "url": url,
        "html_url": f"{web(here)}/runs/{item.id}",
        "details_url": item.details_url or f"{web(here)}/runs/{item.id}",
        "status": item.status,
        "conclusion": item.conclusion,
        "started_at": item.started_at,
        "completed_at": item.completed_at,
        "output": {
            "title": output.get("title"),
            "summary": output.get("summary"),
            "text": output.get("text"),
            "annotations_count": len(item.annotations),
            "annotations_url": f"{url}/annotations",
        },
        "name": item.name,
        "check_suite": {"id": suite(item.head_sha)},
        "app": _app(call),
        "pull_requests": [pull_within(call, p) for p in here.pulls.values() if p.head_sha == item.head_sha],
    }


def suite(sha: str) -> int:
    """The check suite of a commit."""
    return 5_000_000_000 + int.from_bytes(sha[:8].encode(), "big") % 1_000_000


def _app(call: Call) -> dict[str, Any]:
    return {
        "id": ACTIONS_APP,
        "slug": "github-actions",
        "node_id": node_id("App", ACTIONS_APP),
        "owner": user(call, call.server.user("github")),
        "name": "GitHub Actions",
        "description": "Automate your workflow from idea to production",
        "external_url": "https://help.github.com/en/actions",
        "html_url": f"{WEB}/apps/github-actions",
        "created_at": "2018-07-30T09:30:17Z",
        "updated_at": "2018-07-30T09:30:17Z",
        "permissions": {"checks": "write"},
        "events": ["check_run"],
    }


def _fill(call: Call, run: CheckRun) -> None:
    given = call.body
    for name in ("name", "details_url", "external_id", "status", "conclusion", "started_at", "completed_at"):
        if name in given:
            setattr(run, name, given[name])
    if "conclusion" in given:
        run.status = "completed"
        run.completed_at = run.completed_at or call.server.now()
    elif run.status != "completed":
        run.conclusion = run.completed_at = None
    output = dict(given.get("output") or {})
    run.annotations.extend(output.pop("annotations", []))
    run.output |= output


def _check_body(call: Call) -> None:
    given = call.body
    output = given.get("output") or {}
    if given.get("status") == "completed" and not given.get("conclusion"):
        raise Problem(422, "Invalid request.\n\nMissing required key: conclusion.")
    if given.get("conclusion") not in {None, *CONCLUSIONS}:
        raise Problem(422, f"Invalid request.\n\n{given['conclusion']} is not a member of {list(CONCLUSIONS)}.")
    if output and not {"title", "summary"} <= set(output) and call.request.method == "POST":
        raise Problem(422, 'Invalid request.\n\n"title", "summary" weren\'t supplied.')
    if output and "summary" not in output:
        raise Problem(422, 'Invalid request.\n\n"summary" wasn\'t supplied.')
    if (count := len(output.get("annotations", []))) > ANNOTATION_LIMIT:
        message = f"No more than {ANNOTATION_LIMIT} items are allowed; {count} were supplied."
        raise Problem(422, f"Invalid request.\n\n{message}")
    for name in ("summary", "text"):
        if len(output.get(name) or "") > OUTPUT_LIMIT:
            raise Problem(422, f"Invalid request.\n\nOnly {OUTPUT_LIMIT} characters are allowed; {name} has more.")


@route("POST", R + "/check-runs", checks="write")
def _create_check_run(call: Call) -> Answer:
    name, sha = str(call.need("name")), str(call.need("head_sha"))
    _check_body(call)
    if len(sha) != 40 or (call.repository.git and call.repository.git.resolve(sha) is None):
        raise Problem(422, f"No commit found for SHA: {sha}")
    made = CheckRun(call.server.id(), name, sha, started_at=call.server.now())
    _fill(call, made)
    call.repository.check_runs[made.id] = made
    return Answer(201, check_run(call, made), made=made.id)


@route("PATCH", R + "/check-runs/{check_run_id}", checks="write")
def _update_check_run(call: Call) -> Answer:
    found = call.find(call.repository.check_runs, "check_run_id")
    _check_body(call)
    _fill(call, found)
    return Answer(body=check_run(call, found))


@route("GET", R + "/check-runs/{check_run_id}", checks="read")
def _check_run(call: Call) -> Answer:
    return Answer(body=check_run(call, call.find(call.repository.check_runs, "check_run_id")))


@route("GET", R + "/check-runs/{check_run_id}/annotations", checks="read")
def _annotations(call: Call) -> Answer:
    found = call.find(call.repository.check_runs, "check_run_id")
    blob = f"{web(call.repository)}/blob/{found.head_sha}"
    empty = dict.fromkeys(("start_column", "end_column", "title", "raw_details"))

    def shape(_: Call, item: dict[str, Any]) -> dict[str, Any]:
        return empty | {"blob_href": f"{blob}/{item['path']}"} | item

    return call.page(found.annotations, shape)


@route("GET", R + "/commits/{ref}/check-runs", checks="read")
def _check_runs(call: Call) -> Answer:
    sha, query = commit_of(call, call.values["ref"]), call.request.query
    found = call.listed(
        run
        for run in call.repository.check_runs.values()
        if run.head_sha == sha
        and query.get("check_name", run.name) == run.name
        and query.get("status", run.status) == run.status
        and query.get("app_id", str(ACTIONS_APP)) == str(ACTIONS_APP)
    )
    if query.get("filter", "latest") == "latest":
        found = list({run.name: run for run in found}.values())
    return call.page(sorted(found, key=lambda run: -run.id), check_run, "check_runs")
