"""Turns what a kernel sends into the outputs of a notebook: all that was said, within bounded memory."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nbformat.notebooknode import from_dict

from mlci.core.redaction import Redactor, StreamRedactor
from mlci.plugins.executors.interface import IN_FULL, OutputLimits
from mlci.plugins.executors.notebook.retention import HeadAndTail, Rich, Text, byte_length, human, split
from mlci.plugins.executors.notebook.spill import Spill
from mlci.plugins.executors.notebook.terminal import Terminal

_LATE_CELL = 16 * 1024  # what a cell may still say after the others have used up the notebook's limit
_ERROR = 256 * 1024
_MANY = 100
_EACH_OF_MANY = 256  # bytes that an output costs beside its content
_BASE64 = re.compile(r"image/(?!svg)|audio/|video/|application/(?:pdf|octet-stream)")


class OutputCollector:
    """The outputs of one notebook, cell by cell.

    Args:
        notebook_folder: Where the folder with whole outputs goes, if some must be cut.
        limits: How much is kept in the notebook.
        redactor: Applied to all that is kept.
        on_text: Receives what is printed as it comes, redacted, for a live log.
    """

    def __init__(
        self,
        notebook_folder: Path,
        limits: OutputLimits,
        redactor: Redactor,
        on_text: Callable[[str], None] | None = None,
    ) -> None:
        self.folder = notebook_folder
        self.written: dict[str, None] = {}  # files that hold whole outputs
        self.redactor = redactor
        self.on_text = on_text
        self._limits = limits
        self._size = 0
        self._first_late: int | None = None
        self._cut: list[int] = []
        self._shown: dict[str, list[tuple[CellOutputs, Rich]]] = {}

    @property
    def spilled(self) -> tuple[str, ...]:
        """The files that hold whole outputs, relative to the notebook's folder."""
        return tuple(self.written)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the notebook should know."""
        notes = []
        if self._cut:
            cells = ", ".join(map(str, self._cut[:10])) + (", ..." if len(self._cut) > 10 else "")  # noqa: PLR2004 - enough
            notes.append(f"too much output to keep in the notebook, cell {cells}: all of it is in {IN_FULL}/")
        if self._first_late is not None and max(self._cut, default=0) >= self._first_late:
            least = human(min(self._limits.cell, _LATE_CELL))
            notes.append(
                f"the notebook's outputs have reached {human(self._limits.total)}: from cell {self._first_late} on "
                f"a cell may keep no more than {least}"
            )
        return tuple(notes)

    def cell(self, position: int, outputs: list[Any]) -> CellOutputs:
        """What collects the outputs of the cell at `position` in `outputs`, the cell's own list."""
        limit = min(self._limits.cell, max(_LATE_CELL, self._limits.total - self._size))
        if limit < self._limits.cell and self._first_late is None:
            self._first_late = position
        return CellOutputs(self, position, outputs, limit)

    def count(self, size: int) -> None:
        """So many bytes more are in the notebook for good."""
        self._size += size

    def cut(self, position: int) -> None:
        """Some output of a cell is not in the notebook."""
        if position not in self._cut:
            self._cut.append(position)

    def show(self, cell: CellOutputs, piece: Rich) -> None:
        """Remember an output that can be updated."""
        if piece.display_id:
            self._shown.setdefault(piece.display_id, []).append((cell, piece))

    def forget(self, piece: Rich) -> None:
        """An output is no longer in the notebook."""
        piece.node = None
        if piece.display_id in self._shown:
            left = [(cell, other) for cell, other in self._shown[piece.display_id] if other is not piece]
            self._shown[piece.display_id] = left
            if not left:
                del self._shown[piece.display_id]

    def update(self, display_id: str, data: Any, metadata: Any) -> None:  # noqa: ANN401 - JSON
        """Replace what is shown under `display_id`, in whatever cell."""
        for cell, piece in self._shown.get(display_id, ()):
            cell.replace(piece, data, metadata)


