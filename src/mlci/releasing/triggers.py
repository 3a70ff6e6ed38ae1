"""The trigger trap: tags and releases that a job's own token makes start no workflow: what waits for them is dead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from mlci.errors import UsageError
from mlci.project import Project

_JOB_LOGIN = "github-actions[bot]"
_MAX_BYTES = 1024 * 1024


def check_chain(project: Project) -> None:
    """Refuse to release with the job's token where a workflow of mlci waits for the tag or the release.

    Raises:
        UsageError: It would never start; the hint says what does.
    """
    context = project.context
    if not context.in_actions or context.token is None:
        return
    waiting = list(dead_workflows(project.config.repository / ".github/workflows"))
    # A token of an App or a person does start them.
    if waiting and project.forge.viewer() == _JOB_LOGIN:
        raise UsageError(
            f"{waiting[0]} waits for a tag or a release, and those that a job's own token makes start no workflow",
            hint="Let it start on workflow_call or workflow_dispatch, and call it from this workflow; or release with "
            "an App's token; or say `mlci release --then deploy`.",
        )


def dead_workflows(folder: Path) -> Iterator[str]:
    """The workflows in `folder` that use mlci to deploy and start on tags or releases only."""
    for path in sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")]):
        try:
            # A link may lead to a device that never ends.
            fits = path.is_file() and path.stat().st_size <= _MAX_BYTES
            text = path.read_text(encoding="utf-8") if fits else ""
            parsed = yaml.safe_load(text)
        except (OSError, ValueError, yaml.YAMLError, RecursionError):
            continue  # GitHub will say what is wrong with it
        if isinstance(parsed, dict) and "mlci" in text and "deploy" in text and _starts_on_tags_only(parsed):
            yield path.name


def _starts_on_tags_only(workflow: dict[Any, Any]) -> bool:
    # YAML 1.1 reads the key `on` as true.
    triggers = workflow.get("on", workflow.get(True))
    if isinstance(triggers, str):
        triggers = {triggers: None}
    if isinstance(triggers, list):
        triggers = dict.fromkeys(triggers)
    if not isinstance(triggers, dict) or not triggers:
        return False
    return all(
        name in ("release", "create")
        or (name == "push" and isinstance(given, dict) and "tags" in given and "branches" not in given)
        for name, given in triggers.items()
    )
