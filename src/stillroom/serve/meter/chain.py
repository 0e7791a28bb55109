"""A worker's chain: one signed record for each sealed segment and each forgetting, each naming the one before it.

`chain.jsonl` holds a line of JSON for each record: `{"record": {...}, "jws": "..."}`. The record says its place
(`index`, from 0) and the digest of the record before it (`previous`); the JWS is over the record, and null where the
gateway has no signing key. Records are only ever appended, by one process at a time, and are on the disk before what
they speak of counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from stillroom.base.call_commitment import RECORD_TYPE as RECORD_TYPE
from stillroom.base.canonical import digest
from stillroom.base.errors import StoreError
from stillroom.store.append_only import append_line, whole_lines
from stillroom.store.lock import alone_in

Sign = Callable[[dict[str, Any]], str]
"""Gives the compact JWS of a record, of the type RECORD_TYPE."""

_FILE = "chain.jsonl"
_MOST_ROWS = 10_000_000
"""Of a segment: more than settings allow."""


@dataclass(frozen=True, slots=True)
class ChainLine:
    record: dict[str, Any]
    jws: str | None

    @property
    def digest(self) -> str:
        return digest(self.record)


def read_chain(folder: Path) -> list[ChainLine]:
    """All records of a worker's folder. A last line that a kill cut short does not count.

    Raises StoreError, naming the line, for one that is not what it should be.
    """
    path = folder / _FILE
    return [_parsed(line, f"{path}, line {number}") for number, line in enumerate(whole_lines(path), 1)]


def append_record(folder: Path, record: dict[str, Any], sign: Sign | None) -> ChainLine:
    """Add `index` and `previous` to a record, sign it and write it down; it is on the disk then. Raises StoreError."""
    path = folder / _FILE
    with alone_in(folder, "chain.lock"):
        before = read_chain(folder)
        chained = {**record, "index": len(before), "previous": before[-1].digest if before else None}
        line = ChainLine(chained, None if sign is None else sign(chained))
        append_line(path, orjson.dumps({"record": line.record, "jws": line.jws}))
    return line


def sealed_numbers(lines: list[ChainLine]) -> set[int]:
    return {line.record["segment"] for line in lines if line.record["kind"] == "segment"}


def _parsed(line: bytes, name: str) -> ChainLine:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise StoreError(f"{name}, is not JSON.", "Put the file back from a backup.") from error
    record = value.get("record") if isinstance(value, dict) else None
    if not isinstance(record, dict) or not _is_record(record):
        raise StoreError(f"{name}, is no record of a chain.", "Put the file back from a backup.")
    return ChainLine(record, value.get("jws"))


def _is_record(record: dict[str, Any]) -> bool:
    """Whether what others rely on is there: whoever altered the file need not have kept to it."""
    if not _are_counts(record.get("at"), record.get("rows")):
        return False
    if record.get("kind") == "segment":
        counts = _are_counts(record.get("segment"), record.get("damaged_lines"), record.get("first_at") or 0)
        return counts and isinstance(record.get("merkle_root"), str)
    deleted = record.get("deleted")
    return record.get("kind") == "forgetting" and isinstance(deleted, dict) and all(map(_is_deletion, deleted.items()))


def _is_deletion(item: tuple[str, Any]) -> bool:
    number, pairs = item
    return (
        number.isdecimal()
        and isinstance(pairs, list)
        and all(isinstance(pair, list) and len(pair) == 2 and _are_counts(*pair) for pair in pairs)
        and all(first <= last < _MOST_ROWS for first, last in pairs)
    )


def _are_counts(*values: Any) -> bool:
    return all(type(value) is int and value >= 0 for value in values)