class CellOutputs:
    """The outputs of one cell, from the messages of its kernel; equal to nbclient's but for what is bounded."""

    def __init__(self, collector: OutputCollector, position: int, outputs: list[Any], limit: int) -> None:
        self.position = position
        self._collector = collector
        self._outputs = outputs
        self._limit = limit
        self._redactors: dict[str, StreamRedactor] = {}
        self._spill = Spill(collector.folder, position, collector.written)
        self._clears_next = False
        self._finished = False
        self._start()

    def _start(self) -> None:
        self._kept = HeadAndTail(self._limit)
        self._terminal = Terminal()
        self._stream: str | None = None  # the stream that a text would go on with
        self._continues = False
        self._count = 0
        self._spilling = False

    def message(self, message: Mapping[str, Any]) -> None:
        """Take a message of the IOPub channel; what is no output is left alone."""
        kind = message["header"]["msg_type"]
        content = message["content"]
        display_id = (content.get("transient") or {}).get("display_id")
        if kind == "clear_output":
            if content.get("wait"):
                self._clears_next = True
            else:
                self._clear()
        elif kind == "update_display_data":
            if display_id:
                self._collector.update(display_id, *self._data(content))
        elif kind in ("stream", "display_data", "execute_result", "error"):
            if self._clears_next:
                self._clear()
            if kind == "stream":
                name = str(content.get("name", "stdout"))
                redactor = self._redactors.setdefault(name, self._collector.redactor.stream())
                self._print(name, redactor.feed(_sound(str(content.get("text", "")))))
            elif kind == "error":
                self._fail(content)
            else:
                self._display(kind, content, display_id)

    def refresh(self) -> None:
        """Bring the cell's list of outputs up to date, as before the notebook is written while the cell runs."""
        if not self._finished:
            line = self._terminal.peek()
            more = Text(self._stream, [line], byte_length(line)) if self._stream and line else None
            self._outputs[:] = self._kept.rendered(more, self._spill.where)

    def finish(self) -> None:
        """The cell has said all."""
        if self._finished:
            return
        for name, redactor in self._redactors.items():
            self._print(name, redactor.flush())
        self._end_stream()
        self.refresh()
        self._finished = True
        self._collector.count(self._kept.size)
        self._kept.release()
        self._spill.close()

    def replace(self, piece: Rich, data: Any, metadata: Any) -> None:  # noqa: ANN401 - JSON
        """Show other data in the place of `piece`."""
        size = _size(data) + _size(metadata)
        if self._spilling:
            self._spill.output({"output_type": "display_data", "data": data, "metadata": metadata})
        if size > piece.size and self._kept.size + size - piece.size > self._limit:
            note = self._too_large({"output_type": "display_data", "data": data, "metadata": metadata}, size)
            data, metadata = from_dict({"text/plain": note}), from_dict({})
            size = _size(data)
        if self._finished:
            self._collector.count(size - piece.size)
            self._spill.close()
        self._kept.resize(piece, size)
        piece.node["data"] = data
        piece.node["metadata"] = metadata

    def _clear(self) -> None:
        for redactor in self._redactors.values():
            redactor.flush()
        for piece in self._kept.pieces():
            if isinstance(piece, Rich):
                self._collector.forget(piece)
        self._clears_next = False
        self._start()
        self._outputs[:] = []

    def _print(self, name: str, text: str) -> None:
        if not text:
            return
        self._say(text)
        if name != self._stream:
            self._end_stream()
            self._stream = name
            self._continues = False
        if self._spilling:
            self._spill.text(text)
        self._keep_text(name, self._terminal.feed(text))

    def _end_stream(self) -> None:
        if self._stream is not None:
            self._keep_text(self._stream, self._terminal.take())
            self._stream = None

    def _keep_text(self, name: str, text: str) -> None:
        if text:
            self._kept.add(Text(name, [text], byte_length(text) + (0 if self._continues else self._cost())))
            self._continues = True
            self._trim()

    def _display(self, kind: str, content: Mapping[str, Any], display_id: str | None) -> None:
        data, metadata = self._data(content)
        if display_id:
            self._collector.update(display_id, data, metadata)
        if isinstance(data.get("text/plain"), str):
            self._say(data["text/plain"] + "\n")
        node = {"output_type": kind, "data": data, "metadata": metadata}
        if kind == "execute_result":
            node["execution_count"] = content.get("execution_count")
        size = _size(data) + _size(metadata)
        if size > self._limit:
            note = self._too_large(node, size)
            self._end_stream()
            self._continues = False
            self._keep_text("stderr", note + "\n")
        else:
            self._keep_rich(node, size, display_id)

    def _fail(self, content: Mapping[str, Any]) -> None:
        value = self._text(content.get("evalue", ""))
        lines = [self._text(part) for part in content.get("traceback") or ()]
        node = {"output_type": "error", "ename": self._text(content.get("ename", "")), "evalue": value}
        text = "\n".join(lines)
        size = byte_length(text) + byte_length(value)
        if size > _ERROR:
            note = self._too_large({**node, "traceback": lines}, size)
            node["evalue"] = _shortened(value, _ERROR // 4, note)
            lines = [_shortened(text, _ERROR // 2, note)]
            self._keep_rich({**node, "traceback": lines}, _ERROR, None, spilled=True)
        else:
            self._keep_rich({**node, "traceback": lines}, size, None)

    def _keep_rich(self, node: dict[str, Any], size: int, display_id: str | None, *, spilled: bool = False) -> None:
        self._end_stream()
        if self._spilling and not spilled:
            self._spill.output(node)
        piece = Rich(from_dict(node), size + self._cost(), display_id)
        self._collector.show(self, piece)
        self._kept.add(piece)
        self._trim()

    def _trim(self) -> None:
        if self._kept.overflows:
            self._start_spilling()
            for piece in self._kept.trim():
                if isinstance(piece, Rich):
                    self._collector.forget(piece)

    def _start_spilling(self) -> None:
        if self._spilling:
            return
        self._spilling = True
        self._collector.cut(self.position)
        for piece in self._kept.pieces():
            if isinstance(piece, Rich):
                self._spill.output(piece.node)
            else:
                self._spill.text("".join(piece.parts))
        self._spill.text(self._terminal.peek())

    def _too_large(self, node: dict[str, Any], size: int) -> str:
        """Spill an output that finds no place in the notebook, and say so."""
        self._collector.cut(self.position)
        if not self._spilling and not self._finished:
            self._start_spilling()
        self._spill.output(node)
        kinds = ", ".join(node.get("data", {})) or node["output_type"]
        return f"[an output of {human(size)} ({kinds}) is left out here: {self._spill.where}]"

    def _cost(self) -> int:
        """What one more output counts beside its content: of very many, small ones fill the memory as well."""
        self._count += 1
        return _EACH_OF_MANY if self._count > _MANY else 0

    def _data(self, content: Mapping[str, Any]) -> tuple[Any, Any]:
        hide = self._collector.redactor.value
        data = {
            mime: _sound(value if _BASE64.match(mime) else hide(value))
            for mime, value in (content.get("data") or {}).items()
        }
        return from_dict(data), from_dict(_sound(hide(content.get("metadata") or {})))

    def _text(self, text: object) -> str:
        return str(_sound(self._collector.redactor.text(str(text))))

    def _say(self, text: str) -> None:
        if self._collector.on_text:
            self._collector.on_text(text)


def _sound(value: Any) -> Any:  # noqa: ANN401 - walks any JSON value
    """A value whose strings can be written: half a surrogate pair cannot."""
    if isinstance(value, str):
        if value.isascii():
            return value
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: _sound(item) for key, item in value.items()}
    return [_sound(item) for item in value] if isinstance(value, list) else value


def _size(data: Mapping[str, Any]) -> int:
    return sum(
        byte_length(value) if isinstance(value, str) else len(json.dumps(value, default=str)) for value in data.values()
    )


def _shortened(text: str, limit: int, note: str) -> str:
    length = byte_length(text)
    if length <= limit:
        return text
    head, _ = split(text, limit // 2, back=True)
    _, tail = split(text, length - limit // 2, back=False)
    return f"{head}\n{note}\n{tail}"
