"""What all readers share: a file within its size, JSON that nobody vouches for, and metrics that are counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlci.core import strict_json
from mlci.core.documents import Metric
from mlci.core.metric import Key, key
from mlci.errors import DocumentError, MetricError

_MAX_BYTES = 16 * 1024 * 1024  # of JSON, which takes up to thirty times that in memory
_MAX_DEPTH = 32
_MAX_METRICS = 10_000
_MAX_NAME = 500


class Found:
    """The metrics of one file as they come: few enough, with names of a length to show, each once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._metrics: dict[Key, Metric] = {}

    def add(self, metric: Metric) -> None:
        """Take one more.

        Raises:
            MetricError: One too many, one of an endless name, or one that is there already.
        """
        for text in (metric.name, metric.slice or "", metric.unit or "", metric.definition or ""):
            check_text(text, self._name)
        if key(metric) in self._metrics:
            of = f" of {metric.slice!r}" if metric.slice else ""
            raise MetricError(f"{self._name}: the metric {metric.name!r}{of} stands twice")
        check_count(len(self._metrics) + 1, self._name)
        self._metrics[key(metric)] = metric

    def all(self) -> list[Metric]:
        """What was taken."""
        return list(self._metrics.values())


def check_text(text: str, name: str) -> None:
    """Refuse a name that nobody could read.

    Raises:
        MetricError: It is too long, or no text.
    """
    if len(text) > _MAX_NAME:
        raise MetricError(f"{name}: {text[:40]!r}… has {len(text):,} characters, at most {_MAX_NAME} are read")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise MetricError(f"{name}: {text[:40]!r} is no text: it holds half a character")


def check_count(count: int, name: str) -> None:
    """Refuse more metrics than are read; for readers that gather values before they know their metrics.

    Raises:
        MetricError: There are too many.
    """
    if count > _MAX_METRICS:
        raise MetricError(f"{name}: more than {_MAX_METRICS:,} metrics")


def read_bytes(path: Path, name: str, *, limit: int | None = None) -> bytes:
    """A whole file.

    Raises:
        MetricError: It cannot be read or is larger than `limit`.
    """
    limit = _MAX_BYTES if limit is None else limit
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise MetricError(f"{name}: cannot be read: {error.strerror}") from None
    if len(data) > limit:
        raise MetricError(f"{name}: larger than {limit:,} bytes")
    return data


def read_json(path: Path, name: str) -> Any:  # noqa: ANN401 - JSON is any value
    """A JSON file, with the NaN and Infinity that Python writes.

    Raises:
        MetricError: It cannot be read, is too large or too deep, is no JSON, or says one key twice.
    """
    try:
        return strict_json.loads(read_bytes(path, name), name=name, max_depth=_MAX_DEPTH, allow_nan=True)
    except DocumentError as error:
        raise MetricError(error.message) from None


def mapping(value: object, where: str) -> dict[str, Any]:
    """An object in a parsed document.

    Raises:
        MetricError: It is none.
    """
    if not isinstance(value, dict):
        raise MetricError(f"{where}: expected an object, got {kind(value)}")
    return value


def kind(value: object) -> str:
    """How a message calls what stands in the place of something else."""
    return {dict: "an object", list: "a list", str: "text", type(None): "nothing"}.get(type(value), "a single value")
