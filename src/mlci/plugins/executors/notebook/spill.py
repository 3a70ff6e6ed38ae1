"""Files beside the notebook that hold whole what the notebook holds in part."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from mlci.plugins.executors.interface import IN_FULL


class Spill:
    """Files beside the notebook with all that a cell has said; what cannot be written is said, not raised."""

    def __init__(self, folder: Path, position: int, written: dict[str, None]) -> None:
        self._folder = folder
        self._written = written  # by whatever cell of this notebook, relative to the folder
        self._name = f"cell-{position:04d}"
        self._files: dict[str, IO[str]] = {}
        self._failure: str | None = None

    @property
    def where(self) -> str:
        """Where all of it is, in words."""
        if self._failure:
            return f"it could not be kept: {self._failure}"
        mine = [name for name in self._written if name.startswith(f"{IN_FULL}/{self._name}.")]
        return f"all of it is in {' and '.join(mine)}"

    def text(self, text: str) -> None:
        """Text of a stream: as it was printed, but for lines that were rewritten before the spill began."""
        if text:
            self._write("txt", text)

    def output(self, node: Mapping[str, Any]) -> None:
        """Any other output, as one line of JSON."""
        self._write("jsonl", msgspec.json.encode(node, enc_hook=str).decode() + "\n")

    def close(self) -> None:
        """Nothing comes for now; what comes later is appended."""
        for file in self._files.values():
            with contextlib.suppress(OSError):
                file.close()
        self._files.clear()

    def _write(self, suffix: str, text: str) -> None:
        if self._failure:
            return
        try:
            if suffix not in self._files:
                self._files[suffix] = self._open(f"{IN_FULL}/{self._name}.{suffix}")
            self._files[suffix].write(text)
        except OSError as error:
            self._failure = error.strerror or type(error).__name__
            self.close()

    def _open(self, name: str) -> IO[str]:
        path = self._folder / name
        path.parent.mkdir(exist_ok=True)
        file = path.open("a" if name in self._written else "w", encoding="utf-8", newline="")
        self._written[name] = None
        return file
