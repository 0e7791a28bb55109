"""The sealed part of a gateway's call log, as tables: what the gateway writes and `watch` reads.

    calls/WORKER/SEGMENT/{calls,sketches,earlier_prints,receipts,commitments}.parquet

A segment's folder is put in place whole, and its rows never change after; forgetting an account takes rows out.
docs/calls.md says what stands in the columns, and what else lies in the folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.dataset as ds

from stillroom.base.errors import StoreError
from stillroom.store.schemas import table_schema

CallTable = Literal["calls", "sketches", "earlier_prints", "receipts", "commitments"]
SALT_BYTES, SKETCH_BYTES, COMMITMENT_BYTES = 16, 64, 32


_text, _integer, _number, _truth = pa.string(), pa.int64(), pa.float64(), pa.bool_()

CALLS = table_schema(
    "call",
    ("call_id", _text),
    ("at", _integer),
    ("account", _text),
    ("organisation", _text),
    ("key_id", _text),
    ("model", _text),
    ("route", _text),
    ("stream", _truth),
    ("turns", _integer),
    ("max_tokens", _integer),
    ("temperature", _number),
    ("n", _integer),
    ("asks_reasoning", _truth),
    ("asks_logprobs", _truth),
    ("asks_grading", _truth),
    ("ip_print", _text),
    ("tls_print", _text),
    ("agent", _text),
    ("billing_print", _text),
    ("user_print", _text),
    ("prompt_print", _text),
    ("system_print", _text),
    ("skeleton_print", _text),
    ("print_key_id", _text),
    ("permit_id", _text),
    ("prompt_tokens", _integer),
    ("cached_tokens", _integer),
    ("completion_tokens", _integer),
    ("reasoning_tokens", _integer),
    ("counted_by", _text),
    ("cost_usd", _text),
    ("latency_us", _integer),
    ("status", _text),
    ("http_status", _integer),
    ("receipt_id", _text),
    ("escrow_digest", _text),
    # Of the row itself: its place in the segment as it was sealed, and what its commitment was salted with.
    ("row", _integer),
    ("salt", pa.binary(SALT_BYTES)),
)
SKETCHES = table_schema("sketch", ("call_id", _text), ("minhash", pa.binary(SKETCH_BYTES)))
EARLIER_PRINTS = table_schema(
    "earlier_prints",
    ("call_id", _text),
    ("print_key_id", _text),
    ("ip_print", _text),
    ("tls_print", _text),
    ("user_print", _text),
    ("prompt_print", _text),
    ("system_print", _text),
    ("skeleton_print", _text),
    ("minhash", pa.binary(SKETCH_BYTES)),
)
RECEIPTS = table_schema("receipt", ("receipt_id", _text), ("call_id", _text), ("account", _text), ("receipt", _text))
COMMITMENTS = table_schema("commitment", ("commitment", pa.binary(COMMITMENT_BYTES)))
SCHEMAS: dict[CallTable, pa.Schema] = {
    "calls": CALLS,
    "sketches": SKETCHES,
    "earlier_prints": EARLIER_PRINTS,
    "receipts": RECEIPTS,
    "commitments": COMMITMENTS,
}


@dataclass(frozen=True, slots=True, order=True)
class SealedSegment:
    worker: str
    number: int
    """Counts from 1, for each worker."""
    folder: Path

    def table(self, name: CallTable) -> Path:
        return self.folder / f"{name}.parquet"


def worker_folders(calls: Path) -> Iterator[Path]:
    """Of each worker that has a log in the gateway's folder of calls, by name. Raises StoreError."""
    try:
        found = sorted(path for path in calls.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise StoreError(
            f"{calls} cannot be read: {error.strerror}.", "Name the folder `calls` of a gateway's state folder."
        ) from error
    yield from found


def sealed_segments(worker: Path) -> Iterator[SealedSegment]:
    """Of one worker's folder, in their order."""
    for path in sorted(worker.iterdir()):
        if path.name.isdecimal() and path.is_dir():
            yield SealedSegment(worker.name, int(path.name), path)


def call_dataset(calls: Path, table: CallTable = "calls") -> ds.Dataset:
    """All rows of a table that all workers have sealed, read when they are scanned. Raises StoreError.

    Rows come by worker, then in the order in which the calls were settled.
    """
    paths = [segment.table(table) for worker in worker_folders(calls) for segment in sealed_segments(worker)]
    schema = SCHEMAS[table]
    if not paths:
        return ds.dataset(schema.empty_table())
    return ds.dataset([str(path) for path in paths], schema=schema, format="parquet")
