"""Rows of JSON files: one object on each line, or one list of objects."""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stillroom.ask.distinct import Place
from stillroom.ask.text_lines import LONGEST_LINE, opened, text_lines, unreadable
from stillroom.base.errors import DataError
from stillroom.text.columns import JsonNumber, refuse_constant

FORMAT = "docs/formats.md shows what a row looks like."
_CHUNK = 2**16
_SPACE = re.compile(r"\s*")


def jsonl_rows(path: Path, name: str) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The objects of a file that has one on each line; numbers with a point in them are JsonNumber.

    Raises DataError, calling the file `name`: a line that is not JSON, or that is no object.
    """
    label = f"{name} line"
    for number, line in text_lines(path, name):
        text = line.strip()
        if text:
            place = Place(label, number)
            try:
                row = _DECODER.decode(text)
            except (ValueError, RecursionError) as error:
                is_old = "\r" in text
                remedy = (
                    "Its lines end in CR alone: save it with LF." if is_old else "Each line must be one JSON object."
                )
                at = f" at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
                raise DataError(f"{place} is not JSON: {_problem(error)}{at}.", remedy) from error
            yield place, _checked(row, text, place)


def json_rows(path: Path, name: str) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The objects of a file that is one list of them, a part of the file at a time; or of JSON lines under that name.

    Raises DataError as `jsonl_rows` does, and for a list that ends too early.
    """
    with unreadable(path), opened(path) as file:
        is_list = file.read(_CHUNK).removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")
    if not is_list:
        yield from jsonl_rows(path, name)
        return
    with unreadable(path), opened(path) as file:
        decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        yield from _list_items(lambda size: _decoded(decode, file.read(size), name), name)


def _list_items(read: Callable[[int], str | None], name: str) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The items of the list that `read` gives piece by piece (None: no more)."""
    label = f"{name} row"
    text = _Text(read)
    text.take("[")
    number = 0
    while not text.take("]"):
        number += 1
        place = Place(label, number)
        if number > 1 and not text.take(","):
            raise DataError(f"{place}: a comma or ] is missing before it.", "Mend the JSON there.")
        if text.peek() != "{":
            raise DataError(f"{place} is not a JSON object.", FORMAT)
        row, written = text.item(place)
        yield place, _checked(row, written, place)
    if text.peek():
        raise DataError(f"{name} goes on after the end of its list.", "A .json file holds one list of objects.")


class _Text:
    """JSON text that is read as far as it is needed."""

    def __init__(self, read: Callable[[int], str | None]) -> None:
        self._read = read
        self._text = ""
        self._at = 0

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def take(self, character: str) -> bool:
        """Go on behind `character`, if that comes next."""
        comes = self.peek() == character
        self._at += comes
        return comes

    def item(self, place: Place) -> tuple[Any, str]:
        """The value that comes next, and its text."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                # Either it is wrong, or the rest of it has not been read.
                if isinstance(error, RecursionError) or len(self._text) > LONGEST_LINE or not self._more():
                    raise DataError(
                        f"{place} is not JSON: {_problem(error)}.", "Is the file whole? Mend the JSON there."
                    ) from error
            else:
                written = self._text[self._at : end]
                self._at = end
                return value, written

    def _more(self) -> bool:
        """Read on, as much again as is there, so that a long item is not looked at too often."""
        rest = self._text[self._at :]
        piece = self._read(max(_CHUNK, len(rest)))
        if piece is None:
            return False
        self._text, self._at = rest + piece, 0
        return True


def _problem(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return error.msg
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "a number has too many digits" if str(error).startswith("Exceeds the limit") else str(error)


def _decoded(decode: Callable[[bytes, bool], str], data: bytes, name: str) -> str | None:
    try:
        text = decode(data, not data)
    except UnicodeDecodeError as error:
        raise DataError(f"{name} is not UTF-8: {error.reason}.", "Save the file as UTF-8.") from error
    return text if data else None


def _checked(row: Any, written: str, place: Place) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise DataError(f"{place} is not a JSON object.", FORMAT)
    if "\\u" in written:
        try:
            json.dumps(row, ensure_ascii=False).encode("utf-8")  # half an emoji, written as \ud83d, is no text
        except UnicodeEncodeError as error:
            raise DataError(f"{place} holds a broken character.", "Replace it.") from error
    return row


def _number(written: str) -> JsonNumber:
    number = JsonNumber(written)
    if math.isinf(number):
        raise ValueError(f"{written} is too large a number")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):  # JSON's own rule, the last one counts, would lose the others in silence
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice")
    return row


_DECODER = json.JSONDecoder(parse_float=_number, parse_constant=refuse_constant, object_pairs_hook=_object)
