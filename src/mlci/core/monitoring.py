"""What a watch on a deployed model found, as a document, and the hidden line by which its issue is known again."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlci.core.documents import FORMAT, Comparison, Document, Record
from mlci.core.drift import Finding

VERSION = 1
_LINE = re.compile(
    r"<!-- mlci-monitor:(?P<version>\d{1,4}) id=(?P<id>[A-Za-z0-9][A-Za-z0-9._-]{0,63})"
    r" monitor=(?P<monitor>[A-Za-z0-9][A-Za-z0-9._-]{0,63}) run=(?P<run>\d{1,20}) attempt=(?P<attempt>\d{1,6}) -->"
)


class Monitoring(Document, frozen=True):
    """`monitor.json`: a deployed version on fresh data.

    Of what another job reads of it only `record` and `drift` count; the rest is decided again from them.
    """

    monitor: str
    model: str
    stage: str
    version: str
    tag: str
    commit: str  # of the version, not of the code that measured
    record: Record  # of the monitor's run
    drift: tuple[Finding, ...] = ()
    reference: str | None = None  # the run whose record at `commit` it was compared with
    comparison: Comparison | None = None
    healthy: bool = False
    reasons: tuple[str, ...] = ()  # one line each: why it is unhealthy, or what could not be judged
    format: int = FORMAT


@dataclass(frozen=True, kw_only=True)
class IssueMarker:
    """What an issue says of itself on its last line.

    Args:
        id: The configuration's.
        monitor: The monitor's name.
        run_id: The workflow run that reports; 0 on a laptop.
        attempt: Of that run.
    """

    id: str
    monitor: str
    run_id: int
    attempt: int

    def __str__(self) -> str:
        return (
            f"<!-- mlci-monitor:{VERSION} id={self.id} monitor={self.monitor} run={self.run_id}"
            f" attempt={self.attempt} -->"
        )

    @property
    def age(self) -> tuple[int, int]:
        """Sorts older before newer."""
        return self.run_id, self.attempt

    def same_watch(self, other: IssueMarker | None) -> bool:
        """Whether `other` speaks of the same monitor of the same configuration."""
        return other is not None and (self.id, self.monitor) == (other.id, other.monitor)


def find(body: str) -> IssueMarker | None:
    """The marker on the last line of an issue; None where there is none."""
    found = _LINE.fullmatch(body.rstrip().rpartition("\n")[2].strip())
    if not found:
        return None
    return IssueMarker(
        id=found["id"], monitor=found["monitor"], run_id=int(found["run"]), attempt=int(found["attempt"])
    )
