"""TensorBoard's event files, `events.out.tfevents.*`: the scalars, whoever wrote them, with no protobuf library.

Messages and field numbers: `event.proto`, `summary.proto` and `tensor.proto` of TensorBoard.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import ClassVar

from mlci.core.documents import Metric
from mlci.errors import MetricError
from mlci.plugins.readers.protobuf import WireError, fields, varint
from mlci.plugins.readers.series import Series
from mlci.plugins.readers.source import Found
from mlci.plugins.readers.tfrecord import records

_MAX_BYTES = 256 * 1024 * 1024
_MAX_TAGS = 2_000
_MAX_VALUES = 2_000_000  # in half a minute
# Field numbers, by message.
_STEP, _SUMMARY = 2, 5  # Event
_TAG, _SIMPLE, _TENSOR, _METADATA = 1, 2, 8, 9  # Summary.Value
_TYPE, _SHAPE, _CONTENT = 1, 2, 4  # TensorProto
_DIMENSION = 2  # TensorShapeProto
# Folders that writers make for the parts of the data, with the same tags in each: Keras, estimators.
_SPLITS = ("train", "validation", "val", "eval", "test")
_SCALARS = b"scalars"  # the plugin's name in a tag's metadata
# TensorProto: data type -> how one value is packed, and the field of values outside of `tensor_content`.
_HALF = 19
_TYPES = {1: ("<f", 5), 2: ("<d", 6), _HALF: ("<e", 13)}


@dataclass(frozen=True)
class TensorBoardReader:
    """A tag is a metric: its last value, and its values by step. Histograms, pictures and texts are passed over.

    A file in a folder called `train` or `validation` is of that split.
    """

    name: ClassVar[str] = "tensorboard"
    suffixes: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def recognises(path: PurePath, head: bytes) -> bool:
        """By its name, as TensorBoard does, and the version that every writer puts first."""
        return "tfevents" in path.name and (not head or b"brain.Event:" in head[:64])

    def read(self, path: Path, *, name: str) -> list[Metric]:
        """The scalars of one event file."""
        found: dict[str, Series] = {}
        plugins: dict[str, bytes] = {}  # a tag's metadata comes with its first value
        number = count = 0
        for number, record in records(path, name, limit=_MAX_BYTES):
            try:
                for tag, step, value, plugin in _values(record):
                    count += 1
                    if count > _MAX_VALUES:
                        raise MetricError(f"{name}: more than {_MAX_VALUES:,} values")
                    if value is None or plugins.setdefault(tag, plugin) not in (b"", _SCALARS):
                        continue
                    if tag not in found and len(found) == _MAX_TAGS:
                        raise MetricError(f"{name}: more than {_MAX_TAGS:,} tags")
                    found.setdefault(tag, Series()).add(step, value)
            except (WireError, struct.error) as error:
                raise MetricError(f"{name}: record {number}: no event: {error}") from None
        if not number:
            raise MetricError(f"{name}: no whole record of events")
        metrics, split = Found(name), path.parent.name if path.parent.name in _SPLITS else None
        for tag, series in found.items():
            metrics.add(Metric(name=tag, value=series.value, split=split, series=series.points()))
        return metrics.all()


def _values(event: bytes) -> Iterator[tuple[str, float, float | None, bytes]]:
    """(tag, step, value, plugin) of each `Summary.Value` of an `Event`; the value is None for what is no scalar."""
    step, summaries = 0, []
    for field, given in fields(event):
        if field == _STEP and isinstance(given, int):
            step = given - (1 << 64) if given >> 63 else given
        elif field == _SUMMARY and isinstance(given, bytes):
            summaries.append(given)
    for summary in summaries:
        for field, given in fields(summary):
            if field == 1 and isinstance(given, bytes):
                tag, value, plugin = _value(given)
                yield tag, float(step), value, plugin


def _value(message: bytes) -> tuple[str, float | None, bytes]:
    """The tag of a `Summary.Value`, its number if it is one, and the plugin that it is for, if that is said."""
    tag, value, plugin = "", None, b""
    for field, given in fields(message):
        if not isinstance(given, bytes):
            continue
        if field == _TAG:
            tag = given.decode("utf-8", "replace")
        elif field == _SIMPLE:
            [value] = struct.unpack("<f", given)
        elif field == _TENSOR:
            value = _tensor(given)
        elif field == _METADATA:
            plugin = _first(_first(given))  # of SummaryMetadata its PluginData, and of that the name
    return tag, value, plugin


def _tensor(message: bytes) -> float | None:
    """The one number of a `TensorProto`; None for any other tensor."""
    kind, size, content = 0, 1, b""
    loose: dict[int, int | bytes] = {}
    for field, given in fields(message):
        if field == _TYPE and isinstance(given, int):
            kind = given
        elif field == _SHAPE and isinstance(given, bytes):
            size = math.prod(_size(inner) for number, inner in fields(given) if number == _DIMENSION)
        elif field == _CONTENT and isinstance(given, bytes):
            content = given
        else:
            loose[field] = given
    if kind not in _TYPES or size != 1:
        return None
    packing, field = _TYPES[kind]
    value = content or loose.get(field, b"")
    if kind == _HALF and not content:  # half precision travels as the varint of its bits
        bits = varint(value, 0)[0] if isinstance(value, bytes) and value else value or 0
        value = struct.pack("<H", int(bits) & 0xFFFF)
    if not isinstance(value, bytes) or len(value) != struct.calcsize(packing):
        return None
    return float(struct.unpack(packing, value)[0])


def _size(dimension: int | bytes) -> int:
    given = next((size for field, size in fields(dimension) if field == 1), 0) if isinstance(dimension, bytes) else 0
    return given if isinstance(given, int) else 0


def _first(message: bytes) -> bytes:
    """The bytes of a message's field 1."""
    return next((given for field, given in fields(message) if field == 1 and isinstance(given, bytes)), b"")
