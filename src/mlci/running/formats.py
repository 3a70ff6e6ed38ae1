"""Finds the reader of a metric file: the one that recognises it, else the one of its ending."""

from __future__ import annotations

from pathlib import Path, PurePath

from mlci.core.documents import Metric
from mlci.errors import MetricError
from mlci.plugins import registry
from mlci.plugins.readers.interface import HEAD, Reader, Recognising


def read_metrics(path: Path, *, name: str, reader: str | None = None) -> list[Metric]:
    """The metrics of a file.

    Args:
        path: The file.
        name: How messages call it.
        reader: Its format; None: by content, name and ending.

    Raises:
        MetricError: It cannot be read.
    """
    found: list[Metric] = registry.load("readers", reader or reader_of(path, _head(path))).read(path, name=name)
    return found


def reader_of(path: PurePath, head: bytes = b"") -> str:
    """The name of the reader for a file: one that recognises it, else the one of its ending.

    Args:
        path: The file's, or a pattern of files that a run is still to write.
        head: Its first bytes.

    Raises:
        MetricError: No reader is for it, or more than one recognises it.
    """
    readers = {name: registry.plugin_class("readers", name) for name in registry.names("readers")}
    taken = [name for name, reader in readers.items() if _recognises(reader, path, head)]
    if len(taken) > 1:
        raise MetricError(f"{path.name}: it may be {' or '.join(taken)}", hint="Name its format beside its path.")
    for name in taken or [name for name, reader in readers.items() if path.suffix.lower() in reader.suffixes]:
        return name
    formats = "json, yaml, toml, csv, tsv"
    raise MetricError(
        f"{path.name}: no reader for files ending in {path.suffix!r}",
        hint=f"Name its format ({formats}) beside its path.",
    )


def is_of(name: str, path: Path) -> bool:
    """Whether a format recognises a file."""
    return _recognises(registry.plugin_class("readers", name), path, _head(path))


def _recognises(reader: type[Reader] | type[Recognising], path: PurePath, head: bytes) -> bool:
    return hasattr(reader, "recognises") and bool(reader.recognises(path, head))


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""  # its reader says why
