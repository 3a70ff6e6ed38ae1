"""Reads CSV and Parquet as rows of text, a bounded number of bounded ones, whatever the file claims."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from typing import Any

from mlci.core.lines import bounded
from mlci.errors import MetricError

MAX_BYTES = 512 * 1024 * 1024
MAX_ROWS = 5_000_000
_MAX_COLUMNS = 2_000
_MAX_FIELD = 64 * 1024  # characters
_MAX_LINE = 4 * 1024 * 1024
PARQUET = b"PAR1"  # what such a file begins with
_BATCH = 64 * 1024  # rows


def rows(data: bytes, *, name: str) -> Iterator[list[str]]:
    """The header, then each row, as long as the header; a missing value is empty.

    Args:
        data: The content of a file: Parquet by its first bytes, else CSV in UTF-8.
        name: How errors call the file.

    Raises:
        MetricError: It is too large, or is not what it seems to be.
    """
    if len(data) > MAX_BYTES:
        raise MetricError(f"{name}: larger than {MAX_BYTES:,} bytes")
    found = _parquet(data, name) if data.startswith(PARQUET) else _csv(data, name)
    header = next(found, [])
    if not header:
        raise MetricError(f"{name}: it is empty, expected a line of column names")
    if len(header) > _MAX_COLUMNS:
        raise MetricError(f"{name}: {len(header):,} columns, at most {_MAX_COLUMNS:,} are read")
    yield header
    for number, row in enumerate(found, start=1):
        if len(row) != len(header):
            raise MetricError(f"{name}: row {number} has {len(row):,} fields, the header {len(header):,}")
        if number > MAX_ROWS:
            raise MetricError(f"{name}: more than {MAX_ROWS:,} rows")
        yield row


def _csv(data: bytes, name: str) -> Iterator[list[str]]:
    csv.field_size_limit(_MAX_FIELD)
    # The text is decoded as it is read, so that a large file is not held twice.
    file = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")
    reader = csv.reader(bounded(file, longest=_MAX_LINE, name=name))
    try:
        for row in reader:
            if row:
                yield [field.strip() for field in row]
    except csv.Error as error:
        raise MetricError(f"{name}: line {reader.line_num:,}: {error}") from None
    except UnicodeDecodeError:
        raise MetricError(f"{name}: not UTF-8 text") from None


def _parquet(data: bytes, name: str) -> Iterator[list[str]]:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415 - likewise
    except ImportError:
        raise MetricError(
            f"{name}: to read Parquet takes pyarrow", hint='Install it: pip install "mlci[parquet]". Or write CSV.'
        ) from None
    try:
        source = pa.BufferReader(data)
        names = [field.name for field in parquet.read_schema(source) if _is_plain(field)]
        # Dictionaries stay as they are: a file of a kilobyte can hold a long text five million times.
        file = parquet.ParquetFile(source, read_dictionary=names)
        groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
        if file.metadata.num_rows > MAX_ROWS:
            raise MetricError(f"{name}: {file.metadata.num_rows:,} rows, at most {MAX_ROWS:,} are read")
        if sum(group.total_byte_size for group in groups) > MAX_BYTES:
            raise MetricError(f"{name}: larger than {MAX_BYTES:,} bytes when it is unpacked")
        yield names
        for batch in file.iter_batches(_BATCH, columns=names):
            yield from map(list, zip(*(_texts(column, name) for column in batch.columns), strict=True))
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        said = str(error).partition("\n")[0][:120]
        raise MetricError(f"{name}: not a Parquet file that can be read: {said}") from None


def _is_plain(field: Any) -> bool:  # noqa: ANN401 - pyarrow has no types
    """Whether a column holds one value a row that has a text, and is not the index that pandas adds."""
    import pyarrow as pa  # noqa: PLC0415 - an extra

    binary = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    return not (
        pa.types.is_nested(field.type)
        or any(is_binary(field.type) for is_binary in binary)
        or field.name.startswith("__index_level_")
    )


def _texts(column: Any, name: str) -> list[str]:  # noqa: ANN401 - pyarrow has no types
    """The values of a column as CSV would spell them."""
    import pyarrow as pa  # noqa: PLC0415 - an extra

    if pa.types.is_dictionary(column.type):
        known = [_text(value, name) for value in column.dictionary.to_pylist()]
        return ["" if index is None else known[index] for index in column.indices.to_pylist()]
    return [_text(value, name) for value in column.to_pylist()]


def _text(value: object, name: str) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    text = repr(value) if isinstance(value, float) else str(value).strip()
    if len(text) > _MAX_FIELD:
        raise MetricError(f"{name}: a value of more than {_MAX_FIELD:,} characters")
    return text
