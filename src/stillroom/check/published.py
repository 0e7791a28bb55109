"""The rows of a data set as other tools read them: Parquet and JSON lines in `messages` form.

A message holds `role` and `content` only, and the reasoning is one think block at the beginning of the content. That is
the form on which trainers agree: chat templates of models that reason take the block apart, others keep it as text. A
field of its own beside the content is dropped, unseen, by those that read role and content only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from stillroom.base.batches import batched
from stillroom.store.tables import ROWS_PER_GROUP, count_rows
from stillroom.text.think import join_think

BYTES_PER_FILE = 500_000_000
"""Of a Parquet file; one file ends with the group of rows that passes it, and the next begins."""

Row = dict[str, Any]

_text, _integer = pa.string(), pa.int64()
ABOUT: dict[str, pa.DataType] = {
    "question_id": _text,
    "source": _text,
    "licence": _text,
    "family": _text,
    "kind": _text,
    "expected": _text,
    "verdict": _text,
    "judged_by": _text,
    "tokens": _integer,
    "teacher": _text,
    "reply_key": _text,
    "receipt": _text,
}
"""What kept and rejected rows say of their question and their reply."""
KEPT: dict[str, pa.DataType] = {**ABOUT, "pass_rate": pa.float64(), "terms": _text}
REJECTED: dict[str, pa.DataType] = {**ABOUT, "sample": _integer, "reason": _text, "detail": _text, "extracted": _text}


def messages_form(messages: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Messages as records hold them, for other tools: `role`, `content`, and `tool_calls` of those that have any."""
    return [_message(message) for message in messages]


def _message(message: Mapping[str, Any]) -> Row:
    said = {"role": message["role"], "content": join_think(message.get("reasoning"), message["content"])}
    calls = message.get("tool_calls")
    return said if calls is None else said | {"tool_calls": json.loads(calls) if isinstance(calls, str) else calls}


def has_tools(table: Path) -> bool:
    """Whether some row of a run's table has tools or calls them, told from the file's footer; True where that does not
    say.

    Raises StoreError for a table that cannot be read.
    """
    count_rows(table)  # the clear error
    with pq.ParquetFile(table) as file:
        footer = file.metadata
    for group in range(footer.num_row_groups):
        for number in range(footer.num_columns):
            column = footer.row_group(group).column(number)
            if column.path_in_schema == "tools" or column.path_in_schema.endswith(".tool_calls"):
                nulls = column.statistics.null_count if column.statistics else None
                if nulls is None or nulls < column.num_values:
                    return True
    return False


def write_split(folder: Path, split: str, rows: Iterable[Row], *, with_tools: bool) -> int:
    """Write `data/SPLIT-*.parquet` and `SPLIT.jsonl`: the same rows in the same order. Returns how many.

    There must be one: the datasets library reads no split that is empty.

    The lines hold `messages` alone, and `tools` where a row has them; the tables have the columns of `KEPT` beside it.
    `with_tools`: whether some row has tools, or calls them; the tables hold them as JSON text, since their shape is
    anybody's.
    """
    columns = KEPT | ({"tools": _text} if with_tools else {})
    schema, data = _schema(columns, with_tools), folder / "data"
    data.mkdir(exist_ok=True)
    groups = batched(rows, ROWS_PER_GROUP)
    group = next(groups, None)
    written: list[Path] = []
    count = 0
    with (folder / f"{split}.jsonl").open("wb") as lines:
        while group is not None:
            path = data / f"{split}-{len(written):05d}.parquet"
            written.append(path)
            with path.open("wb") as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
                while group is not None and file.tell() < BYTES_PER_FILE:
                    count += len(group)
                    lines.writelines(orjson.dumps(_line(row)) + b"\n" for row in group)
                    writer.write_table(_table(group, schema))
                    group = next(groups, None)
    for number, path in enumerate(written):
        path.replace(data / f"{split}-{number:05d}-of-{len(written):05d}.parquet")
    return count


def _line(row: Row) -> Row:
    tools = row.get("tools")
    return {"messages": row["messages"]} | ({} if tools is None else {"tools": json.loads(tools)})


def write_rejected(folder: Path, rows: Iterable[Row], *, with_tools: bool) -> int:
    """Write `rejected.parquet`, with the columns of `REJECTED`. Returns the number of rows."""
    schema, count = _schema(REJECTED, with_tools), 0
    with pq.ParquetWriter(folder / "rejected.parquet", schema, compression="zstd") as writer:
        for group in batched(rows, ROWS_PER_GROUP):
            count += len(group)
            writer.write_table(_table(group, schema))
    return count


def _schema(columns: Mapping[str, pa.DataType], with_tools: bool) -> pa.Schema:
    message = {"role": _text, "content": _text} | ({"tool_calls": _text} if with_tools else {})
    held: list[tuple[str, pa.DataType]] = [("messages", pa.list_(pa.struct(list(message.items())))), *columns.items()]
    return pa.schema(held)


def _table(group: Sequence[Row], schema: pa.Schema) -> pa.Table:
    rows = [{name: row[name] for name in schema.names} | {"messages": _as_text(row["messages"])} for row in group]
    return pa.Table.from_pylist(rows, schema=schema)


def _as_text(messages: list[Row] | None) -> list[Row] | None:
    if messages is None:
        return None
    return [
        {**message, "tool_calls": json.dumps(message["tool_calls"], ensure_ascii=False)}
        if "tool_calls" in message
        else message
        for message in messages
    ]
