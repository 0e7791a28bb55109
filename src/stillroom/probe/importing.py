"""Pairs whose second reply was drawn by other means than the escrow's: there was no coin, and the grade is `assumed`.

A row: `messages` (a list of `{role, content}`, that list as JSON, or the user's text), `served` and `sealed` (texts);
if known `id`, `account`, `at` (UTC microseconds, or a time as ISO 8601 has it), and `cut` (true: the client hung up,
and `served` is what it had by then).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from stillroom.base.errors import DataError
from stillroom.base.signatures import LATEST
from stillroom.probe.dependence import independent
from stillroom.probe.exclusions import Siblings, Unusable, siblings_of_texts
from stillroom.probe.pairs import Gathered
from stillroom.probe.request_messages import messages_of
from stillroom.store.siblings import Coin, Opening, Pair, messages_json, question_id_of

NO_ACCOUNT = "an unknown account"
_COLUMNS = ("messages", "served", "sealed")
_MOST_LINE_BYTES = 64 << 20
_LONGEST_NAME = 500
"""As long as a plan's may be."""
_REMEDY = "A row has messages, served and sealed: docs/probe-pairs.md."


def import_pairs(path: Path) -> Gathered:
    """Of JSON lines, or of Parquet where the name ends so. Which of two replies comes first is drawn anew for each row.

    Raises DataError, naming the row, where a row is none, or where two have one id.
    """
    gathered = Gathered()
    found: list[tuple[int, Pair, Opening]] = []
    seen: set[str] = set()
    for number, (name, row) in enumerate(_rows(path), 1):
        made = _pair_of(row, name, number)
        if isinstance(made, str):
            gathered.left_out[made] += 1
            continue
        pair, opening = made
        if pair.pair_id in seen:
            raise DataError(f"{name} has the id of an earlier one ({pair.pair_id}).", "Give each row its own, or none.")
        seen.add(pair.pair_id)
        found.append((opening.at, pair, opening))
    if not found and not gathered.left_out:
        raise DataError(f"{path} has no rows.", _REMEDY)
    for pair, opening in independent(found, gathered.left_out):
        gathered.add(pair, opening)
    return gathered


def _pair_of(row: Mapping[str, Any], name: str, number: int) -> tuple[Pair, Opening] | Unusable:
    served, sealed = _text(row, "served", name), _text(row, "sealed", name)
    coin: Coin = 1 if secrets.randbelow(2) else 0
    texts = (served, sealed) if coin == 0 else (sealed, served)
    read = _siblings(row, name, texts, coin)
    if not isinstance(read, Siblings):
        return read
    pair_id = _name(row, "id", name) or f"row-{number:08d}"
    account = _name(row, "account", name) or NO_ACCOUNT
    pair = Pair(pair_id, question_id_of(read.messages), messages_json(read.messages), read.first, read.second)
    return pair, Opening(pair_id, account, _at(row.get("at"), name), coin, "assumed")


def _siblings(row: Mapping[str, Any], name: str, texts: tuple[str, str], coin: Coin) -> Siblings | Unusable:
    cut = row.get("cut")
    if cut is not None and not isinstance(cut, bool):
        raise DataError(f"{name}: `cut` is neither true nor false.", _REMEDY)
    try:
        asked = orjson.dumps({"messages": _messages(row.get("messages"), name)})
    except orjson.JSONEncodeError as error:
        raise DataError(f"{name}: its messages cannot be written as JSON: {error}.", _REMEDY) from error
    messages = messages_of("chat", asked)
    return messages if isinstance(messages, str) else siblings_of_texts(messages, *texts, coin if cut else None)


def _messages(value: Any, name: str) -> list[Any]:
    if isinstance(value, str):
        try:
            listed = orjson.loads(value) if value.lstrip().startswith("[") else None
        except orjson.JSONDecodeError:
            listed = None
        value = listed if isinstance(listed, list) else [{"role": "user", "content": value}]
    if not isinstance(value, list) or not value:
        raise DataError(f"{name} has no messages.", _REMEDY)
    return value


def _text(row: Mapping[str, Any], column: str, name: str) -> str:
    value = row.get(column)
    if not isinstance(value, str):
        raise DataError(f"{name}: `{column}` is no text.", _REMEDY)
    return value


def _name(row: Mapping[str, Any], column: str, name: str) -> str | None:
    """None where none is given."""
    value = row.get(column)
    if value is None:
        return None
    if not isinstance(value, (str, int)) or isinstance(value, bool) or not 0 < len(str(value)) <= _LONGEST_NAME:
        raise DataError(f"{name}: `{column}` is no text of 1 to {_LONGEST_NAME} characters, and no number.", _REMEDY)
    return str(value)


def _at(value: Any, name: str) -> int:
    """0 where it is not known: rows are then in the order of the file."""
    if value is None:
        return 0
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise DataError(f"{name}: `at` is no time: {value!r}.", _REMEDY) from error
    if isinstance(value, datetime):
        moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        value = round(moment.timestamp() * 1_000_000)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LATEST * 1_000_000:
        raise DataError(f"{name}: `at` is no time in microseconds, or none since 1970.", _REMEDY)
    return value


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each row with what it is called in an error."""
    try:
        yield from _parquet_rows(path) if path.suffix == ".parquet" else _json_rows(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.", "Name another file.") from error


def _json_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_MOST_LINE_BYTES + 1):
            number += 1
            name = f"{path}, line {number}"
            if len(line) > _MOST_LINE_BYTES:
                raise DataError(f"{name} is longer than {_MOST_LINE_BYTES} bytes.", _REMEDY)
            if not line.strip():
                continue
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise DataError(f"{name} is not JSON: {error}.", _REMEDY) from error
            if not isinstance(row, dict):
                raise DataError(f"{name} is no JSON object.", _REMEDY)
            yield name, row


def _parquet_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        with pq.ParquetFile(path) as file:
            if lacking := [column for column in _COLUMNS if column not in file.schema_arrow.names]:
                raise DataError(f"{path} has no column {lacking[0]}.", _REMEDY)
            number = 0
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}, row {number}", row
    except (pa.ArrowException, UnicodeDecodeError, KeyError) as error:  # a KeyError: a time zone that there is not
        said = str(error).partition("\n")[0]
        raise DataError(f"{path} is no Parquet file that can be read: {said}.", _REMEDY) from error
