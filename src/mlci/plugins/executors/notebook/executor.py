"""Runs a notebook job through papermill and says truthfully what came of it."""

from __future__ import annotations

import contextlib
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlci.core.documents import Failure, Outputs
from mlci.core.redaction import Redactor
from mlci.metering import Meter
from mlci.plugins.executors.interface import Job, Outcome, Progress
from mlci.plugins.executors.log import Log
from mlci.plugins.executors.notebook import sources
from mlci.plugins.executors.notebook.servers import private_folder
from mlci.process import Cancellation
from mlci.process_tree import Tree, oom_kills

_START_TIMEOUT_S = 60.0
_STOPPED_S = 1.0
# Papermill imports these to read notebooks from elsewhere, which mlci does not have it do: they cost up to a second,
# and numpy's threads would forbid to fork.
_UNUSED = ("adlfs", "azure", "boto3", "botocore", "gcsfs", "github", "pyarrow")


@contextlib.contextmanager
def _without(*names: str) -> Iterator[None]:
    """While these cannot be imported, unless they have been."""
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


with _without(*_UNUSED):
    import papermill
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import remove_error_markers

    from mlci.plugins.executors.notebook import kernels
    from mlci.plugins.executors.notebook.findings import cells_of, failure_of
    from mlci.plugins.executors.notebook.journal import Journal
    from mlci.plugins.executors.notebook.kernel import Kernel, KernelDiedError
    from mlci.plugins.executors.notebook.output import OutputCollector
    from mlci.plugins.executors.notebook.session import Session
    from mlci.plugins.executors.notebook.watch import Watch
    from mlci.plugins.executors.notebook.writing import JOURNAL, NOTEBOOK, write_atomically


@dataclass(frozen=True)
class NotebookExecutor:
    """Executes jobs that are notebooks or percent scripts."""

    def execute(
        self,
        job: Job,
        *,
        progress: Callable[[Progress], None],
        cancellation: Cancellation,
        go: Callable[[], None],
    ) -> Outcome:
        """Run the notebook to its end; the executed copy is `executed.ipynb`, what the kernel said aside `log.txt`."""
        with private_folder() as folder, Log(job) as log:
            return _Execution(job, progress, cancellation, Path(folder), log).run(go)


