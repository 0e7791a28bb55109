"""A trace as other trainers want it: turns with reasoning, answer and calls apart, and which of them are trained.

What cannot be written in a way that trains the right thing is left out, with a reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stillroom.base.records import Message, Role, Trace
from stillroom.export.settings import Reasoning
from stillroom.text.think import CLOSE, OPEN, join_think, reasoning_and_answer

REASONS = {
    "nothing_trained": "no reply in it is to be trained on",
    "other_role_trained": "a message of somebody other than the assistant is marked to be trained on",
    "begins_with_reply": "it begins with a reply",
    "empty_reply": "a reply to be trained on is empty",
    "think_tags": "a reply to be trained on has think tags besides those of one block",
    "unreadable_call": "a tool call does not say which tool, or its arguments are not a JSON object",
    "unmatched_result": "a tool's result follows no call",
    "unanswered_call": "it goes on after a tool call without that call's result",
    "not_json": "it holds what JSON in UTF-8 cannot (half a character, a number that is none)",
    "roles_do_not_alternate": "user and assistant do not take turns, which this tool demands",
    "text_beside_call": "a reply has text beside a tool call, for which this tool has no place",
    "tool_name": "a tool's name is not up to 64 letters, digits, _ and -, as this tool demands",
    "beyond_file_limit": "the file has reached the size that this tool takes",
}
"""Why a trace is left out of an export."""


class LeftOut(Exception):  # noqa: N818 - what happens to the trace is the name
    """A trace cannot be exported. `reason` is one of REASONS; `detail` says where, for a person."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool."""

    name: str
    arguments: dict[str, Any]
    identity: str
    """What its result refers to it by: unique in its conversation, made up where the trace has none."""


@dataclass(frozen=True, slots=True)
class Turn:
    role: Role
    text: str
    """Without the reasoning."""
    reasoning: str | None = None
    calls: tuple[Call, ...] = ()
    result_of: Call | None = None
    """Of a tool's result: the call."""
    trained: bool = False

    @property
    def content(self) -> str:
        """The reasoning in one think block, then the text: what the student is trained to write."""
        return join_think(self.reasoning, self.text)


def turns_of(trace: Trace, reasoning: Reasoning) -> list[Turn]:
    """The turns of a trace. Raises LeftOut where it cannot be trained on, or its calls and results do not match."""
    turns: list[Turn] = []
    open_calls: list[Call] = []
    count = 0
    for place, message in enumerate(trace.messages):
        where = f"message {place + 1}"
        if message.train and message.role != "assistant":
            raise LeftOut("other_role_trained", where)
        if message.role == "tool":
            if not open_calls:
                raise LeftOut("unmatched_result", where)
            turns.append(Turn("tool", message.content, result_of=open_calls.pop(0)))
            continue
        if open_calls:
            raise LeftOut("unanswered_call", where)
        if message.role != "assistant":
            turns.append(Turn(message.role, message.content))
            continue
        if not any(turn.role != "system" for turn in turns):
            raise LeftOut("begins_with_reply", where)
        open_calls = [_call(call, count + index, where) for index, call in enumerate(message.tool_calls or (), 1)]
        count += len(open_calls)
        turns.append(_reply(message, tuple(open_calls), reasoning, where))
    if not any(turn.trained for turn in turns):
        raise LeftOut("nothing_trained")
    return turns


def up_to_each_reply(turns: Sequence[Turn]) -> Iterator[list[Turn]]:
    """The conversation up to each reply that is trained, that one alone trained in it."""
    for place, turn in enumerate(turns):
        if turn.trained:
            yield [*(replace(earlier, trained=False) for earlier in turns[:place]), turn]


def _reply(message: Message, calls: tuple[Call, ...], reasoning: Reasoning, where: str) -> Turn:
    thought, answer = reasoning_and_answer(message.reasoning, message.content)
    trained = message.train is not False
    if trained and not answer and not calls:
        raise LeftOut("empty_reply", where)
    if trained and any(tag in text for tag in (OPEN, CLOSE) for text in (thought or "", answer)):
        raise LeftOut("think_tags", where)
    return Turn("assistant", answer, thought if reasoning == "keep" else None, calls, trained=trained)


def _call(call: dict[str, Any], number: int, where: str) -> Call:
    function = call.get("function")
    named = function if isinstance(function, dict) else call
    name, arguments, identity = named.get("name"), named.get("arguments"), call.get("id")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            raise LeftOut("unreadable_call", where) from None
    if not (isinstance(name, str) and name and isinstance(arguments, dict | None)):
        raise LeftOut("unreadable_call", where)
    return Call(name, arguments or {}, identity if isinstance(identity, str) and identity else f"call_{number}")
