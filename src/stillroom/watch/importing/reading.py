"""The records of a source, whatever file it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stillroom.base.errors import DataError
from stillroom.text.columns import nearest
from stillroom.watch.importing.access_log import access_log_records
from stillroom.watch.importing.csv_records import csv_records
from stillroom.watch.importing.lines import lines
from stillroom.watch.importing.mapping import ImportMapping
from stillroom.watch.importing.record import Record, Unreadable, decoded

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_AT_ONCE = 1000
"""Of a Parquet file: a row may hold a long prompt."""


def records(source: Path, mapping: ImportMapping) -> Iterator[Record | Unreadable]:
    """Each row of the file. Raises DataError for a file that is something else, or lacks a column; OSError."""
    kind = _kind(source, mapping)
    if kind == "parquet":
        found = _parquet_records(source)
    elif kind == "csv":
        found = csv_records(source, mapping.encoding, mapping.delimiter)
    elif kind == "combined":
        return access_log_records(source, mapping.encoding)
    else:
        return _json_records(source, mapping.encoding)
    return _with_columns(found, source, mapping)


def _kind(source: Path, mapping: ImportMapping) -> str:
    if mapping.format != "litellm":
        return mapping.format
    suffix = Path(source.name.removesuffix(".gz")).suffix
    return suffix[1:] if suffix in (".csv", ".parquet") else "jsonl"


def _json_records(path: Path, encoding: str) -> Iterator[Record | Unreadable]:
    """An object on each line, or a list of them, as an API answers."""
    for each in lines(path, encoding):
        if isinstance(each, Unreadable):
            yield each
            continue
        number, line = each
        try:
            value = decoded(line)
        except (ValueError, RecursionError):
            yield Unreadable(
                number, "it is no JSON (one object on each line: `jq -c '.[]'` makes such lines of a list)"
            )
            continue
        if isinstance(value, dict) and len(value) < 10 and isinstance(value.get("data"), list):
            value = value["data"]  # a page of an API's answer
        for row in value if isinstance(value, list) else [value]:
            if isinstance(row, dict):
                yield Record(number, row, line if row is value else json.dumps(row, sort_keys=True))
            else:
                yield Unreadable(number, "it is no JSON object")


def _parquet_records(path: Path) -> Iterator[Record | Unreadable]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} is no Parquet file.", "Name another one, or its format in the mapping.") from error
    place = 0
    with file:
        batches = file.iter_batches(batch_size=_ROWS_AT_ONCE)
        while True:
            try:
                batch = next(batches, None)
            except (pa.ArrowException, OSError):
                yield Unreadable(place + 1, "the file is damaged from here on")
                return
            if batch is None:
                return
            for row in _plain_times(batch).to_pylist():
                place += 1
                yield Record(place, row, json.dumps(row, sort_keys=True, default=str))


def _plain_times(batch: pa.RecordBatch) -> pa.Table:
    """Times in microseconds: those in nanoseconds are nothing that Python's own are made of."""
    import pyarrow as pa

    table = pa.Table.from_batches([batch])
    for index, each in enumerate(table.schema):
        if pa.types.is_timestamp(each.type) and each.type.unit == "ns":
            cast = table.column(index).cast(pa.timestamp("us", each.type.tz), safe=False)
            table = table.set_column(index, each.name, cast)
    return table


def _with_columns(
    found: Iterator[Record | Unreadable], source: Path, mapping: ImportMapping
) -> Iterator[Record | Unreadable]:
    """Every row has the same columns: a name that none of them has is a mistake."""
    is_checked = False
    for each in found:
        if isinstance(each, Record) and not is_checked:
            is_checked = True
            for name in _named(mapping):
                if name not in each.fields and name.partition(".")[0] not in each.fields:
                    remedy = f"{nearest(name, each.fields, 'columns')} Mend the mapping."
                    raise DataError(f"{source} has no column {name!r}.", remedy)
        yield each


def _named(mapping: ImportMapping) -> Iterator[str]:
    yield from mapping.only
    for _, column in mapping.columns.given():
        if len(column.from_ or ()) <= 1:  # of several, some may be missing
            yield from column.fields()
