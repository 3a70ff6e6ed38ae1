"""Papermill's engine that tells the truth: what never ran stays pending, a dead kernel is an exception."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbclient.exceptions import CellExecutionError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager

_SAVE_EVERY_S = 5.0
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_ARROW = re.compile(r"^-+> *(\d+)", re.MULTILINE)
INJECTED = "injected-parameters"


@dataclass
class Session:
    """What happened in one execution, as the engine saw it."""

    on_cell: Callable[[int, int], None] = lambda _cell, _cells: None
    source_cells: int | None = None  # cells before papermill injected its own
    notebook: Any = None
    cell: int | None = None  # source position of the cell being run
    failure: dict[str, Any] | None = None
    stopping: bool = False  # a deadline or a signal: start no further cell
    kernel_log: Any = None
    kernel_environ: dict[str, str] | None = None
    started: Callable[[int], None] = lambda _pid: None
    positions: list[int | None] = field(default_factory=list)  # None: the cell that papermill injected

    def number(self, notebook: Any) -> None:  # noqa: ANN401 - papermill and nbformat publish no types
        """Count the cells as the source notebook does, without the cell that papermill injected."""
        shifted = self.source_cells is not None and len(notebook.cells) > self.source_cells
        position = 0
        for cell in notebook.cells:
            injected = shifted and INJECTED in cell.metadata.get("tags", [])
            position += not injected
            self.positions.append(None if injected else position)


class TruthfulManager(NotebookExecutionManager):  # type: ignore[misc]
    """Keeps papermill's metadata true and writes the notebook seldom and whole."""

    def save(self, *, force: bool = False, **_kwargs: Any) -> None:  # noqa: ANN401 - papermill and nbformat publish no types
        """Write the notebook if the last write is long enough ago, or `force`."""
        now = time.monotonic()
        if self.output_path and (force or now - getattr(self, "_written", 0.0) >= _SAVE_EVERY_S):
            write_atomically(self.nb, self.output_path)
            self._written = time.monotonic()
        self.last_save_time = self.now()

    def cell_lost(self, cell: Any) -> None:  # noqa: ANN401 - papermill and nbformat publish no types
        """The kernel went away within this cell."""
        self.cell_exception(cell)
        self.cell_complete(cell)

    def notebook_complete(self, **_kwargs: Any) -> None:  # noqa: ANN401 - papermill and nbformat publish no types
        """Close the notebook's metadata; what never ran stays pending."""
        self.end_time = self.now()
        self.nb.metadata.papermill["end_time"] = self.end_time.isoformat()
        self.nb.metadata.papermill["duration"] = (self.end_time - self.start_time).total_seconds()
        self.cleanup_pbar()
        self.save(force=True)


class MlciClient(PapermillNotebookClient):  # type: ignore[misc]
    """nbclient, run cell by cell, with what went wrong kept in a session."""

    def __init__(self, manager: TruthfulManager, session: Session, **kwargs: Any) -> None:  # noqa: ANN401 - papermill and nbformat publish no types
        super().__init__(manager, **kwargs)
        self._session = session

    def start_new_kernel(self, **kwargs: Any) -> None:  # noqa: ANN401 - papermill and nbformat publish no types
        """Start the kernel with the run's environment; what it prints past its channels goes to the log."""
        if self._session.kernel_environ is not None:
            kwargs["env"] = self._session.kernel_environ
        if self._session.kernel_log is not None:
            kwargs["stdout"] = kwargs["stderr"] = self._session.kernel_log
        super().start_new_kernel(**kwargs)
        self._session.started(self.km.provisioner.pid)

    def papermill_execute_cells(self) -> None:
        """Run the cells in order until the end, an unexpected exception, or a stop."""
        session = self._session
        for index, cell in enumerate(self.nb.cells):
            if session.stopping:
                break
            session.cell = session.positions[index]
            session.on_cell(index + 1, len(self.nb.cells))
            self.nb_man.cell_start(cell, index)
            try:
                self.execute_cell(cell, index)
            except CellExecutionError as error:
                if _is_clean_exit(error):
                    self.nb_man.cell_complete(cell, index)
                    break
                self.nb_man.cell_exception(cell, cell_index=index, exception=error)
                self.nb_man.cell_complete(cell, index)
                session.failure = _failure(error, cell, session.cell)
                break
            except BaseException:
                self.nb_man.cell_lost(cell)
                raise
            self.nb_man.cell_complete(cell, index)


class MlciEngine(NBClientEngine):  # type: ignore[misc]
    """Registered with papermill as `mlci`."""

    @classmethod
    def execute_notebook(
        cls,
        nb: Any,  # noqa: ANN401 - papermill and nbformat publish no types
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: bool = True,
        log_output: bool = False,
        autosave_cell_every: int = 30,
        session: Session | None = None,
        **kwargs: Any,  # noqa: ANN401 - papermill and nbformat publish no types
    ) -> Any:  # noqa: ANN401 - papermill and nbformat publish no types
        """Execute `nb` in place and return it; papermill's own signature, and a `session` to read afterwards."""
        session = session or Session()
        session.notebook = nb
        session.number(nb)
        manager = TruthfulManager(
            nb,
            output_path=output_path,
            progress_bar=progress_bar,
            log_output=log_output,
            autosave_cell_every=autosave_cell_every,
        )
        manager.notebook_start()
        try:
            cls.execute_managed_notebook(manager, kernel_name, log_output=log_output, session=session, **kwargs)
        except BaseException:
            nb.metadata.papermill["exception"] = True
            raise
        finally:
            manager.notebook_complete()
        return manager.nb

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: TruthfulManager,
        kernel_name: str,
        *,
        session: Session | None = None,
        start_timeout: int = 60,
        execution_timeout: int | None = None,
        **kwargs: Any,  # noqa: ANN401 - papermill and nbformat publish no types
    ) -> None:
        """Run all cells of a managed notebook."""
        kwargs.pop("input_path", None)
        MlciClient(
            nb_man,
            session or Session(),
            kernel_name=kernel_name,
            timeout=execution_timeout,
            startup_timeout=start_timeout,
            iopub_timeout=60,
            **kwargs,
        ).execute(cleanup_kc=True)


def write_atomically(notebook: Any, path: str) -> None:  # noqa: ANN401 - papermill and nbformat publish no types
    """Write a notebook beside `path`, then move it there."""
    target = Path(path)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".ipynb")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(nbformat.versions[4].writes_json(notebook))
    Path(temporary).chmod(0o644)
    Path(temporary).replace(target)


def plain(text: str) -> str:
    """Text without terminal colours."""
    return _ANSI.sub("", text)


def _is_clean_exit(error: CellExecutionError) -> bool:
    return error.ename == "SystemExit" and error.evalue in ("", "0", "None")


def _failure(error: CellExecutionError, cell: Any, position: int | None) -> dict[str, Any]:  # noqa: ANN401 - papermill and nbformat publish no types
    tracebacks = [
        "\n".join(output.get("traceback", [])) for output in cell.get("outputs", []) if output.output_type == "error"
    ]
    text = plain(tracebacks[-1]) if tracebacks else plain(str(error))
    lines = [int(number) for number in _ARROW.findall(text.partition("\nFile ")[0])]
    message = plain(f"{error.ename}: {error.evalue}").splitlines()
    return {
        "kind": "exception",
        "message": message[0] if message else error.ename,
        "cell": position,
        "line": lines[0] if lines else None,
        "traceback": text,
    }
