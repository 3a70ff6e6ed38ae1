"""Golden examples: what the lab predicted for which inputs, kept with a release; JSON lines that nobody vouches for."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from mlci.core import strict_json
from mlci.errors import DocumentError

MAX_BYTES = 256 * 1024 * 1024
MAX_LINE = 16 * 1024 * 1024
MAX_EXAMPLES = 1_000_000
_MAX_ID = 200  # characters


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a model predicted for one example.

    Args:
        id: The example's.
        prediction: Any JSON value.
        latency_s: How long this one took, in seconds.
    """

    id: str
    prediction: Any
    latency_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Golden(Prediction):
    """An example with what the lab predicted.

    Args:
        input: What the model was asked: any JSON value.
    """

    input: Any


def sample(data: bytes, count: int, *, name: str) -> bytes:
    """Keep `count` examples: those with the lowest sha256 of their id (as UTF-8), in that order.

    Which these are depends on the ids alone, not on their order in the file or on a seed, so the same examples are
    kept from release to release as long as the run writes them; a smaller sample is the beginning of a larger one.

    Args:
        data: JSON lines of {id, input, prediction[, latency_s]}.
        count: How many are kept; all, where there are fewer.
        name: How errors call the file.

    Raises:
        DocumentError: It is not that, in one line that names the file and the line.
    """
    kept = sorted(
        (hashlib.sha256(_golden(value, where).id.encode()).hexdigest(), line)
        for where, line, value in _lines(data, name, ("id", "input", "prediction"))
    )
    if not kept:
        raise DocumentError(f"{name}: no examples", hint=_FORMAT_HINT)
    return b"".join(line + b"\n" for _, line in kept[:count])


def read(data: bytes, name: str) -> tuple[Golden, ...]:
    """The examples, in the order of the file.

    Raises:
        DocumentError: As for `sample`.
    """
    found = tuple(_golden(value, where) for where, _, value in _lines(data, name, ("id", "input", "prediction")))
    if not found:
        raise DocumentError(f"{name}: no examples", hint=_FORMAT_HINT)
    return found


def read_predictions(data: bytes, name: str) -> tuple[Prediction, ...]:
    """What a model predicts now: JSON lines of {id, prediction[, latency_s]}.

    Raises:
        DocumentError: As for `sample`; none at all is no error.
    """
    return tuple(
        Prediction(id=_id(value, where), prediction=value["prediction"], latency_s=_latency(value, where))
        for where, _, value in _lines(data, name, ("id", "prediction"))
    )


_FORMAT_HINT = 'One line each: {"id": "a1", "input": [5.1, 3.5], "prediction": 0.97}, and latency_s if it is known.'


def _lines(data: bytes, name: str, keys: Collection[str]) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    """(where it stands, the line, its object) of each line that is not blank, of exactly these keys and `latency_s`."""
    if len(data) > MAX_BYTES:
        raise DocumentError(f"{name}: {len(data):,} bytes, at most {MAX_BYTES:,} are read")
    first_of: dict[str, int] = {}
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        where = f"{name}: line {number}"
        value = strict_json.loads(line.strip(), name=where, max_bytes=MAX_LINE)
        if not isinstance(value, dict):
            raise DocumentError(f"{where}: expected an object", hint=_FORMAT_HINT)
        missing = [key for key in keys if key not in value]
        if missing:
            raise DocumentError(f"{where}: no {missing[0]!r}", hint=_FORMAT_HINT)
        unknown = [key for key in value if key not in (*keys, "latency_s")]
        if unknown:
            raise DocumentError(f"{where}: the unknown key {unknown[0][:80]!r}", hint=_FORMAT_HINT)
        identity = _id(value, where)
        if identity in first_of:
            raise DocumentError(f"{where}: the id {identity[:80]!r} stands in line {first_of[identity]} already")
        if len(first_of) >= MAX_EXAMPLES:
            raise DocumentError(f"{name}: more than {MAX_EXAMPLES:,} examples")
        first_of[identity] = number
        yield where, line.strip(), value


def _golden(value: dict[str, Any], where: str) -> Golden:
    return Golden(
        id=_id(value, where),
        input=value["input"],
        prediction=value["prediction"],
        latency_s=_latency(value, where),
    )


def _id(value: dict[str, Any], where: str) -> str:
    """The id as text: tables of numbered rows write integers."""
    found = value["id"]
    text = str(found) if isinstance(found, int) and not isinstance(found, bool) else found
    if not isinstance(text, str) or not 0 < len(text) <= _MAX_ID:
        raise DocumentError(f"{where}: id: expected text of 1 to {_MAX_ID} characters, or an integer")
    if any("\ud800" <= item <= "\udfff" for item in text):
        raise DocumentError(f"{where}: id: half of a surrogate pair")
    return text


def _latency(value: dict[str, Any], where: str) -> float | None:
    found = value.get("latency_s")
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found) or found < 0:
        raise DocumentError(f"{where}: latency_s: expected seconds, got {str(found)[:40]!r}")
    return float(found)
