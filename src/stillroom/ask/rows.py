"""A row of somebody's table becomes a question: which column holds what, and what the row does not say itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, get_args

from pydantic import ValidationError

from stillroom.ask.choices import lettered
from stillroom.ask.distinct import Place
from stillroom.ask.json_file import FORMAT
from stillroom.ask.source_settings import CHOICES, ChoiceColumns, RowSource
from stillroom.ask.template import Template
from stillroom.base.errors import DataError
from stillroom.base.records import Kind, Message, Question, question_id
from stillroom.base.validation import first_problem
from stillroom.text.columns import as_text, text_in, value_of
from stillroom.text.conversation import conversation
from stillroom.text.naming import PLACE
from stillroom.verify.code_answer import read_tests
from stillroom.verify.json_answer import read_json, read_schema

_CONVERSATIONS = ("messages", "conversations")
_OWN = ("kind", "family", "source", "licence", "split", "meta")
_KINDS = get_args(Kind)
_WORKED_ANSWER = "####"
"""What stands before the result in GSM8K's worked answers."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What holds for every row that does not say it itself."""

    source: str
    licence: str | None = None
    split: str | None = None


def questions_of(
    rows: Iterable[tuple[Place, dict[str, Any]]], settings: RowSource, origin: Origin
) -> Iterator[tuple[Place, Question]]:
    """The first `settings.count` rows as questions.

    Raises DataError, naming the row: no such column (with the nearest one), a question without text, a value
    that is not of the right type; and where there are no rows at all.
    """
    template = None if settings.template is None else Template(settings.template)
    is_empty = True
    for place, row in islice(rows, settings.count):
        is_empty = False
        yield place, _question(place, row, settings, template, origin)
    if is_empty:
        raise DataError(f"{origin.source} holds no questions.", FORMAT)


def _question(
    place: Place, row: dict[str, Any], settings: RowSource, template: Template | None, origin: Origin
) -> Question:
    column, messages, reply = _messages(place, row, settings, template)
    if not messages or not messages[-1].content.strip():
        raise DataError(f"{place} is a question without text.", "The user's last message must say something.")
    if settings.choices is None:
        answer, kind = _answer(place, row, settings)
    else:
        messages, answer = _with_choices(place, row, settings.choices, messages, template)
        kind = "choice"
    taken = {column, settings.answer or "answer", settings.id or "id", settings.family, *_OWN}
    meta = {PLACE: str(place), **{key: value for key, value in row.items() if key not in taken}}
    if reply:
        meta["reply"] = "\n\n".join(message.content for message in reply)
    try:
        question = Question(
            id=_identity(place, row, settings) or question_id(messages),
            messages=messages,
            answer=answer,
            kind=kind,
            source=row.get("source") or origin.source,
            licence=row.get("licence") or settings.licence or origin.licence,
            split=row.get("split") or origin.split,
            family=row.get("family") if settings.family is None else text_in(row, settings.family, place),
            meta=meta | _meta(place, row),
        )
    except ValidationError as error:
        raise DataError(f"{place}: {first_problem(error)}.", FORMAT) from error
    _can_be_verified(question, place)
    return question


def _can_be_verified(question: Question, place: Place) -> None:
    """Tests and schemas are looked at before anything is paid for. That a question has none is no error."""
    try:
        if question.kind == "code":
            read_tests(question.meta, question.messages[-1].content)
        elif question.kind == "json":
            read_schema(question.meta)
            if question.answer is not None:
                read_json(question.answer)
    except ValueError as error:
        what = "tests" if question.kind == "code" else "schema or the answer"
        raise DataError(f"{place}: the {what} cannot be used: {error}.", "See docs/sources.md.") from error


def _messages(
    place: Place, row: dict[str, Any], settings: RowSource, template: Template | None
) -> tuple[str | None, tuple[Message, ...], list[Message]]:
    """The column that was asked from, the question, and the reply that stands after it in a conversation."""
    if template is not None:
        # The choices' order follows from the rest of the question: they are put in afterwards.
        filled = template.fill(row if settings.choices is None else {**row, CHOICES: ""}, place)
        return None, (Message(role="user", content=filled),), []
    column = settings.question or settings.messages or _text_column(place, row)
    value = value_of(row, column, place)
    if column == settings.messages or column in _CONVERSATIONS or isinstance(value, list):
        return column, *conversation(value, column, place)
    if value is not None and not isinstance(value, str):
        raise DataError(f"{place}: {column} must be text.", FORMAT)
    return column, (Message(role="user", content=value or ""),), []


def _with_choices(
    place: Place,
    row: dict[str, Any],
    columns: ChoiceColumns,
    messages: tuple[Message, ...],
    template: Template | None,
) -> tuple[tuple[Message, ...], str]:
    """The question with its choices, and the letter of the right one."""
    last = messages[-1].content
    choices = lettered(row, columns, last, place)
    if template is None:
        text = f"{last.rstrip()}\n\n{choices.lines}"
    else:
        text = template.fill({**row, CHOICES: choices.lines}, place)
    return (*messages[:-1], Message(role="user", content=text)), choices.right


def _text_column(place: Place, row: dict[str, Any]) -> str:
    found = [column for column in ("question", "prompt", "messages") if row.get(column) is not None]
    if not found and row.get("conversations") is not None:
        return "conversations"
    if len(found) != 1:
        what = (
            f"has {' and '.join(found)}" if found else f"is a question without text; its columns are {', '.join(row)}"
        )
        raise DataError(
            f"{place} {what}.", "Give exactly one of question, prompt or messages, or name a column in the recipe."
        )
    return found[0]


def _identity(place: Place, row: dict[str, Any], settings: RowSource) -> str | None:
    if settings.id is None and "id" not in row:
        return None
    identity = value_of(row, settings.id or "id", place)
    if isinstance(identity, bool):
        raise DataError(f"{place}: id must be text or a whole number.", FORMAT)
    return None if identity is None else as_text(identity, settings.id or "id", place)


def _answer(place: Place, row: dict[str, Any], settings: RowSource) -> tuple[str | None, Kind]:
    kind = row.get("kind") or settings.kind
    if kind is not None and kind not in _KINDS:
        raise DataError(f"{place}: there is no kind {kind!r}.", f"The kinds are {', '.join(_KINDS)}.")
    column = settings.answer or "answer"
    has_answer = settings.answer is not None or "answer" in row
    if kind == "json" and has_answer and isinstance(value := value_of(row, column, place), list | dict):
        return json.dumps(value, ensure_ascii=False), kind
    answer = text_in(row, column, place) if has_answer else None
    if answer is None:
        return None, kind or "none"
    if kind in ("json", "code"):
        return answer, kind
    if _WORKED_ANSWER in answer:
        return answer.rpartition(_WORKED_ANSWER)[2].strip(), kind or "number"
    return answer, kind or "exact"


def _meta(place: Place, row: dict[str, Any]) -> dict[str, Any]:
    meta = row.get("meta")
    if isinstance(meta, str):  # as CSV and questions.parquet hold it
        with suppress(ValueError, RecursionError):
            meta = json.loads(meta)
    if meta is not None and not isinstance(meta, dict):
        raise DataError(f"{place}: meta must be an object.", FORMAT)
    return meta or {}
