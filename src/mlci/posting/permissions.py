"""What happens where the token may not: a warning that names the permission, and the gate decides all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mlci.errors import ForbiddenError
from mlci.project import Project


@contextmanager
def permitted(project: Project, what: str) -> Iterator[None]:
    """Turn a missing permission into a warning, unless the configuration wants it to be an error."""
    try:
        yield
    except ForbiddenError as error:
        if project.config.settings.report.on_forbidden == "fail":
            raise
        message = f"{what} could not be posted: {error.message}"
        project.invocation.say(message)
        if error.hint:
            project.invocation.say(error.hint)
        project.invocation.actions.annotate("warning", f"{message}. {error.hint or ''}", title="mlci")
