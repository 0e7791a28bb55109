"""The journal's file: how it is opened, and how its columns hold keys, bodies and sums."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from decimal import Decimal
from operator import attrgetter
from pathlib import Path
from typing import Any

import zstandard

from stillroom.base.errors import StoreError
from stillroom.base.records import Reply
from stillroom.store.migrations import migrate

REPLY_COLUMNS = [field.name for field in fields(Reply)]
reply_values = attrgetter(*REPLY_COLUMNS)
"""In the order of the columns."""
SELECT_REPLY = (
    ", ".join(REPLY_COLUMNS[:-1]) + ", coalesce(raw, (select raw from replies as whole where whole.seq = r.body))"
)
"""From `replies as r`."""
_WRITER_CACHE_KIB, READER_CACHE_KIB = 48 * 1024, 32 * 1024
"""Pages kept in memory: most of the index of a million replies fits in."""


class _SumUsd:
    """Exact, which SQLite's own sum of decimal strings is not."""

    def __init__(self) -> None:
        self._sum = Decimal(0)

    def step(self, value: Any, /) -> None:
        if value is not None:
            self._sum += Decimal(value)

    def finalize(self) -> str:
        return str(self._sum)


def open_to_write(path: Path) -> sqlite3.Connection:
    """Made where it is not there, and brought to today's schema. Raises sqlite3.Error and StoreError."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.execute("pragma temp_store = memory")  # statements of many rows keep an undo log: not in a file
        connection.execute(f"pragma cache_size = -{_WRITER_CACHE_KIB}")
        migrate(connection, str(path))
    except (sqlite3.Error, StoreError):
        connection.close()
        raise
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """With the function `sum_usd`. Raises sqlite3.Error."""
    connection = sqlite3.connect(path.resolve().as_uri() + "?mode=ro", uri=True, check_same_thread=False)
    connection.create_aggregate("sum_usd", 1, _SumUsd)  # type: ignore[arg-type]  # typeshed: numbers only
    return connection


def recover(connection: sqlite3.Connection) -> int:
    """Calls that a dead process left open become unknown ones. Returns how many."""
    return connection.execute(
        "update attempts set status = 'unknown', error_kind = 'interrupted' where status = 'open'"
    ).rowcount


def packed_key(key: str) -> bytes:
    """The digest's 32 bytes, as columns hold it."""
    return bytes.fromhex(key.removeprefix("sha256:"))


def unpacked_key(key: bytes) -> str:
    return "sha256:" + key.hex()


def replies_of_rows(rows: Iterable[Sequence[Any]]) -> Iterator[Reply]:
    """Of what SELECT_REPLY gives. Raises StoreError for a body that is damaged."""
    decompressor = zstandard.ZstdDecompressor()  # to make one takes several times as long as a short reply
    for row in rows:
        try:
            raw = decompressor.decompress(row[-1])
        except (zstandard.ZstdError, TypeError) as error:
            raise StoreError(
                f"The journal is damaged: the reply to question {row[1]}, sample {row[2]}, cannot be read.",
                "Take the file from a backup, or delete this row of replies to have it asked again.",
            ) from error
        values = [unpacked_key(row[0]), *row[1:-1], raw]
        yield Reply(*values)


def write_rows(connection: sqlite3.Connection, sql: str, row: str, rows: Sequence[Sequence[Any]]) -> None:
    """One statement for many rows, in which `{}` stands for all of them and `row` for one.

    Each statement gives up Python's lock, and has to wait until it has it back.
    """
    start = 0
    for size in (64, 16, 4, 1):
        while len(rows) - start >= size:
            block = [value for each in rows[start : start + size] for value in each]
            connection.execute(sql.format(", ".join([row] * size)), block)
            start += size
