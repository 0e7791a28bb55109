"""Finding one receipt among all that a gateway's workers wrote down."""

from __future__ import annotations

import mmap
from pathlib import Path

from stillroom.base.errors import StoreError
from stillroom.serve.meter.chain import read_chain
from stillroom.serve.meter.ids import time_of
from stillroom.serve.meter.segment_file import Settled, open_segments, read_segment, sealed_folder

_CLOCK_US = 3_600_000_000
"""By how much a machine's clock may have been set between two lines of its log."""


def find_receipt(calls: Path, receipt_id: str) -> tuple[str, str] | None:
    """The account and the JWS of a receipt whose id is by `ids.new_id`; any other id is nobody's.

    Reads the open segments, and the sealed ones of the time that the id says. `calls`: the folder of all workers' logs.
    Raises StoreError for files that are damaged.
    """
    at = time_of(receipt_id)
    if at is None:
        return None
    for folder in sorted(path for path in calls.iterdir() if path.is_dir()):
        # The open ones first, and then all that are sealed: what is sealed meanwhile is found in one of them.
        found = _in_open_segments(folder, receipt_id) or _in_sealed_segments(folder, receipt_id, at)
        if found:
            return found
    return None


def _in_open_segments(folder: Path, receipt_id: str) -> tuple[str, str] | None:
    for path in open_segments(folder):
        try:
            if not _holds(path, receipt_id.encode("ascii")):
                continue
            for line in read_segment(path, receipt_id.encode("ascii")):
                if isinstance(line, Settled) and line.row["receipt_id"] == receipt_id and line.receipt is not None:
                    return line.row["account"], line.receipt
        except (StoreError, FileNotFoundError):
            if path.exists():
                raise  # else it was sealed meanwhile
    return None


def _holds(path: Path, text: bytes) -> bool:
    if not path.stat().st_size:  # which cannot be mapped
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(text) >= 0


def _in_sealed_segments(folder: Path, receipt_id: str, at: int) -> tuple[str, str] | None:
    import pyarrow.parquet as pq  # 100 MB of memory, which a worker that is never asked does without

    for line in reversed(read_chain(folder)):
        record = line.record
        # A receipt is made between when its call came and when the segment was sealed.
        is_of_its_time = record["at"] + _CLOCK_US >= at and (record.get("first_at") or 0) - _CLOCK_US <= at
        if record["kind"] != "segment" or not record["rows"] or not is_of_its_time:
            continue
        path = sealed_folder(folder, record["segment"]) / "receipts.parquet"
        try:
            rows = pq.read_table(path, filters=[("receipt_id", "==", receipt_id)]).to_pylist()
        except OSError as error:
            raise StoreError(
                f"{path} cannot be read: {error}.", "`stillroom calls verify` says what is missing."
            ) from error
        if rows:
            return rows[0]["account"], rows[0]["receipt"]
    return None
