"""The journal of asked questions: every call that was sent, every reply that came. SQLite, one file, one writer.

Order of events for a call: `begin` (the intent, with the most it can cost, is on disk), the call, then `settle` (what
came of it is on disk, with its replies). Both take many calls at once and write them in one transaction, on a thread of
the journal's own. A process that dies between the two leaves an open intent: the next one to open the journal turns it
into an attempt with status `unknown`, which counts as spent.

What is promised: a future that has resolved is on the disk. `synchronous = full` syncs the write-ahead log at every
commit, so that it survives a power cut and not only a kill; a torn write is recognised by its checksum and dropped.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import zstandard

from stillroom.base.errors import StoreError
from stillroom.base.records import Attempt, Reply
from stillroom.store.journal_file import (
    READER_CACHE_KIB,
    REPLY_COLUMNS,
    SELECT_REPLY,
    open_to_read,
    open_to_write,
    packed_key,
    recover,
    replies_of_rows,
    reply_values,
    unpacked_key,
    write_rows,
)
from stillroom.store.lock import FolderLock
from stillroom.store.unusable import unusable

_BEST = "coalesce(max(case when status <> 'failed' then seq end), max(seq))"
"""Of several replies with one key the latest counts; one that failed never hides an earlier one that was paid for."""
_AT_ONCE = 500
"""Keys in one query; SQLite has a limit of its own, far higher."""
Value = TypeVar("Value")


class Intent(NamedTuple):
    """A call that is about to be sent."""

    key: str
    """Of the request; of the first one where it asks for several samples."""
    sent_at: int
    reserved_usd: str | None
    reserved_tokens: int | None


class Outcome(NamedTuple):
    """What came of a call, and the replies that it brought (none where it is called again)."""

    number: int
    """What `begin` gave it."""
    status: str
    error_kind: str | None
    cost_usd: str | None
    tokens: int | None
    replies: Sequence[Reply] = ()
    """All with the same `raw`, which is stored once."""


class Finished(NamedTuple):
    """What decides whether a reply still serves, without its text."""

    status: str
    error_kind: str | None
    completion_tokens: int | None
    max_tokens: int | None
    endpoint: str
    asked_at: int


class Spent(NamedTuple):
    """What all calls of a journal cost, those of earlier processes included."""

    calls: int
    usd: Decimal
    """Unknown outcomes at what was reserved for them; a call that is in flight is one."""
    tokens: int
    unknown_calls: int
    unknown_usd: Decimal


class Journal:
    """Opens, or creates, the journal at `path`. Use it as a context manager, or call `close`.

    Raises StoreError where another process has it open, where a newer stillroom wrote it, or where it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(path.with_name(path.name + ".lock"), str(path))
        try:
            self._writer = open_to_write(path)
            self.recovered = recover(self._writer)
            """Calls that were in flight when the last process died."""
            self._reader = open_to_read(path)
            self.id = str(self.noted("id"))
            self._reader.execute(f"pragma cache_size = -{READER_CACHE_KIB}")
        except sqlite3.Error as error:
            self._lock.release()
            raise unusable(path, error) from error
        except StoreError:
            self._lock.release()
            raise
        self._compressor = zstandard.ZstdCompressor()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"journal {path.name}")
        self._is_closed = False
        self._queued: deque[tuple[Callable[[], Any], Future[Any]]] = deque()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write what is still queued, then let go of the file."""
        self._is_closed = True
        self._thread.shutdown()
        self._reader.close()
        self._writer.close()  # the last connection folds the write-ahead log into the file
        self._lock.release()

    # Writing

    def begin(self, intents: Sequence[Intent]) -> Future[range]:
        """These calls are about to be sent. Resolves to their numbers, which count over all runs."""

        def write() -> range:
            (first,) = self._writer.execute("select coalesce(max(number) + 1, 0) from attempts").fetchone()
            numbers = range(first, first + len(intents))
            write_rows(
                self._writer,
                "insert into attempts (number, key, sent_at, status, reserved_usd, reserved_tokens) values {}",
                "(?, ?, ?, 'open', ?, ?)",
                [(number, packed_key(key), *rest) for number, (key, *rest) in zip(numbers, intents, strict=True)],
            )
            return numbers

        return self._submit(write)

    def settle(self, outcomes: Sequence[Outcome]) -> Future[None]:
        """What came of these calls, each with its replies: all of it or, where it fails, nothing."""

        def write() -> None:
            write_rows(
                self._writer,
                "update attempts set status = v.column2, error_kind = v.column3, cost_usd = v.column4,"
                " tokens = v.column5 from (values {}) as v where number = v.column1",
                "(?, ?, ?, ?, ?)",
                [outcome[:5] for outcome in outcomes],
            )
            (seq,) = self._writer.execute("select coalesce(max(seq), 0) from replies").fetchone()
            rows = []
            for outcome in outcomes:
                body: int | None = None
                for reply in outcome.replies:
                    seq += 1
                    raw = None if body else self._compressor.compress(reply.raw)
                    rows.append((seq, packed_key(reply.key), *reply_values(reply)[1:-1], raw, body))
                    body = body or seq
            write_rows(
                self._writer,
                f"insert into replies (seq, {', '.join(REPLY_COLUMNS)}, body) values {{}}",
                f"({', '.join('?' * (len(REPLY_COLUMNS) + 2))})",
                rows,
            )

        return self._submit(write)

    def note(self, name: str, value: str) -> Future[None]:
        """Keep a fact about the run, in place of what was noted under this name."""

        def write() -> None:
            self._writer.execute("insert or replace into facts values (?, ?)", (name, value))

        return self._submit(write)

    def noted(self, name: str) -> str | None:
        row = self._read("select value from facts where name = ?", name).fetchone()
        return None if row is None else str(row[0])

    def request_id(self, number: int) -> str:
        """The name of a call in this journal that no other journal uses."""
        return f"{self.id}-{number}"

    def rederive(self, version: int, derive: Callable[[Reply], Reply]) -> int:
        """Read every reply again from its `raw`, once for each `version` of the reader. Returns how many changed.

        A reply of a body that `derive` reads as it was read before is left as it is; costs are never touched.
        """
        if self.noted("reader") == str(version):
            return 0
        changed = 0
        columns = ", ".join(f"{name} = ?" for name in REPLY_COLUMNS[:-1])
        with closing(open_to_read(self.path)) as connection:
            rows = connection.execute(f"select seq, {SELECT_REPLY} from replies as r order by seq")
            while block := rows.fetchmany(_AT_ONCE):
                updates = []
                for (seq, *_), old in zip(block, replies_of_rows(row[1:] for row in block), strict=True):
                    new = derive(old)
                    if new != old:
                        updates.append((packed_key(new.key), *reply_values(new)[1:-1], seq))
                changed += len(updates)
                self._run(f"update replies set {columns} where seq = ?", updates)
        self.note("reader", str(version)).result()
        return changed

    # Reading: what is durable at the moment of the call

    def finished(self, keys: Sequence[str]) -> dict[str, Finished]:
        """The reply of each key that has one, without its text."""
        columns = ", ".join(Finished._fields)
        found: dict[str, Finished] = {}
        for start in range(0, len(keys), _AT_ONCE):
            packed = [packed_key(key) for key in keys[start : start + _AT_ONCE]]
            marks = ", ".join("?" * len(packed))
            for row in self._read(f"select key, {columns} from replies where key in ({marks}) order by seq", *packed):
                key, finished = unpacked_key(row[0]), Finished._make(row[1:])
                if finished.status != "failed" or found.get(key, finished).status == "failed":
                    found[key] = finished  # the latest, but for one that failed: see _BEST
        return found

    def replies_of(self, keys: Sequence[str]) -> dict[str, Reply]:
        """The reply of each key that has one."""
        rows = self._of_keys(f"select {SELECT_REPLY} from replies as r where seq in ({{best}})", keys)
        return {reply.key: reply for reply in replies_of_rows(rows)}

    def reply(self, key: str) -> Reply | None:
        return self.replies_of([key]).get(key)

    def replies(self) -> Iterator[Reply]:
        """The reply of each key, sorted by question, then sample."""
        best = f"select {_BEST} from replies group by key"
        order = "order by question_id, sample, key"
        return replies_of_rows(self._all(f"select {SELECT_REPLY} from replies as r where seq in ({best}) {order}"))

    def attempts(self) -> Iterator[Attempt]:
        """Every call whose outcome is known, or known to be unknown, sorted by key, then number."""
        rows = self._all(
            "select key, row_number() over (partition by key order by number) - 1, sent_at, status, error_kind,"
            " cost_usd, tokens, reserved_usd, reserved_tokens, number from attempts where status <> 'open'"
            " order by key, number"
        )
        return (Attempt(*(unpacked_key(key), *rest, self.request_id(number))) for key, *rest, number in rows)

    def shrink(self) -> None:
        """Give back the memory of the pages that were read: there is something else to do for a while."""
        for connection in (self._reader, self._writer):
            connection.execute("pragma shrink_memory")

    def open_intents(self) -> int:
        """Calls that are in flight now."""
        (count,) = self._read("select count(*) from attempts where status = 'open'").fetchone()
        return int(count)

    def spent(self) -> Spent:
        calls, usd, tokens, unknown_calls, unknown_usd = self._read(
            """
            select count(*), sum_usd(coalesce(cost_usd, iif(status in ('unknown', 'open'), reserved_usd, null))),
                coalesce(sum(coalesce(tokens, iif(status in ('unknown', 'open'), reserved_tokens, 0))), 0),
                count(*) filter (where status in ('unknown', 'open')),
                sum_usd(iif(status in ('unknown', 'open'), reserved_usd, null))
            from attempts
            """
        ).fetchone()
        return Spent(calls, Decimal(usd or 0), tokens, unknown_calls, Decimal(unknown_usd or 0))

    def _of_keys(self, sql: str, keys: Sequence[str]) -> Iterator[Any]:
        for start in range(0, len(keys), _AT_ONCE):
            packed = [packed_key(key) for key in keys[start : start + _AT_ONCE]]
            marks = ", ".join("?" * len(packed))
            best = f"select {_BEST} from replies where key in ({marks}) group by key"
            yield from self._read(sql.format(best=best), *packed)

    def _read(self, sql: str, *values: object) -> sqlite3.Cursor:
        try:
            return self._reader.execute(sql, values)
        except sqlite3.Error as error:
            raise StoreError(f"{self.path} cannot be read: {error}.") from error

    def _all(self, sql: str) -> Iterator[Any]:
        # A connection of its own: one that is in the middle of a query keeps seeing the state it began with.
        with closing(open_to_read(self.path)) as connection:
            yield from connection.execute(sql)

    # The thread that commits

    def _submit(self, write: Callable[[], Value]) -> Future[Value]:
        # A caller that stops waiting does not undo the write: a reply that came has been paid for.
        if self._is_closed:
            raise StoreError(f"{self.path} is closed.")
        future: Future[Value] = Future()
        future.set_running_or_notify_cancel()
        self._queued.append((write, future))
        self._thread.submit(self._commit_queued)
        return future

    def _commit_queued(self) -> None:
        """All that waits, in one transaction: the disk is waited for once."""
        together = [self._queued.popleft() for _ in range(len(self._queued))]
        if not together:
            return
        try:
            values = self._in_one_transaction([write for write, _ in together])
        except Exception as error:  # noqa: BLE001 - whoever waits for the future is told
            if len(together) == 1:
                together[0][1].set_exception(self._not_written(error))
            for write, future in together if len(together) > 1 else ():
                self._commit_alone(write, future)  # so that a write that fails takes no other with it
        else:
            for (_, future), value in zip(together, values, strict=True):
                future.set_result(value)

    def _commit_alone(self, write: Callable[[], Any], future: Future[Any]) -> None:
        try:
            (value,) = self._in_one_transaction([write])
        except Exception as error:  # noqa: BLE001 - as above
            future.set_exception(self._not_written(error))
        else:
            future.set_result(value)

    def _in_one_transaction(self, writes: Sequence[Callable[[], Any]]) -> list[Any]:
        try:
            self._writer.execute("begin immediate")
            values = [write() for write in writes]
            self._writer.execute("commit")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("rollback")
            raise
        return values

    def _not_written(self, error: Exception) -> Exception:
        if not isinstance(error, sqlite3.Error):
            return error
        return StoreError(f"{self.path} could not be written: {error}.", "Run again: what it holds stays.")

    def _run(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        self._submit(lambda: self._writer.executemany(sql, rows)).result()
