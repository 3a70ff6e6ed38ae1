"""Records for tests: as small as can be, and equal unless told apart."""

from __future__ import annotations

from mlci.core.documents import Metric, Origin, Record

CREATED = "2024-05-01T12:00:00Z"


def origin(commit: str | None = "a" * 40, **changes: object) -> Origin:
    """An Origin of a laptop, or with `changes` of something else."""
    given = {"dirty": False, "branch": "main", "event": "local", "created_at": CREATED} | changes
    return Origin(commit=commit, **given)  # type: ignore[arg-type]


def record(
    name: str = "churn",
    *,
    profile: str = "full",
    commit: str | None = "a" * 40,
    value: float = 0.9,
    **changes: object,
) -> Record:
    """A record with one metric; `changes` are of its origin."""
    return Record(
        name=name,
        profile=profile,
        origin=origin(commit, **changes),
        status="succeeded",
        metrics=(Metric(name="accuracy", value=value),),
    )
