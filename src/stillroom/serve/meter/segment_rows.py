"""Comparing the rows of one sealed segment with what was committed to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from stillroom.base.call_commitment import commitment
from stillroom.serve.meter.rows import CALL_COLUMNS, canonical_row
from stillroom.store.calls import SCHEMAS, CallTable, SealedSegment
from stillroom.store.merkle import merkle_root


class Wrong(NamedTuple):
    kind: Literal[
        "row altered", "row missing", "row foreign", "row not forgotten", "commitments altered", "segment unreadable"
    ]
    what: str
    row: int | None = None
    call_id: str | None = None


@dataclass(slots=True)
class SegmentFindings:
    rows: int = 0
    """That are as they were sealed."""
    forgotten: int = 0
    wrong: list[Wrong] = field(default_factory=list)


def check_segment(segment: SealedSegment, record: dict[str, Any], covered: set[int]) -> SegmentFindings:
    """`record`: the segment's, from the chain. `covered`: the rows that were deleted on request."""
    findings = SegmentFindings()
    name = f"segment {segment.number} of {segment.worker}"
    try:
        commitments = [row["commitment"] for row in _rows(segment, "commitments")]
        _check_rows(segment, name, commitments, covered, findings)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        said = str(error).partition("\n")[0]
        findings.wrong.append(Wrong("segment unreadable", f"A table of {name} is missing or damaged: {said}."))
        return findings
    is_whole = None not in commitments and len(commitments) == record["rows"]
    if not is_whole or merkle_root(commitments).hex() != record["merkle_root"]:
        what = f"The commitments of {name} are not those that its record speaks of."
        findings.wrong.append(Wrong("commitments altered", what))
    return findings


def _check_rows(
    segment: SealedSegment, name: str, commitments: list[bytes], covered: set[int], findings: SegmentFindings
) -> None:
    sketches, receipts = _sketches(segment, name, findings), _receipts(segment, name, findings)
    earlier_prints = _earlier_prints(segment, name, findings)
    seen: Counter[int] = Counter()
    for row in _rows(segment, "calls"):
        place, call_id = row.get("row"), row.get("call_id")
        sketch, receipt = sketches.pop(call_id, None), receipts.pop(call_id, None)
        earlier = earlier_prints.pop(call_id, None)
        if not isinstance(place, int) or not 0 <= place < len(commitments):
            what = f"A row of {name} stands at no place of it (call {call_id})."
            findings.wrong.append(Wrong("row foreign", what, None, call_id))
            continue
        seen[place] += 1
        if seen[place] > 1:
            what = f"Row {place} of {name} is there twice (call {call_id})."
            findings.wrong.append(Wrong("row foreign", what, place, call_id))
        elif not _is_committed(row, sketch, earlier, receipt, commitments[place]):
            what = f"Row {place} of {name} is not what was sealed (call {call_id})."
            findings.wrong.append(Wrong("row altered", what, place, call_id))
        elif place in covered:
            what = f"Row {place} of {name} was to be forgotten, and is still there (call {call_id})."
            findings.wrong.append(Wrong("row not forgotten", what, place, call_id))
        else:
            findings.rows += 1
    missing = set(range(len(commitments))) - seen.keys()
    findings.forgotten = len(missing & covered)
    for place in sorted(missing - covered):
        findings.wrong.append(Wrong("row missing", f"Row {place} of {name} is missing.", place))
    for table, left in (("sketch", sketches), ("receipt", receipts), ("second print", earlier_prints)):
        for call_id in left:
            what = f"A {table} of {name} is of a call that is not there ({call_id})."
            findings.wrong.append(Wrong("row foreign", what, None, call_id))


def _is_committed(row: dict[str, Any], sketch: Any, earlier: Any, receipt: Any, committed: bytes) -> bool:
    call = {column: row.get(column) for column in CALL_COLUMNS}
    try:
        canonical = canonical_row(call, sketch, earlier, receipt[1] if receipt else None)
        whole = receipt is None or receipt[0] == (call["receipt_id"], call["account"])
    except (TypeError, AttributeError, ValueError, orjson.JSONEncodeError):  # of another type than it was sealed with
        return False
    return whole and commitment(row.get("salt") or b"", canonical) == committed


def _sketches(segment: SealedSegment, name: str, findings: SegmentFindings) -> dict[Any, Any]:
    return _by_call(name, "sketch", ((row["call_id"], row["minhash"]) for row in _rows(segment, "sketches")), findings)


def _earlier_prints(segment: SealedSegment, name: str, findings: SegmentFindings) -> dict[Any, Any]:
    pairs = ((row["call_id"], row) for row in _rows(segment, "earlier_prints"))
    return _by_call(name, "second print", pairs, findings)


def _receipts(segment: SealedSegment, name: str, findings: SegmentFindings) -> dict[Any, Any]:
    """Each with what else stands in its row, and has to agree with the call's."""
    rows = _rows(segment, "receipts")
    pairs = ((row["call_id"], ((row["receipt_id"], row["account"]), row["receipt"])) for row in rows)
    return _by_call(name, "receipt", pairs, findings)


def _by_call(name: str, table: str, pairs: Iterator[tuple[Any, Any]], findings: SegmentFindings) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for call_id, value in pairs:
        if call_id in found:
            what = f"A second {table} of {name} is of one call ({call_id})."
            findings.wrong.append(Wrong("row foreign", what, None, call_id))
        else:
            found[call_id] = value
    return found


def _rows(segment: SealedSegment, table: CallTable) -> Iterator[dict[str, Any]]:
    """Raises ArrowException or OSError for a table that is not there, damaged, or of other columns."""
    with pq.ParquetFile(segment.table(table)) as file:
        if file.schema_arrow.names != SCHEMAS[table].names:
            raise pa.ArrowInvalid(f"{table}.parquet has other columns than it was sealed with")
        for batch in file.iter_batches(batch_size=2048):
            yield from batch.to_pylist()
