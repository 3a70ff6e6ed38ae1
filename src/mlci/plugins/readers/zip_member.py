"""One file out of an archive that nobody vouches for: nothing goes to disk, and no more than a limit to memory."""

from __future__ import annotations

import importlib
import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from mlci.errors import MetricError

_MAX_DIRECTORY = 16 * 1024 * 1024  # of an archive's list of names, which is read whole
_ZSTANDARD = 93
_LOCAL = struct.Struct("<4s22xHH")  # signature, lengths of the name and the extra field


def read_member(path: Path, member: str, *, name: str, limit: int) -> bytes:
    """The content of `member`, looked up by its very name; what else the archive holds does not matter.

    Args:
        path: The archive.
        member: Of several of this name the last one counts, as everywhere.
        name: How error messages call the archive.
        limit: The most bytes that it may hold.

    Raises:
        MetricError: There is none, it is larger, or it cannot be read.
    """
    try:
        with _Guarded(path) as file:
            return _read(file, member, name, limit)
    except zipfile.BadZipFile as error:
        raise MetricError(f"{name}: not a ZIP archive: {error}") from None
    except OSError as error:
        raise MetricError(f"{name}: cannot be read: {error.strerror or error}") from None
    except (ValueError, NotImplementedError, struct.error, zlib.error) as error:
        raise MetricError(f"{name}: {member}: cannot be unpacked: {' '.join(str(error).split())[:200]}") from None


class _Guarded(io.FileIO):
    """Refuses to read millions of names at once, as `zipfile` does with the directory whatever its size."""

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = _MAX_DIRECTORY if size is None or size < 0 else size
        if wanted > _MAX_DIRECTORY:
            raise zipfile.BadZipFile("its directory is too large")
        return super().read(wanted) or b""


def _read(file: _Guarded, member: str, name: str, limit: int) -> bytes:
    with zipfile.ZipFile(file) as archive:
        try:
            entry = archive.getinfo(member)
        except KeyError:
            raise MetricError(f"{name}: it holds no {member}") from None
    if entry.flag_bits & 1:
        raise MetricError(f"{name}: {member} is encrypted")
    if entry.file_size > limit or entry.compress_size > limit:
        raise MetricError(f"{name}: {member} is larger than {limit:,} bytes")
    file.seek(entry.header_offset)
    signature, name_length, extra_length = _LOCAL.unpack(file.read(_LOCAL.size))
    if signature != b"PK\x03\x04":
        raise zipfile.BadZipFile(f"{member} is not where the directory says")
    file.seek(name_length + extra_length, 1)
    packed = file.read(entry.compress_size)
    data = _unpacked(packed, entry.compress_type, limit, f"{name}: {member}")
    if len(data) > limit:
        raise MetricError(f"{name}: {member} is larger than {limit:,} bytes")
    if len(data) != entry.file_size or zlib.crc32(data) != entry.CRC:
        raise MetricError(f"{name}: {member}: its checksum does not hold")
    return data


def _unpacked(packed: bytes, method: int, limit: int, where: str) -> bytes:
    """At most one byte more than `limit`, however much would come."""
    if method == zipfile.ZIP_STORED:
        return packed
    if method == zipfile.ZIP_DEFLATED:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, limit + 1)
    if method != _ZSTANDARD:
        raise MetricError(f"{where}: compressed by a method ({method}) that is not read")
    zstd = _zstandard(where)
    try:
        data: bytes = zstd.ZstdDecompressor().decompress(packed, limit + 1)
    except (zstd.ZstdError, EOFError) as error:
        raise MetricError(f"{where}: cannot be unpacked: {error}") from None
    return data


def _zstandard(where: str) -> Any:  # noqa: ANN401 - a module
    for module in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(module)
        except ImportError:
            continue
    raise MetricError(
        f"{where}: compressed with Zstandard, which Python reads from 3.14 on",
        hint="Install backports.zstd beside mlci, or let the log be written as JSON.",
    )
