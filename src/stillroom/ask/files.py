"""Questions from a JSONL file that somebody else wrote. Every problem names the file and the line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from stillroom.ask.source_settings import FileSource
from stillroom.base.errors import DataError
from stillroom.base.records import Kind, Message, Question, question_id
from stillroom.text.naming import PLACE

_FORMAT = "docs/formats.md shows what a row looks like."
_OWN_KEYS = {
    "messages", "question", "prompt", "answer", "id", "kind", "family", "source", "licence", "split", "meta",
}  # fmt: skip
_WORKED_ANSWER = "####"
"""What stands before the result in GSM8K's worked answers."""


def read_file(source: FileSource, base_folder: Path) -> Iterator[tuple[str, Question]]:
    """Each question of the file with its place, `name line N`.

    Raises DataError: no such file, no rows, not UTF-8, not JSON, a row without text or with a value of the wrong type.
    """
    path = base_folder / source.path
    rows = islice(_lines(path), source.count)
    is_empty = True
    for place, line in rows:
        is_empty = False
        yield place, _question(place, line, path.name, source)
    if is_empty:
        raise DataError(f"{path} holds no questions.", _FORMAT)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with path.open("rb") as file:
            for number, data in enumerate(file, start=1):
                place = f"{path.name} line {number}"
                try:
                    line = data.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                except UnicodeDecodeError as error:
                    raise DataError(
                        f"{place} is not UTF-8: byte {error.start + 1}.", "Save the file as UTF-8."
                    ) from error
                if line:
                    yield place, line
    except FileNotFoundError as error:
        raise DataError(f"There is no file {path}.", "A path is taken from the recipe's folder.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def _question(place: str, line: str, file_name: str, source: FileSource) -> Question:
    row = _row(place, line)
    messages = _messages(place, row)
    answer, kind = _answer(place, row, source)
    identity: Any = row.get("id")
    if isinstance(identity, int) and not isinstance(identity, bool):
        identity = str(identity)
    meta = row.get("meta")
    others = {key: value for key, value in row.items() if key not in _OWN_KEYS}
    if meta is not None and not isinstance(meta, dict):
        raise DataError(f"{place}: meta must be an object.", _FORMAT)
    try:
        return Question(
            id=question_id(messages) if identity is None else identity,
            messages=messages,
            answer=answer,
            kind=kind,
            source=row.get("source") or file_name,
            licence=row.get("licence") or source.licence,
            split=row.get("split"),
            family=row.get("family"),
            meta={PLACE: place, **others, **(meta or {})},  # columns of the file that are not ours are kept
        )
    except ValidationError as error:
        raise _invalid(place, error) from error


def _row(place: str, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line, parse_constant=_refuse_constant)
        json.dumps(row, ensure_ascii=False).encode("utf-8")  # half an emoji, written as \ud83d, is no text
    except UnicodeEncodeError as error:
        raise DataError(f"{place} holds a broken character.", "Replace it.") from error
    except (ValueError, RecursionError) as error:
        detail = f": {error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise DataError(f"{place} is not JSON{detail}.", "Each line must be one JSON object.") from error
    if not isinstance(row, dict):
        raise DataError(f"{place} is not a JSON object.", _FORMAT)
    return row


def _messages(place: str, row: dict[str, Any]) -> tuple[Message, ...]:
    texts = [key for key in ("messages", "question", "prompt") if row.get(key) is not None]
    if len(texts) != 1:
        found = f"has {' and '.join(texts)}" if texts else "is a question without text"
        raise DataError(f"{place} {found}.", "Give exactly one of question, prompt or messages.")
    value = row[texts[0]]
    if texts[0] != "messages":
        value = [{"role": "user", "content": value}]
    if not isinstance(value, list):
        raise DataError(f"{place}: messages must be a list.", _FORMAT)
    try:
        messages = tuple(Message.model_validate(message) for message in value)
    except ValidationError as error:
        raise _invalid(place, error) from error
    if not messages or messages[-1].role != "user" or not messages[-1].content.strip():
        raise DataError(
            f"{place} is a question without text.", "The last message must be the user's, and say something."
        )
    return messages


def _answer(place: str, row: dict[str, Any], source: FileSource) -> tuple[str | None, Kind]:
    answer = row.get("answer")
    if isinstance(answer, (int, float)) and not isinstance(answer, bool):
        answer = str(answer)
    if answer is not None and not isinstance(answer, str):
        raise DataError(f"{place}: answer must be text.", _FORMAT)
    kind = row.get("kind", source.kind)
    if kind is not None and kind not in get_args(Kind):
        raise DataError(f"{place}: there is no kind {kind!r}.", f"The kinds are {', '.join(get_args(Kind))}.")
    if answer is None:
        return None, kind or "none"
    if _WORKED_ANSWER in answer:
        return answer.rpartition(_WORKED_ANSWER)[2].strip(), kind or "number"
    return answer, kind or "exact"


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _invalid(place: str, error: ValidationError) -> DataError:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return DataError(f"{place}: {where}: {first['msg']}.", _FORMAT)
