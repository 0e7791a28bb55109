"""What a chat template writes around a reply: learned by having it write marks instead of texts.

A template may drop the reasoning of a reply, or add an empty think block, or end a turn in its own way. So it is not
asked to write the reply that is trained on. It is asked, once for each order of roles, to write a conversation whose
texts are marks: what stands between the mark before a reply and the mark of the reply is what comes before a reply, and
what stands after it is what ends one. A served student is given the former, and has to write the rest itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from stillroom.base.errors import DataError, ModelError
from stillroom.generate.prompt import conversation_text, opens_think
from stillroom.text.think import CLOSE, OPEN, join_think

Messages = Sequence[dict[str, Any]]
Tools = Sequence[dict[str, Any]] | None

REPLY_MARK = 'The Mark  of <b>a</b> "reply" & it\'s 1,5 × ½'
"""Holds what a template may be tempted to change: capitals, two blanks, signs of HTML and of JSON."""
EMPTY_BLOCK = re.compile(rf"\s*(?:{OPEN}\s*)?{CLOSE}\s*")
THINK_END = re.compile(rf"(?:{OPEN}\s*)?(?:{CLOSE}\s*)?\Z")
KEEP = "Use a chat template that keeps every message unchanged."


@dataclass(frozen=True, slots=True)
class TurnShape:
    """What stands around every reply of conversations with the same roles."""

    before: str
    """How the prompt ends: all that follows the text of the last message."""
    think: str
    """The end of `before` that opens a think block, or closes one; empty where it does neither."""
    lead: str
    """White space that the student writes before its reply."""
    trail: str
    """White space that it writes before the end token."""
    end_id: int
    """The token that ends a turn of this student."""

    @property
    def opens_think(self) -> bool:
        return opens_think(self.think)

    @property
    def closes_think(self) -> bool:
        return CLOSE in self.think

    def written(self, reasoning: str | None, answer: str) -> str:
        """What the student writes for this reply between `lead` and `trail`: of a think block that the prompt has
        opened, only the rest; one without reasoning is then empty."""
        if not self.opens_think:
            return join_think(reasoning, answer)
        text = join_think(reasoning or "", answer)
        space = self.think[self.think.rindex(OPEN) + len(OPEN) :]
        rest = text[len(OPEN) :]
        return rest.removeprefix("\n") if space else rest


class TurnShapes:
    """The shapes of one student's chat template."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, end_ids: Collection[int]) -> None:
        """`end_ids` are the tokens at which generation stops for this student.

        Raises ModelError for a student without any.
        """
        if not end_ids:
            raise ModelError(
                "The student has no end-of-turn token.", "Set `eos_token_id` in its generation_config.json."
            )
        self._tokenizer = tokenizer
        own = tokenizer.eos_token_id
        self._usual_end = own if isinstance(own, int) and own in end_ids else min(end_ids)
        special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
        ends = special | set(end_ids)
        self._end_texts = {str(tokenizer.convert_ids_to_tokens(number)): number for number in sorted(ends)}
        self._known: dict[tuple[Any, ...], TurnShape] = {}

    def of_reply(self, before: Messages, tools: Tools) -> TurnShape:
        """The shape of a reply to the conversation `before`.

        Raises DataError where the template leaves out the last message, changes the reply, or writes something else
        than a reply after the prompt.
        """
        if before[-1].get("tool_calls"):
            raise DataError("A reply follows a tool call without its result.", "Leave such conversations out.")
        key = (bool(tools), *((turn["role"], bool(turn.get("tool_calls"))) for turn in before))
        shape = self._known.get(key)
        if shape is None:
            shape = self._known[key] = self._learn(_marked(before), tools)
        return shape

    def call_text(self, before: Messages, reply: dict[str, Any], tools: Tools) -> str:
        """What the student writes to say `reply["content"]` and call `reply["tool_calls"]`, up to its end token.

        Raises DataError where the template leaves any of it out.
        """
        shape = self.of_reply(before, tools)
        marked = _marked(before)
        text = conversation_text(self._tokenizer, [*marked, reply], tools, for_reply=False)
        body = _after_prompt(text, marked[-1]["content"], shape.before.removesuffix(shape.think))
        head, end, _ = body.rpartition(str(self._tokenizer.convert_ids_to_tokens(shape.end_id)))
        written = head if end else body
        names = call_names(reply["tool_calls"])
        if not all(names):
            raise DataError("A tool call does not say which tool.", "Mend the call, or leave the row out.")
        if any(part not in written for part in (reply["content"], *names, *_arguments(reply["tool_calls"]))):
            raise DataError("The student's chat template leaves out a tool call, or the text beside it.", KEEP)
        return _without_block(written)

    def _learn(self, marked: Messages, tools: Tools) -> TurnShape:
        prompt = conversation_text(self._tokenizer, marked, tools)
        mark = marked[-1]["content"]
        if mark not in prompt:
            raise DataError(f"The student's chat template leaves out messages of the role {marked[-1]['role']}.", KEEP)
        before = prompt.rpartition(mark)[2]
        found = THINK_END.search(before)
        think = found.group() if found else ""
        reply = {"role": "assistant", "content": REPLY_MARK}
        text = conversation_text(self._tokenizer, [*marked, reply], tools, for_reply=False)
        if REPLY_MARK not in text:
            raise DataError("The student's chat template changes the text of replies.", KEEP)
        head, _, after = text.rpartition(REPLY_MARK)
        lead = _without_block(_after_prompt(head, mark, before.removesuffix(think)))
        if lead.strip():
            raise _does_not_lead_to(lead)
        return TurnShape(before, think, lead, *self._end(after))

    def _end(self, after: str) -> tuple[str, int]:
        """White space before the end token, and that token; where the template writes none, the student's own."""
        places = [(after.find(text), number) for text, number in self._end_texts.items() if text and text in after]
        if not places:
            return "", self._usual_end
        at, number = min(places)
        if after[:at].strip():
            raise DataError(f"The student's chat template writes {after[:at].strip()!r} after each reply.", KEEP)
        return after[:at], number


