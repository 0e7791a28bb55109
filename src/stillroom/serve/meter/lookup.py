"""Finding one receipt among all that a gateway's workers wrote down."""

from __future__ import annotations

import mmap
from pathlib import Path

from stillroom.base.errors import StoreError
from stillroom.serve.meter.chain import read_chain
from stillroom.serve.meter.segment_file import Settled, open_segments, read_segment, sealed_folder

_TIME_DIGITS = 12
"""Of the ids that `ids.new_id` makes: milliseconds since 1970, in hex."""


def find_receipt(calls: Path, receipt_id: str) -> tuple[str, str] | None:
    """The account and the JWS. Reads files: milliseconds where the id says its time, else up to a second or so.

    `calls`: the folder of all workers' logs. Raises StoreError for files that are damaged.
    """
    try:
        wanted = receipt_id.encode("utf-8")
    except UnicodeEncodeError:  # no id that anybody was given
        return None
    for folder in sorted(path for path in calls.iterdir() if path.is_dir()):
        # The open ones first, and then all that are sealed: what is sealed meanwhile is found in one of them.
        found = _in_open_segments(folder, receipt_id, wanted) or _in_sealed_segments(folder, receipt_id)
        if found:
            return found
    return None


def _in_open_segments(folder: Path, receipt_id: str, wanted: bytes) -> tuple[str, str] | None:
    for path in open_segments(folder):
        try:
            is_there = _holds(path, wanted)
            lines = read_segment(path) if is_there else ()
            for line in lines:
                if isinstance(line, Settled) and line.row["receipt_id"] == receipt_id and line.receipt is not None:
                    return line.row["account"], line.receipt
        except FileNotFoundError:
            continue  # sealed meanwhile
    return None


def _holds(path: Path, text: bytes) -> bool:
    if not path.stat().st_size:  # which cannot be mapped
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(text) >= 0


def _in_sealed_segments(folder: Path, receipt_id: str) -> tuple[str, str] | None:
    import pyarrow.parquet as pq  # 100 MB of memory, which a worker that is never asked does without

    at = _time_of(receipt_id)
    for line in reversed(read_chain(folder)):
        record = line.record
        if record["kind"] != "segment" or not record["rows"]:
            continue
        # A receipt is made between when its call came and when the segment was sealed.
        if at is not None and not record["first_at"] - 1000 <= at <= record["at"]:
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


def _time_of(receipt_id: str) -> int | None:
    """UTC in microseconds, to the millisecond; None where the id does not begin with a time of these decades."""
    head = receipt_id[:_TIME_DIGITS]
    try:
        at = int(head, 16) * 1000
    except ValueError:
        return None
    return at if len(head) == _TIME_DIGITS and 1_500_000_000_000_000 < at < 4_000_000_000_000_000 else None
