"""Where in a TOML file a key stands, for annotations: Python's parser tells values only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mlci.diagnosing.texts import text_in

_MAX_BYTES = 1024 * 1024
_HEADER = re.compile(r"\s*\[\[?([^\[\]]+)\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*=")
_PART = re.compile(r"\"([^\"]*)\"|'([^']*)'|([\w-]+)")


def line_of(path: Path, keys: Sequence[str]) -> int | None:
    """The line of the key, or of the nearest table around it; None where not even that is found.

    Args:
        path: The file; of pyproject.toml the keys stand below `tool.mlci`.
        keys: The key's path.
    """
    text = text_in(path, _MAX_BYTES)
    if text is None:
        return None
    prefix = ("tool", "mlci") if path.name == "pyproject.toml" else ()
    wanted = (*prefix, *keys)
    best, depth = None, len(prefix)
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header, key = _HEADER.match(line), _KEY.match(line)
        if header:
            table = at = _parts(header[1])
        elif key:
            at = (*table, *_parts(key[1]))
        else:
            continue
        if depth < len(at) and at == wanted[: len(at)]:
            best, depth = number, len(at)
    return best


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple("".join(found) for found in _PART.findall(dotted))
