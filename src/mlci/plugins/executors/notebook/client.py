"""Runs a notebook's cells on a kernel: nbclient's semantics, without its polling and its validation of messages."""

from __future__ import annotations

import time
from typing import Any

from nbclient.client import timestamp
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient

from mlci.plugins.executors.notebook.kernel import Kernel, KernelDiedError, Message
from mlci.plugins.executors.notebook.output import CellOutputs
from mlci.plugins.executors.notebook.session import Session

_IDLE_GRACE_S = 30.0  # after the reply, and since anything was heard


class MlciClient(PapermillNotebookClient):  # type: ignore[misc]
    """nbclient, run cell by cell on a kernel of ours, with what went wrong kept in a session."""

    def __init__(self, manager: Any, session: Session, **kwargs: Any) -> None:  # noqa: ANN401 - papermill and nbformat publish no types
        super().__init__(manager, **kwargs)
        self._session = session
        self._kernel: Kernel
        self._traceback = ""

    def execute(self, **_kwargs: Any) -> Any:  # noqa: ANN401 - papermill and nbformat publish no types
        """Run all cells; the kernel is the session's, or a new one that ends with them."""
        self.reset_execution_trackers()
        self._kernel = self._session.kernel or self._own_kernel()
        # The widgets of nbclient talk through these.
        self.km, self.kc = self._kernel.manager, self._kernel.client
        try:
            if "language_info" in self._kernel.info:
                self.nb.metadata["language_info"] = self._kernel.info["language_info"]
            self.papermill_execute_cells()
            self.set_widgets_metadata()
            if self._session.kernel is None and self._session.watch.reason:
                raise CellTimeoutError(self._session.watch.describe())
        finally:
            if self._session.kernel is not None or self.owns_km:
                self._kernel.ask_to_end()
            if self._session.kernel is None:
                (self._kernel.close if self.owns_km else self._kernel.disconnect)()
        return self.nb

    def _own_kernel(self) -> Kernel:
        """For papermill's own command line."""
        kernel = Kernel(self.km or self.create_kernel_manager())
        if kernel.manager.has_kernel:
            kernel.connect()
            return self._ready(kernel)
        arguments = list(self.extra_arguments)
        if getattr(kernel.manager, "ipykernel", False) and self.ipython_hist_file:
            arguments.append(f"--HistoryManager.hist_file={self.ipython_hist_file}")
        try:
            kernel.start(environ=None, cwd=self.resources.get("metadata", {}).get("path"), arguments=arguments)
        except KernelDiedError as error:
            raise DeadKernelError(f"the kernel did not start: {error}") from None
        return self._ready(kernel)

    def _ready(self, kernel: Kernel) -> Kernel:
        try:
            kernel.wait_until_ready(self.startup_timeout)
        except KernelDiedError as error:
            kernel.kill()
            kernel.close()
            raise DeadKernelError(f"the kernel did not start: {error}") from None
        return kernel

    def papermill_execute_cells(self) -> None:
        """Run the cells in order until the end, an unexpected exception, or a stop."""
        session, manager = self._session, self.nb_man
        for index, cell in enumerate(self.nb.cells):
            if session.watch.stopping:
                break
            session.begin_cell(index, len(self.nb.cells))
            manager.cell_start(cell, index)
            try:
                self.execute_cell(cell, index)
            except CellExecutionError as error:
                if not _is_clean_exit(error):
                    manager.cell_exception(cell, cell_index=index, exception=error)
                    session.failure = (error.ename, error.evalue, self._traceback)
                break
            except BaseException:
                manager.cell_exception(cell, cell_index=index)
                raise
            finally:
                manager.cell_complete(cell, index)
                session.end_cell(index, cell)

    def execute_cell(self, cell: Any, cell_index: int, **_kwargs: Any) -> Any:  # noqa: ANN401 - papermill and nbformat publish no types
        """Run one cell.

        Raises:
            CellExecutionError: Its code raised, and that was not expected.
            DeadKernelError: The kernel's process has ended.
        """
        tags = cell.metadata.get("tags", [])
        if cell.cell_type != "code" or not cell.source.strip() or self.skip_cells_with_tag in tags:
            return cell
        if self.record_timing:
            cell.metadata["execution"] = {}
        allowed = not self.force_raise_errors and (self.allow_errors or "raises-exception" in tags)
        cell.outputs = []
        request = self._kernel.execute(cell.source, stop_on_error=not allowed)
        self.code_cells_executed += 1
        outputs = self._session.outputs(cell_index, cell.outputs)
        try:
            reply = self._listen(request, cell, cell_index, outputs)
        finally:
            outputs.finish()
        named = not self.force_raise_errors and reply.get("ename") in self.allow_error_names
        # nbclient's own begins with the cell's source and all that it has printed, tracebacks among it.
        self._traceback = "\n".join(reply.get("traceback") or ())
        if reply["status"] == "error" and not allowed and not named:
            raise CellExecutionError.from_cell_and_msg(cell, reply)
        return cell

    def _listen(self, request: str, cell: Any, index: int, outputs: CellOutputs) -> Message:  # noqa: ANN401 - nbformat publishes no types
        """Take everything that a request brings about, until its reply has come and its output is complete."""
        watch, reply, idle, heard = self._session.watch, None, False, time.monotonic()
        while not (reply and idle):
            try:
                for channel, message in self._kernel.messages(watch.pause):
                    heard = watch.heard()
                    if message["parent_header"].get("msg_id") != request:
                        continue
                    if channel == "iopub":
                        idle = self._take(message, cell, index, outputs) or idle
                    else:
                        reply = message
                        if self.record_timing:
                            cell.metadata["execution"]["shell.execute_reply"] = timestamp(message)
            except KernelDiedError:
                if not (reply and idle):
                    raise DeadKernelError("Kernel died") from None
            if reply and time.monotonic() - heard > _IDLE_GRACE_S:
                self.log.warning("the kernel has answered and never said that its output is complete")
                break
            watch.look(self._kernel)
            if self.nb_man.is_due:
                outputs.refresh()
                self.nb_man.save()
        return reply["content"]  # type: ignore[no-any-return]

    def _take(self, message: Message, cell: Any, index: int, outputs: CellOutputs) -> bool:  # noqa: ANN401 - nbformat publishes no types
        """Take one message of the output channel; whether it is the last of its request."""
        kind, content = message["msg_type"], message["content"]
        if "execution_count" in content:
            cell["execution_count"] = content["execution_count"]
        if self.record_timing and kind in ("status", "execute_input"):
            state = f"status.{content['execution_state']}" if kind == "status" else kind
            if state != "status.starting":
                cell.metadata["execution"][f"iopub.{state}"] = timestamp(message)
        if kind == "status":
            return bool(content["execution_state"] == "idle")
        captured = bool(self.output_hook_stack[message["parent_header"]["msg_id"]])
        if kind.startswith("comm") or captured:
            # Widgets: nbclient keeps their state, and has an Output widget take what it captures.
            self.process_message(message, cell, index)
        elif kind != "execute_input":
            outputs.message(message)
            if self.log_output or self.stdout_file or self.stderr_file:
                self._log_message(message)
        return False

    def _log_message(self, message: Message) -> None:
        from nbformat.v4 import output_from_msg  # noqa: PLC0415 - for papermill's --log-output and its like

        try:
            self.log_output_message(output_from_msg(message))
        except ValueError:  # no output, such as clear_output
            return


def _is_clean_exit(error: CellExecutionError) -> bool:
    return error.ename == "SystemExit" and error.evalue in ("", "0", "None")
