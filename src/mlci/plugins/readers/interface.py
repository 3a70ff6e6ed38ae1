"""What a metric reader is: bytes of one file format in, metrics out."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import ClassVar, Protocol

from mlci.core.documents import Metric

HEAD = 64 * 1024  # bytes of a file's beginning by which readers recognise it


class Reader(Protocol):
    """Reads one family of metric files.

    A reader is a frozen dataclass whose fields are its options. It imports no framework and trusts nothing in the file.
    """

    name: ClassVar[str]  # the format's name in `metrics = [{ path = "...", format = NAME }]`
    suffixes: ClassVar[tuple[str, ...]]  # file endings that choose this reader when nothing says more

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """Read the file at `path`.

        Args:
            path: An existing file.
            name: How error messages call it.

        Raises:
            MetricError: It cannot be read; the message names the file, and the field where there is one.
        """
        ...


class Recognising(Reader, Protocol):
    """A reader that also tells its files from others of the same ending; it is asked before endings are looked at."""

    @staticmethod
    def recognises(path: PurePath, head: bytes) -> bool:
        """Whether a file is of this format.

        It looks at nothing but its arguments, takes milliseconds, and raises nothing, whatever the file holds.

        Args:
            path: Where the file lies; a pattern where it is not written yet.
            head: Its first `HEAD` bytes, cut anywhere; empty where it is not written yet.
        """
        ...
