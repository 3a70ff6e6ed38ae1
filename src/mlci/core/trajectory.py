"""How metrics went from commit to commit: the values that kept records hold, one trajectory a metric."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

import msgspec

from mlci.core.documents import Direction, Document, Metric, Record
from mlci.core.metric import Key, infer_direction, key
from mlci.core.steps import Mark, Step
from mlci.core.threshold import fits


class Point(Document, frozen=True):
    """A metric in one record."""

    commit: str
    created_at: str
    value: float
    change: float | None = None  # since the record before that has the metric; None where that is no number
    seeds: int | None = None  # how many the value is the mean of
    n: int | None = None  # examples
    run_url: str | None = None
    noise: float | None = None  # how far a change of nothing may reach, by the gate's own estimate
    mark: Mark | None = None  # what the gate has to say of the change
    reason: str | None = None
    releases: tuple[str, ...] = ()  # versions and stages that tags give the commit


class Trajectory(Document, frozen=True):
    """One metric of one run, the newest record first."""

    run: str
    profile: str
    metric: str
    split: str | None
    slice: str | None
    unit: str | None
    direction: Direction | None
    points: tuple[Point, ...]

    @property
    def name(self) -> str:
        """The metric with its split and slice."""
        whole = _whole(self.split, self.metric)
        return whole if self.slice is None else f"{whole} [{self.slice}]"


def trajectories(
    steps: Iterable[Step],
    pattern: str,
    part: str | None = None,
    *,
    count: int | None = None,
    releases: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> list[Trajectory]:
    """The metrics that match, in the order in which the newest records have them.

    Args:
        steps: Of one run and profile, the newest first.
        pattern: A metric's name, `split/name`, or a glob of either.
        part: A slice, or a glob of slices; None: the whole.
        count: From how many records points are taken; None: from all.
        releases: What tags say, by commit.
    """
    found: dict[Key, list[tuple[Step, Metric]]] = {}
    shown = set()
    for number, step in enumerate(steps):
        for metric in step.record.metrics:
            if matches(metric, pattern, part):
                found.setdefault(key(metric), []).append((step, metric))
                if count is None or number < count:
                    shown.add(step.record.origin.commit)
    whole = [_trajectory(held, releases) for held in found.values()]
    cut = [
        msgspec.structs.replace(item, points=tuple(point for point in item.points if point.commit in shown))
        for item in whole
    ]
    return [item for item in cut if item.points]


def names(records: Iterable[Record], *, slices: bool = False) -> list[str]:
    """The names of all metrics of the records; with `slices` the names of their slices."""
    metrics = [metric for record in records for metric in record.metrics]
    found = (metric.slice for metric in metrics) if slices else (metric.name for metric in metrics)
    return sorted({name for name in found if name is not None})


def matches(metric: Metric, pattern: str, part: str | None) -> bool:
    """Whether it is a metric, and slice, that is asked for; see `trajectories`."""
    if (metric.slice is None) != (part is None):
        return False
    if metric.slice is not None and part is not None and not fits(part, metric.slice):
        return False
    return fits(pattern, metric.name) or fits(pattern, _whole(metric.split, metric.name))


def _whole(split: str | None, name: str) -> str:
    return f"{split}/{name}" if split else name


def _trajectory(held: Sequence[tuple[Step, Metric]], releases: Mapping[str, Sequence[str]]) -> Trajectory:
    record, metric = held[0][0].record, held[0][1]
    points = [_point(step, found, releases) for step, found in held]
    changes = [_finite(new.value - old.value) for new, old in pairwise(points)]
    return Trajectory(
        run=record.name,
        profile=record.profile,
        metric=metric.name,
        split=metric.split,
        slice=metric.slice,
        unit=metric.unit,
        direction=metric.direction or infer_direction(metric.name),
        points=tuple(
            msgspec.structs.replace(point, change=change)
            for point, change in zip(points, [*changes, None], strict=True)
        ),
    )


def _point(step: Step, metric: Metric, releases: Mapping[str, Sequence[str]]) -> Point:
    origin, judged = step.record.origin, step.judged.get(key(metric))
    return Point(
        commit=origin.commit or "",
        created_at=origin.created_at,
        value=metric.value,
        seeds=len(metric.samples) or None,
        n=metric.n,
        run_url=origin.run_url,
        noise=judged.noise if judged else None,
        mark=judged.mark if judged else None,
        reason=judged.reason if judged else None,
        releases=tuple(releases.get(origin.commit or "", ())),
    )


def _finite(change: float) -> float | None:
    return change if math.isfinite(change) else None
