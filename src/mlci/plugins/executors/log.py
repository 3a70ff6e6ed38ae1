"""The log of an execution: redacted, of bounded size, with the whole beside it where that is larger."""

from __future__ import annotations

import codecs
from collections import deque
from pathlib import Path
from typing import BinaryIO, Self

from mlci.plugins.executors.interface import IN_FULL, Job

LOG = "log.txt"
_TAIL = 64 * 1024  # characters of the end that are at hand


class Log:
    """Writes `log.txt`; over the job's limit it keeps head and tail, and all of it in `outputs-in-full/log.txt`."""

    def __init__(self, job: Job) -> None:
        self._folder, self._half = job.outputs, job.limits.total // 2
        self._stream = job.redactor.stream()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._file: BinaryIO | None = None
        self._whole: BinaryIO | None = None
        self._size = self._head = 0
        self._end: deque[bytes] = deque()
        self._end_size = 0
        self._recent: deque[str] = deque()
        self._recent_size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def write(self, data: bytes) -> str:
        """Add what a process has printed; what of it may be shown now."""
        return self._add(self._stream.feed(self._decoder.decode(data)))

    @property
    def tail(self) -> str:
        """The end of what was printed, redacted."""
        return "".join(self._recent)[-_TAIL:]

    @property
    def spilled(self) -> tuple[str, ...]:
        """The file that holds all of it, if the log does not."""
        return (f"{IN_FULL}/{LOG}",) if (self._folder / IN_FULL / LOG).exists() else ()

    def close(self) -> str | None:
        """Finish the file; its name, or None if nothing was printed."""
        self._add(self._stream.feed(self._decoder.decode(b"", final=True)) + self._stream.flush())
        if self._whole is not None and self._file is not None:
            left_out = self._size - self._head - self._end_size
            self._file.write(f"\n[{left_out:,} bytes left out; all of it: {IN_FULL}/{LOG}]\n".encode())
            self._file.writelines(self._end)
        for file in (self._file, self._whole):
            if file is not None:
                file.close()
        self._file = self._whole = None
        return LOG if self._size else None

    def _add(self, text: str) -> str:
        if not text:
            return text
        self._recent.append(text)
        self._recent_size += len(text)
        while self._recent_size - len(self._recent[0]) >= _TAIL:
            self._recent_size -= len(self._recent.popleft())
        data = text.encode()
        self._size += len(data)
        if self._file is None:
            self._file = self._open(LOG)
        if self._whole is None:
            self._file.write(data)
            if self._size > 2 * self._half:
                self._divide()
            return text
        self._whole.write(data)
        self._keep_end(data)
        return text

    def _divide(self) -> None:
        """From here on the log is its head, and an end that is still to come."""
        assert self._file is not None  # noqa: S101 - opened before
        everything = (self._folder / LOG).read_bytes()
        self._whole = self._open(f"{IN_FULL}/{LOG}")
        self._whole.write(everything)
        # Not within a character.
        self._head = len(everything[: self._half].decode(errors="ignore").encode())
        self._file.truncate(self._head)
        self._file.seek(self._head)
        self._keep_end(everything[self._head :])

    def _keep_end(self, data: bytes) -> None:
        self._end.append(data)
        self._end_size += len(data)
        while self._end_size - len(self._end[0]) >= self._half:
            self._end_size -= len(self._end.popleft())

    def _open(self, name: str) -> BinaryIO:
        path: Path = self._folder / name
        path.parent.mkdir(exist_ok=True)
        return path.open("wb", buffering=0)
