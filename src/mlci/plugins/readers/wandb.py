"""The summary that a run of Weights & Biases leaves on disk, online or offline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import ClassVar

from mlci.core.documents import Metric
from mlci.plugins.readers.source import Found, mapping, read_json
from mlci.plugins.readers.tree import leaves


@dataclass(frozen=True)
class WandbReader:
    """`wandb-summary.json`: its numbers, but for keys with a leading `_`, histograms, pictures and tables."""

    name: ClassVar[str] = "wandb"
    suffixes: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def recognises(path: PurePath, head: bytes) -> bool:  # noqa: ARG004 - the name says it
        """By the file's name."""
        return path.name == "wandb-summary.json"

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """The metrics of a summary; `acc.max` is what `define_metric(..., summary="max")` made of `acc`."""
        found = Found(name)
        logged = {
            key: value for key, value in mapping(read_json(path, name), name).items() if not _internal(key, value)
        }
        for keys, value in leaves(logged, name):
            found.add(Metric(name=".".join(keys), value=value))
        return found.all()


def _internal(key: str, value: object) -> bool:
    return key.startswith("_") or (isinstance(value, dict) and "_type" in value)
