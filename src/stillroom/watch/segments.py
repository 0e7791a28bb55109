"""The sealed segments of calls that are new, in the order in which they are taken."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import file_digest
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from stillroom.base.canonical import digest
from stillroom.base.errors import StoreError
from stillroom.store.calls import CallTable, SealedSegment, sealed_segments, worker_folders
from stillroom.watch.columns import CALL_COLUMNS
from stillroom.watch.parts import Parts, Segment

ROWS_AT_ONCE = 1_000_000
"""Calls of one part, about: what is held in memory at once, however many there are."""


@dataclass(frozen=True)
class NewSegment:
    sealed: SealedSegment
    segment: Segment
    rows: int
    first_at: int

    def table(self, name: CallTable) -> Path | None:
        """None where the segment has none: imports need not have sketches, say."""
        path = self.sealed.table(name)
        return path if path.exists() else None


def new_segments(calls: Path, parts: Parts) -> list[NewSegment]:
    """Those that were not taken yet, wherever they lay then, by when their first calls came. Raises StoreError."""
    found: dict[str, NewSegment] = {}
    for worker in worker_folders(calls):
        chain = _Chain(worker)
        for sealed in sealed_segments(worker):
            folder = str(sealed.folder.resolve())
            if parts.is_taken(folder=folder):
                continue
            each = _opened(sealed, folder, chain)
            if not parts.is_taken(digest=each.segment.digest):
                found.setdefault(each.segment.digest, each)
    # Workers' segments of one hour come together: between the calls of an account on two workers there are gaps too.
    return sorted(found.values(), key=lambda each: (each.first_at, each.segment.worker, each.segment.number))


def batches(segments: Sequence[NewSegment]) -> Iterator[list[NewSegment]]:
    """Neighbours of ROWS_AT_ONCE rows together, about."""
    batch: list[NewSegment] = []
    rows = 0
    for segment in segments:
        if batch and rows + segment.rows > ROWS_AT_ONCE:
            yield batch
            batch, rows = [], 0
        batch.append(segment)
        rows += segment.rows
    if batch:
        yield batch


def _opened(sealed: SealedSegment, folder: str, chain: _Chain) -> NewSegment:
    path = sealed.table("calls")
    try:
        metadata = pq.read_metadata(path)
        commitments = sealed.table("commitments")
        # They say all that is in the rows, and stay as they were where an account was forgotten. Imports have none.
        has_commitments = commitments.exists() and pq.read_metadata(commitments).num_rows > 0
        with (commitments if has_commitments else path).open("rb") as file:
            content = f"sha256:{file_digest(file, 'sha256').hexdigest()}"
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path} cannot be read: {error}.", "Put the segment back from a backup.") from error
    _check_types(path, metadata.schema.to_arrow_schema())
    record = chain.records.get(sealed.number)
    segment = Segment(folder, sealed.worker, sealed.number, content, record)
    return NewSegment(sealed, segment, metadata.num_rows, _first_at(metadata))


def _check_types(path: Path, schema: pa.Schema) -> None:
    for field in CALL_COLUMNS:
        if field.name in schema.names and not _is_like(schema.field(field.name).type, field.type):
            raise StoreError(
                f"{path}: the column {field.name} is {schema.field(field.name).type}, not {field.type}.",
                "Import these calls anew.",
            )


def _is_like(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether nothing is lost when it is read as what is wanted."""
    if pa.types.is_dictionary(found):
        found = found.value_type
    if pa.types.is_null(found) or found == wanted:
        return True
    if wanted == pa.string():
        return pa.types.is_large_string(found) or pa.types.is_string_view(found)
    if wanted == pa.float64():
        return pa.types.is_floating(found) or pa.types.is_integer(found)
    return wanted == pa.int64() and pa.types.is_integer(found)


def _first_at(metadata: pq.FileMetaData) -> int:
    """By the file's statistics; 0 where it has none."""
    first: list[int] = []
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for index in range(row_group.num_columns):
            column = row_group.column(index)
            if column.path_in_schema == "at" and column.statistics is not None and column.statistics.has_min_max:
                first.append(cast(int, column.statistics.min))
    return min(first, default=0)


class _Chain:
    """A worker's signed records, read where one is asked for."""

    def __init__(self, worker: Path) -> None:
        self._path = worker / "chain.jsonl"

    @cached_property
    def records(self) -> Mapping[int, str]:
        """By segment the digest of its record, as the next record names it. No records: imported calls.

        A last line that a kill cut short does not count.
        """
        try:
            lines = self._path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StoreError(f"{self._path} cannot be read: {error.strerror}.") from error
        records = (self._record(line, number) for number, line in enumerate(lines, 1))
        return {record["segment"]: digest(record) for record in records if record["kind"] == "segment"}

    def _record(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads(line)["record"]
            if record["kind"] == "segment":
                int(record["segment"])
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{self._path}, line {number}, is no record of a chain.", "Put the file back from a backup."
            ) from error
        return record
