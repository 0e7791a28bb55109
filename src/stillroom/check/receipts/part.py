"""Rows of a data set judged by one process of several: what it found lies in two tables, however much it is."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import count, islice, repeat
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stillroom.base.errors import StoreError
from stillroom.check.receipts.lines import difference, lines_from
from stillroom.check.receipts.owner import from_json, read_owner
from stillroom.check.receipts.row import Judge, Problem, Vouched
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
_TOOLS = "tools"

_BATCH = 512
_ROWS_PER_GROUP = 8192


@dataclass(frozen=True, slots=True)
class Part:
    """Each `of`-th batch of a row group, from the one numbered `first` on."""

    file: int
    group: int
    first_row: int
    lines_at: int | None
    """Where the group's lines begin in the split's file of lines; None where there is no such file."""
    first: int = 0
    of: int = 1


@dataclass(frozen=True, slots=True)
class Order:
    """What one process does."""

    files: Sequence[str]
    """All tables of the data set, in order."""
    lines: Sequence[str]
    """The file of lines of each."""
    parts: Sequence[Part]
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
            lines = Path(order.lines[part.file])
            for first, rows, of_rows in _batches(Path(order.files[part.file]), lines, part):
                for number, (row, line) in enumerate(zip(rows, of_rows, strict=True), first):
                    judged = _judged(judge, row, line, lines.name)
                    if isinstance(judged, Problem):
                        found.add(_about(row, part.file, number) | judged._asdict())
                    else:
                        vouched.add(_about(row, part.file, number) | judged._asdict() | _short(judged))
                yield len(rows)


def _batches(path: Path, lines: Path, part: Part) -> Iterator[tuple[int, list[dict[str, Any]], Sequence[bytes | None]]]:
    """The number of the first row, the rows, and their lines, of each batch that belongs to a part."""
    of_rows: Iterator[bytes | None] = repeat(None) if part.lines_at is None else lines_from(lines, part.lines_at)
    with open_parquet(path) as file:
        columns = [*COLUMNS, *({_TOOLS} & set(file.schema_arrow.names))]
        batches = file.iter_batches(_BATCH, row_groups=[part.group], columns=columns, use_threads=False)
        first = part.first_row
        for number in count():
            try:
                batch = next(batches, None)
                rows = batch.to_pylist() if batch is not None and number % part.of == part.first else None
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                said = str(error).partition("\n")[0]
                raise StoreError(f"{path} is damaged: {said}.", "Fetch the data set again.") from error
            if batch is None:
                return
            of_batch = list(islice(of_rows, batch.num_rows))
            if rows is not None:
                yield first, rows, of_batch
            first += batch.num_rows


def _judged(judge: Judge, row: Mapping[str, Any], line: bytes | None, lines: str) -> Problem | Vouched:
    judged = judge.judge(row)
    differs = None if line is None or isinstance(judged, Problem) else difference(line, row, lines)
    return judged if differs is None else Problem("altered_lines", differs)


def _about(row: Mapping[str, Any], file: int, number: int) -> dict[str, Any]:
    return {"file": file, "row": number, "question_id": row["question_id"], "reply_key": row["reply_key"]}


def _short(judged: Vouched) -> dict[str, Any]:
    return {"receipt": hashlib.blake2b(judged.receipt.encode("utf-8"), digest_size=16).digest()}


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
            columns = [[row[name] for row in self._waiting] for name in self._schema.names]
            self._writer.write_table(pa.table(columns, schema=self._schema))
            self._waiting = []
