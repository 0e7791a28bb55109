"""A database by its URL, and the two ways of using it.

    with engine.connect() as connection: ...     reading
    with writing(engine) as connection: ...      reading and writing, in one transaction

SQLite has one writer at a time. A transaction that reads first and writes later would fail there if another one wrote
in between, so `writing` takes the right to write at its beginning, and waits for it. On PostgreSQL it is an ordinary
transaction (READ COMMITTED).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from stillroom.base.errors import StoreError, UsageError

_WRITES = "stillroom_writes"
_WAIT_S = 15
"""How long a writer waits for another one."""
_POSTGRESQL = {"postgres", "postgresql", "postgresql+psycopg"}


def open_database(url: str) -> Engine:
    """`sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`. The file is made if it is not there, its folder not.

    Raises UsageError for a URL of another kind, StoreError where the database cannot be reached. Neither tells the
    password.
    """
    try:
        parsed = sqlalchemy.make_url(url)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise UsageError(
            "The database's URL cannot be read.", "Write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME."
        ) from error
    engine = _sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _postgresql(parsed)
    try:
        with engine.connect() as connection:
            connection.execute(sqlalchemy.select(1))
    except SQLAlchemyError as error:
        engine.dispose()
        raise StoreError(
            f"The database {parsed.render_as_string(hide_password=True)} cannot be opened: {_reason(error)}.",
            "Look whether it is there, and whether it lets this user in.",
        ) from error
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that may write: committed at the end of the block, rolled back if the block raises."""
    with engine.execution_options(**{_WRITES: True}).begin() as connection:
        yield connection


def _sqlite(url: URL) -> Engine:
    if url.drivername not in ("sqlite", "sqlite+pysqlite") or url.query:
        raise UsageError("A SQLite database is given as sqlite:///FILE.", "Leave the driver and the options out.")
    if url.database in (None, "", ":memory:"):
        raise UsageError("A database in memory is seen by one process alone.", "Name a file: sqlite:///gateway.db.")
    # As a path from here on: a name that begins with `file:` would be read as a URI, with options of its own.
    file = Path(url.database).absolute()
    engine = sqlalchemy.create_engine(
        URL.create("sqlite", database=str(file)), connect_args={"timeout": _WAIT_S}, hide_parameters=True
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_on_sqlite)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # BEGIN is ours to say: Python's own comes too late, and never before a SELECT
    cursor = connection.cursor()
    cursor.execute("pragma journal_mode = wal")
    # Synced at every commit: a key that was revoked stays revoked after a power cut.
    cursor.execute("pragma synchronous = full")
    cursor.execute("pragma foreign_keys = on")
    cursor.close()


def _begin_on_sqlite(connection: Connection) -> None:
    is_writing = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("begin immediate" if is_writing else "begin")


def _postgresql(url: URL) -> Engine:
    if url.drivername not in _POSTGRESQL:
        raise UsageError(
            f"There is no database of the kind {url.drivername!r} here.",
            "Write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME.",
        )
    engine = sqlalchemy.create_engine(
        url.set(drivername="postgresql+psycopg"),
        # A connection that the server or a firewall has dropped is noticed before it is used, and a server that went
        # away without a word within seconds: whoever waits for it would otherwise wait for minutes.
        pool_pre_ping=True,
        connect_args={"connect_timeout": 5, "tcp_user_timeout": 5000} | dict(url.query),
        hide_parameters=True,
    )
    event.listen(engine, "connect", _bound_statements)
    return engine


def _bound_statements(connection: psycopg.Connection, _record: object) -> None:
    # Said here and not in the options of the connection: those may be in the URL, and poolers refuse them.
    connection.execute(f"set statement_timeout = '{_WAIT_S}s'")
    connection.commit()


def _reason(error: SQLAlchemyError) -> str:
    """What the driver said, on one line; without SQLAlchemy's pointer to its own pages."""
    original = getattr(error, "orig", None)
    return " ".join(str(original or error).split()).rstrip(".?")
