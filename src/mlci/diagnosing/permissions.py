"""What each command asks of GitHub, as a job's `permissions:` spell it; docs/reference/permissions.md says what for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

LEVELS = ("none", "read", "write")

# Command -> permission -> level. Of a command with an option of its own row, that row counts alone.
NEEDS: Mapping[str, Mapping[str, str]] = {
    "compare": {"contents": "read"},
    "baseline show": {"contents": "read"},
    "comment": {"contents": "read", "pull-requests": "write", "statuses": "write"},
    "comment --from-run": {"contents": "read", "actions": "read", "pull-requests": "write", "statuses": "write"},
    "baseline save": {"contents": "write"},
    "baseline adopt": {"contents": "write", "actions": "read", "pull-requests": "read"},
    "dispatch": {"contents": "read", "actions": "write", "pull-requests": "read"},
    "ci": {"contents": "write", "pull-requests": "write", "statuses": "write"},
    "ci --no-post": {"contents": "read"},
    "monitor": {"contents": "read", "issues": "write"},
    "monitor --report": {"contents": "read", "issues": "write"},
    "monitor --no-issue": {"contents": "read"},
    "history": {"contents": "read"},
    "release": {"contents": "write", "actions": "read"},
    "deploy": {"contents": "read", "deployments": "write"},
    "promote": {"contents": "write", "deployments": "write"},
    "rollback": {"contents": "write", "deployments": "write"},
    "doctor": {"contents": "read"},
}
# With `[report] check-run = true`.
CHECK_RUN = {"checks": "write"}
_POSTING = ("comment", "comment --from-run", "ci")


def needed(words: Sequence[str], *, on_default_branch: bool, check_run: bool) -> dict[str, str]:
    """What `mlci WORDS` asks for; nothing for commands that get no token.

    Args:
        words: The command and its arguments.
        on_default_branch: The event may be one on the default branch, where `ci` saves.
        check_run: As configured.
    """
    found = next((row for row in _rows(words) if row in NEEDS), None)
    if found is None:
        return {}
    asked = dict(NEEDS[found])
    if found == "ci" and not on_default_branch:
        asked["contents"] = "read"
    return asked | (CHECK_RUN if check_run and found in _POSTING else {})


def lacking(asked: Mapping[str, str], granted: Mapping[str, str]) -> list[str]:
    """What is asked for and not granted, as `permissions:` spell it."""
    return [
        f"{name}: {level}"
        for name, level in asked.items()
        if LEVELS.index(granted.get(name, "none")) < LEVELS.index(level)
    ]


def _rows(words: Sequence[str]) -> list[str]:
    first = words[0] if words else ""
    options = [f"{first} {word.partition('=')[0]}" for word in words[1:]]
    return [*options, first]
