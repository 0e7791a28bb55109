"""What is compared of a question: what is said to the model. Read from a run's questions, or from anybody's file."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson

from stillroom.base.errors import DataError
from stillroom.store.tables import read_rows
from stillroom.text.columns import as_text
from stillroom.text.conversation import conversation

_TEXT_COLUMNS = ("messages", "conversations", "question", "problem", "prompt", "instruction", "text")
_FORMS = "Files end in .parquet, .jsonl, .json, .csv or .tsv."


@dataclass(frozen=True, slots=True)
class Text:
    """One question, as it is compared."""

    id: str
    text: str
    """All messages but the system's, which many questions share."""
    system: str = ""
    family: int = 0
    """Equal for generated tasks of one family; 0 for questions that were not generated."""
    parameters: int = 0
    """Equal for tasks of one family with the same parameters, and then they are the same task."""


def question_texts(path: Path) -> Iterator[Text]:
    """The rows of a questions.parquet. Raises StoreError for a file that is not one."""
    for row in read_rows(path, ["id", "messages", "family", "meta"]):
        yield _text(row["id"], row["messages"], row)


def examination_texts(path: Path) -> Iterator[Text]:
    """The questions of a file: questions.parquet, or rows with a column that is called question, problem, prompt,
    instruction, text or messages. A row without an id is called by its place, `line 12`.

    Raises DataError or StoreError for what cannot be read, naming the row.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise DataError(f"{path} is of no form that can be read here.", _FORMS)
    empty = True
    for place, row in read(path):
        empty = False
        yield _row_text(path, place, row)
    if empty:
        raise DataError(f"{path} holds no questions.", "Name a file that does.")


def said(messages: str | list[dict[str, Any]]) -> tuple[str, str]:
    """What the messages of a stored question say without the system's, and what the system's say."""
    parts: dict[bool, list[str]] = {True: [], False: []}
    for message in orjson.loads(messages) if isinstance(messages, str) else messages:
        parts[message["role"] == "system"].append(message["content"])
    return "\n\n".join(parts[False]), "\n\n".join(parts[True])


def _text(identity: str, messages: Any, row: dict[str, Any]) -> Text:
    text, system = said(messages)
    family = row.get("family")
    made = None if family is None else _made_from(row.get("meta"))
    if family is None or made is None:  # A family alone may be somebody's name for a subject.
        return Text(identity, text, system)
    return Text(
        identity, text, system, hash64(family), hash64(orjson.dumps([family, made], option=orjson.OPT_SORT_KEYS))
    )


def _made_from(meta: Any) -> Any:
    """The parameters of a generated task; None where there are none."""
    held = json.loads(meta) if isinstance(meta, str) and meta else meta
    if not isinstance(held, dict):
        return None
    made = held.get("parameters")
    entry = held.get("entry")
    if made is None and isinstance(entry, dict):
        # A reasoning-gym task: its metadata do not always tell two entries apart, the whole entry does.
        metadata = entry.get("metadata")
        plain = {key: value for key, value in metadata.items() if key != "source_index"} if metadata else None
        made = {**entry, "metadata": plain}
    return made


def said_key(found: Sequence[str], text: str) -> int:
    """Equal for texts that say the same: with these tokens, whatever their case; to the letter where there are none."""
    return hash64(" ".join(found).casefold() or text.strip())


def hash64(data: str | bytes) -> int:
    """64 bits, never 0."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return int.from_bytes(blake2b(raw, digest_size=8).digest(), "little") or 1


def _row_text(path: Path, place: str, row: dict[str, Any]) -> Text:
    named = {name.lower(): value for name, value in row.items() if isinstance(name, str)}
    column = next((name for name in _TEXT_COLUMNS if named.get(name) is not None), None)
    if column is None:
        raise DataError(
            f"{path} {place} has no question; its columns are {', '.join(map(str, row))}.",
            f"One of {', '.join(_TEXT_COLUMNS)} should hold it.",
        )
    identity = str(named["id"]) if named.get("id") is not None else place
    value, where = named[column], f"{path} {place}"
    if column in ("messages", "conversations"):
        messages, _ = conversation(value, column, where)
        return _text(identity, [message.model_dump() for message in messages], named)
    return Text(identity, as_text(value, column, where))


def _parquet_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, row in enumerate(read_rows(path)):
        yield f"row {number}", row


def _json_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for place, text in _json_texts(path):
        try:
            found = json.loads(text)
        except ValueError as error:
            raise DataError(f"{path} {place} is not JSON: {error}.", "Every line should be one object.") from error
        for number, row in enumerate(found if isinstance(found, list) else [found]):
            where = f"entry {number}" if isinstance(found, list) else place
            if not isinstance(row, dict):
                raise DataError(f"{path} {where} is not a JSON object.", "Every line should be one object.")
            yield where, row


def _json_texts(path: Path) -> Iterator[tuple[str, str]]:
    """Line by line; a file that is one list comes as a whole."""
    lines = enumerate(_lines(path), 1)
    for number, line in lines:
        if line.lstrip().startswith("["):
            yield f"line {number}", line + "".join(rest for _, rest in lines)
        elif not line.isspace():
            yield f"line {number}", line


def _csv_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    rows = csv.DictReader(_lines(path), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    try:
        for row in rows:
            yield f"line {rows.line_num}", row
    except csv.Error as error:
        raise DataError(f"{path} line {rows.line_num}: {error}.", "It should be CSV with a header.") from error


def _lines(path: Path) -> Iterable[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from file
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise DataError(f"{path} cannot be read: {why}.", "Name a file of questions.") from error


_READERS: dict[str, Callable[[Path], Iterator[tuple[str, dict[str, Any]]]]] = {
    ".parquet": _parquet_rows,
    ".jsonl": _json_rows,
    ".json": _json_rows,
    ".ndjson": _json_rows,
    ".csv": _csv_rows,
    ".tsv": _csv_rows,
}
