"""Rows of Parquet files, and of the Arrow files that the `datasets` library saves: a batch at a time."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stillroom.ask.distinct import Place
from stillroom.ask.text_lines import unreadable
from stillroom.base.errors import DataError

_BATCH = 1024
_BUFFER = 2**20
"""Bytes that are read ahead of each column: without it, a whole column of a row group would be."""


def parquet_rows(path: Path, name: str) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Each row by column, counted from 1. Columns of bytes (images, sound) are left out.

    Raises DataError, calling the file `name`, where it is no whole Parquet file.
    """
    with unreadable(path), path.open("rb") as file:
        try:
            table = pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)
            columns = _text_columns(table.schema_arrow, name)
            yield from _rows(table.iter_batches(_BATCH, columns=columns), f"{name} row", columns)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise _damaged(name, "Parquet", error) from error


def arrow_rows(path: Path, name: str) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The same of a file in Arrow's stream format."""
    with unreadable(path), path.open("rb") as file:
        try:
            stream = pa.ipc.open_stream(file)
            columns = _text_columns(stream.schema, name)
            yield from _rows(iter(stream), f"{name} row", columns)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise _damaged(name, "Arrow", error) from error


def _rows(batches: Iterator[pa.RecordBatch], label: str, names: list[str]) -> Iterator[tuple[Place, dict[str, Any]]]:
    number = 0
    for batch in batches:
        for part in range(0, batch.num_rows, _BATCH):  # a saved data set has one batch for a thousand rows or for all
            columns = [_values(batch.column(name).slice(part, _BATCH)) for name in names]
            for values in zip(*columns, strict=True):
                number += 1
                yield Place(label, number), dict(zip(names, values, strict=True))


def _text_columns(schema: pa.Schema, name: str) -> list[str]:
    twice = sorted({column for column in schema.names if schema.names.count(column) > 1})
    if twice:
        raise DataError(f"{name} has two columns {twice[0]!r}.", "Give each column a name of its own.")
    return [field.name for field in schema if not _holds_bytes(field.type)]


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_nested(kind):
        return any(_holds_bytes(kind.field(index).type) for index in range(kind.num_fields))
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)


def _values(column: pa.Array[Any]) -> list[Any]:
    values = column.to_pylist()
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    is_plain = pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    return values if is_plain else [_plain(value) for value in values]


def _plain(value: Any) -> Any:
    """`value` as JSON can hold it. What is not a number, as pandas writes for a gap, is None."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return str(value)


def _damaged(name: str, kind: str, error: Exception) -> DataError:
    return DataError(f"{name} is no whole {kind} file: {str(error).splitlines()[0]}.", "Is the file complete?")
