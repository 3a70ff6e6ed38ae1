"""A branch's records as columns: what a page of thousands of them has to know, and no more."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from msgspec import field

from mlci.core.documents import Direction, Document, Metric, Record
from mlci.core.metric import Key, infer_direction, key
from mlci.core.steps import Mark, Step

MAX_CELLS = 1_000_000  # values of a page, and places without one: about 8 MB
_DIGITS, _NOISE_DIGITS = 9, 3
_MAX_CHANGES = 6  # lines that say what else differs, of one record
_SAFE_INTEGER = 2**53


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit of the branch.

    Args:
        sha: Its id.
        time: When it was committed, in seconds since the epoch.
        subject: Its author's words.
    """

    sha: str
    time: int
    subject: str


@dataclass(frozen=True, kw_only=True)
class Release:
    """A version or a stage that a tag gives a commit.

    Args:
        run: The run that made the model.
        commit: The commit.
        label: The version, or the stage.
        tag: The tag's name.
    """

    run: str
    commit: str
    label: str
    tag: str


class Series(Document, frozen=True):
    """A metric, or what a run took, along the commits of its profile."""

    name: str
    unit: str | None
    direction: Direction | None
    values: list[float | None]  # None: there is none, or it is no number
    split: str | None = None
    slice: str | None = None
    noise: list[float | None] = field(default_factory=list)  # half of the band in which a value is no change
    marks: list[tuple[int, Mark, str]] = field(default_factory=list)  # place, what, why
    odd: list[tuple[int, str]] = field(default_factory=list)  # place, "NaN" or such


class Run(Document, frozen=True):
    """One run of a profile."""

    name: str
    records: int
    failed: list[int]  # places of records that did not succeed; where there is no value and no record nothing is known
    measured: list[int]  # 1 where there is a record that succeeded
    workflow_runs: list[int | None]
    series: list[Series]  # metrics of all data
    slices: list[Series]
    resources: list[Series]  # duration, memory, cost
    changed: list[tuple[int, list[str]]]  # place, what else differs from the record before
    releases: list[tuple[int, str, str]]  # place, label, tag


class Profile(Document, frozen=True):
    """The runs of one profile along the commits that any of them was measured at, the oldest first."""

    name: str
    commits: list[str]
    times: list[int]
    subjects: list[str]
    behind: list[int]  # how many commits of the branch lie between it and the one before
    runs: list[Run]


class Dashboard(Document, frozen=True):
    """All of it."""

    profiles: list[Profile]
    left_out: int  # series, where there are too many


@dataclass
class _Column:
    metric: Metric  # as the newest record has it
    cells: dict[str, tuple[float, float | None]] = dataclasses.field(default_factory=dict)  # by commit: value, noise
    marks: dict[str, tuple[Mark, str]] = dataclasses.field(default_factory=dict)


class Columns:
    """Takes the steps of one run and profile one by one, and keeps of each the few numbers that are shown.

    Args:
        run: Its name.
        profile: The profile's.
        wanted: Which metrics.
    """

    def __init__(self, run: str, profile: str, wanted: Callable[[Metric], bool] = lambda _: True) -> None:
        """Begin with nothing."""
        self.run, self.profile, self._wanted = run, profile, wanted
        self.series: dict[Key, _Column] = {}
        self.resources: dict[str, _Column] = {}
        self.at: dict[str, int | None] = {}  # by commit: the workflow run
        self.failed: set[str] = set()
        self.changed: dict[str, list[str]] = {}

    def add(self, step: Step) -> None:
        """Take a step."""
        record, commit = step.record, step.record.origin.commit or ""
        self.at[commit] = _workflow_run(record)
        if record.status != "succeeded":
            self.failed.add(commit)
            return
        if step.changed:
            more = len(step.changed) - _MAX_CHANGES
            self.changed[commit] = [*step.changed[:_MAX_CHANGES], *([f"{more} more"] if more > 0 else [])]
        for metric in filter(self._wanted, record.metrics):
            column = self.series.setdefault(key(metric), _Column(metric))
            judged = step.judged.get(key(metric))
            column.cells[commit] = metric.value, judged.noise if judged else None
            if judged and judged.mark:
                column.marks[commit] = judged.mark, judged.reason or ""
        for metric in _used(record):
            column = self.resources.setdefault(metric.name, _Column(metric))
            if metric.unit == column.metric.unit:  # amounts of another currency are no part of the curve
                column.cells[commit] = metric.value, None


def dashboard(
    columns: Sequence[Columns], commits: Sequence[Commit], releases: Iterable[Release] = (), *, most: int = MAX_CELLS
) -> Dashboard:
    """The page's data.

    Args:
        columns: Of each run and profile.
        commits: Of the branch, the newest first, at least all that were measured.
        releases: What tags say.
        most: Values in all, with the places where there is none; of more, the slices go first, and then the last
            metrics.
    """
    kept, left_out = _limited(columns, most)
    marked = list(releases)
    names = sorted({item.profile for item in columns})
    return Dashboard(
        profiles=[_profile(name, columns, kept, commits, marked) for name in names],
        left_out=left_out,
    )


