"""The end state of a fake repository, for comparisons."""

from __future__ import annotations

import hashlib
from typing import Any

from fakes.github.repository import Repository


def snapshot(here: Repository) -> dict[str, Any]:
    """What is there, without ids and times: equal after equal histories, however often answers were lost on the way."""
    return {
        "comments": sorted((item.number, item.user.login, item.body) for item in here.comments.values()),
        "issues": {
            item.number: (item.title, item.body, item.state, tuple(sorted(item.labels)))
            for item in here.numbered().values()
        },
        "statuses": {
            (item.sha, item.context): (item.state, item.description, item.target_url) for item in here.statuses
        },
        "check_runs": sorted(
            (
                *(run.head_sha, run.name, run.status, run.conclusion or ""),
                *(run.output.get(name) or "" for name in ("title", "summary", "text")),
                tuple(sorted(repr(sorted(item.items())) for item in run.annotations)),
            )
            for run in here.check_runs.values()
        ),
        "artifacts": sorted((item.run.id, item.name, len(item.data)) for item in here.artifacts.values()),
        "dispatches": [
            (item.workflow, item.ref, item.inputs, item.event_type, item.client_payload) for item in here.dispatches
        ],
        "releases": sorted(
            (
                *(item.tag_name, item.name or "", item.body or "", item.draft, item.prerelease),
                tuple(sorted((a.name, hashlib.sha256(a.data).hexdigest()) for a in item.assets.values())),
            )
            for item in here.releases.values()
        ),
        "deployments": [
            (item.ref, item.task, item.environment, item.payload, [(s.state, s.description) for s in item.statuses])
            for item in here.deployments.values()
        ],
        "refs": _refs(here),
    }


def _refs(here: Repository) -> dict[str, list[str]]:
    if here.git is None:
        return {}
    found = {}
    for name, (sha, kind) in here.git.refs().items():
        told = [here.git.tag(sha)["message"]] if kind == "tag" else []
        found[name] = told + (here.git.history(name) if here.git.resolve(name) else [sha])
    return found
