"""Tables between stages: Parquet out in row groups, Parquet and DuckDB in.

Every file carries `stillroom.table` and `stillroom.schema_version` in its schema's metadata. A file without them, made
by another tool, is read as well. Files of version 1, and of other tools, may hold a question's messages nested.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from stillroom.base.errors import StoreError
from stillroom.base.records import Message, Question, Trace, messages_bytes
from stillroom.store.files import replacing
from stillroom.store.schemas import QUESTIONS, SCHEMA_VERSION, TRACES, TRACES_OF_VERSION_1, VERSION_KEY

ROWS_PER_GROUP = 2048
"""Rows held in memory while writing: some 20 MB of long replies."""

# Arrow's own allocators keep what was freed: 25 MB of a million questions' tables, which nothing else could use.
pa.set_memory_pool(pa.system_memory_pool())

_READ_AHEAD = 2**20
"""Bytes of each column. Without it, a whole column of a row group would be."""

_Record = TypeVar("_Record", Question, Trace)
_QUESTION_COLUMNS = tuple(QUESTIONS.names)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def write_table(path: Path, schema: pa.Schema, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write `rows` in their order, `ROWS_PER_GROUP` at a time, and put the file in place when it is whole.

    Returns the number of rows. A row must have exactly the schema's columns: ValueError otherwise, and the old file
    stays. Raises StoreError where the file cannot be written.
    """
    count = 0
    with table_writer(path, schema) as write:
        for row in rows:
            write(row)
            count += 1
    return count


@contextmanager
def table_writer(path: Path, schema: pa.Schema) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """The same for rows that come one by one: yields what writes a row. An exception inside leaves the old file."""
    count, names = 0, set(schema.names)
    group: list[Mapping[str, Any]] = []

    def flush() -> None:
        if group:
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
            group.clear()

    def write(row: Mapping[str, Any]) -> None:
        nonlocal count
        if row.keys() != names:
            raise ValueError(f"{path.name}: row {count} has columns {sorted(row)}, not {sorted(names)}")
        group.append(row)
        count += 1
        if len(group) == ROWS_PER_GROUP:
            flush()

    with replacing(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        yield write
        flush()


def write_questions(path: Path, questions: Iterable[Question]) -> int:
    return write_table(path, QUESTIONS, map(question_row, questions))


def write_traces(path: Path, traces: Iterable[Trace]) -> int:
    return write_table(path, TRACES, map(trace_row, traces))


def question_row(question: Question) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(question, name) for name in _QUESTION_COLUMNS}
    row["messages"] = messages_bytes(question.messages).decode("utf-8")
    row["meta"] = _ENCODER.encode(question.meta)
    return row


def trace_row(trace: Trace) -> dict[str, Any]:
    row = trace.model_dump(exclude={"messages"})
    row["messages"] = [message_row(message) for message in trace.messages]
    row["tools"] = None if trace.tools is None else json.dumps(trace.tools, ensure_ascii=False)
    return row


def read_questions(path: Path) -> Iterator[Question]:
    """Raises StoreError for a file or a row that is not what it should be."""
    for number, row in enumerate(read_rows(path, QUESTIONS.names)):
        row["meta"] = json.loads(row["meta"]) if row["meta"] else {}
        if isinstance(row["messages"], str):
            row["messages"] = json.loads(row["messages"])
        yield _record(Question, row, path, number)


def read_question_rows(path: Path) -> Iterator[tuple[str, str]]:
    """Id and messages of each question, these as canonical JSON: a list of objects, sorted keys, no nulls.

    As they are stored, without a look at them: made for going through millions. Raises StoreError for a file that is
    not what it should be.
    """
    with _open(path) as file, _reading(path):
        _need_columns(file, path, ["id", "messages"])
        is_text = pa.types.is_string(file.schema_arrow.field("messages").type)
        if is_text:
            for batch in file.iter_batches(batch_size=8192, columns=["id", "messages"]):
                yield from zip(batch["id"].to_pylist(), batch["messages"].to_pylist(), strict=True)
    if not is_text:
        for question in read_questions(path):
            yield question.id, messages_bytes(question.messages).decode("utf-8")


