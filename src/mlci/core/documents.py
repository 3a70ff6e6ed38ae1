"""The documents that the steps hand each other, and the only code that writes and reads them as JSON.

Format history (`FORMAT`):
    1  first release
"""

from __future__ import annotations

import functools
import hashlib
import math
import re
import types
import typing
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from mlci.core import strict_json
from mlci.errors import DocumentError

FORMAT = 1
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")  # of a surrogate pair, as JSON spells it

Direction = Literal["higher", "lower"]
Status = Literal["succeeded", "failed", "crashed", "timed-out", "cancelled", "skipped"]
Verdict = Literal["improved", "unchanged", "regressed", "inconclusive", "new", "missing"]
GateResult = Literal["pass", "fail", "inconclusive", "no-baseline", "none"]
Overall = Literal["fail", "inconclusive", "no-baseline", "pass"]

# From good to bad: a record takes the worst status of its seeds.
STATUSES: tuple[Status, ...] = ("succeeded", "skipped", "cancelled", "timed-out", "failed", "crashed")
# From bad to good: a comparison takes the worst of its gates.
OVERALL: tuple[Overall, ...] = ("fail", "inconclusive", "no-baseline", "pass")


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every type that is written to disk: immutable, by keyword, closed to unknown fields."""


class Origin(Document, frozen=True):
    """Where and when a run was started; taken before anything executes."""

    commit: str | None
    dirty: bool  # a tracked file differs from the commit
    branch: str | None
    event: str  # the CI event's name, or "local"
    created_at: str  # ISO 8601, UTC
    repository_id: str | None = None
    run_id: str | None = None
    run_attempt: int | None = None
    workflow: str | None = None
    run_url: str | None = None


class Metric(Document, frozen=True):
    """A number that a run reports about its model.

    `samples` holds one value a seed, aligned with `seeds` (None: exchangeable draws, never paired); `value` is their
    mean. `series` holds at most 200 points of (step, value).
    """

    name: str
    value: float
    direction: Direction | None = None
    unit: str | None = None
    split: str | None = None
    slice: str | None = None
    samples: tuple[float, ...] = ()
    seeds: tuple[int, ...] | None = None
    n: int | None = None
    standard_error: float | None = None
    series: tuple[tuple[float, float], ...] = ()
    definition: str | None = None  # the version or hash of what measures it: another one is another metric


class Location(Document, frozen=True):
    """A line of a file as it lies in the repository."""

    file: str  # relative to the configuration
    line: int  # 1-based


class Failure(Document, frozen=True):
    """Why a run did not succeed, in the user's terms."""

    # exception | exit-code | signal | dead-kernel | out-of-memory | timeout | cancelled | environment | parameters |
    # missing-output | metrics | needs | lost | internal
    kind: str
    message: str  # one line
    file: str | None = None  # notebook or source file, relative to the configuration
    cell: int | None = None  # 1-based position among all cells of the source notebook
    line: int | None = None  # 1-based line within the cell, or within `file` where there is no cell
    traceback: str | None = None  # plain text, shortened
    # Where annotations belong, the innermost of the user's own files first; a cell's line as its line in the .ipynb.
    at: tuple[Location, ...] = ()


class Cell(Document, frozen=True):
    """One executed code cell."""

    index: int  # 1-based position among all cells of the source notebook
    status: Literal["completed", "failed", "pending", "running"]
    duration_s: float | None = None
    cpu_s: float | None = None  # of the kernel's process tree while the cell ran
    peak_memory_bytes: int | None = None  # likewise, resident


class Resources(Document, frozen=True):
    """What the process tree of a run used."""

    cpu_s: float
    peak_memory_bytes: int  # resident; what processes share counts once for each
    peak_pss_bytes: int | None = None  # proportional: what processes share is divided among them
    gpu_memory_bytes: int | None = None  # the peak over all GPUs, of this tree's processes
    gpu_utilisation: float | None = None  # mean over the run of the busiest GPU in use, 0 to 1


class Cost(Document, frozen=True):
    """What computing cost, at the prices of `[cost]`."""

    amount: float
    currency: str


class Attempt(Document, frozen=True):
    """An earlier attempt of an execution, that left a checkpoint to go on from."""

    status: Status
    started_at: str  # ISO 8601, UTC
    duration_s: float
    run_url: str | None = None


class Artifact(Document, frozen=True):
    """A file that a run wrote and declared."""

    path: str  # as declared: relative to the run's working directory, with forward slashes
    size: int  # bytes
    sha256: str
    stored: str | None = None  # its copy, relative to the workspace