def _limited(columns: Sequence[Columns], most: int) -> tuple[set[tuple[int, Key]], int]:
    """Which series are shown, and how many are not."""
    every = [(item, identity) for item in columns for identity in item.series]
    every.sort(key=lambda pair: pair[1][2] is not None)  # slices last; otherwise as they come
    measured: dict[str, set[str]] = {}
    for item in columns:
        measured.setdefault(item.profile, set()).update(item.at)
    kept: set[tuple[int, Key]] = set()
    room = most
    for item, identity in every:
        # Names that change from commit to commit have few values and as many places as the others.
        room -= len(measured[item.profile])
        if room < 0:
            break
        kept.add((id(item), identity))
    return kept, len(every) - len(kept)


def _profile(
    name: str,
    columns: Sequence[Columns],
    kept: set[tuple[int, Key]],
    commits: Sequence[Commit],
    releases: Sequence[Release],
) -> Profile:
    mine = [item for item in columns if item.profile == name]
    measured = {commit for item in mine for commit in item.at}
    # Commits with a tag and no record hang on the record before them.
    places = {commit.sha: place for place, commit in enumerate(reversed(commits))}
    shown = sorted((places[sha], sha) for sha in measured if sha in places)
    by_sha = {commit.sha: commit for commit in commits}
    found = [by_sha[sha] for _, sha in shown]
    positions = [place for place, _ in shown]
    return Profile(
        name=name,
        commits=[commit.sha for commit in found],
        times=[commit.time for commit in found],
        subjects=[commit.subject for commit in found],
        behind=[new - old - 1 for old, new in zip([positions[0] - 1, *positions], positions, strict=False)]
        if positions
        else [],
        runs=[
            _run(item, kept, [commit.sha for commit in found], list(_placed(item.run, releases, places, positions)))
            for item in mine
        ],
    )


def _run(item: Columns, kept: set[tuple[int, Key]], order: Sequence[str], releases: list[tuple[int, str, str]]) -> Run:
    known = [column for identity, column in item.series.items() if (id(item), identity) in kept]
    place = {sha: number for number, sha in enumerate(order)}
    return Run(
        name=item.run,
        records=len(item.at),
        measured=[int(sha in item.at and sha not in item.failed) for sha in order],
        failed=sorted(place[sha] for sha in item.failed if sha in place),
        workflow_runs=[item.at.get(sha) for sha in order],
        series=[_series(column, order, place) for column in known if column.metric.slice is None],
        slices=[_series(column, order, place) for column in known if column.metric.slice is not None],
        resources=[_series(column, order, place) for column in item.resources.values()],
        changed=sorted((place[sha], lines) for sha, lines in item.changed.items() if sha in place),
        releases=releases,
    )


def _series(column: _Column, order: Sequence[str], place: Mapping[str, int]) -> Series:
    metric = column.metric
    empty = (None, None)
    cells = [column.cells.get(sha, empty) for sha in order]
    noise = [_rounded(item, _NOISE_DIGITS) for _, item in cells]
    return Series(
        name=metric.name,
        split=metric.split,
        slice=metric.slice,
        unit=metric.unit,
        direction=metric.direction or infer_direction(metric.name),
        values=[_rounded(value, _DIGITS) for value, _ in cells],
        noise=noise if any(item is not None for item in noise) else [],
        marks=sorted((place[sha], *said) for sha, said in column.marks.items() if sha in place),
        odd=[
            (number, _in_words(value))
            for number, (value, _) in enumerate(cells)
            if value is not None and not math.isfinite(value)
        ],
    )


def _placed(
    run: str, releases: Iterable[Release], places: Mapping[str, int], positions: Sequence[int]
) -> Iterator[tuple[int, str, str]]:
    """The releases of a run at their commit's place, or at the last one before that was measured."""
    for release in releases:
        if release.run == run and release.commit in places:
            earlier = [number for number, position in enumerate(positions) if position <= places[release.commit]]
            if earlier:
                yield earlier[-1], release.label, release.tag


def _used(record: Record) -> Iterator[Metric]:
    """What a record took, as metrics: everything that lower is better of."""
    yield Metric(name="duration", value=record.duration_s, unit="s", direction="lower")
    if record.resources:
        memory = record.resources.peak_memory_bytes
        yield Metric(name="peak memory", value=float(memory), unit="bytes", direction="lower")
    if record.cost:
        yield Metric(name="cost", value=record.cost.amount, unit=record.cost.currency, direction="lower")


def _workflow_run(record: Record) -> int | None:
    found = record.origin.run_id or ""
    known = found.isascii() and found.isdecimal() and len(found) < len(str(_SAFE_INTEGER))
    return int(found) if known else None


def _rounded(value: float | None, digits: int) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < _SAFE_INTEGER else short


def _in_words(value: float) -> str:
    return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
