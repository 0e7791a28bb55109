"""Rows of CSV and TSV files (RFC 4180): a header, quoted fields, line ends within quotes."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stillroom.ask.distinct import Place
from stillroom.ask.text_lines import text_lines
from stillroom.base.errors import DataError

LONGEST_FIELD = 16 * 2**20
"""Characters. A quote that is never closed would else take in the rest of the file."""


def csv_rows(path: Path, name: str, delimiter: str) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Each row by column, with the line it begins at; an empty field is None, any other is text.

    Raises DataError, calling the file `name`: a header that names a column twice, a row with more or fewer fields than
    the header, a quote that is not closed or stands within a field's text.
    """
    rows = _fields(path, name, delimiter)
    header = next(rows, None)
    if header is None:
        return
    names = header[1]
    twice = sorted({column for column in names if names.count(column) > 1})
    if twice:
        raise DataError(f"{header[0]}: the header has {twice[0]!r} twice.", "Give each column a name of its own.")
    if len(names) == 1 and ";" in names[0]:  # as spreadsheets write it where the comma is the decimal point
        raise DataError(
            f"{header[0]}: the fields are separated by semicolons.", "Save it with commas, or with tabs as .tsv."
        )
    for place, fields in rows:
        if len(fields) != len(names):
            raise DataError(
                f"{place} has {len(fields)} fields, and the header {len(names)}.",
                "Put fields that hold the delimiter or a line end in double quotes.",
            )
        yield place, dict(zip(names, [field or None for field in fields], strict=True))


def _fields(path: Path, name: str, delimiter: str) -> Iterator[tuple[Place, list[str]]]:
    """Each record that is not a blank line."""
    label = f"{name} line"
    # The module's default refuses fields of more than 131,072 characters, and is one for the whole process.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))
    reader = csv.reader((line for _, line in text_lines(path, name)), delimiter=delimiter, strict=True)
    while True:
        place = Place(label, reader.line_num + 1)
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise DataError(
                f"{place}: {error}.", "Is a double quote missing, or not doubled within a field?"
            ) from error
        if fields is None:
            return
        if fields:
            yield place, fields
