"""Which parts the kept tables consist of, and which segments of calls they were made from.

    WATCH/state/parts.sqlite3          the list of parts: a part counts once it stands here
    WATCH/state/TABLE/PART.parquet     its rows
    WATCH/state/seen/PART.parquet      the ids of its calls
    WATCH/state/events/all.parquet     the accounts' events

A part's files are on the disk before it is listed, all of them in one transaction; files that belong to no listed part
are what a kill left, and are removed by whoever writes next. So a reader never sees half a part, nor one twice.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stillroom.base.canonical import digest
from stillroom.base.errors import StoreError
from stillroom.store.files import sync
from stillroom.store.lock import FolderLock
from stillroom.watch.columns import CAPABILITIES
from stillroom.watch.tables import SCHEMAS, StateTable

PartTable = StateTable | Literal["seen"]
_SEEN_COLUMNS: list[tuple[str, pa.DataType]] = [("call_id", pa.string()), ("day", pa.int64())]
SEEN = pa.schema(_SEEN_COLUMNS)
PART_SCHEMAS: Mapping[PartTable, pa.Schema] = {
    **{name: schema for name, schema in SCHEMAS.items() if name != "events"},
    "seen": SEEN,
}
EVENTS_FILE = Path("events") / "all.parquet"
RAW, MERGED, THINNED = 0, 1, 2
_VERSION = 1
_NAME = re.compile(r"\d{8,}")
_REMEDY = "Put it back from a backup, or delete the folder it lies in and take all calls in again."
_TABLES = """
create table parts (
    name text primary key, first_day integer not null, last_day integer not null, rows integer not null,
    counted integer not null, level integer not null, known text not null, tables text not null
);
create table segments (
    digest text primary key, folder text not null, worker text not null, number integer not null, record text,
    part text
);
create index segments_by_folder on segments (folder);
"""


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    first_day: int
    last_day: int
    rows: int
    """Of calls that were read for it."""
    counted: int
    """Of those, the ones that are counted in it: not seen before, of a known account and time."""
    level: int
    """RAW, MERGED or THINNED."""
    known: dict[str, int]
    """For each of CAPABILITIES, of how many rows it is known."""
    tables: tuple[PartTable, ...]
    """Those that it has rows of, and so files."""


@dataclass(frozen=True, slots=True)
class Segment:
    folder: str
    worker: str
    number: int
    digest: str
    """Of its commitments, or where it has none of its rows' file: the same wherever it lies."""
    record: str | None
    """Digest of the chain's record of it; None where no gateway sealed it."""


