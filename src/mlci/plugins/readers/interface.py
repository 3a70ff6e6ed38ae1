"""What a metric reader is: bytes of one file format in, metrics out."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Protocol

from mlci.core.documents import Metric


class Reader(Protocol):
    """Reads one family of metric files.

    A reader is a frozen dataclass whose fields are its options. It imports no framework and trusts nothing in the file.
    """

    name: ClassVar[str]  # the format's name in `metrics = [{ path = "...", format = NAME }]`
    suffixes: ClassVar[tuple[str, ...]]  # file endings that choose this reader when no format is named

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """Read the file at `path`.

        Args:
            path: An existing file.
            name: How error messages call it.

        Raises:
            MetricError: It cannot be read; the message names the file, and the field where there is one.
        """
        ...
