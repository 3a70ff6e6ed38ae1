"""Lines of text that may be hostile: a line without end is refused before it is held."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TextIO

from mlci.errors import MetricError


def bounded(file: TextIO, *, longest: int, name: str) -> Iterator[str]:
    """The lines of `file`, with their ends.

    Args:
        file: Text, at the place to start from.
        longest: From this many characters on a line is refused.
        name: How errors call the file.

    Raises:
        MetricError: A line is too long.
    """
    for number in itertools.count(1):
        line = file.readline(longest)
        if len(line) == longest:
            raise MetricError(f"{name}: line {number:,}: of {longest:,} characters or more")
        if not line:
            return
        yield line
