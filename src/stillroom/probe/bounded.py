"""Files from strangers, read only up to a size: a small file can claim to hold more than any memory has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stillroom.base.errors import DataError
from stillroom.store.siblings import SCHEMAS, Row, read_rows

MOST_FILE_BYTES = 1 << 30
MOST_ROWS = 2_000_000
MOST_TABLE_BYTES = 4 << 30
"""Of a table in memory."""
_MOST_JSON_BYTES = 4 << 20
_ALLOWED = {"coin": (0, 1), "coin_from": ("recorded", "assumed"), "model": ("suspect", "base")}
_ROWS_AT_ONCE = 4096


def read_bounded(path: Path, most_bytes: int = _MOST_JSON_BYTES) -> bytes:
    """Raises DataError where there is no such file, it is a link, or it is larger."""
    try:
        if path.is_symlink() or not path.is_file():
            raise _missing(path)
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", "Mend its rights.") from error
    if len(data) > most_bytes:
        raise DataError(f"{path} is larger than {most_bytes:,} bytes, which it may not be.")
    return data


def read_bounded_rows(path: Path, kind: type[Row]) -> list[Row]:
    """`read_rows` of a table that was made by somebody else. Raises DataError."""
    if path.is_symlink() or not path.is_file():
        raise _missing(path)
    if path.stat().st_size > MOST_FILE_BYTES:
        raise DataError(f"{path} is larger than {MOST_FILE_BYTES:,} bytes, which it may not be.")
    try:
        _check_size(path, kind)
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        said = str(error).partition("\n")[0]
        raise DataError(f"{path} is no table of {kind.__name__.lower()} rows: {said}.", "Make it again.") from error
    rows = read_rows(path, kind)
    _check_values(path, kind, rows)
    return rows


def _missing(path: Path) -> DataError:
    if not path.parent.is_dir():
        return DataError(f"There is no folder {path.parent}.", "Name the one that was given, or made.")
    return DataError(f"{path} is not there, or no file.", "Take the whole folder again, or name another one.")


def _check_size(path: Path, kind: type[Row]) -> None:
    """What the file says of itself first, then what would come out of it: one long text may stand for a million rows.

    Texts are looked at as the file has them, each once, with how often it occurs.
    """
    texts = [field.name for field in SCHEMAS[kind] if pa.types.is_string(field.type) or pa.types.is_binary(field.type)]
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        rows = file.metadata.num_rows
        claimed = sum(file.metadata.row_group(number).total_byte_size for number in range(file.num_row_groups))
        if rows > MOST_ROWS or claimed > MOST_TABLE_BYTES:
            raise DataError(f"{path} says that it holds {rows:,} rows of {claimed:,} bytes: more than it may.")
        held = 0
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=SCHEMAS[kind].names):
            held += sum(map(_bytes_of, batch.columns))
            if held > MOST_TABLE_BYTES:
                raise DataError(f"{path} holds more than {MOST_TABLE_BYTES:,} bytes, which it may not.")


def _check_values(path: Path, kind: type[Row], rows: Sequence[Row]) -> None:
    """What a table's types do not say: what may not be missing, and what stands for nothing."""
    required = [field.name for field in fields(kind) if "None" not in str(field.type)]
    for number, row in enumerate(rows, 1):
        for name in required:
            value = getattr(row, name)
            if value is None or (name in _ALLOWED and value not in _ALLOWED[name]):
                raise DataError(
                    f"{path}, row {number}: `{name}` is {value!r}.", "Take the file again, or make it anew."
                )


def _bytes_of(column: Any) -> int:
    if not isinstance(column, pa.DictionaryArray):
        return int(column.nbytes)
    texts: Any = column.dictionary
    lengths = pc.binary_length(texts).take(column.indices)
    return int(pc.sum(lengths).as_py() or 0)
