"""A data branch of any size, written by git's fast import: what would take hours of saves, in seconds."""

from __future__ import annotations

import hashlib
import subprocess
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from fakes.records import record
from fakes.repositories import ENVIRON
from mlci.core.documents import Environment, Metric, PredictionsFile, Record, encode

_PACKAGES = {f"package-{number}": f"{number}.0.1" for number in range(60)}


def commits(count: int) -> list[str]:
    """Commits that nobody made, the newest first."""
    return [hashlib.sha256(b"%d" % number).hexdigest()[:40] for number in reversed(range(count))]


def measured(commit: str) -> tuple[Record, bytes]:
    """A record as large as usual, about 8 kB, and its predictions."""
    number = int(commit[:8], 16)
    predictions = "".join(f"{commit}-{row},{row % 2},{(row * number) % 997 / 997}\n" for row in range(20)).encode()
    file = PredictionsFile(
        path="predictions.csv", sha256=hashlib.sha256(predictions).hexdigest(), size=len(predictions)
    )
    metrics = tuple(
        Metric(
            name=f"metric-{place}", value=number % (place + 7) / 100, samples=(0.1, 0.2, 0.3), seeds=(0, 1, 2), n=999
        )
        for place in range(20)
    )
    made = msgspec.structs.replace(
        record(commit=commit), metrics=metrics, predictions=(file,), environment=Environment(packages=_PACKAGES)
    )
    return made, predictions


def fill(folder: Path, measured_at: Sequence[str], *, per_commit: int = 1) -> None:
    """Add a record for each commit, the oldest (the last) first, to `mlci-data` of a bare repository.

    Args:
        folder: The repository.
        measured_at: The newest first.
        per_commit: How many one commit of the branch adds.
    """
    command = ["git", "-C", str(folder), "fast-import", "--quiet"]
    subprocess.run(command, input=b"".join(_stream(measured_at, per_commit)), check=True, env=ENVIRON)


def _stream(measured_at: Sequence[str], per_commit: int) -> Iterator[bytes]:
    for place, commit in enumerate(reversed(measured_at)):
        if place % per_commit == 0:
            yield b"commit refs/heads/mlci-data\ncommitter mlci <mlci@noreply.invalid> %d +0000\n" % (
                1_700_000_000 + place
            )
            yield b"data 10\nSave churn\n"
        made, predictions = measured(commit)
        [file] = made.predictions
        yield _file(f"runs/churn/full/{commit[:2]}/{commit}.json", encode(made))
        yield _file(f"blobs/{file.sha256[:2]}/{file.sha256}", zlib.compress(predictions))


def _file(path: str, data: bytes) -> bytes:
    return b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data)
