"""The file that keeps findings, what people decided about them, what was sent where, and the drills: SQLite.

    WATCH/review.sqlite

Steps, attempts to deliver and drills are only ever added: the file itself refuses to change or delete one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stillroom.base.errors import StoreError, UsageError

FILE = "review.sqlite"
_WAIT_S = 30
_SCHEMA = 1


def _only_added(table: str) -> Iterator[str]:
    for change in ("update", "delete"):
        yield f"""
        create trigger no_{change}_of_{table} before {change} on {table}
        begin select raise(abort, '{table} are only ever added'); end
        """


_TABLES = (
    """
    create table findings (
        id text primary key, kind text not null, status text not null,
        first_at integer not null, last_at integer not null,
        charts text not null, members text not null, link_values text not null
    ) without rowid
    """,
    """
    create table versions (
        finding text not null, version integer not null, at integer not null,
        digest text not null, drill text, score real not null, written text not null,
        primary key (finding, version)
    ) without rowid
    """,
    """
    create table steps (
        number integer primary key, finding text not null, at integer not null, step text not null,
        by text, reason text, version integer not null, detail text not null
    )
    """,
    "create index steps_of_finding on steps (finding, number)",
    """
    create table deliveries (
        step integer not null, attempt integer not null, at integer not null, answer text not null,
        is_done integer not null, primary key (step, attempt)
    ) without rowid
    """,
    """
    create table drills (
        id text primary key, registered_at integer not null, by text not null, reason text not null,
        accounts text not null, since_at integer not null, until_at integer not null, check (since_at < until_at)
    ) without rowid
    """,
    *(each for table in ("steps", "deliveries", "drills") for each in _only_added(table)),
)


class ReviewDatabase:
    """Opens the file in `watch`, or makes it. Any number of processes may: each change is one transaction.

    Raises StoreError where it cannot be opened or a newer stillroom wrote it, UsageError for what is no text.
    """

    def __init__(self, watch: Path) -> None:
        self.path = watch / FILE
        with self._problems_named():
            watch.mkdir(parents=True, exist_ok=True)
            with self.changing() as connection:
                _set_up(connection, self.path)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """As it stands at one moment."""
        with self._open("deferred") as connection:
            yield connection

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Everything that is done with the connection, or nothing of it where an exception is raised inside."""
        with self._open("immediate") as connection:
            yield connection

    @contextmanager
    def _open(self, kind: str) -> Iterator[sqlite3.Connection]:
        with self._problems_named():
            connection = sqlite3.connect(self.path, timeout=_WAIT_S, isolation_level=None)
            try:
                connection.execute("pragma synchronous = full")
                connection.execute(f"begin {kind}")
                yield connection
                connection.execute("commit")
            finally:
                connection.close()  # gives back what was not committed

    @contextmanager
    def _problems_named(self) -> Iterator[None]:
        try:
            yield
        except UnicodeEncodeError as error:
            raise UsageError(f"{error.object!r} is no text.", "Write it in UTF-8.") from error
        except (sqlite3.Error, OSError) as error:
            remedy = "Look at the disk and the folder's rights; if the file is damaged, restore it from a backup."
            raise StoreError(f"{self.path} cannot be used: {error}.", remedy) from error


def _set_up(connection: sqlite3.Connection, path: Path) -> None:
    (schema,) = connection.execute("pragma user_version").fetchone()
    if schema > _SCHEMA:
        raise StoreError(f"{path} was written by a newer stillroom.", "Use that version, or a newer one.")
    if schema < _SCHEMA:
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute(f"pragma user_version = {_SCHEMA}")
