"""Protocol buffers as they lie on disk, for readers that know which few fields they want."""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT = 10  # bytes of a 64-bit number
_MORE = 0x80  # the bit that says that a number goes on


class WireError(ValueError):
    """The bytes are no message."""


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of one message, as (number, value): a varint as a number, anything else as its bytes.

    Raises:
        WireError: The bytes are no message.
    """
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            number, at = varint(message, at)
            yield tag >> 3, number
            continue
        if kind == _BYTES:
            length, at = varint(message, at)
        elif kind in (_FIXED32, _FIXED64):
            length = 4 if kind == _FIXED32 else 8
        else:
            raise WireError(f"a field of wire type {kind}")
        if length > len(message) - at:
            raise WireError("a field that is longer than its message")
        yield tag >> 3, message[at : at + length]
        at += length


def varint(message: bytes, at: int) -> tuple[int, int]:
    """The number that starts at `at`, and where it ends.

    Raises:
        WireError: It does not end.
    """
    value = 0
    for index, byte in enumerate(message[at : at + _MAX_VARINT]):
        value |= (byte & ~_MORE) << (7 * index)
        if not byte & _MORE:
            return value, at + index + 1
    raise WireError("a number that does not end")
