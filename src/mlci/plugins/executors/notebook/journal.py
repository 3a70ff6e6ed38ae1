"""What happened to each cell, line by line on disk: a crash between two writes of the notebook loses nothing."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import msgspec
import nbformat

_STATUSES = ("completed", "failed")


class Journal:
    """Appends events, each a line of JSON written at once; whatever was there before is of another execution.

    An event says what came of a cell: `event` ("start" or "end"), `cell` (its position among the cells of the written
    notebook, papermill's own included, from 1), `at` (ISO 8601), and at its end `status` ("completed" or "failed"),
    `outputs` and `execution_count`. It holds no secrets: whoever appends it has redacted it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o644
        )
        self._cut = False  # the last line was not written to its end

    def append(self, event: dict[str, Any]) -> None:
        """Write an event.

        Raises:
            OSError: The disk is full, say.
        """
        if self._file is None:
            raise ValueError(f"{self._path.name} is closed")
        line = b"\n" * self._cut + msgspec.json.encode(event, enc_hook=str) + b"\n"
        self._cut = True
        self._cut = os.write(self._file, line) < len(line)

    def close(self) -> None:
        """No more events."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def discard(self) -> None:
        """The notebook holds it all."""
        self.close()
        self._path.unlink(missing_ok=True)


def recover(journal: Path, notebook: Path) -> Any:  # noqa: ANN401 - nbformat publishes no types
    """The notebook as it was when its execution crashed.

    What is no event, as a line that was being written, is passed over. A cell that has started and not ended has failed
    with an exception, with the outputs that were written; one that has not started stays pending.

    Args:
        journal: What `Journal` has written.
        notebook: The notebook as it was written last.

    Returns:
        An nbformat 4 node; None if one of them cannot be read.
    """
    try:
        node = nbformat.reads(notebook.read_text(encoding="utf-8"), as_version=4)
        with journal.open("rb") as lines:
            events = list(_events(lines, len(node.cells)))
    except Exception:  # whatever nbformat raises for what is no notebook
        return None
    for event in events:
        _apply(event, node.cells[event["cell"] - 1])
    of_notebook = node.metadata.setdefault("papermill", nbformat.NotebookNode())
    for cell in node.cells:
        of_cell = _papermill(cell)
        if of_cell["status"] == "running":
            of_cell.update(status="failed", exception=True)
        if of_cell["status"] == "failed":
            of_notebook["exception"] = True
    if events:
        of_notebook["end_time"] = events[-1]["at"]
        of_notebook["duration"] = _seconds(of_notebook.get("start_time"), events[-1]["at"])
    return node


def _events(lines: IO[bytes], cells: int) -> Iterator[dict[str, Any]]:
    for line in lines:
        if not line.endswith(b"\n"):
            return
        with contextlib.suppress(ValueError, RecursionError):
            event = json.loads(line)
            if _is_event(event, cells):
                yield event


def _is_event(event: Any, cells: int) -> bool:  # noqa: ANN401 - any JSON value
    if not isinstance(event, dict) or event.get("event") not in ("start", "end"):
        return False
    cell, count = event.get("cell"), event.get("execution_count")
    outputs = event.get("outputs", [])
    return (
        type(cell) is int
        and 1 <= cell <= cells
        and _time(event.get("at")) is not None
        and (event["event"] == "start" or event.get("status") in _STATUSES)
        and (count is None or type(count) is int)
        and isinstance(outputs, list)
        and all(nbformat.validator.isvalid(output, ref="output", version=4) for output in outputs)
    )


def _apply(event: dict[str, Any], cell: Any) -> None:  # noqa: ANN401 - nbformat publishes no types
    of_cell = _papermill(cell)
    if event["event"] == "start":
        of_cell.update(status="running", exception=False, start_time=event["at"], end_time=None, duration=None)
        return
    of_cell.update(
        status=event["status"],
        exception=event["status"] == "failed",
        end_time=event["at"],
        duration=_seconds(of_cell.get("start_time"), event["at"]),
    )
    if cell.cell_type == "code":
        if "outputs" in event:
            cell.outputs = [nbformat.from_dict(output) for output in event["outputs"]]
        if event.get("execution_count") is not None:
            cell.execution_count = event["execution_count"]


def _papermill(cell: Any) -> Any:  # noqa: ANN401 - nbformat publishes no types
    """Papermill's metadata of a cell."""
    pending = {"exception": None, "start_time": None, "end_time": None, "duration": None, "status": "pending"}
    found = cell.metadata.setdefault("papermill", nbformat.NotebookNode())
    for key, value in pending.items():
        found.setdefault(key, value)
    return found


def _time(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _seconds(start: object, end: object) -> float | None:
    begun, ended = _time(start), _time(end)
    if begun is None or ended is None or (begun.tzinfo is None) != (ended.tzinfo is None):
        return None
    return (ended - begun).total_seconds()
