"""Sealing: an open segment becomes Parquet tables, and a commitment to each row. A process of its own does it.

Half a second of work for ten thousand rows would be felt in a worker's replies; and a process that is killed at it
leaves a folder without a name, which the next one clears away. It gets no key: its report says the Merkle root, which
the worker signs.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stillroom.base.call_commitment import commitment
from stillroom.base.child_process import end_with_parent, report_stream
from stillroom.base.errors import StoreError
from stillroom.serve.meter.rows import CALL_COLUMNS, canonical_row
from stillroom.serve.meter.segment_file import Begun, Settled, read_segment
from stillroom.store.calls import CALLS, SALT_BYTES, SCHEMAS, CallTable
from stillroom.store.files import sync
from stillroom.store.merkle import merkle_root

_ROWS_AT_ONCE = 4096
_NICENESS = 10


def seal(path: Path, folder: Path) -> dict[str, Any]:
    """Write the tables of the open segment into `folder`, which is made anew, and wait until they are on the disk.

    Returns what its record says of it: rows, the Merkle root in hex, the first and last call, the time of the earliest,
    and how many lines were damaged. Raises StoreError.
    """
    counted = _Counted(read_segment(path))
    commitments: list[bytes] = []
    first_call = last_call = first_at = None
    try:
        folder.mkdir(parents=True)
        with _Tables(folder) as tables:
            settled = iter(counted)
            while batch := list(islice(settled, _ROWS_AT_ONCE)):
                _make_storable(batch)
                commitments += tables.write(batch, first_row=len(commitments))
                first_call = first_call or batch[0].row["call_id"]
                last_call = batch[-1].row["call_id"]
                earliest = min(line.row["at"] for line in batch)
                first_at = earliest if first_at is None else min(first_at, earliest)
        for each in (*folder.iterdir(), folder):
            sync(each)
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be written: {error.strerror or error}.", "Free space on its disk."
        ) from error
    return {
        "rows": len(commitments),
        "merkle_root": merkle_root(commitments).hex(),
        "first_call": first_call,
        "last_call": last_call,
        "first_at": first_at,
        "damaged_lines": counted.damaged,
    }


class _Counted:
    """The settled calls of a segment. Intents are passed over: those that were not settled here were carried over."""

    def __init__(self, lines: Iterator[Begun | Settled | None]) -> None:
        self._lines = lines
        self.damaged = 0

    def __iter__(self) -> Iterator[Settled]:
        for line in self._lines:
            if line is None:
                self.damaged += 1
            elif isinstance(line, Settled):
                yield line


class _Tables:
    """The files of a segment, while they are written."""

    def __init__(self, folder: Path) -> None:
        self._writers: dict[CallTable, pq.ParquetWriter] = {
            name: pq.ParquetWriter(folder / f"{name}.parquet", schema, compression="zstd")
            for name, schema in SCHEMAS.items()
        }

    def __enter__(self) -> _Tables:
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self._writers.values():
            writer.close()

    def write(self, batch: list[Settled], first_row: int) -> list[bytes]:
        """Returns the commitment of each row."""
        salts = [os.urandom(SALT_BYTES) for _ in batch]
        commitments = [
            commitment(salt, canonical_row(line.row, line.sketch, line.earlier, line.receipt))
            for salt, line in zip(salts, batch, strict=True)
        ]
        calls = [
            {**line.row, "row": first_row + place, "salt": salt}
            for place, (salt, line) in enumerate(zip(salts, batch, strict=True))
        ]
        sketches = [
            {"call_id": line.row["call_id"], "minhash": line.sketch} for line in batch if line.sketch is not None
        ]
        receipts = [
            {name: line.row[name] for name in ("receipt_id", "call_id", "account")} | {"receipt": line.receipt}
            for line in batch
            if line.receipt is not None
        ]
        earlier = [{"call_id": line.row["call_id"], **line.earlier} for line in batch if line.earlier is not None]
        self._write("calls", calls)
        self._write("sketches", sketches)
        self._write("earlier_prints", earlier)
        self._write("receipts", receipts)
        self._write("commitments", [{"commitment": each} for each in commitments])
        return commitments

    def _write(self, table: CallTable, rows: list[dict[str, Any]]) -> None:
        self._writers[table].write_table(pa.Table.from_pylist(rows, schema=SCHEMAS[table]))


def _make_storable(batch: list[Settled]) -> None:
    """Take out values that their columns cannot hold: one odd value must not keep a segment from being sealed."""
    for name in CALL_COLUMNS:
        kind = CALLS.field(name).type
        try:
            pa.array([line.row[name] for line in batch], kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            for line in batch:
                line.row[name] = _value_or_none(line.row[name], kind)


def _value_or_none(value: Any, kind: pa.DataType) -> Any:
    try:
        return pa.array([value], kind)[0].as_py()
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return None


def main() -> None:
    """Told in one JSON argument: `path` of the open segment, `folder` to write. Says in a line what `seal` returned."""
    end_with_parent()
    reports = report_stream()
    os.nice(_NICENESS)
    order = json.loads(sys.argv[1])
    try:
        report = seal(Path(order["path"]), Path(order["folder"]))
    except StoreError as error:
        report = {"what": error.what, "remedy": error.remedy}
    print(json.dumps(report), file=reports, flush=True)


if __name__ == "__main__":
    main()