class Parts:
    """The list of parts of a folder `WATCH/state`."""

    def __init__(self, state: Path, connection: sqlite3.Connection) -> None:
        self.state = state
        self._connection = connection

    def listed(self, since_day: int | None = None, until_day: int | None = None) -> list[Part]:
        """Those that may have rows of the days `since_day` <= day < `until_day`, oldest first."""
        rows = self._connection.execute(
            "select name, first_day, last_day, rows, counted, level, known, tables from parts"
            " where (?1 is null or last_day >= ?1) and (?2 is null or first_day < ?2) order by last_day, name",
            (since_day, until_day),
        )
        return [_part(*row) for row in rows]

    def paths(self, table: PartTable, parts: Iterable[Part]) -> list[Path]:
        """Where their rows of a table are."""
        return [self.path(table, part.name) for part in parts if table in part.tables]

    def path(self, table: PartTable, name: str) -> Path:
        return self.state / table / f"{name}.parquet"

    def is_taken(self, *, folder: str | None = None, digest: str | None = None) -> bool:
        query = "select 1 from segments where folder = ?1 or digest = ?2"
        return self._connection.execute(query, (folder, digest)).fetchone() is not None

    def last_day(self, part: Part, today: int) -> int | None:
        """Of the part's calls of this day or an earlier one; None where there are none."""
        if part.last_day <= today:
            return part.last_day
        if part.first_day > today:
            return None
        days = pq.read_table(self.path("activity", part.name), columns=["day"])["day"]
        return cast(int | None, pc.max(days.filter(pc.less_equal(days, pa.scalar(today)))).as_py())

    def next_name(self) -> str:
        (highest,) = self._connection.execute("select coalesce(max(cast(name as integer)), 0) from parts").fetchone()
        return f"{highest + 1:08}"

    def add(self, part: Part, segments: Sequence[Segment]) -> None:
        """List a part whose files are written."""
        self._sync(part)
        with self._connection:
            self._insert(part)
            self._connection.executemany(
                "insert into segments values (?, ?, ?, ?, ?, ?)",
                [(each.digest, each.folder, each.worker, each.number, each.record, part.name) for each in segments],
            )

    def add_empty(self, segments: Sequence[Segment]) -> None:
        """Note segments of which nothing is counted: all their calls were taken before."""
        with self._connection:
            self._connection.executemany(
                "insert into segments values (?, ?, ?, ?, ?, null)",
                [(each.digest, each.folder, each.worker, each.number, each.record) for each in segments],
            )

    def replace(self, old: Sequence[Part], new: Part) -> None:
        """List a part in the place of others. Their files stay for whoever is reading them, until the next writer."""
        self._sync(new)
        with self._connection:
            self._insert(new)
            for part in old:
                self._connection.execute("update segments set part = ? where part = ?", (new.name, part.name))
                self._connection.execute("delete from parts where name = ?", (part.name,))

    def root(self, parts: Sequence[Part]) -> str | None:
        """Digest of the chain's records of all segments that the parts were made from, in their order.

        None where one of them has no record, or there is none: imported calls.
        """
        names = {part.name for part in parts}
        rows = self._connection.execute("select worker, number, record, part from segments order by worker, number")
        records = [(worker, number, record) for worker, number, record, part in rows if part in names]
        if not records or any(record is None for _, _, record in records):
            return None
        return digest([list(each) for each in records])

    def remove_unlisted(self) -> None:
        """Files of parts that are not listed: of a kill, or replaced. Only for whoever holds the lock."""
        names = {part.name for part in self.listed()}
        for table in PART_SCHEMAS:
            for path in (self.state / table).iterdir():
                if path.stem not in names:
                    path.unlink()

    def _insert(self, part: Part) -> None:
        days_and_counts = (part.first_day, part.last_day, part.rows, part.counted, part.level)
        values = (part.name, *days_and_counts, json.dumps(part.known), json.dumps(part.tables))
        self._connection.execute("insert into parts values (?, ?, ?, ?, ?, ?, ?, ?)", values)

    def _sync(self, part: Part) -> None:
        for table in part.tables:
            path = self.path(table, part.name)
            sync(path)
            sync(path.parent)


@contextmanager
def open_parts(state: Path, *, to_write: bool = False) -> Iterator[Parts]:
    """One process at a time may write. Raises StoreError where another does, or the list cannot be read."""
    lock = None
    if to_write:
        try:
            for name in ("events", *PART_SCHEMAS):
                (state / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{state} cannot be written: {error.strerror}.", "Mend the folder's rights.") from error
        lock = FolderLock(state / "lock", f"The state folder {state}")
    try:
        path = state / "parts.sqlite3"
        if not to_write and not path.exists():
            raise StoreError(f"{state} holds no counts of calls.", "Take calls in first.")
        with _connected(path) as connection:
            parts = Parts(state, connection)
            if to_write:
                parts.remove_unlisted()
            yield parts
    finally:
        if lock is not None:
            lock.release()


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        connection = sqlite3.connect(path)
        try:
            (version,) = connection.execute("pragma user_version").fetchone()
            if version > _VERSION:
                raise StoreError(f"{path} was written by a newer stillroom.", "Use that version.")
            if version == 0 and any(path.parent.glob("*/*.parquet")):
                raise StoreError(f"{path} has lost the list of the parts beside it.", _REMEDY)
            if version == 0:
                connection.executescript(f"begin; {_TABLES} pragma user_version = {_VERSION}; commit;")
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be used: {error}.", _REMEDY) from error


def _part(
    name: str, first_day: int, last_day: int, rows: int, counted: int, level: int, known: str, tables: str
) -> Part:
    """Raises StoreError for a row that was not written here."""
    try:
        numbers, names = json.loads(known), tuple(json.loads(tables))
        is_part = _NAME.fullmatch(name) is not None and set(names) <= PART_SCHEMAS.keys()
        whole = (first_day, last_day, rows, counted, level, *numbers.values())
        is_part = is_part and all(type(each) is int for each in whole)
    except (ValueError, TypeError, AttributeError):
        is_part = False
    if not is_part:
        raise StoreError(f"The list of parts has a row that is none: {name!r}.", _REMEDY)
    return Part(name, first_day, last_day, rows, counted, level, numbers, names)


def sum_known(parts: Iterable[Part]) -> dict[str, int]:
    known: dict[str, Any] = dict.fromkeys(CAPABILITIES, 0)
    for part in parts:
        for name in CAPABILITIES:
            known[name] += part.known.get(name, 0)
    return known
