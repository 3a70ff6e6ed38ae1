"""Metrics inside an executed notebook: scrapbook's scraps, papermill's older records, and `log_metric`'s own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mlci.core import strict_json
from mlci.core.documents import Metric
from mlci.errors import DocumentError, MetricError
from mlci.plugins.readers.source import Found
from mlci.plugins.readers.tree import as_number

_SCRAP = "application/scrapbook.scrap.json+json"
_RECORD = "application/papermill.record+json"
_MAX_BYTES = 512 * 1024 * 1024
_MAX_DEPTH = 64


@dataclass(frozen=True)
class NotebookReader:
    """Of several scraps of one name the last one counts, as scrapbook has it."""

    name: ClassVar[str] = "notebook"
    suffixes: ClassVar[tuple[str, ...]] = (".ipynb",)

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """The numbers that the notebook's outputs hold; a scrap that is no number is none of ours."""
        try:
            data = path.read_bytes()
            notebook = strict_json.loads(data, name=name, max_bytes=_MAX_BYTES, max_depth=_MAX_DEPTH, allow_nan=True)
        except OSError as error:
            raise MetricError(f"{name}: cannot be read: {error.strerror}") from None
        except DocumentError as error:
            raise MetricError(error.message) from None
        last = {key: number for key, value in _scraps(notebook) if (number := as_number(value)) is not None}
        found = Found(name)
        for key, number in last.items():
            found.add(Metric(name=key, value=number))
        return found.all()


def _scraps(notebook: object) -> Iterator[tuple[str, object]]:
    for cell in _list(notebook, "cells"):
        for output in _list(cell, "outputs"):
            data = _dict(output, "data")
            scrap = _dict(data, _SCRAP)
            # `log_metric` marks its scraps: the values come, with more to them, from its file.
            if "name" in scrap and scrap.get("encoder", "json") == "json" and "mlci" not in _dict(output, "metadata"):
                yield str(scrap["name"]), scrap.get("data")
            for key, value in _dict(data, _RECORD).items():
                yield str(key), value


def _list(value: object, key: str) -> list[Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _dict(value: object, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}
