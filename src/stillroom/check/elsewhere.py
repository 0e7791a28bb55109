"""Traces from elsewhere: rows of other people's files become questions and replies, which are checked like our own.

A row holds a conversation in `messages` (OpenAI's shape) or `conversations` (ShareGPT's), or `prompt` and `completion`,
each text or a list of messages. What the assistant says last is the reply; its reasoning stands beside it, or in a
think block at its beginning. All before it belongs to the question; of that, calls that the assistant makes after the
user's last turn are trained on as the reply is, and earlier turns are not. `tools` says what it may call.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, get_args

import orjson

from stillroom.base.canonical import digest
from stillroom.base.errors import DataError
from stillroom.base.records import Kind, Message, Question, messages_bytes, question_id
from stillroom.check.rows import ROWS, TOOLS, Row, Tables
from stillroom.check.settings import MixSettings
from stillroom.store.schemas import QUESTIONS
from stillroom.store.tables import question_row, read_question_rows, table_writer
from stillroom.text.columns import as_text, text_in
from stillroom.text.conversation import conversation, listed
from stillroom.text.naming import PLACE
from stillroom.text.think import split_think

ReadRows = Callable[[Path, str], Iterator[tuple[object, dict[str, Any]]]]
"""The rows of a file, of whatever format, each with its place in words; the second argument is the file's name."""

