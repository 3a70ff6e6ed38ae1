"""What dvclive writes: the last values, nested where a name has slashes, and one table a metric with its steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import ClassVar

import msgspec

from mlci.core.documents import Metric
from mlci.plugins.readers.source import Found, mapping, read_json
from mlci.plugins.readers.table import TsvReader
from mlci.plugins.readers.tree import leaves

_PLOTS = ("plots", "metrics")


@dataclass(frozen=True)
class DvcliveReader:
    """`dvclive/metrics.json` and `dvclive/plots/metrics/**/*.tsv`; both call a metric as the code did: `train/loss`."""

    name: ClassVar[str] = "dvclive"
    suffixes: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def recognises(path: PurePath, head: bytes) -> bool:  # noqa: ARG004 - the place says it
        """By the place: the summary in a folder `dvclive`, a plot below `plots/metrics`."""
        return path.parts[-2:] == ("dvclive", "metrics.json") or (path.suffix == ".tsv" and _plotted(path) is not None)

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """The metrics of a summary, or the one of a plot, with its series."""
        if path.suffix == ".tsv":
            shown = _plotted(path) or path.stem
            return [msgspec.structs.replace(metric, name=shown) for metric in TsvReader().read(path, name=name)[-1:]]
        found = Found(name)
        tree = mapping(read_json(path, name), name)
        for keys, value in leaves(tree, name):
            if keys != ("step",):
                found.add(Metric(name="/".join(keys), value=value))
        return found.all()


def _plotted(path: PurePath) -> str | None:
    """The metric's name, which dvclive spells as folders."""
    for start in range(len(path.parts) - 2, 0, -1):
        if path.parts[start - 1 : start + 1] == _PLOTS:
            return "/".join(path.with_suffix("").parts[start + 1 :])
    return None
