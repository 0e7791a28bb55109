"""The lines of a data set, held against its tables: lines have no receipts of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson


def split_of(table: Path) -> str:
    """`train` of `data/train-00000-of-00001.parquet`."""
    return table.name.partition("-")[0]


def lines_of(folder: Path, table: Path) -> Path:
    return folder / f"{split_of(table)}.jsonl"


def offsets_of_lines(path: Path, rows: Sequence[int]) -> tuple[list[int], bool]:
    """Where the lines of these rows begin, and whether there are lines beyond the last of `rows`.

    `rows` in ascending order, counted from 0 over all tables of the split; the last one is how many there are. A row
    that has no line begins at the file's end.
    """
    offsets: list[int] = []
    at = 0
    with path.open("rb") as file:
        for number, line in enumerate(file):
            while len(offsets) < len(rows) and rows[len(offsets)] == number:
                offsets.append(at)
            at += len(line)
            if len(offsets) == len(rows):
                return offsets, True
    return offsets + [at] * (len(rows) - len(offsets)), False


def lines_from(path: Path, offset: int) -> Iterator[bytes]:
    """The lines from there on, and then empty ones for ever."""
    with path.open("rb") as file:
        file.seek(offset)
        yield from file
    while True:
        yield b""


def difference(line: bytes, row: Mapping[str, Any], name: str) -> str | None:
    """What a row's line in the file `name` says otherwise than the row of the table; None where nothing differs."""
    if not line:
        return f"{name} has no line for it"
    return None if _agrees(line, row) else f"its line in {name} says something else"


def _agrees(line: bytes, row: Mapping[str, Any]) -> bool:
    try:
        said = orjson.loads(line)
        tools = None if row.get("tools") is None else json.loads(row["tools"])
        messages = [_message(message) for message in row["messages"] or ()]
    except (ValueError, TypeError, RecursionError):
        return False
    return isinstance(said, dict) and said == {"messages": messages} | ({} if tools is None else {"tools": tools})


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    known = {"role": message["role"], "content": message["content"]}
    calls = message.get("tool_calls")
    return known if calls is None else known | {"tool_calls": json.loads(calls)}
