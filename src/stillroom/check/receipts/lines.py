"""The lines of a data set, held against its tables: lines have no receipts of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import orjson

from stillroom.store.tables import open_parquet

_BATCH = 512


def differing_lines(
    folder: Path, split: str, files: Sequence[str]
) -> Iterator[tuple[int, int, Mapping[str, Any], str]]:
    """Rows whose line in `SPLIT.jsonl` says something else, or is not there: file, row, what it holds, and why.

    `files`: all tables of the data set. Lines beyond the last row are told as one more row of the last file.
    """
    own = [number for number, file in enumerate(files) if split_of(Path(file)) == split]
    lines_file = folder / f"{split}.jsonl"
    with lines_file.open("rb") as lines:
        for place, line in zip_longest(_rows(files, own), lines):
            if place is None:
                yield own[-1] if own else 0, -1, {}, f"{lines_file.name} has more lines than there are rows"
                return
            file, number, row = place
            if line is None:
                yield file, number, row, f"{lines_file.name} has no line for it"
            elif not _agrees(line, row):
                yield file, number, row, f"its line in {lines_file.name} says something else"


def split_of(path: Path) -> str:
    """`train` of `data/train-00000-of-00001.parquet`."""
    return path.name.partition("-")[0]


def _rows(files: Sequence[str], own: Sequence[int]) -> Iterator[tuple[int, int, dict[str, Any]]]:
    for file in own:
        with open_parquet(Path(files[file])) as table:
            wanted = {"messages", "question_id", "reply_key", "tools"}
            columns = [name for name in table.schema_arrow.names if name in wanted]
            batches = table.iter_batches(_BATCH, columns=columns, use_threads=False)
            for number, row in enumerate(row for batch in batches for row in batch.to_pylist()):
                yield file, number, row


def _agrees(line: bytes, row: Mapping[str, Any]) -> bool:
    try:
        said = orjson.loads(line)
        tools = None if row.get("tools") is None else json.loads(row["tools"])
        messages = [_message(message) for message in row["messages"] or ()]
    except ValueError:
        return False
    return isinstance(said, dict) and said == {"messages": messages} | ({} if tools is None else {"tools": tools})


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    known = {"role": message["role"], "content": message["content"]}
    calls = message.get("tool_calls")
    return known if calls is None else known | {"tool_calls": json.loads(calls)}
