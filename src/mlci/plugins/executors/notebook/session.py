"""What one execution of a notebook needs while it runs, and what is known of it afterwards."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlci.core.redaction import Redactor
from mlci.metering import Meter, Usage
from mlci.plugins.executors.interface import OutputLimits
from mlci.plugins.executors.notebook.journal import Journal
from mlci.plugins.executors.notebook.kernel import Kernel
from mlci.plugins.executors.notebook.output import CellOutputs, OutputCollector
from mlci.plugins.executors.notebook.watch import Watch

INJECTED = "injected-parameters"
_UNLIMITED = OutputLimits(cell=sys.maxsize, total=sys.maxsize)


@dataclass
class Session:
    """One execution; papermill's own command line gets by with the defaults."""

    kernel: Kernel | None = None
    watch: Watch = field(default_factory=Watch)
    collector: OutputCollector = field(default_factory=lambda: OutputCollector(Path(), _UNLIMITED, Redactor(())))
    redactor: Redactor = field(default_factory=lambda: Redactor(()))
    meter: Meter | None = None
    journal: Journal | None = None
    on_cell: Callable[[int, int], None] = lambda _cell, _cells: None
    source: str | None = None  # what metadata calls the input
    output: str | None = None  # and the output
    source_cells: int | None = None  # cells before papermill injected its own
    notebook: Any = None
    cell: int | None = None  # source position of the cell being run
    failure: tuple[str, str, str] | None = None  # name and value of the exception, and its traceback
    usage: dict[int, Usage] = field(default_factory=dict)  # by source position
    positions: list[int | None] = field(default_factory=list)  # None: the cell that papermill injected

    def begin(self, notebook: Any) -> None:  # noqa: ANN401 - nbformat publishes no types
        """Count the cells as the source notebook does, without the cell that papermill injected."""
        self.notebook = notebook
        shifted = self.source_cells is not None and len(notebook.cells) > self.source_cells
        position = 0
        for cell in notebook.cells:
            injected = shifted and INJECTED in cell.metadata.get("tags", [])
            position += not injected
            self.positions.append(None if injected else position)

    def begin_cell(self, index: int, cells: int) -> None:
        """A cell is about to run."""
        self.cell = self.positions[index]
        self.watch.begin_cell()
        self.on_cell(index + 1, cells)
        if self.journal is not None:
            self._write_down("start", index)
        if self.meter is not None:
            self.meter.lap()

    def outputs(self, index: int, outputs: list[Any]) -> CellOutputs:
        """What collects the outputs of a cell into its list."""
        return self.collector.cell(index + 1, outputs)

    def end_cell(self, index: int, cell: Any) -> None:  # noqa: ANN401 - nbformat publishes no types
        """A cell has run, or was stopped."""
        if self.meter is not None and self.cell is not None and cell.cell_type == "code":
            self.usage[self.cell] = self.meter.lap()
        if self.journal is not None:
            said = {key: cell[key] for key in ("outputs", "execution_count") if key in cell}
            self._write_down("end", index, status=cell.metadata.papermill["status"], **said)

    def _write_down(self, event: str, index: int, **about: Any) -> None:  # noqa: ANN401 - JSON
        assert self.journal is not None  # noqa: S101 - asked by the callers
        line = {"event": event, "cell": index + 1, "at": datetime.now(UTC).isoformat(), **about}
        with contextlib.suppress(OSError):  # a full disk spoils the recovery, not the run
            self.journal.append(line)
