"""Whether two sets of predictions are the same within a tolerance, and where they first are not: pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeGuard

from mlci.core.release import Mismatch

MAX_MISMATCHES = 20  # of these the words are kept, of the others the count
_MAX_SHOWN = 200  # characters of one value
_NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far predictions are those that were expected.

    Args:
        compared: How many examples were expected.
        differing: How many are different, missing, or were not asked for.
        mismatches: The first of them, in the order of the examples.
    """

    compared: int
    differing: int
    mismatches: tuple[Mismatch, ...]


def agree(expected: Mapping[str, Any], got: Mapping[str, Any], *, tolerance: float) -> Agreement:
    """Compare predictions by id.

    - numbers agree if they differ by at most `tolerance * max(1, |expected|)`: absolute below 1, relative above;
    - NaN agrees with NaN only, an infinity with the same one only;
    - strings, booleans and null agree exactly, and a boolean is no number;
    - lists agree item by item and objects key by key, of the same length and with the same keys;
    - an id without a prediction, or one that was not asked for, is a mismatch.

    Args:
        expected: Predictions of the lab, by id: JSON values.
        got: Predictions of what is deployed, likewise.
        tolerance: See above.
    """
    found: list[Mismatch] = []
    for name, value in expected.items():
        if name not in got:
            found.append(Mismatch(id=name, expected=shown(value), got=_NOTHING))
            continue
        different = _difference(value, got[name], tolerance, "")
        if different:
            found.append(Mismatch(id=name, expected=different[0], got=different[1]))
    found += [
        Mismatch(id=name, expected=_NOTHING, got=shown(value)) for name, value in got.items() if name not in expected
    ]
    return Agreement(compared=len(expected), differing=len(found), mismatches=tuple(found[:MAX_MISMATCHES]))


def median_latency(latencies: Sequence[float | None]) -> float | None:
    """The median of those that are known; None where none is."""
    known = [latency for latency in latencies if latency is not None]
    return median(known) if known else None


def too_slow(lab_s: float | None, production_s: float | None, at_most: float | None) -> str | None:
    """Why production is slower than allowed, in words; None where it is not.

    Args:
        lab_s: Median seconds of one prediction in the lab.
        production_s: The same where it is deployed.
        at_most: How many times `lab_s` is allowed; None: no matter.
    """
    if at_most is None:
        return None
    # What cannot be judged did not pass.
    if lab_s is None:
        return "max-latency is set, and no golden example says how long it took (latency_s)"
    if production_s is None:
        return "max-latency is set, and no prediction says how long it took (latency_s)"
    if production_s <= at_most * lab_s:
        return None
    return f"a prediction takes {production_s:.3g} s, more than {at_most:g} times the lab's {lab_s:.3g} s"


def shown(value: object) -> str:
    """A JSON value as one short line."""
    # Half of a surrogate pair, which JSON can spell, could not be written to a document.
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


def _difference(expected: object, got: object, tolerance: float, path: str) -> tuple[str, str] | None:
    """The first place where two values differ, in words; None where they agree."""
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        inner = ((f"{path}[{index}]", *pair) for index, pair in enumerate(zip(expected, got, strict=True)))
    elif isinstance(expected, dict) and isinstance(got, dict) and expected.keys() == got.keys():
        inner = ((f"{path}.{key}", value, got[key]) for key, value in expected.items())
    else:
        return None if _same(expected, got, tolerance) else (_placed(path, expected), _placed(path, got))
    return next((found for place, one, two in inner if (found := _difference(one, two, tolerance, place))), None)


def _same(expected: object, got: object, tolerance: float) -> bool:
    """Whether two values agree that are not both lists of one length or objects of the same keys."""
    if not (_is_number(expected) and _is_number(got)):
        return type(expected) is type(got) and not isinstance(expected, list | dict) and expected == got
    if math.isnan(expected) or math.isnan(got):
        return math.isnan(expected) and math.isnan(got)
    if math.isinf(expected) or math.isinf(got):
        return expected == got
    return abs(expected - got) <= tolerance * max(1.0, abs(expected))


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _placed(path: str, value: object) -> str:
    if not path:
        return shown(value)
    shortened = path if len(path) <= _MAX_SHOWN else f"…{path[1 - _MAX_SHOWN :]}"
    return f"{shortened.encode('utf-8', 'replace').decode()} = {shown(value)}"
