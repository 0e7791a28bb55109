"""The questions of a file: JSON lines, CSV, TSV, Parquet, or plain text with one on each line."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from stillroom.base.errors import DataError
from stillroom.text.columns import nearest, value_of

FORMATS = (".jsonl", ".csv", ".tsv", ".parquet", ".txt")
COLUMNS = ("question", "prompt", "problem", "instruction", "messages")
"""Where a question is looked for, in this order, if no column is named."""
_LONGEST_LINE = 16 * 2**20
_BATCH = 1024
_Reader = Callable[[Path], Iterator[tuple[str, Mapping[str, Any]]]]


def read_texts(file: Path, column: str | None = None) -> Iterator[str]:
    """The text of each row; empty where a row has none.

    Of a conversation, the last message of the user. Raises DataError, naming the row: no such file, another format, no
    such column, a value that is no text.
    """
    rows: dict[str, _Reader] = {
        ".jsonl": _jsonl,
        ".csv": _csv,
        ".tsv": _csv,
        ".parquet": partial(_parquet, column=column),
    }
    ending = file.suffix.lower()
    with _unreadable(file):
        if ending == ".txt":
            if column is not None:
                raise DataError(f"{file.name} has no columns.", "Leave the column out: each line is a question.")
            yield from (text for _, text in _lines(file))
        elif ending in rows:
            for place, row in rows[ending](file):
                yield _text_of(row, place, column)
        else:
            raise DataError(f"{file.name} ends in {ending!r}.", f"A bank's file ends in {', '.join(FORMATS)}.")


def _text_of(row: Mapping[str, Any], place: str, column: str | None) -> str:
    if column is None:
        column = next((each for each in COLUMNS if row.get(each) is not None), None)
        if column is None and not any(each in row for each in COLUMNS):
            raise DataError(f"{place} has none of the columns {', '.join(COLUMNS)}.", nearest("", row, "columns"))
        if column is None:
            return ""
    value = value_of(row, column, place)
    if isinstance(value, list):
        value = _last_of_user(value)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{place}: {column} is no text.", "Name the column that holds the questions.")
    return value


def _last_of_user(messages: list[Any]) -> Any:
    """In OpenAI's shape, or in ShareGPT's."""
    said = [each for each in messages if isinstance(each, dict)]
    texts = [each.get("content", each.get("value")) for each in said if each.get("role", each.get("from")) in _USER]
    return texts[-1] if texts else None


_USER = ("user", "human")


def _jsonl(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for place, line in _lines(file):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise DataError(f"{place} is not JSON: {error.msg}.", "Each line must be one JSON object.") from error
        if not isinstance(row, dict):
            raise DataError(f"{place} is no JSON object.", "Each line must be one.")
        yield place, row


def _csv(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_LINE))  # one for the whole process
    delimiter = "\t" if file.suffix.lower() == ".tsv" else ","
    reader = csv.reader((line + "\n" for _, line in _lines(file)), delimiter=delimiter, strict=True)
    names: list[str] | None = None
    try:
        for fields in reader:
            place = f"{file.name} line {reader.line_num}"
            if names is None:
                names = fields
            elif fields and len(fields) != len(names):
                raise DataError(
                    f"{place} has {len(fields)} fields, and the header {len(names)}.",
                    "Put fields that hold the delimiter or a line end in double quotes.",
                )
            elif fields:
                yield place, dict(zip(names, fields, strict=True))
    except csv.Error as error:
        raise DataError(f"{file.name} line {reader.line_num}: {error}.", "Is a double quote missing?") from error


def _parquet(file: Path, column: str | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(file) as table:
            names = table.schema_arrow.names
            wanted = [name for name in names if name == column or (column is None and name in COLUMNS)]
            for batch in table.iter_batches(_BATCH, columns=wanted or None):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{file.name} row {number}", row
    except (pa.ArrowException, UnicodeDecodeError) as error:
        said = str(error).partition("\n")[0]
        raise DataError(f"{file.name} is no whole Parquet file: {said}.", "Is it complete?") from error


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    """Each line without its end, and its place. A byte order mark is left out."""
    number = 0
    with file.open("rb") as lines:
        while data := lines.readline(_LONGEST_LINE + 1):
            number += 1
            place = f"{file.name} line {number}"
            if len(data) > _LONGEST_LINE:
                raise DataError(f"{place} is longer than {_LONGEST_LINE // 2**20} MiB.", "Are the line ends missing?")
            try:
                text = data.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise DataError(f"{place} is not UTF-8: byte {error.start + 1}.", "Save it as UTF-8.") from error
            yield place, text.rstrip("\r\n")


@contextmanager
def _unreadable(file: Path) -> Iterator[None]:
    try:
        if file.exists() and not file.is_file():
            raise DataError(f"{file} is no file.", "Name a file with a question in each row.")
        yield
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}.", "Look at its name and rights.") from error