PREFIX = "trace:"
"""Begins the ids of questions that are not the run's: they sort behind those that are named by a digest."""
_KINDS = get_args(Kind)
_WORKED_ANSWER = "####"
_CUT = ("length", "max_tokens")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What the files hold: questions and replies, and a file of rows that hold neither (JSON, one on each line)."""

    tables: Tables
    unreadable: Path

    def unreadable_rows(self) -> Iterator[Row]:
        """Some columns of rejected.parquet, and `mix`."""
        with self.unreadable.open("rb") as lines:
            yield from map(orjson.loads, lines)


def read_elsewhere(folder: Path, own: Path, mix: Sequence[MixSettings], read_rows: ReadRows) -> Elsewhere:
    """Write what all files hold as tables in `folder`. `own`: the run's questions.parquet.

    Raises DataError for a file that cannot be read, or of which no row holds a conversation.
    """
    found = Elsewhere(Tables(folder / "questions.parquet", folder / "rows.parquet"), folder / "unreadable.jsonl")
    ids = {_short(messages.encode("utf-8")): identity for identity, messages in read_question_rows(own)}
    seen: set[str] = set()
    with (
        table_writer(found.tables.questions, QUESTIONS) as write_question,
        table_writer(found.tables.rows, ROWS) as write_row,
        found.unreadable.open("wb") as unreadable,
    ):
        for number, source in enumerate(mix):
            count, first_problem = 0, ""
            for place, row in read_rows(Path(source.path), Path(source.path).name):
                try:
                    question, reply = trace_of(row, source, place)
                except DataError as error:
                    first_problem = first_problem or error.what
                    unreadable.write(orjson.dumps(_unreadable(error, row, source) | {"mix": number}) + b"\n")
                    continue
                count += 1
                # A question of the run's own has no tools.
                own_id = None if TOOLS in question.meta else ids.get(_short(messages_bytes(question.messages)))
                identity = own_id or PREFIX + question.id
                if own_id is None and identity not in seen:
                    seen.add(identity)
                    write_question(question_row(question.model_copy(update={"id": identity})))
                write_row(reply | {"question_id": identity, "mix": number})
            if count == 0:
                raise DataError(
                    f"{source.path} holds no conversation. {first_problem}".rstrip(),
                    "docs/check.md shows what a row looks like.",
                )
    return found


def trace_of(row: Mapping[str, Any], source: MixSettings, place: object) -> tuple[Question, Row]:
    """The question that a row answers, and its reply, a row of `ROWS`. Raises DataError for what is no conversation."""
    asked, said = _turns(row, place)
    answer, kind = _reference(row, source, place)
    tools = listed(row["tools"], "tools", place) if row.get("tools") is not None else []
    question = Question(
        id=digest([question_id(asked), tools]) if tools else question_id(asked),
        messages=asked,
        answer=answer,
        kind=kind,
        source=_text(row, "source", place) or Path(source.path).name,
        licence=_text(row, "licence", place) or _text(row, "license", place) or source.licence,
        family=_text(row, "family", place),
        meta={PLACE: str(place)} | ({TOOLS: tools} if tools else {}),
    )
    return question, _reply(row, said, place) | {
        "key": digest([question.id, said.model_dump()]),
        "terms": source.terms,
    }


def _turns(row: Mapping[str, Any], place: object) -> tuple[tuple[Message, ...], Message]:
    column = next((name for name in ("messages", "conversations", "prompt") if row.get(name) is not None), None)
    if column is None:
        raise DataError(f"{place} has no messages, conversations or prompt.", "")
    value = row[column]
    if column == "prompt":
        completion = row.get("completion")
        value = [*_as_turns(value, "user"), *_as_turns(completion, "assistant")]
    asked, said = conversation(value, column, place)
    if not asked:
        raise DataError(f"{place}: the user says nothing in {column}.", "")
    if not _is_one_reply(said):
        raise DataError(f"{place}: {column} does not end with one reply of the assistant.", "")
    # Which turns a file trains is the file's own business, and makes no other question of it.
    return tuple(message.model_copy(update={"train": None}) for message in (*asked, *said[:-1])), said[-1]


def _is_one_reply(said: Sequence[Message]) -> bool:
    """Whether the assistant says one thing, after as many calls and their results as it likes."""
    before = "user"
    for number, message in enumerate(said, 1):
        is_call = message.role == "assistant" and bool(message.tool_calls) and number < len(said)
        is_result = message.role == "tool" and before in ("call", "tool")
        is_last = message.role == "assistant" and number == len(said)
        if not (is_result or ((is_call or is_last) and before in ("user", "tool"))):
            return False
        before = "call" if is_call else message.role
    return before == "assistant"


def _as_turns(value: Any, role: str) -> list[Any]:
    return value if isinstance(value, list) else [{"role": role, "content": value}]


def _reference(row: Mapping[str, Any], source: MixSettings, place: object) -> tuple[str | None, Kind]:
    kind: Any = row.get("kind") if row.get("kind") in _KINDS else source.kind
    answer = text_in(row, source.answer, place) if source.answer is not None else None
    if answer is None:
        return None, "none"
    if _WORKED_ANSWER in answer:
        return answer.rpartition(_WORKED_ANSWER)[2].strip(), kind or "number"
    return answer, kind or "exact"


def _reply(row: Mapping[str, Any], said: Message, place: object) -> Row:
    split = split_think(said.content)
    reasoning, answer, block = said.reasoning, said.content, split.block
    if reasoning is None:
        reasoning, answer = split.reasoning, split.answer
    reply: Row = dict.fromkeys(ROWS.names)
    rate = row.get("pass_rate")
    return reply | {
        "teacher": _text(row, "teacher", place) or _text(row, "model", place),
        "status": "truncated" if row.get("finish_reason") in _CUT else "ok",
        "finish_reason": _text(row, "finish_reason", place),
        "reasoning_form": "full" if reasoning else "none",
        "reasoning": reasoning,
        "answer": answer,
        "block": block if said.reasoning is None or block == "none" else "not_well_formed",
        "receipt": _text(row, "receipt", place),
        "pass_rate": float(rate) if isinstance(rate, int | float) and 0 <= rate <= 1 else None,
        "tool_calls": json.dumps(said.tool_calls, ensure_ascii=False) if said.tool_calls else None,
    }


def _text(row: Mapping[str, Any], column: str, place: object) -> str | None:
    value = row.get(column)
    return None if value is None else as_text(value, column, place) or None


def _unreadable(error: DataError, row: Mapping[str, Any], source: MixSettings) -> Row:
    name = row.get("source")
    return {
        "reason": "not_a_conversation",
        "detail": error.what,
        "source": name if isinstance(name, str) and name else Path(source.path).name,
        "licence": source.licence,
    }


def _short(messages: bytes) -> bytes:
    return blake2b(messages, digest_size=16).digest()
