"""Compares what two executions left: metrics by value, files by their bytes, or by what containers hold."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from mlci.core.documents import Metric
from mlci.core.metric import key
from mlci.exporting import pickles

Verdict = Literal[
    "equal", "same-content", "within-tolerance", "unstable", "differs", "not-comparable", "missing", "extra"
]
GOOD: tuple[Verdict, ...] = ("equal", "same-content", "within-tolerance")
BAD: tuple[Verdict, ...] = ("differs", "not-comparable", "missing", "extra")
_MAX_TEXT = 32 * 1024 * 1024
_MAX_MEMBERS = 10_000
_MAX_UNPACKED = 4 * 1024**3
_CHUNK = 1024 * 1024
_GZIP, _ZIP, _PICKLE = b"\x1f\x8b", b"PK\x03\x04", b"\x80"


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One metric or file, and whether it is the same."""

    kind: Literal["metric", "file"]
    name: str
    verdict: Verdict
    detail: str = ""
    notebook: float | None = None
    script: float | None = None


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What one execution left."""

    metrics: tuple[Metric, ...]
    files: Mapping[str, Path]
    removed: frozenset[str] = frozenset()


def rows(notebook: Left, script: Left, again: Callable[[], Left], tolerance: float) -> tuple[Row, ...]:
    """Compare a script with the notebook.

    Args:
        notebook: What the notebook left.
        script: What the script left.
        again: The notebook once more: asked only where something differs, for what differs between two of its
            executions says nothing about the script.
        tolerance: By how much a metric may differ, relative to its value.
    """
    found = [*_metrics(notebook, script, tolerance), *_files(notebook, script)]
    if any(row.verdict in BAD for row in found):
        other = again()
        shaky = {
            (row.kind, row.name)
            for row in (*_metrics(notebook, other, tolerance), *_files(notebook, other))
            if row.verdict in BAD
        }
        found = [_unstable(row) if row.verdict in BAD and (row.kind, row.name) in shaky else row for row in found]
    return tuple(found)


def _unstable(row: Row) -> Row:
    said = "differs between two executions of the notebook: it tells nothing about the script"
    return msgspec.structs.replace(row, verdict="unstable", detail=said)


def _metrics(notebook: Left, script: Left, tolerance: float) -> list[Row]:
    ours, theirs = ({key(metric): metric for metric in left.metrics} for left in (notebook, script))
    found = []
    for place in sorted(ours.keys() | theirs.keys(), key=str):
        name = "/".join(part for part in place if part)
        one, other = ours.get(place), theirs.get(place)
        if one is None or other is None:
            present = one or other
            assert present is not None  # noqa: S101 - it is in one of them
            found.append(
                Row(
                    kind="metric",
                    name=name,
                    verdict="extra" if one is None else "missing",
                    detail=f"{present.value!r} of the {'script' if one is None else 'notebook'} only",
                    notebook=one.value if one else None,
                    script=other.value if other else None,
                )
            )
            continue
        verdict, detail = _values(one, other, tolerance)
        found.append(
            Row(kind="metric", name=name, verdict=verdict, detail=detail, notebook=one.value, script=other.value)
        )
    return found


def _values(one: Metric, other: Metric, tolerance: float) -> tuple[Verdict, str]:
    pairs = [(one.value, other.value), *zip(one.samples, other.samples, strict=False)]
    pairs += [
        (mine, its)
        for here, there in zip(one.series, other.series, strict=False)
        for mine, its in zip(here, there, strict=True)
    ]
    if (len(one.samples), len(one.series)) != (len(other.samples), len(other.series)):
        return "differs", f"{len(one.series)} against {len(other.series)} points"
    apart = [(a, b) for a, b in pairs if a != b and not (math.isnan(a) and math.isnan(b))]
    if not apart:
        return "equal", ""
    if all(math.isfinite(a - b) and abs(a - b) <= tolerance * max(abs(a), abs(b)) for a, b in apart):
        return "within-tolerance", f"within {tolerance:g} of its value"
    first, second = apart[0]
    return "differs", f"{first!r} of the notebook, {second!r} of the script"


def _files(notebook: Left, script: Left) -> list[Row]:
    found = [
        _file(name, notebook.files.get(name), script.files.get(name))
        for name in sorted({*notebook.files, *script.files})
    ]
    for name in sorted(notebook.removed ^ script.removed):
        who = "notebook" if name in notebook.removed else "script"
        found.append(Row(kind="file", name=name, verdict="differs", detail=f"the {who} removes it, the other does not"))
    return found


def _file(name: str, one: Path | None, other: Path | None) -> Row:
    if one is None or other is None:
        who = "script" if one is None else "notebook"
        return Row(
            kind="file", name=name, verdict="extra" if one is None else "missing", detail=f"the {who} alone writes it"
        )
    if one.stat().st_size == other.stat().st_size and digest(one) == digest(other):
        return Row(kind="file", name=name, verdict="equal")
    kind, same = _content(name, one, other)
    if same:
        return Row(kind="file", name=name, verdict="same-content", detail=f"other bytes, the same {kind}")
    if same is None:
        detail = "differs in bytes, and cannot be compared without running what it holds"
        return Row(kind="file", name=name, verdict="not-comparable", detail=detail)
    return Row(kind="file", name=name, verdict="differs", detail=f"not the same {kind}{_where(one, other)}")


def digest(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content(name: str, one: Path, other: Path) -> tuple[str, bool | None]:
    """What kind of content it is, and whether both hold the same; None: nobody can tell."""
    try:
        if _begins(one, _ZIP) and _begins(other, _ZIP):
            return "members of the archive", _members(one) == _members(other)
        if _begins(one, _GZIP) and _begins(other, _GZIP):
            return "compressed bytes", _unzipped(one) == _unzipped(other)
        if _begins(one, _PICKLE) and _begins(other, _PICKLE):
            return "objects", pickles.same(one, other)
        if PurePosixPath(name).suffix == ".parquet":
            return "table", _tables_equal(one, other)
        if PurePosixPath(name).suffix in (".png", ".jpg", ".jpeg", ".pdf", ".svg"):
            return "picture", False
        texts = [_text(path) for path in (one, other)]
        if None in texts:
            return "bytes", None
        if PurePosixPath(name).suffix in (".json", ".ipynb"):
            values = [json.loads(path.read_bytes()) for path in (one, other)]
            return "values", json.dumps(values[0], sort_keys=True) == json.dumps(values[1], sort_keys=True)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError):
        return "bytes", None
    return "text", False


def _begins(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _members(path: Path) -> dict[str, str]:
    """The digest of every member, whatever its date and compression."""
    found: dict[str, str] = {}
    left = _MAX_UNPACKED
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist()[: _MAX_MEMBERS + 1]:
            known = hashlib.sha256()
            with archive.open(member) as file:
                while chunk := file.read(_CHUNK):
                    known.update(chunk)
                    left -= len(chunk)
                    if left < 0:
                        raise ValueError(path.name)
            found[member.filename] = known.hexdigest()
    if len(found) > _MAX_MEMBERS:
        raise ValueError(path.name)
    return found


def _unzipped(path: Path) -> str:
    known, left = hashlib.sha256(), _MAX_UNPACKED
    with gzip.open(path) as file:
        while chunk := file.read(_CHUNK):
            known.update(chunk)
            left -= len(chunk)
            if left < 0:
                raise ValueError(path.name)
    return known.hexdigest()


def _tables_equal(one: Path, other: Path) -> bool | None:
    try:
        from pyarrow import ArrowException, parquet  # noqa: PLC0415 - optional
    except ImportError:
        return None
    try:
        return bool(parquet.read_table(one).equals(parquet.read_table(other)))
    except ArrowException:
        return None


def _text(path: Path) -> str | None:
    if path.stat().st_size > _MAX_TEXT:
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _where(one: Path, other: Path) -> str:
    """The first line in which two texts differ."""
    try:
        texts = [_text(path) for path in (one, other)]
    except OSError:
        return ""
    if texts[0] is None or texts[1] is None:
        return ""
    lines, others = texts[0].splitlines(), texts[1].splitlines()
    at = next(
        (n for n, (a, b) in enumerate(zip(lines, others, strict=False), 1) if a != b), min(len(lines), len(others)) + 1
    )
    return f", first in line {at}"
