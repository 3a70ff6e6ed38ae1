"""TensorFlow's record files: each record stands between its length and a checksum of its own."""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from pathlib import Path

from mlci.errors import MetricError

_MAX_RECORD = 1024 * 1024
_POLYNOMIAL = 0x82F63B78  # Castagnoli, reflected
_CHUNK = 64 * 1024
_HEADER = struct.Struct("<QI")  # length of the data, checksum of the length
_Table = tuple[int, ...]


def records(path: Path, name: str, *, limit: int) -> Iterator[tuple[int, bytes]]:
    """The records of a file with their numbers, from 1.

    A last one that is not whole is left out: its writer was stopped, or goes on. One of more than 1 MiB (a graph, a
    picture) is passed over unread.

    Raises:
        MetricError: It cannot be read, is larger than `limit`, or a checksum does not hold.
    """
    try:
        left = path.stat().st_size
        if left > limit:
            raise MetricError(f"{name}: larger than {limit:,} bytes")
        with path.open("rb") as file:
            number = 0
            while len(header := file.read(_HEADER.size)) == _HEADER.size:
                number += 1
                length, check = _HEADER.unpack(header)
                if masked_crc(header[:8]) != check:
                    raise MetricError(f"{name}: record {number}: the checksum of its length does not hold")
                if length > limit:
                    raise MetricError(f"{name}: record {number}: said to be {length:,} bytes long")
                left -= length + 16
                if left < 0:
                    return
                if length > _MAX_RECORD:
                    file.seek(length + 4, 1)
                    continue
                data = file.read(length + 4)
                if len(data) < length + 4:
                    return
                if masked_crc(data[:length]) != int.from_bytes(data[length:], "little"):
                    raise MetricError(f"{name}: record {number}: the checksum of its data does not hold")
                yield number, data[:length]
    except OSError as error:
        raise MetricError(f"{name}: cannot be read: {error.strerror}") from None


def masked_crc(data: bytes) -> int:
    """CRC-32C as these files hold it: rotated and moved, so that a checksum of checksums stays one."""
    low, high = _tables()
    crc = 0xFFFFFFFF
    whole = len(data) & ~3
    for start in range(0, whole, _CHUNK):
        chunk = data[start : min(start + _CHUNK, whole)]
        for word in struct.unpack(f"<{len(chunk) // 4}I", chunk):
            crc ^= word
            crc = low[crc & 0xFFFF] ^ high[crc >> 16]
    for byte in data[whole:]:
        crc = _shifted(crc ^ byte, 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@functools.cache
def _tables() -> tuple[_Table, _Table]:
    """What 16 bits become when four bytes are taken in one go, four times the speed of one byte after another."""
    single = [_shifted(byte, 8) for byte in range(256)]

    def shifted(crc: int, count: int) -> int:
        for _ in range(count):
            crc = single[crc & 0xFF] ^ crc >> 8
        return crc

    return tuple(shifted(word, 4) for word in range(65536)), tuple(shifted(word, 2) for word in range(65536))


def _shifted(crc: int, bits: int) -> int:
    for _ in range(bits):
        crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc
