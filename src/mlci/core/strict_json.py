"""Parses JSON that nobody vouches for: size, depth and duplicate keys are checked before anything is built on it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from mlci.errors import DocumentError

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 64


def loads(
    data: bytes,
    *,
    name: str,
    max_bytes: int = MAX_BYTES,
    max_depth: int = MAX_DEPTH,
    allow_nan: bool = False,
) -> Any:  # noqa: ANN401 - JSON is any value
    """Parse `data` as strict JSON.

    Args:
        data: UTF-8 bytes.
        name: How error messages call the document.
        max_bytes: Larger documents are refused unread.
        max_depth: Deeper nesting is refused.
        allow_nan: Take the literals `NaN`, `Infinity` and `-Infinity`, which Python's `json.dump` writes, and numbers
            beyond what a 64-bit integer or float holds.

    Returns:
        Plain dicts, lists, strings, numbers, booleans and None.

    Raises:
        DocumentError: Too large, too deep, not UTF-8, not JSON, or a key given twice.
    """
    if len(data) > max_bytes:
        raise DocumentError(f"{name}: {len(data):,} bytes, at most {max_bytes:,} are read")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(f"{name}: not UTF-8 text (byte {error.start})") from None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique(name),
            parse_constant=float if allow_nan else _refuse_constant(name),
            parse_float=float if allow_nan else _finite(name),
            parse_int=int if allow_nan else _small(name),
        )
    except json.JSONDecodeError as error:
        raise DocumentError(f"{name}: not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise _too_deep(name, max_depth) from None
    except ValueError:
        raise DocumentError(f"{name}: a number has too many digits") from None
    _check_depth(value, name, max_depth)
    return value


def _check_depth(value: object, name: str, max_depth: int) -> None:
    level = [value]
    for _ in range(max_depth):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent if isinstance(parent, list) else ())
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise _too_deep(name, max_depth)


def _too_deep(name: str, max_depth: int) -> DocumentError:
    return DocumentError(f"{name}: nested deeper than {max_depth} levels")


def _unique(name: str) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(pairs)
        if len(built) != len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    raise DocumentError(f"{name}: the key {key[:80]!r} stands twice in one object")
                seen.add(key)
        return built

    return build


def _refuse_constant(name: str) -> Callable[[str], float]:
    def refuse(literal: str) -> float:
        raise DocumentError(f'{name}: {literal} is not JSON; write it as "{literal}"')

    return refuse


def _finite(name: str) -> Callable[[str], float]:
    def parse(literal: str) -> float:
        value = float(literal)
        if math.isinf(value):
            raise DocumentError(f"{name}: the number {literal[:40]} is beyond what a float holds")
        return value

    return parse


def _small(name: str) -> Callable[[str], int]:
    def parse(literal: str) -> int:
        value = int(literal)
        if not -(2**63) <= value < 2**64:
            raise DocumentError(f"{name}: the number {literal[:40]} is beyond what 64 bits hold")
        return value

    return parse