def read_traces(path: Path) -> Iterator[Trace]:
    """Raises StoreError for a file or a row that is not what it should be."""
    with _open(path) as file:
        known = [name for name in TRACES.names if name in file.schema_arrow.names or name in TRACES_OF_VERSION_1]
    for number, row in enumerate(read_rows(path, known)):
        if isinstance(row.get("tools"), str):
            try:
                row["tools"] = json.loads(row["tools"])
            except ValueError as error:
                raise StoreError(f"{path}, row {number}: tools is not JSON: {error}.") from error
        yield _record(Trace, row, path, number)


def count_rows(path: Path) -> int:
    """Rows of a table, from its footer alone."""
    with _open(path) as file:
        return int(file.metadata.num_rows)


def read_rows(path: Path, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
    """Rows in the file's order, as plain values, a part of the file at a time. None: all columns.

    Raises StoreError for a file that is missing, not Parquet, newer than this version, or without one of `columns`.
    """
    with _open(path) as file, _reading(path):
        _need_columns(file, path, columns or ())
        for batch in file.iter_batches(batch_size=512, columns=list(columns) if columns else None):
            yield from batch.to_pylist()


_QUERY_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": "64MB",  # more goes to the disk: millions of rows are no reason to need a larger machine
    "threads": 1,
}


def query(sql: str, **paths: Path) -> pa.Table:
    """Run SQL over Parquet files: each keyword is the name of a table, and its value the file.

    `query("select status, count(*) from replies group by 1", replies=Path("runs/demo/replies.parquet"))`
    """
    with duckdb.connect(":memory:", config=_QUERY_SETTINGS) as connection:
        for name, path in paths.items():
            with _open(path):  # the same clear errors as above
                file_name = str(path).replace("'", "''")
            connection.execute(f"create view \"{name}\" as select * from read_parquet('{file_name}')")
        # A cursor would do too, but copies every row once more on the way out.
        with _reading(*paths.values()):
            table: pa.Table | None = connection.sql(sql).to_arrow_table()
    if table is None:
        raise ValueError(f"{sql!r} gives no rows to return")
    return table


def open_parquet(path: Path) -> pq.ParquetFile:
    """For reading a part at a time: told nothing, pyarrow reads the columns of the whole file ahead, and keeps them."""
    return pq.ParquetFile(path, pre_buffer=False, buffer_size=_READ_AHEAD)


def _open(path: Path) -> pq.ParquetFile:
    try:
        file = open_parquet(path)
    except FileNotFoundError as error:
        raise StoreError(f"{path} does not exist.", "Run the stage that writes it first.") from error
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path} cannot be read as Parquet.", "Delete it and run its stage again.") from error
    version = (file.schema_arrow.metadata or {}).get(VERSION_KEY, b"1")
    if not version.isdigit() or int(version) > SCHEMA_VERSION:
        file.close()
        raise StoreError(
            f"{path} has schema version {version.decode(errors='replace')}, newer than this stillroom reads.",
            f"Install the stillroom that wrote it; this one reads up to {SCHEMA_VERSION}.",
        )
    return file


@contextmanager
def _reading(*paths: Path) -> Iterator[None]:
    """Of files whose footer was found whole: the rest of them need not be."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError, duckdb.IOException, duckdb.InvalidInputException) as error:
        said = str(error).partition("\n")[0] or type(error).__name__
        raise StoreError(
            f"{' or '.join(map(str, paths))} is damaged: {said}.", "Delete it and run its stage again."
        ) from error


def _need_columns(file: pq.ParquetFile, path: Path, columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in file.schema_arrow.names]
    if missing:
        raise StoreError(f"{path} has no column {', '.join(missing)}.", "docs/formats.md names the columns.")


def message_row(message: Message) -> dict[str, Any]:
    """A message as the tables hold it, nested."""
    row = message.model_dump()
    row["tool_calls"] = None if message.tool_calls is None else json.dumps(message.tool_calls, ensure_ascii=False)
    return row


def _record(kind: type[_Record], row: dict[str, Any], path: Path, number: int) -> _Record:
    for message in row["messages"] or ():
        if isinstance(message.get("tool_calls"), str):
            message["tool_calls"] = json.loads(message["tool_calls"])
    try:
        return kind.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StoreError(f"{path}, row {number}: {where}: {first['msg']}.") from error