class PredictionsFile(Document, frozen=True):
    """What a run predicted for each example, as a file."""

    path: str  # as declared
    sha256: str
    size: int  # bytes
    seed: int | None = None
    stored: str | None = None  # its copy, relative to the workspace


class Outputs(Document, frozen=True):
    """What mlci itself keeps of a run, relative to the workspace."""

    notebook: str | None = None
    log: str | None = None
    plots: tuple[Artifact, ...] = ()
    spilled: tuple[str, ...] = ()  # whole outputs of cells of which the notebook keeps head and tail


class Environment(Document, frozen=True):
    """What the code ran on."""

    python: str | None = None  # version of the user's interpreter
    implementation: str | None = None
    platform: str | None = None
    gpu: str | None = None  # models of the GPUs, and the driver
    packages: dict[str, str] = {}  # distribution name (normalised) -> version


class RunResult(Document, frozen=True):
    """One execution: a configured run with one seed, or with none."""

    name: str
    profile: str
    status: Status
    seed: int | None = None
    reused: bool = False
    reason: str | None = None  # why it was skipped
    command: str | None = None  # reproduces it on a laptop
    parameters: dict[str, Any] = {}
    duration_s: float = 0.0
    resources: Resources | None = None
    cells: tuple[Cell, ...] = ()
    error: Failure | None = None
    metrics: tuple[Metric, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    predictions: PredictionsFile | None = None
    deterministic: bool = False  # the configuration says that running again gives the same
    elsewhere: str | None = None  # where the metrics come from, if nothing was run here for them
    outputs: Outputs = Outputs()
    environment: Environment = Environment()
    inputs: dict[str, str] = {}  # path -> sha256 of its content, or a DVC digest
    notes: tuple[str, ...] = ()  # one line each: what a reader should know, such as a kernel that was started twice
    attempts: tuple[Attempt, ...] = ()  # earlier ones, the oldest first
    cost: Cost | None = None


class RunsDocument(Document, frozen=True):
    """`run.json`: what one machine ran, and what the plan wanted."""

    origin: Origin
    planned: tuple[str, ...]  # names that the plan selected, whether run here or on another machine
    runs: tuple[
        RunResult, ...
    ]  # one that is under way, or waits for its turn, is `crashed`, kind "lost", until it ends
    profile: str = "default"
    format: int = FORMAT


class Record(Document, frozen=True):
    """One configured run at one commit: its seeds folded together."""

    name: str
    profile: str
    origin: Origin
    status: Status
    error: Failure | None = None
    reason: str | None = None
    command: str | None = None
    parameters: dict[str, Any] = {}
    seeds: tuple[int, ...] = ()  # the seeds asked for, failed ones included
    metrics: tuple[Metric, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    predictions: tuple[PredictionsFile, ...] = ()
    deterministic: bool = False
    elsewhere: str | None = None
    outputs: tuple[Outputs, ...] = ()
    duration_s: float = 0.0  # sum over seeds
    resources: Resources | None = None  # CPU summed, memory the highest over seeds
    environment: Environment = Environment()
    inputs: dict[str, str] = {}
    reused: bool = False  # every execution was reused
    notes: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    cost: Cost | None = None  # sum over seeds
    format: int = FORMAT


class RecordsDocument(Document, frozen=True):
    """`record.json`."""

    made_from: tuple[str, ...]  # sha256 of each run.json
    records: tuple[Record, ...]
    format: int = FORMAT


class Rule(Document, frozen=True):
    """What the gate demands of the metrics whose name matches `pattern`."""

    pattern: str
    slice: str | None = None  # a pattern too: it gates slices that match; None: the whole
    direction: Direction | None = None
    max_regression: float | str | None = None  # a number, or "2%" of |baseline|
    max_drop: float | str | None = None
    max_increase: float | str | None = None
    min: float | None = None
    max: float | None = None
    required: bool = False
    min_n: int | None = None


class Delta(Document, frozen=True):
    """One metric of one run against its baseline."""

    run: str
    metric: str
    slice: str | None
    baseline: float | None
    current: float | None
    change: float | None  # current - baseline
    verdict: Verdict
    gate: GateResult
    direction: Direction | None = None
    interval: tuple[float, float] | None = None  # unadjusted 90% interval of the change
    noise: str = "none"  # its source and size in words
    detectable: float | None = None  # the worsening that this gate would notice four times out of five
    accepted: str | None = None  # why a worsening was accepted on purpose
    tolerance: str | None = None  # the rule in words, such as "at most 0.01 lower"
    reason: str | None = None
    unit: str | None = None
    deployed: float | None = None  # the value of the deployed version, to look at; it gates nothing


class BaselineRef(Document, frozen=True):
    """The record that a run was compared with, or why there is none."""

    commit: str | None
    distance: int | None = None  # first-parent commits from the merge base back to it
    created_at: str | None = None
    run_url: str | None = None
    profile: str | None = None
    reason: str | None = None  # why there is none, or what was not known
    changed: tuple[str, ...] = ()  # one line a difference: environment, inputs, parameters
    doubts: tuple[str, ...] = ()  # those of them that make the comparison doubtful
    duration_s: float | None = None
    peak_memory_bytes: int | None = None
    deployed: str | None = None  # the version that `Delta.deployed` is of, such as "churn@v1.2.0"


class Comparison(Document, frozen=True):
    """`comparison.json`."""

    current: str  # sha256 of the record.json that was compared
    baselines: dict[str, BaselineRef]  # by run
    deltas: tuple[Delta, ...]
    verdict: Overall
    blocks: bool  # what the gate will do, its mode and its on-* settings counted in
    reasons: tuple[str, ...] = ()  # one line each: why it blocks or warns
    notes: tuple[str, ...] = ()  # one line each: what a reader should know and nothing hangs on
    format: int = FORMAT


D = TypeVar("D", bound=Document)


def encode(document: Document) -> bytes:
    """Write a document as indented JSON, non-finite floats as "NaN", "Infinity" and "-Infinity"."""
    return msgspec.json.format(msgspec.json.encode(_spell_non_finite(msgspec.to_builtins(document))), indent=2) + b"\n"


def decode(data: bytes, kind: type[D], *, name: str) -> D:
    """Read a document that may be hostile.

    Args:
        data: What `encode` wrote, or claims to be.
        kind: The type expected.
        name: How errors call it, such as ".mlci/record.json".

    Raises:
        DocumentError: Not JSON, too large or deep, a newer format, not of this shape, or half a character.
    """
    value = strict_json.loads(data, name=name)
    if _HALF.search(data) and not _can_be_written(value):
        raise DocumentError(f"{name}: half of a surrogate pair is no text")
    if isinstance(value, dict) and isinstance(value.get("format"), int) and value["format"] > FORMAT:
        raise DocumentError(f"{name}: format {value['format']}, this mlci reads up to {FORMAT}", hint="Upgrade mlci.")
    try:
        return msgspec.convert(_revive_non_finite(value, kind), kind)
    except msgspec.ValidationError as error:
        raise DocumentError(f"{name}: not a {kind.__name__}: {error}") from None


def digest(data: bytes) -> str:
    """The sha256 by which a document names what it was made from."""
    return hashlib.sha256(data).hexdigest()


def _can_be_written(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        return False
    return True


def _spell_non_finite(value: Any) -> Any:  # noqa: ANN401 - walks any JSON value
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _spell_non_finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spell_non_finite(item) for item in value]
    return value


def _revive_non_finite(value: Any, kind: Any) -> Any:  # noqa: ANN401 - walks any JSON value beside its type
    """Turn the spelled-out floats back, only where `kind` wants a float: a parameter "NaN" stays a string."""
    if isinstance(value, str):
        return float(value) if value in ("NaN", "Infinity", "-Infinity") and _wants_float(kind) else value
    if isinstance(value, dict):
        return {key: _revive_non_finite(item, _field_type(kind, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_revive_non_finite(item, _item_type(kind, position)) for position, item in enumerate(value)]
    return value


def _alternatives(kind: Any) -> tuple[Any, ...]:  # noqa: ANN401 - any annotation
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _wants_float(kind: Any) -> bool:  # noqa: ANN401 - any annotation
    alternatives = _alternatives(kind)
    return float in alternatives and str not in alternatives


@functools.cache
def _hints(kind: type[Document]) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _field_type(kind: Any, key: str) -> Any:  # noqa: ANN401 - any annotation
    for alternative in _alternatives(kind):
        if isinstance(alternative, type) and issubclass(alternative, Document):
            return _hints(alternative).get(key)
        if get_origin(alternative) is dict:
            return get_args(alternative)[1]
    return None


def _item_type(kind: Any, position: int) -> Any:  # noqa: ANN401 - any annotation
    for alternative in _alternatives(kind):
        if get_origin(alternative) is tuple:
            arguments = get_args(alternative)
            if arguments[-1] is Ellipsis:
                return arguments[0]
            return arguments[position] if position < len(arguments) else None
    return None
