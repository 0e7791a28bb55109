"""Conversations as other people's data sets hold them, in OpenAI's shape and in ShareGPT's."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from stillroom.base.errors import DataError
from stillroom.base.records import Message
from stillroom.base.validation import first_problem
from stillroom.text.columns import nearest, refuse_constant

_ROLES = {
    "human": "user", "user": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant",
    "assistant": "assistant", "model": "assistant", "system": "system", "tool": "tool", "observation": "tool",
}  # fmt: skip
"""ShareGPT's names for who speaks."""
_REASONING = ("reasoning_content", "reasoning", "thinking")
"""The names under which an assistant's reasoning stands beside its answer."""


def conversation(value: Any, column: str, place: object) -> tuple[tuple[Message, ...], list[Message]]:
    """The messages up to the user's last turn, and those after it: a reply that somebody else once gave.

    Raises DataError for what is no conversation, or one in which the user says nothing.
    """
    if isinstance(value, str) and value.lstrip().startswith("["):  # as CSV holds it
        try:
            value = json.loads(value, parse_constant=refuse_constant)
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # half an emoji is no text
        except (ValueError, RecursionError) as error:
            raise DataError(f"{place}: {column} is not JSON.", "A conversation is a JSON list of messages.") from error
    if not isinstance(value, list):
        raise DataError(f"{place}: {column} must be a list.", "docs/sources.md shows what a conversation looks like.")
    turns = _results_in_order(value)
    messages = [_message(turn, f"{place}: {column}[{index}]") for index, turn in enumerate(turns)]
    end = max((index for index, message in enumerate(messages, 1) if message.role == "user"), default=0)
    return tuple(messages[:end]), messages[end:]


def _message(turn: Any, place: str) -> Message:
    if not isinstance(turn, dict):
        raise DataError(f"{place} is not a message.", "A message is an object with role and content.")
    fields = {key: item for key, item in turn.items() if item is not None}
    if fields.get("role") == "tool":  # results stand in the order of their calls: that says enough
        fields = {key: item for key, item in fields.items() if key not in ("tool_call_id", "name")}
    thoughts = [fields.pop(name) for name in _REASONING if name in fields]
    if "from" in fields and "role" not in fields:
        fields = {"role": _role(fields["from"], place), "content": fields.get("value")}
    elif fields.get("role") == "assistant" and "tool_calls" in fields:
        fields.setdefault("content", "")
        fields["tool_calls"] = listed(fields["tool_calls"], "tool_calls", place) or None
    if isinstance(fields.get("content"), list):
        fields["content"] = _joined(fields["content"], place)
    fields["reasoning"] = next((thought for thought in thoughts if thought != ""), None)
    try:
        return Message.model_validate(fields)
    except ValidationError as error:
        raise DataError(f"{place}: {first_problem(error)}.", "A message is an object with role and content.") from error


def listed(value: Any, column: str, place: object) -> list[Any]:
    """A list of objects, which may stand there as JSON. Where they come from a table, each has the fields of all of
    them, most of them empty: those are left out. Raises DataError for anything else."""
    if isinstance(value, str):
        try:
            value = json.loads(value, parse_constant=refuse_constant)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{place}: {column} is not JSON.", "It is a list of objects.") from error
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise DataError(f"{place}: {column} must be a list of objects.", "docs/check.md shows what a row looks like.")
    return [_without_nulls(each) for each in value]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _results_in_order(turns: list[Any]) -> list[Any]:
    """The same turns, where results of tools follow their calls' order, as their ids tell."""
    ordered = list(turns)
    for start, turn in enumerate(turns):
        calls = turn.get("tool_calls") if isinstance(turn, dict) else None
        if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
            continue
        places = {call["id"]: place for place, call in enumerate(calls) if isinstance(call.get("id"), str)}
        results = turns[start + 1 : start + 1 + len(calls)]
        ids = [result.get("tool_call_id") if isinstance(result, dict) else None for result in results]
        if len(places) == len(calls) == len(results) and set(ids) == set(places):
            ordered[start + 1 : start + 1 + len(calls)] = sorted(results, key=lambda each: places[each["tool_call_id"]])
    return ordered


def _role(name: Any, place: str) -> str:
    role = _ROLES.get(str(name).lower())
    if role is None:
        raise DataError(f"{place}: nobody is called {name!r}.", nearest(str(name), _ROLES, "names"))
    return role


def _joined(parts: list[Any], place: str) -> str:
    texts = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise DataError(f"{place}: content has a part that is not text.", "Only text can be asked.")
    return "\n".join(text for text in texts if text)
