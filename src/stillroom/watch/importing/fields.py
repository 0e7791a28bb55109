"""The fields of a record, by the mapping's columns: what is known, and what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from stillroom.text.connections import client_address, is_trusted
from stillroom.watch.importing import values
from stillroom.watch.importing.mapping import AddressColumn, Column, Columns, DurationColumn, ImportMapping, TimeColumn
from stillroom.watch.importing.record import Record, json_or_none

T = TypeVar("T")

_READ: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(
        (
            *("turns", "max_tokens", "n", "http_status"),
            *("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens"),
        ),
        values.count,
    ),
    **dict.fromkeys(("stream", "asks_reasoning", "asks_logprobs", "asks_grading"), values.truth),
    **dict.fromkeys(("account", "organisation", "id", "key_id", "model", "permit_id"), values.text),
    "temperature": values.number,
    "cost_usd": values.usd,
}


@dataclass(slots=True)
class Problems:
    """Values that could not be read and are therefore unknown: how many of each kind, and where the first one is."""

    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    first: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, column: str, problem: str, place: int) -> None:
        key = column, problem
        self.counts[key] = self.counts.get(key, 0) + 1
        self.first.setdefault(key, place)


class FieldReader:
    """Reads one column of a record after the other. What is not known, or cannot be read, is None."""

    def __init__(self, mapping: ImportMapping, columns: Columns, latest_us: int, problems: Problems) -> None:
        """`latest_us`: no call can be later than this."""
        self._columns = dict(columns.given())
        self.given = frozenset(self._columns)
        """The columns that the source may say something of."""
        self._not_known = mapping.not_known
        self._zone = mapping.zone
        self._proxies = mapping.proxies
        self._latest_us = latest_us
        self._problems = problems
        self.named = frozenset(field for column in self._columns.values() for field in column.fields())

    def value(self, record: Record, name: str) -> Any:
        """As it is in the source, or as the mapping says what its words mean."""
        column = self._columns.get(name)
        return None if column is None else self._of(record, column)

    def read(self, record: Record, name: str) -> Any:
        """As the column of a call holds it."""
        return self.converted(self.value(record, name), name, record)

    def converted(self, value: Any, name: str, record: Record) -> Any:
        """A value that came from elsewhere in the record, as the column holds it."""
        return None if value is None else self._try(partial(_READ[name], value), name, record)

    def at(self, record: Record) -> int:
        """UTC in microseconds. Raises ValueError: without its time a call is none."""
        column = self._columns["at"]
        value = self._of(record, column)
        if value is None:
            raise ValueError("its time is not known")
        return values.moment(value, _format(column), self._zone, self._latest_us)

    def latency_us(self, record: Record) -> int | None:
        column = self._columns.get("latency")
        value = None if column is None else self._of(record, column)
        if value is None or not isinstance(column, DurationColumn):
            return None
        if column.since is None:
            return self._try(lambda: values.duration(value, str(column.unit)), "latency", record)
        since = self._first_known(record, column.since, ())
        if since is None:
            return None
        read = partial(values.moment, form=column.format, zone=self._zone, latest_us=self._latest_us)
        return self._try(lambda: values.duration(read(value) - read(since), "us"), "latency", record)

    def address(self, record: Record) -> str | None:
        """The client's own, as far as it can be told from its proxies' and from what it says itself."""
        column = self._columns.get("address")
        if not isinstance(column, AddressColumn):
            return None
        value = self._of(record, column)
        if value is None:
            return None
        # A list of hops stands where a program keeps X-Forwarded-For as the address: its last hop is the one that
        # somebody other than the client wrote.
        *hops, peer = [_without_port(hop) for hop in str(value).split(",")]
        if column.forwarded is not None:
            told = self._first_known(record, column.forwarded, ())
            hops += [_without_port(hop) for hop in str(told).split(",")] if told is not None else []
        found = client_address(peer, ",".join(hops), self._proxies)
        return None if is_trusted(found, self._proxies) else found

    def json(self, record: Record, name: str) -> Any:
        """An object or a list; None for an empty one."""
        column = self._columns.get(name)
        if column is None:
            return None
        value = self._of(record, column)
        if isinstance(value, str):
            found = json_or_none(value.strip())
            if found is None:
                self._problems.add(name, "it is no JSON", record.place)
            value = found
        return value or None

    def label(self, record: Record, name: str) -> str | None:
        """Text of any length, as it is."""
        value = self.value(record, name)
        return None if value is None else str(value)

    def _of(self, record: Record, column: Column) -> Any:
        if column.from_ is None:
            return column.value
        value = self._first_known(record, column.from_, column.unknown)
        if value is None or column.values is None:
            return value
        return column.values.get(values.word(value))

    def _first_known(self, record: Record, fields: tuple[str, ...], unknown: tuple[Any, ...]) -> Any:
        for path in fields:
            value = record.get(path)
            if value is None or (isinstance(value, str) and value.strip() in self._not_known):
                continue
            if unknown and _is_among(value, unknown):
                continue
            return value
        return None

    def _try(self, read: Callable[[], T], name: str, record: Record) -> T | None:
        try:
            return read()
        except ValueError as error:
            self._problems.add(name, str(error), record.place)
            return None


def _format(column: Column) -> str:
    return column.format if isinstance(column, TimeColumn) else "iso"


def _is_among(value: Any, listed: tuple[Any, ...]) -> bool:
    """0, "0" and 0.0 are one number."""
    if values.word(value) in map(values.word, listed):
        return True
    try:
        return float(value) in [float(each) for each in listed if not isinstance(each, str)]
    except (TypeError, ValueError):
        return False


def _without_port(hop: str) -> str:
    """`192.0.2.1:443` and `[2001:db8::1]:443` as the address alone."""
    hop = hop.strip()
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
