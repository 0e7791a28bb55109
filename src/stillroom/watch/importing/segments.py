"""Imported calls on the disk: segments as the gateway seals them, and which calls are in them already.

OUT/NAME/SEGMENT/{calls,sketches,earlier_prints}.parquet
         ids.sqlite3     the ids of all calls in the segments; made anew where it is missing
         imports/        what each import did
         lock
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from stillroom.base.errors import StoreError
from stillroom.store.calls import CALLS, EARLIER_PRINTS, SKETCHES, sealed_segments
from stillroom.store.files import replacing_folder
from stillroom.store.lock import FolderLock
from stillroom.watch.importing.rows import ImportedCall

ROWS = 50_000
_PACKED_AT_ONCE = 5_000
"""Rows take ten times as much memory as tables of them."""
_IDS = "ids.sqlite3"
_TABLES = {"calls": CALLS, "sketches": SKETCHES, "earlier_prints": EARLIER_PRINTS}


class ImportedSegments:
    """Of one source, for one process at a time. Use as a context manager; what `seal` has put in place stays."""

    def __init__(self, folder: Path) -> None:
        """Raises StoreError where the folder cannot be used, or another process is at it."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{folder} cannot be made: {error.strerror}.", "Name another folder.") from error
        self.folder = folder
        self._lock = FolderLock(folder / "lock", f"The folder {folder}")
        try:
            self._ids = _open_ids(folder)
        except sqlite3.Error as error:
            self._lock.release()
            raise _unusable(folder, error) from error
        except BaseException:
            self._lock.release()
            raise
        self._calls: list[ImportedCall] = []
        self._packed: list[dict[str, pa.Table]] = []
        self._rows = 0
        self.sealed = 0
        """Segments that this process has put in place."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ids.close()  # what was not sealed is not in the ids, either
        self._lock.release()

    def is_new(self, call_id: str) -> bool:
        """Whether it was not there yet. It counts as there from now on, and is to be added."""
        try:
            added = self._ids.execute("INSERT OR IGNORE INTO calls VALUES (?)", (bytes.fromhex(call_id),))
        except sqlite3.Error as error:
            raise _unusable(self.folder, error) from error
        return added.rowcount > 0

    def add(self, imported: ImportedCall) -> None:
        imported.call["row"] = self._rows
        self._calls.append(imported)
        self._rows += 1
        if len(self._calls) >= _PACKED_AT_ONCE:
            self._pack()
        if self._rows >= ROWS:
            self.seal()

    def seal(self) -> None:
        """Put what was added in place as one more segment, whole, where anything was."""
        if self._rows == 0:
            return
        self._pack()
        numbers = [segment.number for segment in sealed_segments(self.folder)]
        number = max(numbers, default=0) + 1
        with replacing_folder(self.folder / f"{number:08}") as folder:
            for name in _TABLES:
                table = pa.concat_tables([packed[name] for packed in self._packed])
                pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
        # Killed in between: the next start finds a segment that is not among the ids, and takes them in.
        try:
            self._ids.execute("INSERT INTO segments VALUES (?)", (number,))
            self._ids.commit()
        except sqlite3.Error as error:
            raise _unusable(self.folder, error) from error
        self._packed, self._rows = [], 0
        self.sealed += 1

    def _pack(self) -> None:
        calls, self._calls = self._calls, []
        minhashes = [(each.call["call_id"], each.minhash) for each in calls if each.minhash is not None]
        rows: dict[str, list[dict[str, Any]]] = {
            "calls": [each.call for each in calls],
            "sketches": [{"call_id": call_id, "minhash": minhash} for call_id, minhash in minhashes],
            "earlier_prints": [each.earlier for each in calls if each.earlier is not None],
        }
        packed = {name: pa.Table.from_pylist(listed, schema=_TABLES[name]) for name, listed in rows.items()}
        self._packed.append(packed)


def _open_ids(folder: Path) -> sqlite3.Connection:
    """The ids of all segments that are there: no more, and no fewer."""
    path = folder / _IDS
    try:
        ids = _connected(path)
    except sqlite3.OperationalError:  # a full disk, the folder's rights
        raise
    except sqlite3.DatabaseError:  # it is no database
        for damaged in (path, path.with_name(f"{_IDS}-journal")):
            damaged.unlink(missing_ok=True)
        ids = _connected(path)
    try:
        _take_in_segments(ids, folder)
    except BaseException:
        ids.close()
        raise
    return ids


def _take_in_segments(ids: sqlite3.Connection, folder: Path) -> None:
    there = {segment.number: segment for segment in sealed_segments(folder)}
    known = {number for (number,) in ids.execute("SELECT number FROM segments")}
    if known - there.keys():  # somebody took a segment away
        ids.execute("DELETE FROM calls")
        ids.execute("DELETE FROM segments")
        known = set()
    for number in sorted(there.keys() - known):
        try:
            with pq.ParquetFile(there[number].table("calls")) as file:
                for batch in file.iter_batches(columns=["call_id"]):
                    rows = ((bytes.fromhex(str(each)),) for each in batch.column(0).to_pylist())
                    ids.executemany("INSERT OR IGNORE INTO calls VALUES (?)", rows)
        except (OSError, pa.ArrowException, ValueError) as error:
            remedy = "Take the segment's folder away, and import again what it was made of."
            raise StoreError(f"{there[number].folder} cannot be read.", remedy) from error
        ids.execute("INSERT INTO segments VALUES (?)", (number,))
    ids.commit()


def _unusable(folder: Path, error: sqlite3.Error) -> StoreError:
    remedy = "Free space or mend the folder's rights; the file may be deleted, and is made anew."
    return StoreError(f"{folder / _IDS} cannot be used: {error}.", remedy)


def _connected(path: Path) -> sqlite3.Connection:
    ids = sqlite3.connect(path)
    try:
        ids.execute("CREATE TABLE IF NOT EXISTS calls (id BLOB PRIMARY KEY) WITHOUT ROWID")
        ids.execute("CREATE TABLE IF NOT EXISTS segments (number INTEGER PRIMARY KEY)")
        ids.commit()
    except BaseException:
        ids.close()
        raise
    return ids
