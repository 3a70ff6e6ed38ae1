"""Scripted faults of the fake GitHub."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from fakes.github.state import Request

# Without effect: the request is answered so, and never reaches what it was for.
REFUSALS = ("500", "502", "503", "429", "429-bare", "secondary", "secondary-bare", "primary", "read-only", "dropped")
# With effect: only the answer suffers.
SUFFERED = ("committed-502", "slow", "cut", "dropped-committed", "empty-body", "stale-list")


@dataclass
class Fault:
    """One thing that goes wrong; the first fault that matches a request is what happens to it.

    Kinds without effect:

    - `500`, `502`, `503`: answered so, with an HTML body.
    - `429`: with `Retry-After`; `429-bare`: without any header that says how long.
    - `secondary`: 403, the secondary limit's message, `Retry-After`; `secondary-bare`: without that header.
    - `primary`: 403, the limit is used up, `x-ratelimit-reset` lies `retry_after` seconds ahead.
    - `read-only`: 403, `Resource not accessible by integration`.
    - `dropped`: the connection closes before any answer.

    Kinds with effect:

    - `committed-502`: the request is done and answered 502 with an HTML body.
    - `slow`: headers at once, then one byte of the body every `pause_s`.
    - `cut`: the connection closes in the middle of the body.
    - `dropped-committed`: the connection closes before any answer.
    - `empty-body`: a create succeeds, and the next `times` reads show what it made with body "".
    - `stale-list`: a create succeeds, and the next `times` lists do not show what it made; the same for a release
      that is published, and its tag.

    `method` and `path` (a regular expression, searched) say which requests match. With `nth` it is the request of
    that index among all since `server.arm()`, and those right after it while `times` lasts; without, the first
    `times` that match. `after` seconds pass before anything is answered.
    """

    kind: str
    method: str | None = None
    path: str | None = None
    nth: int | None = None
    times: int = 1
    after: float = 0.0
    retry_after: int = 1
    pause_s: float = 0.02
    fired: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.kind not in REFUSALS + SUFFERED:
            raise ValueError(f"no such fault: {self.kind}")

    def strikes(self, request: Request, index: int) -> bool:
        """Whether this happens to a request, the `index`th since faults were armed."""
        requests = 1 if self.kind in {"empty-body", "stale-list"} else self.times
        if self.fired >= requests or (self.method and self.method.upper() != request.method):
            return False
        if self.path and not re.search(self.path, request.path):
            return False
        if self.nth is not None and not self.nth <= index < self.nth + requests:
            return False
        self.fired += 1
        return True
