"""What stands in one column of a row, and its text where text is needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stillroom.base.errors import DataError
from stillroom.text.nearest import nearest_name

Row = Mapping[str, Any]
"""A row of a table, by column: values that JSON can hold."""


class JsonNumber(float):
    """A number of a JSON text that remembers how it was written there: 1.50 and 1.5 are one number, and two texts."""

    __slots__ = ("written",)
    written: str

    def __new__(cls, written: str) -> JsonNumber:
        number = super().__new__(cls, written)
        number.written = written
        return number


def refuse_constant(name: str) -> float:
    """For `json.loads(..., parse_constant=...)`: NaN and Infinity are no JSON. Raises ValueError."""
    raise ValueError(f"it holds {name}")


def value_of(row: Row, column: str, place: object) -> Any:
    """The value in `column`. Raises DataError, with the nearest column's name, where the row has no such column."""
    if column not in row:
        raise DataError(f"{place}: there is no column {column!r}.", nearest(column, row, "columns"))
    return row[column]


def text_in(row: Row, column: str, place: object) -> str | None:
    """The text in `column`, None where it is empty (null). A number is given as it is written.

    Raises DataError where there is no such column, or where it holds a list or an object.
    """
    value = value_of(row, column, place)
    return None if value is None else as_text(value, column, place)


def as_text(value: Any, column: str, place: object) -> str:
    """`value` as text. Raises DataError for a list or an object."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, JsonNumber):
        return value.written
    if isinstance(value, (int, float)):
        return str(value)
    kind = "a list" if isinstance(value, (list, tuple)) else "an object"
    raise DataError(f"{place}: {column} must be text, and is {kind}.", "Name a column that holds text.")


def nearest(name: str, names: Iterable[str], what: str) -> str:
    """A remedy for a wrong name: the nearest of `names`, or the first few of them."""
    known = [str(each) for each in names]
    near = nearest_name(name, known)
    if near is not None:
        return f"Did you mean {near}?"
    listed = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return f"The {what} are {listed}." if listed else f"There are no {what}."
