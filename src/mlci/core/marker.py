"""The hidden last line by which mlci knows its own comments again, and which of two is newer."""

from __future__ import annotations

import re
from dataclasses import dataclass

VERSION = 1
_LINE = re.compile(
    r"<!-- mlci:(?P<version>\d{1,4}) id=(?P<id>[A-Za-z0-9][A-Za-z0-9._-]{0,63}) run=(?P<run>\d{1,20})"
    r" attempt=(?P<attempt>\d{1,6}) head=(?P<head>[0-9a-f]{40}(?:[0-9a-f]{24})?|-) -->"
)


@dataclass(frozen=True, kw_only=True)
class Marker:
    """What a comment says of itself.

    Args:
        id: The configuration's.
        run_id: The workflow run that measured; 0 on a laptop.
        attempt: Of that run.
        head: The head commit that was measured.
    """

    id: str
    run_id: int
    attempt: int
    head: str | None

    def __str__(self) -> str:
        return f"<!-- mlci:{VERSION} id={self.id} run={self.run_id} attempt={self.attempt} head={self.head or '-'} -->"

    @property
    def age(self) -> tuple[int, int]:
        """Sorts older before newer."""
        return self.run_id, self.attempt


def find(body: str) -> Marker | None:
    """The marker on the last line of a comment, of this version or a newer one; None where there is none."""
    last = body.rstrip().rpartition("\n")[2].strip()
    found = _LINE.fullmatch(last)
    if not found:
        return None
    return Marker(
        id=found["id"],
        run_id=int(found["run"]),
        attempt=int(found["attempt"]),
        head=None if found["head"] == "-" else found["head"],
    )