def call_names(calls: Sequence[dict[str, Any]]) -> list[str]:
    """The names of the functions that are called, in OpenAI's shape or without its outer object."""
    return [str(_function(call).get("name") or "") for call in calls]


def _arguments(calls: Sequence[dict[str, Any]]) -> list[str]:
    """The names of what the calls pass on."""
    passed = [_function(call).get("arguments") for call in calls]
    return [str(name) for arguments in passed if isinstance(arguments, dict) for name in arguments]


def _function(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    return function if isinstance(function, dict) else call


def _marked(messages: Messages) -> list[dict[str, Any]]:
    """The same roles and calls, with marks as texts and without reasoning; beside a call stands no text."""
    marked = []
    for place, turn in enumerate(messages):
        kept = {key: value for key, value in turn.items() if key != "reasoning_content"}
        marked.append({**kept, "content": "" if turn.get("tool_calls") else f"stillroomtext{place}"})
    return marked


def _after_prompt(text: str, mark: str, before: str) -> str:
    """What stands in `text` behind the prompt, whose end is `before` (without its think tags).

    Raises DataError where the prompt does not end so.
    """
    after = text.rpartition(mark)[2]
    if mark not in text or not after.startswith(before):
        raise _does_not_lead_to(after)
    return after[len(before) :]


def _without_block(text: str) -> str:
    """`text` without an empty think block at its beginning, which some templates add where there are no thoughts."""
    block = EMPTY_BLOCK.match(text)
    return text[block.end() :] if block else text


def _does_not_lead_to(written: str) -> DataError:
    return DataError(
        f"The student's chat template writes {written[:60]!r} before a reply, and its prompt for a reply does not.",
        "Use a chat template whose prompt for a reply (add_generation_prompt) is what stands before its replies.",
    )
