"""Rows of a data set judged by one process of several: what it found lies in two tables, however much it is."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stillroom.check.receipts.lines import differing_lines
from stillroom.check.receipts.owner import from_json, read_owner
from stillroom.check.receipts.row import Judge, Problem
from stillroom.store.tables import open_parquet

_text, _integer, _hash = pa.string(), pa.int64(), pa.large_binary()
_IN_ORDER: list[tuple[str, pa.DataType]] = [
    ("file", _integer),
    ("row", _integer),
    ("question_id", _text),
    ("reply_key", _text),
]
"""A row's file and its place in it, both counted from 0, and what it is known by."""
FOUND = pa.schema([*_IN_ORDER, ("reason", _text), ("detail", _text)])
"""A bad row."""
VOUCHED = pa.schema(
    [
        *_IN_ORDER,
        ("receipt", _hash),
        ("choice", _integer),
        ("same", _integer),
        ("content", _hash),
        ("permit", _text),
        ("at_us", _integer),
        ("tokens", _integer),
        ("prompt", _text),
    ]
)
"""A row that is what its receipt says, with what sums over all rows need."""
COLUMNS = ("messages", "question_id", "reply_key", "teacher", "receipt")

_BATCH = 512
_ROWS_PER_GROUP = 8192


@dataclass(frozen=True, slots=True)
class Part:
    """Each `of`-th batch of a row group, from the one numbered `first` on; or, of lines, all of a split."""

    file: int
    group: int
    first_row: int
    first: int = 0
    of: int = 1


@dataclass(frozen=True, slots=True)
class Order:
    """What one process does."""

    files: Sequence[str]
    """All tables of the data set, in order."""
    parts: Sequence[Part]
    splits: Sequence[str]
    """Those whose file of lines is compared with their tables."""
    folder: str
    """The data set's."""
    keys: str
    """The file of the owner's keys."""
    keys_name: str
    permits: Sequence[Mapping[str, Any]]
    found: str
    """The table to write bad rows to."""
    vouched: str
    """And the others."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> Order:
        return cls(**{**value, "parts": [Part(**part) for part in value["parts"]]})


def work(order: Order) -> Iterator[int]:
    """Judge the rows of an order. Yields how many were judged, now and then.

    Raises StoreError for a table that cannot be read, DataError for keys that are none.
    """
    keys = Path(order.keys).read_bytes()
    owner, _ = read_owner(keys, order.keys_name, from_json(order.permits), int(time.time()))
    judge = Judge(owner)
    with ExitStack() as stack:
        found = stack.enter_context(_Rows(Path(order.found), FOUND))
        vouched = stack.enter_context(_Rows(Path(order.vouched), VOUCHED))
        for part in order.parts:
            for first, rows in _batches(Path(order.files[part.file]), part):
                for number, row in enumerate(rows, first):
                    _enter(judge, row, part.file, number, found, vouched)
                yield len(rows)
        for split in order.splits:
            for file, number, line_of, detail in differing_lines(Path(order.folder), split, order.files):
                found.add(_found(line_of, file, number, Problem("altered_lines", detail)))


def _batches(path: Path, part: Part) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    with open_parquet(path) as file:
        batches = file.iter_batches(_BATCH, row_groups=[part.group], columns=list(COLUMNS), use_threads=False)
        first = part.first_row
        for number, batch in enumerate(batches):
            if number % part.of == part.first:
                yield first, batch.to_pylist()
            first += batch.num_rows


def _enter(judge: Judge, row: Mapping[str, Any], file: int, number: int, found: _Rows, vouched: _Rows) -> None:
    judged = judge.judge(row)
    if isinstance(judged, Problem):
        found.add(_found(row, file, number, judged))
        return
    vouched.add(
        judged._asdict()
        | {
            "file": file,
            "row": number,
            "question_id": row["question_id"],
            "reply_key": row["reply_key"],
            "receipt": hashlib.blake2b(judged.receipt.encode("utf-8"), digest_size=16).digest(),
        }
    )


def _found(row: Mapping[str, Any], file: int, number: int, problem: Problem) -> dict[str, Any]:
    return {
        "file": file,
        "row": number,
        "question_id": row.get("question_id"),
        "reply_key": row.get("reply_key"),
        "reason": problem.reason,
        "detail": problem.detail,
    }


class _Rows:
    """Rows of a table that is written as they come."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._waiting: list[dict[str, Any]] = []

    def __enter__(self) -> _Rows:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def add(self, row: dict[str, Any]) -> None:
        self._waiting.append(row)
        if len(self._waiting) >= _ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_pylist(self._waiting, schema=self._schema))
            self._waiting = []
