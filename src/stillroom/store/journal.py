"""The journal of asked questions: every call that was sent, every reply that came. SQLite, one file, one writer.

Order of events for one call: `begin` (the intent is on disk), the call, then `record` or `record_attempt` (the outcome
is on disk). Each returns a future that resolves once the write is durable; a thread of the journal's own commits what
has gathered meanwhile in one transaction. A process that dies between the two leaves an open intent: the next one to
open the journal turns it into an attempt with status `unknown`, which counts as spent.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import astuple, fields
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import zstandard

from stillroom.base.errors import StoreError
from stillroom.base.records import Attempt, Reply
from stillroom.store.lock import FolderLock
from stillroom.store.migrations import migrate

MOST_PER_COMMIT = 512

_REPLY = ", ".join(field.name for field in fields(Reply))
_ATTEMPT = ", ".join(field.name for field in fields(Attempt))
_LATEST = "select {columns} from replies where key = ? order by seq desc limit 1"

_Write = Callable[[sqlite3.Connection], Any]


class Finished(NamedTuple):
    """What decides whether a reply still serves, without its text."""

    status: str
    error_kind: str | None
    completion_tokens: int | None
    max_tokens: int | None
    endpoint: str


class Journal:
    """Opens, or creates, the journal at `path`. Use it as a context manager, or call `close`.

    Raises StoreError where another process has it open, where a newer stillroom wrote it, or where it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(path.with_name(path.name + ".lock"), str(path))
        try:
            self._writer = _open_to_write(path)
            self.recovered = _recover(self._writer)
            """Calls that were in flight when the last process died."""
            self._reader = _open_to_read(path)
        except sqlite3.Error as error:
            self._lock.release()
            raise StoreError(f"{path} cannot be used: {error}.", "Move it away to begin anew.") from error
        except StoreError:
            self._lock.release()
            raise
        self._queue: SimpleQueue[tuple[_Write, Future[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write_until_closed, name=f"journal {path.name}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write what is still queued, then let go of the file."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
        self._reader.close()
        self._writer.close()  # the last connection folds the write-ahead log into the file
        self._lock.release()

    # Writing

    def begin(self, key: str, sent_at: int) -> Future[int]:
        """A call for `key` is about to be sent. Resolves to the attempt's number, which counts from 0 over all runs."""

        def write(connection: sqlite3.Connection) -> int:
            (number,) = connection.execute(
                "insert into attempts (key, attempt, sent_at, status) values"
                " (?1, (select coalesce(max(attempt) + 1, 0) from attempts where key = ?1), ?2, 'open')"
                " returning attempt",
                (key, sent_at),
            ).fetchone()
            return int(number)

        return self._submit(write)

    def record_attempt(self, attempt: Attempt) -> Future[None]:
        """What came of a call that gave no final reply."""
        return self._submit(lambda connection: _put_attempt(connection, attempt))

    def record(self, reply: Reply, attempt: Attempt) -> Future[None]:
        """A final reply and the call that brought it, both or neither."""

        def write(connection: sqlite3.Connection) -> None:
            _put_attempt(connection, attempt)
            connection.execute(
                f"insert into replies ({_REPLY}) values ({', '.join('?' * len(fields(Reply)))})",
                (*astuple(reply)[:-1], zstandard.compress(reply.raw)),
            )

        return self._submit(write)

    # Reading: what is durable at the moment of the call

    def finished(self, key: str) -> Finished | None:
        """The latest reply of `key`, without its text; None where there is none."""
        columns = ", ".join(Finished._fields)
        row = self._read(_LATEST.format(columns=columns), key).fetchone()
        return row and Finished(*row)

    def reply(self, key: str) -> Reply | None:
        """The latest reply of `key`."""
        row = self._read(_LATEST.format(columns=_REPLY), key).fetchone()
        return row and _reply(row)

    def replies(self) -> Iterator[Reply]:
        """The latest reply of each key, sorted by question, then sample."""
        return map(
            _reply,
            self._all(
                f"select {_REPLY} from replies where seq in (select max(seq) from replies group by key)"
                " order by question_id, sample, key"
            ),
        )

    def attempts(self) -> Iterator[Attempt]:
        """Every call whose outcome is known, or known to be unknown, sorted by key, then number."""
        rows = self._all(f"select {_ATTEMPT} from attempts where status <> 'open' order by key, attempt")
        return (Attempt(*row) for row in rows)

    def open_intents(self) -> int:
        """Calls that are in flight now."""
        (count,) = self._read("select count(*) from attempts where status = 'open'").fetchone()
        return int(count)

    def _read(self, sql: str, *values: str) -> sqlite3.Cursor:
        try:
            return self._reader.execute(sql, values)
        except sqlite3.Error as error:
            raise StoreError(f"{self.path} cannot be read: {error}.") from error

    def _all(self, sql: str) -> Iterator[tuple[Any, ...]]:
        # A connection of its own: one that is in the middle of a query keeps seeing the state it began with.
        with closing(_open_to_read(self.path)) as connection:
            yield from connection.execute(sql)

    # The thread that commits

    def _submit(self, write: _Write) -> Future[Any]:
        future: Future[Any] = Future()
        if not self._thread.is_alive():
            raise StoreError(f"{self.path} is closed.")
        self._queue.put((write, future))
        return future

    def _write_until_closed(self) -> None:
        closing = False
        while not closing:
            batch = [self._queue.get()]
            while len(batch) < MOST_PER_COMMIT:
                try:
                    batch.append(self._queue.get_nowait())
                except Empty:
                    break
            closing = None in batch
            self._commit([item for item in batch if item is not None])

    def _commit(self, batch: list[tuple[_Write, Future[Any]]]) -> None:
        if not batch:
            return
        # A caller that stopped waiting does not undo the write: a reply that came has been paid for.
        waited_for = [future.set_running_or_notify_cancel() for _, future in batch]
        try:
            self._writer.execute("begin immediate")
            results = [write(self._writer) for write, _ in batch]
            self._writer.execute("commit")
        except BaseException as error:
            if self._writer.in_transaction:
                self._writer.execute("rollback")
            for (_, future), waits in zip(batch, waited_for, strict=True):
                if waits:
                    future.set_exception(
                        StoreError(f"{self.path} could not be written: {error}.", "Run again: what it holds stays.")
                    )
            if not isinstance(error, sqlite3.Error):
                raise
        else:
            for (_, future), waits, result in zip(batch, waited_for, results, strict=True):
                if waits:
                    future.set_result(result)


def _open_to_write(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")  # a commit survives a power cut too, not only a kill
        migrate(connection, str(path))
    except (sqlite3.Error, StoreError):
        connection.close()
        raise
    return connection


def _open_to_read(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path.resolve().as_uri() + "?mode=ro", uri=True, check_same_thread=False)


def _recover(connection: sqlite3.Connection) -> int:
    return connection.execute(
        "update attempts set status = 'unknown', error_kind = 'interrupted' where status = 'open'"
    ).rowcount


def _put_attempt(connection: sqlite3.Connection, attempt: Attempt) -> None:
    connection.execute(
        f"insert into attempts ({_ATTEMPT}) values (?, ?, ?, ?, ?, ?) on conflict (key, attempt) do update"
        " set status = excluded.status, error_kind = excluded.error_kind, cost_usd = excluded.cost_usd",
        astuple(attempt),
    )


def _reply(row: tuple[Any, ...]) -> Reply:
    values = dict(zip(_REPLY.split(", "), row, strict=True))
    return Reply(**{**values, "raw": zstandard.decompress(values["raw"])})
