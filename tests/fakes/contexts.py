"""Contexts for tests: a laptop, unless told otherwise."""

from __future__ import annotations

from typing import Any

from mlci.context import Context


def context(**changes: Any) -> Context:
    """A Context outside of CI, with `changes`."""
    nothing = dict.fromkeys(
        (
            *("repository", "repository_id", "sha", "ref", "branch", "base_sha", "base_ref", "head_sha"),
            *("head_repository_id", "default_branch", "pull_request", "run_id", "run_attempt", "workflow"),
            *("run_url", "token"),
        )
    )
    given: dict[str, Any] = {
        **nothing,
        "event": "local",
        "labels": (),
        "api_url": "https://api.github.com",
        "server_url": "https://github.com",
        "in_actions": False,
    }
    return Context(**given | changes)