class _Execution:
    def __init__(
        self,
        job: Job,
        progress: Callable[[Progress], None],
        cancellation: Cancellation,
        folder: Path,
        log: Log,
    ) -> None:
        self._job, self._progress, self._cancellation = job, progress, cancellation
        self._folder, self._log = folder, log
        self._notes: list[str] = []
        self._where = (0, 0)

    def run(self, go: Callable[[], None]) -> Outcome:
        job = self._job
        assert job.notebook is not None  # noqa: S101 - a job of this executor
        notebook = sources.load(job.notebook)
        try:
            name, language = kernels.kernel_for(notebook.metadata, job.python)
        except kernels.NoSuchKernel as error:
            go()
            message = f"the kernel {error.name!r} of this notebook is not installed"
            return self._never("failed", Failure(kind="environment", message=message, file=job.source))
        kernel = self._started(name)
        try:
            go()
            if self._cancellation:
                return self._never("cancelled", Failure(kind="cancelled", message="never started"))
            if isinstance(kernel, Kernel) and not kernel.is_alive:  # while it waited for its turn
                kernel.close()
                self._notes.append("the kernel ended before its first cell; it had done no work and was started again")
                kernel = self._started(name)
            if isinstance(kernel, KernelDiedError):
                message = f"the kernel did not start: {kernel}"
                failure = Failure(
                    kind="dead-kernel", message=message, file=job.source, traceback=self._log.tail or None
                )
                return self._never("crashed", failure)
            return self._executed(kernel, notebook, name, language)
        finally:
            if isinstance(kernel, Kernel) and kernel.client is not None:  # it has run nothing that could be lost
                kernel.kill()
                kernel.close()

    def _started(self, name: str) -> Kernel | KernelDiedError:
        """A kernel that is ready; the second time, if the first did no work, without a fork server."""
        for attempt, server in enumerate((self._job.kernel_server, None)):
            place = Path(tempfile.mkdtemp(dir=self._folder))
            kernel = Kernel(kernels.manager_for(name, self._job.python, server, str(place)), on_log=self._log.write)
            try:
                kernel.start(environ=self._environ(), cwd=str(self._job.cwd), arguments=self._arguments(name))
                kernel.wait_until_ready(_START_TIMEOUT_S, given_up=lambda: bool(self._cancellation))
            except KernelDiedError as error:
                kernel.kill()
                kernel.close()
                died = error
                if self._cancellation:
                    break
                if attempt == 0:
                    self._notes.append(f"the kernel did not start ({error}); it had done no work and was started again")
            else:
                return kernel
        return died

    def _environ(self) -> dict[str, str]:
        seed = self._job.deterministic_seed
        return {**self._job.environ, **({} if seed is None else {"MLCI_KERNEL_SEED": str(seed)})}

    @staticmethod
    def _arguments(name: str) -> list[str]:
        # As nbclient: the user's history in their home is neither read nor written.
        return ["--HistoryManager.hist_file=:memory:"] if name == kernels.PYTHON_KERNEL else []

    def _executed(self, kernel: Kernel, notebook: Any, name: str, language: str) -> Outcome:  # noqa: ANN401 - nbformat publishes no types
        job = self._job
        source = self._folder / "input.ipynb"
        write_atomically(notebook, str(source), Redactor(()))
        collector = OutputCollector(job.outputs, job.limits, job.redactor, on_text=self._said)
        tree = Tree(kernel.pid, reaper=kernel.keeper) if kernel.pid is not None else None
        kills_before, began = oom_kills(), time.monotonic()
        with contextlib.ExitStack() as stack:
            meter = stack.enter_context(Meter(kernel.pid, tree=tree)) if kernel.pid is not None else None
            journal = Journal(job.outputs / JOURNAL)
            watch = Watch(job.deadlines, lambda: bool(self._cancellation), meter.last_active if meter else lambda: 0.0)
            session = Session(
                kernel=kernel,
                watch=watch,
                collector=collector,
                redactor=job.redactor,
                meter=meter,
                journal=journal,
                on_cell=self._at_cell,
                source=job.source,
                output=str(job.outputs / NOTEBOOK),
                source_cells=len(notebook.cells),
            )
            watch.begin()
            lost = self._through_papermill(session, source, name, language)
            duration_s = time.monotonic() - began
            resources = meter.total() if meter else None
        if session.notebook is None:  # papermill could not even begin
            message = lost or "papermill did not begin"
            return self._never("failed", Failure(kind="parameters", message=message, file=job.source))
        status, failure = failure_of(
            session,
            lost,
            job=job,
            exit_status=kernel.exit_status if lost else None,
            log=self._log.tail,
            out_of_memory=oom_kills() > kills_before,
            resources=resources,
        )
        self._write(session, status)
        # Who asked to stop does not wait for long, nor does a deadline that has passed.
        kernel.close(*((_STOPPED_S,) if watch.reason else ()))
        journal.discard()
        leftovers = (tree.end_leftovers() if tree else 0) + kernel.leftovers
        if leftovers:
            self._notes.append(f"{leftovers} process(es) outlived the kernel and were ended")
        return Outcome(
            status=status,
            duration_s=duration_s,
            error=failure,
            cells=cells_of(session),
            resources=resources,
            outputs=Outputs(notebook=NOTEBOOK, log=self._log.close(), spilled=(*collector.spilled, *self._log.spilled)),
            notes=(*self._notes, *collector.notes),
        )

    def _through_papermill(self, session: Session, source: Path, name: str, language: str) -> str | None:
        """Have papermill run it with our engine; why the kernel was lost, if it was."""
        for noisy in ("papermill", "traitlets"):  # what went wrong is said in the outcome
            logging.getLogger(noisy).setLevel(logging.CRITICAL)
        try:
            papermill.execute_notebook(
                str(source),
                None,
                parameters=dict(self._job.parameters),
                engine_name="mlci",
                kernel_name=name,
                language=language,
                progress_bar=False,
                session=session,
            )
        except PapermillExecutionError:
            return None  # the session knows, and knows better: an expected exception is none
        except Exception as error:
            return f"{type(error).__name__}: {error}".splitlines()[0]
        return None

    def _write(self, session: Session, status: str) -> None:
        notebook = session.notebook
        if status == "succeeded":
            notebook.cells = remove_error_markers(notebook).cells
        notebook.metadata.papermill["exception"] = True if status != "succeeded" else None
        notebook.metadata.papermill["status"] = status
        write_atomically(notebook, str(self._job.outputs / NOTEBOOK), self._job.redactor)

    def _at_cell(self, cell: int, cells: int) -> None:
        self._where = (cell, cells)
        self._progress(Progress(cell=cell, cells=cells))

    def _said(self, text: str) -> None:
        if self._job.follow:
            self._progress(Progress(cell=self._where[0], cells=self._where[1], text=text))

    def _never(self, status: Any, failure: Failure) -> Outcome:  # noqa: ANN401 - a Status
        outputs = Outputs(log=self._log.close())
        return Outcome(status=status, duration_s=0.0, error=failure, outputs=outputs, notes=tuple(self._notes))
