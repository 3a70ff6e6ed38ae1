"""What the fake GitHub answers with."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fakes.github.faults import Fault

DOCS = "https://docs.github.com/rest"
INTEGRATION = "Resource not accessible by integration"
HTML = b"<html><head><title>Unicorn!</title></head><body>We had issues producing the response.</body></html>\n"


@dataclass
class Answer:
    """A status and a body: JSON, unless `raw` bytes are given."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    # Kept for faults that tamper with later reads of it.
    made: int | None = None


class Problem(Exception):  # noqa: N818 - an answer rather than an error
    """A refusal, in GitHub's shape."""

    def __init__(self, status: int, message: str, errors: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(message)
        body = {"message": message, "documentation_url": DOCS, "status": str(status)}
        self.answer = Answer(status, body | ({"errors": list(errors)} if errors else {}))


def not_found() -> Problem:
    """The answer for what is missing, or hidden."""
    return Problem(404, "Not Found")


def invalid(resource: str, name: str, code: str, message: str | None = None) -> Problem:
    """The answer to a body that breaks a rule."""
    said = {} if message is None else {"message": message}
    return Problem(422, "Validation Failed", [{"resource": resource, "field": name, "code": code} | said])


def refusal(fault: Fault) -> Answer:
    """What a fault without effect answers."""
    wait = {"Retry-After": str(fault.retry_after)}
    secondary = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    if fault.kind == "primary":
        headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time()) + fault.retry_after)}
        return Answer(403, _said("API rate limit exceeded for installation ID 1."), headers)
    if fault.kind == "dropped":
        # Nobody hears it.
        return unicorn()
    if fault.kind.startswith("secondary"):
        return Answer(403, _said(secondary), wait if fault.kind == "secondary" else {})
    if fault.kind == "read-only":
        return Problem(403, INTEGRATION).answer
    if fault.kind.startswith("429"):
        return Answer(429, {"message": "Too many requests"}, wait if fault.kind == "429" else {})
    return unicorn(int(fault.kind))


def _said(message: str) -> dict[str, str]:
    return {"message": message, "documentation_url": DOCS}


def unicorn(status: int = 502) -> Answer:
    """An HTML page: what GitHub's front answers for those behind it."""
    return Answer(status, headers={"Content-Type": "text/html"}, raw=HTML)
