"""TensorBoard's event files, written by hand: what a test needs that no writer would write."""

from __future__ import annotations

import struct

from mlci.plugins.readers.tfrecord import masked_crc


def record(data: bytes, *, length: int | None = None) -> bytes:
    """One record, its checksums right; `length` says something else than the truth."""
    header = struct.pack("<Q", len(data) if length is None else length)
    return header + struct.pack("<I", masked_crc(header)) + data + struct.pack("<I", masked_crc(data))


def varint(number: int) -> bytes:
    """A number in as few bytes as it takes."""
    return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80]) + varint(number >> 7)


def message(field: int, data: bytes) -> bytes:
    """A field that holds bytes."""
    return varint(field << 3 | 2) + varint(len(data)) + data


def number(field: int, value: int) -> bytes:
    """A field that holds a varint."""
    return varint(field << 3) + varint(value % (1 << 64))


def event(step: int, *values: bytes) -> bytes:
    """A record of one `Event` with the values of its summary."""
    return record(number(2, step) + message(5, b"".join(message(1, value) for value in values)))


def scalar(tag: str, value: float) -> bytes:
    """A `Summary.Value` as most writers have it."""
    return message(1, tag.encode()) + b"\x15" + struct.pack("<f", value)


def tensor(tag: str, content: bytes, *, plugin: str | None = None) -> bytes:
    """A `Summary.Value` that holds a `TensorProto`."""
    metadata = b"" if plugin is None else message(9, message(1, message(1, plugin.encode())))
    return message(1, tag.encode()) + message(8, content) + metadata
