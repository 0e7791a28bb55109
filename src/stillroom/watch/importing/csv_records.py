"""Records of a CSV file with a header (RFC 4180): quoted fields may hold line ends. A bad one costs only itself."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from stillroom.base.errors import DataError
from stillroom.watch.importing.lines import LONGEST_LINE, lines
from stillroom.watch.importing.record import Record, Unreadable


class _TooLong(Exception):
    """A quote that was opened is not closed for millions of characters."""


class _Feed:
    """Lines for a csv.reader; those of the record that is being read are kept until it is complete."""

    def __init__(self, found: Iterator[tuple[int, str] | Unreadable]) -> None:
        self._found = found
        self._again: deque[tuple[int, str]] = deque()
        self.taken: list[tuple[int, str]] = []
        self._length = 0
        self.unreadable: list[Unreadable] = []

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        number, line = self._again.popleft() if self._again else self._next_line()
        self.taken.append((number, line))
        self._length += len(line)
        if self._length > LONGEST_LINE:
            raise _TooLong
        return line + "\n"

    def begin(self) -> None:
        """The next line begins a record."""
        self.taken = []
        self._length = 0

    def give_up(self) -> int:
        """The record is none: its first line is lost, and the others are read anew. Returns the first one's number."""
        first, *others = self.taken
        self._again.extendleft(reversed(others))
        self.begin()
        return first[0]

    def _next_line(self) -> tuple[int, str]:
        for each in self._found:
            if isinstance(each, tuple):
                return each
            self.unreadable.append(each)
        raise StopIteration


def csv_records(path: Path, encoding: str, delimiter: str) -> Iterator[Record | Unreadable]:
    """Each row below the header. Raises DataError for a header that cannot be one."""
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))  # one for the whole process
    feed = _Feed(lines(path, encoding))
    names: list[str] | None = None
    for place, fields in _rows(feed, delimiter):
        if isinstance(fields, str):
            yield Unreadable(place, fields)
        elif names is None:
            names = _header(fields, path, delimiter)
        elif len(fields) != len(names):
            yield Unreadable(place, f"it has {len(fields)} fields, and the header has {len(names)}")
        else:
            yield Record(place, dict(zip(names, fields, strict=True)), "\x1f".join(fields))
    yield from feed.unreadable


def _rows(feed: _Feed, delimiter: str) -> Iterator[tuple[int, list[str] | str]]:
    """The fields of each record, or what is wrong with it."""
    while True:
        # A new one after each fault: what a reader has read of a record stays in it.
        reader = csv.reader(feed, delimiter=delimiter, strict=True)
        while True:
            feed.begin()
            try:
                fields = next(reader, None)
            except _TooLong:
                yield feed.give_up(), "a quote in it is not closed"
                break
            except csv.Error as error:
                if not feed.taken:
                    return
                yield feed.give_up(), f"it is no CSV: {error}"
                break
            if fields is None:
                return
            yield feed.taken[0][0], fields


def _header(fields: list[str], path: Path, delimiter: str) -> list[str]:
    names = [name.strip() for name in fields]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: the header has {twice[0]!r} twice.", "Give each column a name of its own.")
    if len(names) == 1 and any(sign in names[0] for sign in ";\t|") and delimiter == ",":
        raise DataError(f"{path}: the header has no comma.", 'Say what separates: `delimiter: ";"` in the mapping.')
    return names
