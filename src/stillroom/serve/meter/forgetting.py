"""Deleting one account's rows from the log, so that the log can still be verified.

What goes: its rows with their salts, sketches and receipts, in every segment of every worker. What stays: a commitment
to each, which without its salt says nothing, and a record in the chain of which rows of which segment were deleted, and
when. The record comes first: a deletion that is killed on its way is finished by the same command.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stillroom.base.errors import StoreError
from stillroom.serve.meter.chain import Sign, append_record, read_chain
from stillroom.serve.meter.covered import covered_rows, ranges
from stillroom.serve.meter.seal_request import have_sealed
from stillroom.store.calls import SCHEMAS, CallTable, SealedSegment, sealed_segments, worker_folders
from stillroom.store.files import replacing
from stillroom.store.lock import alone_in

_RANGES_PER_RECORD = 1500
"""Some 40 KB once signed: a JWS is read up to 64 KB."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    rows: int
    segments: int
    """From which rows were deleted."""
    open_calls: int
    """Calls of the account that were still running: their rows are to come."""


def forget(calls: Path, account: str, sign: Sign | None, *, seconds_to_seal: float = 120) -> Forgotten:
    """Delete an account's rows from the logs of all workers, running or not. `calls`: the folder of all of them.

    A running worker is asked to seal what it has of the account, and is given `seconds_to_seal` for it. Raises
    StoreError; what is deleted then stays so, and the same call goes on.
    """
    rows = segments = open_calls = 0
    for folder in worker_folders(calls):
        open_calls += have_sealed(folder, sign, seconds_to_seal, account=account)
        with alone_in(folder, "forgetting.lock"):
            found = {segment: _rows_of(segment, account) for segment in sealed_segments(folder)}
            found = {segment: places for segment, places in found.items() if places}
            _record(folder, found, sign)
            for segment in found:
                _delete(segment, account)
        rows += sum(map(len, found.values()))
        segments += len(found)
    return Forgotten(rows, segments, open_calls)


def _rows_of(segment: SealedSegment, account: str) -> list[int]:
    path = segment.table("calls")
    try:
        table = pq.read_table(path, columns=["row"], filters=[("account", "==", account)])
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path) from error
    return [row for row in table["row"].to_pylist() if row is not None]


def _record(folder: Path, found: dict[SealedSegment, list[int]], sign: Sign | None) -> None:
    covered = covered_rows(read_chain(folder))
    new = {segment.number: sorted(set(rows) - covered.get(segment.number, set())) for segment, rows in found.items()}
    # What a killed call had recorded before it had deleted everything is not recorded twice.
    pairs = [(str(number), pair) for number, rows in new.items() for pair in ranges(rows)]
    for start in range(0, len(pairs), _RANGES_PER_RECORD):
        deleted: dict[str, list[list[int]]] = {}
        for number, pair in pairs[start : start + _RANGES_PER_RECORD]:
            deleted.setdefault(number, []).append(pair)
        record = {
            "v": 1,
            "kind": "forgetting",
            "worker": folder.name,
            "at": time.time_ns() // 1000,
            "rows": sum(last - first + 1 for each in deleted.values() for first, last in each),
            "deleted": deleted,
        }
        append_record(folder, record, sign)


def _delete(segment: SealedSegment, account: str) -> None:
    """From the calls last: they say which sketches are the account's."""
    calls = _read(segment, "calls")
    is_its = [name == account for name in calls["account"].to_pylist()]
    call_ids = {call_id for call_id, is_one in zip(calls["call_id"].to_pylist(), is_its, strict=True) if is_one}
    others: tuple[CallTable, ...] = ("sketches", "earlier_prints", "receipts")
    for name in others:
        table = _read(segment, name)
        is_kept = [call_id not in call_ids for call_id in table["call_id"].to_pylist()]
        _rewrite(segment, name, table.filter(pa.array(is_kept, pa.bool_())))
    _rewrite(segment, "calls", calls.filter(pa.array([not is_one for is_one in is_its], pa.bool_())))


def _read(segment: SealedSegment, name: CallTable) -> pa.Table:
    path = segment.table(name)
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path) from error


def _rewrite(segment: SealedSegment, name: CallTable, table: pa.Table) -> None:
    with replacing(segment.table(name)) as temporary:
        pq.write_table(table.cast(SCHEMAS[name]), temporary, compression="zstd")


def _unreadable(path: Path) -> StoreError:
    return StoreError(f"{path} cannot be read as Parquet.", "Put it back from a backup, then run this again.")
