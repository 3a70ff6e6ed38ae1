"""The folder `.mlci/`: documents written whole or not at all, each tied by sha256 to what it was made from."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mlci.core.documents import (
    Artifact,
    Comparison,
    Document,
    PredictionsFile,
    Record,
    RecordsDocument,
    RunsDocument,
    decode,
    digest,
    encode,
)
from mlci.core.strict_json import MAX_BYTES
from mlci.errors import UsageError, WorkspaceError

FOLDER = ".mlci"
_LOCK = ".lock"
RUNS, RECORDS, COMPARISON, REPORT = "run.json", "record.json", "comparison.json", "report.md"
REPORT_HTML = "report.html"
_BROUGHT = "brought"  # the folder of what other workspaces have, by digest
BASELINE = "baseline.json"  # what this job measured of the merge base, by commit
# In the order in which they are made: writing one makes those after it stale.
_ORDER = (RUNS, RECORDS, COMPARISON, REPORT, REPORT_HTML)
_MADE_BY = {
    RUNS: "mlci run",
    RECORDS: "mlci record",
    BASELINE: "mlci baseline measure",
    COMPARISON: "mlci compare",
    REPORT: "mlci report",
    REPORT_HTML: "mlci report --html",
}

D = TypeVar("D", bound=Document)


@dataclass(frozen=True)
class Workspace:
    """One workspace on disk."""

    folder: Path

    def outputs(self, run: str, seed: int | None) -> Path:
        """The empty folder for what mlci keeps of one execution."""
        folder = self.folder / "outputs" / run
        if seed is not None:
            folder /= f"seed-{seed}"
        if folder.exists():
            shutil.rmtree(folder)
        self.prepare()
        folder.mkdir(parents=True)
        return folder

    def runs(self) -> tuple[RunsDocument, str]:
        """`run.json` and its digest."""
        return self._read(RUNS, RunsDocument)

    def records(self) -> tuple[RecordsDocument, str]:
        """`record.json` and its digest, checked against a `run.json` beside it."""
        document, found = self._read(RECORDS, RecordsDocument)
        runs = self.folder / RUNS
        if runs.exists() and digest(_content(runs)) not in document.made_from:
            raise self._mismatch(RECORDS, RUNS)
        return document, found

    def measured_baseline(self) -> tuple[Record, ...]:
        """The records of `baseline.json`; none where there is no such file."""
        if not (self.folder / BASELINE).exists():
            return ()
        return self._read(BASELINE, RecordsDocument)[0].records

    def comparison(self) -> tuple[Comparison, RecordsDocument]:
        """`comparison.json` and the records that it compared."""
        document, _ = self._read(COMPARISON, Comparison)
        records, made_from = self.records()
        if document.current != made_from:
            raise self._mismatch(COMPARISON, RECORDS)
        return document, records

    def content(self, file: Artifact | PredictionsFile) -> bytes | None:
        """The content of a file that a record names: as its run left it here, or as it was brought here.

        Nothing outside of the workspace is read, nor anything that is not what was recorded.
        """
        for place in filter(None, (file.stored, brought(file))):
            content = self.kept(place, limit=file.size)
            if content is not None and digest(content) == file.sha256:
                return content
        return None

    def kept(self, place: str, *, limit: int) -> bytes | None:
        """What lies at `place` within the workspace; None where that is nothing, or has more than `limit` bytes."""
        try:
            folder = self.folder.resolve()
            path = Path(folder, place).resolve()
            size = path.stat().st_size
            if not path.is_relative_to(folder) or not path.is_file() or size > limit:
                return None
            with path.open("rb") as file:
                return file.read(size)
        except (OSError, ValueError, RuntimeError):  # a name that no file can have, a loop of links, no access
            return None

    def bring(self, content: bytes) -> None:
        """Keep what another workspace has, by its digest."""
        folder = self.folder / _BROUGHT
        self.prepare()
        folder.mkdir(exist_ok=True)
        write_atomically(folder / digest(content), content)

    def write(self, name: str, content: Document | str) -> str:
        """Write a document and remove those that were made from an older one.

        Returns:
            The sha256 of what was written.
        """
        data = content.encode() if isinstance(content, str) else encode(content)
        self.prepare()
        for later in _ORDER[_ORDER.index(RECORDS if name == BASELINE else name) + 1 :]:
            (self.folder / later).unlink(missing_ok=True)
        write_atomically(self.folder / name, data)
        return digest(data)

    def path(self, name: str) -> Path:
        """Where a document lies."""
        return self.folder / name

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """While runs are executed: two of these at once would take each other's outputs away.

        Raises:
            WorkspaceError: Another mlci is at it.
        """
        if sys.platform == "win32":
            yield
            return
        import fcntl  # noqa: PLC0415 - does not exist on Windows

        self.prepare()
        with (self.folder / _LOCK).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise WorkspaceError(
                    f"another mlci is running in {self.folder.name}/",
                    hint="Wait until it has ended, or name a folder of its own in MLCI_WORKSPACE.",
                ) from None
            yield

    def prepare(self) -> None:
        """Make the folder, ignored by git."""
        self.folder.mkdir(parents=True, exist_ok=True)
        ignore = self.folder / ".gitignore"
        if not ignore.exists():
            write_atomically(ignore, b"*\n")

    def _read(self, name: str, kind: type[D]) -> tuple[D, str]:
        path = self.folder / name
        try:
            data = _content(path)
        except OSError:
            raise WorkspaceError(
                f"{self.folder.name}/{name}: there is none", hint=f"Make it with `{_MADE_BY[name]}`."
            ) from None
        return decode(data, kind, name=f"{self.folder.name}/{name}"), digest(data)

    def _mismatch(self, name: str, source: str) -> WorkspaceError:
        return WorkspaceError(
            f"{self.folder.name}/{name} was not made from the {source} beside it",
            hint=f"Run `{_MADE_BY[name]}` again.",
        )


def _content(path: Path) -> bytes:
    """What a document holds; of one that is too large no more than shows it; a pipe or a device is none."""
    if not path.is_file():
        raise FileNotFoundError(path)
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def brought(file: Artifact | PredictionsFile) -> str:
    """Where a file lies in a workspace that another one has made."""
    return f"{_BROUGHT}/{file.sha256}"


def write_page(path: Path, html: str) -> None:
    """Write a page where `--html` asks for it.

    Raises:
        UsageError: It cannot be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, html.encode())
    except OSError as error:
        raise UsageError(f"--html: {path} cannot be written: {error.strerror or error}") from None


def write_atomically(path: Path, data: bytes) -> None:
    """Write beside `path`, then move there: a reader sees the old content or the new."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
