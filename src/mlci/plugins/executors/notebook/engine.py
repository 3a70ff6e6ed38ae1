"""Papermill's engine that tells the truth: what never ran stays pending, a dead kernel is an exception."""

from __future__ import annotations

import time
from typing import Any

from papermill.engines import NBClientEngine, NotebookExecutionManager

from mlci.core.redaction import Redactor
from mlci.plugins.executors.interface import Deadlines
from mlci.plugins.executors.notebook.client import MlciClient
from mlci.plugins.executors.notebook.session import Session
from mlci.plugins.executors.notebook.watch import Watch
from mlci.plugins.executors.notebook.writing import write_atomically

_SAVE_EVERY_S = 5.0
_SHARE = 20  # writing takes at most a twentieth of the time


class TruthfulManager(NotebookExecutionManager):  # type: ignore[misc]
    """Keeps papermill's metadata true and writes the notebook seldom and whole."""

    redactor = Redactor(())
    _next_save = 0.0

    def save(self, *, force: bool = False, **_kwargs: Any) -> None:  # noqa: ANN401 - papermill and nbformat publish no types
        """Write the notebook if the last write is long enough ago, or `force`."""
        if self.output_path and (force or self.is_due):
            began = time.monotonic()
            write_atomically(self.nb, self.output_path, self.redactor)
            took = time.monotonic() - began
            self._next_save = began + max(_SAVE_EVERY_S, _SHARE * took)

    @property
    def is_due(self) -> bool:
        """Whether the last write is long enough ago."""
        return time.monotonic() >= self._next_save

    def autosave_cell(self) -> None:
        """Papermill's own pace, which nbclient asks for; ours is kept elsewhere."""

    def notebook_complete(self, **_kwargs: Any) -> None:  # noqa: ANN401 - papermill and nbformat publish no types
        """Close the notebook's metadata; what never ran stays pending."""
        self.end_time = self.now()
        self.nb.metadata.papermill["end_time"] = self.end_time.isoformat()
        self.nb.metadata.papermill["duration"] = (self.end_time - self.start_time).total_seconds()
        self.cleanup_pbar()


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
        alone = session is None
        session = session or Session(watch=Watch(Deadlines(cell_s=kwargs.get("execution_timeout"))))
        for key, value in (("input_path", session.source), ("output_path", session.output)):
            if value is not None:
                nb.metadata.papermill[key] = value
        session.begin(nb)
        manager = TruthfulManager(
            nb,
            output_path=session.output or output_path,
            progress_bar=progress_bar,
            log_output=log_output,
            autosave_cell_every=autosave_cell_every,
        )
        manager.redactor = session.redactor
        manager.notebook_start()
        try:
            cls.execute_managed_notebook(manager, kernel_name, log_output=log_output, session=session, **kwargs)
        except BaseException:
            nb.metadata.papermill["exception"] = True
            raise
        finally:
            manager.notebook_complete()
            if alone:
                manager.save(force=True)
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
        client = MlciClient(
            nb_man,
            session or Session(),
            kernel_name=kernel_name,
            timeout=execution_timeout,
            startup_timeout=start_timeout,
            **kwargs,
        )
        client.execute()
