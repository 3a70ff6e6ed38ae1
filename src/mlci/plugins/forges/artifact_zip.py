"""Reads one named file out of an artifact's zip that anybody may have made; nothing is ever extracted to disk."""

from __future__ import annotations

import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath

from mlci.errors import DocumentError

MAX_BYTES = 512 * 1024 * 1024  # of the zip file
MAX_ENTRY = 64 * 1024 * 1024  # of a file in it
_MAX_ENTRIES = 20_000
_MAX_DIRECTORY = 8 * 1024 * 1024  # of the list of files, which zipfile reads whole
_MAX_RATIO = 200
_MAX_DEPTH = 32
_END = b"PK\x05\x06"
_END_SIZE = 22
_LOCATOR64, _LOCATOR64_SIZE = b"PK\x06\x07", 20
_END64, _END64_SIZE = b"PK\x06\x06", 56
_UTF8_NAME = 0x800
_ENCRYPTED = 0x1
_ZIP64 = 0xFFFF


@contextmanager
def opened(archive: Path, *, shown: str) -> Iterator[Callable[[str], bytes | None]]:
    """What reads the content of a file in `archive` by its path there; None where it holds none of that name.

    Args:
        archive: The zip file.
        shown: How errors call it.

    Raises:
        DocumentError: Here and by what it gives: it is no zip file, or anything in its list of files is not as an
            honest upload makes it: too many, a path that leaves the folder, a link; or the file that is asked for is
            there twice, or unpacks to far too much.
    """
    _check_directory(archive, shown)
    with ExitStack() as stack:
        with _refusals(shown):
            file = stack.enter_context(zipfile.ZipFile(archive))
            entries = file.infolist()
        named: dict[str, list[zipfile.ZipInfo]] = {}
        for entry in entries:
            objection = _objection(entry)
            if objection:
                raise DocumentError(f"{shown}: {entry.filename[:80]!r}: {objection}")
            named.setdefault(entry.filename, []).append(entry)

        def read(name: str) -> bytes | None:
            found = named.get(name, ())
            if len(found) > 1:
                raise DocumentError(f"{shown}: {name} is in it twice")
            with _refusals(shown):
                return _content(file, found[0], shown) if found else None

        yield read


def copy_entry(archive: Path, name: str, to: Path, *, shown: str) -> bool:
    """Copy one large file of `archive` to `to`, whose digest the caller checks; False where there is none.

    Raises:
        DocumentError: As `opened`.
    """
    _check_directory(archive, shown)
    with _refusals(shown), zipfile.ZipFile(archive) as file:
        entry = next((item for item in file.infolist() if item.filename == name), None)
        if entry is None or _objection(entry) or entry.is_dir():
            return False
        with file.open(entry) as source, to.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1024 * 1024)
    return True


@contextmanager
def _refusals(shown: str) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeError, ValueError, OSError) as error:
        raise DocumentError(f"{shown}: not a zip file that can be read ({type(error).__name__})") from None


def _check_directory(archive: Path, shown: str) -> None:
    """Refuse a list of files that would take long or much to read, by what the file's end says of it."""
    with archive.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _END64_SIZE - _LOCATOR64_SIZE - _END_SIZE - 0xFFFF))
        tail = file.read()
    position = tail.rfind(_END)
    if position < 0 or len(tail) - position < _END_SIZE:
        raise DocumentError(f"{shown}: not a zip file")
    count, length = struct.unpack_from("<HI", tail, position + 10)
    before = tail[:position]
    if before[-_LOCATOR64_SIZE:].startswith(_LOCATOR64):
        # Then zipfile believes the larger record before that, whatever this one says.
        large = before[-_END64_SIZE - _LOCATOR64_SIZE : -_LOCATOR64_SIZE]
        if not large.startswith(_END64):
            raise DocumentError(f"{shown}: not a zip file")
        count, length = struct.unpack_from("<QQ", large, 32)
    if count >= min(_MAX_ENTRIES, _ZIP64) or length > _MAX_DIRECTORY:
        raise DocumentError(f"{shown}: more than {_MAX_ENTRIES:,} files, or names too long")


def _objection(entry: zipfile.ZipInfo) -> str | None:
    name = entry.orig_filename
    path = PurePosixPath(name)
    if "\0" in name or "\\" in name or re.match(r"[A-Za-z]:", name):
        return "not a path with forward slashes"
    if path.is_absolute() or ".." in path.parts:
        return "its path leaves the folder"
    if not entry.flag_bits & _UTF8_NAME and not name.isascii():
        return "its name is not UTF-8"
    if len(path.parts) > _MAX_DEPTH:
        return f"deeper than {_MAX_DEPTH} folders"
    mode = entry.external_attr >> 16
    if mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_IFMT(mode) == 0):
        return "neither a file nor a folder"
    return "encrypted" if entry.flag_bits & _ENCRYPTED else None


def _content(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, shown: str) -> bytes:
    if entry.file_size > MAX_ENTRY:
        raise DocumentError(f"{shown}: {entry.filename}: {entry.file_size:,} bytes, at most {MAX_ENTRY:,} are read")
    if entry.file_size > _MAX_RATIO * max(entry.compress_size, 1):
        raise DocumentError(f"{shown}: {entry.filename}: unpacks to more than {_MAX_RATIO} times its size")
    with opened.open(entry) as file:
        return file.read(MAX_ENTRY + 1)
