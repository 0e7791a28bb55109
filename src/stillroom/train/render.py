"""From a trace to token ids and a mask, through the student's own chat template.

The mask comes from the structure of the row. For each trained assistant message the template is asked twice: once for
the conversation before it with the generation prompt, once for the conversation with it. The first text must be the
start of the second; what lies between is the reply, and it is tokenised apart from the prefix. So the prefix that is
trained on is token for token what the served student will see, and no text is ever searched for in another.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stillroom.base.errors import DataError, ModelError
from stillroom.base.records import Message, Trace
from stillroom.text.naming import first_words
from stillroom.text.think import OPEN, join_think
from stillroom.train.settings import Method

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

THINK_PREFIX = f"{OPEN}\n"


@dataclass(frozen=True, slots=True)
class Row:
    """One training row. `trained[i]` says whether the loss falls on predicting `ids[i]` from what is before it."""

    question_id: str
    ids: list[int]
    trained: list[bool]


class Renderer:
    """Renders traces for one student."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, method: Method, end_ids: Collection[int]) -> None:
        """`end_ids` are the tokens at which generation stops for this student (its generation config's eos ids).

        Raises ModelError for a student without an end token.
        """
        if not end_ids:
            raise ModelError(
                "The student has no end-of-turn token.", "Set `eos_token_id` in its generation_config.json."
            )
        self._tokenizer = tokenizer
        self._method = method
        self._end_ids = frozenset(end_ids)

    def render(self, trace: Trace) -> Row:
        """Raises DataError, naming the question, when nothing would be trained or the template rewrites history."""
        ids: list[int] = []
        trained: list[bool] = []
        done = ""
        for position, message in enumerate(trace.messages):
            if not _is_trained(message):
                continue
            before = self._text(trace.messages[:position], generate=True)
            until = self._text(trace.messages[: position + 1], generate=False)
            if not before.startswith(done) or not until.startswith(before):
                raise _rewrites(trace, position)
            content = self._content(message)
            if before.endswith(THINK_PREFIX) and content.startswith(THINK_PREFIX):
                content = content[len(THINK_PREFIX) :]  # the generation prompt has opened the block already
            if not until.startswith(content, len(before)):
                raise _rewrites(trace, position)
            prefix = self._encode(before[len(done) :])
            end, end_text = self._end_of_turn(until[len(before) + len(content) :])
            reply = [*self._encode(content), end]
            ids += prefix + reply
            trained += [False] * len(prefix) + [True] * len(reply)
            # What the template writes after the end token (a line break, often) belongs to the next prefix.
            done = before + content + end_text
        if not ids:
            raise DataError(
                f"The trace of the question {first_words(trace.messages)} has no message to train on.",
                "Give it an assistant message, or leave the row out.",
            )
        return Row(trace.question_id, ids, trained)

    def _end_of_turn(self, after: str) -> tuple[int, str]:
        """The end token and how the template wrote it; where the template wrote none, it is added."""
        first = next(iter(self._encode(after)), None)
        if first in self._end_ids:
            return first, str(self._tokenizer.convert_ids_to_tokens(first))
        return min(self._end_ids), ""

    def _content(self, message: Message) -> str:
        answer = message.content.strip()
        if self._method == "answers_only" or message.reasoning is None:
            return answer
        return join_think(message.reasoning.strip(), answer)

    def _text(self, messages: Sequence[Message], *, generate: bool) -> str:
        turns: list[dict[str, Any]] = [
            {"role": m.role, "content": self._content(m) if m.role == "assistant" else m.content} for m in messages
        ]
        text = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=generate)
        assert isinstance(text, str)
        return text

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids


def _is_trained(message: Message) -> bool:
    return message.role == "assistant" if message.train is None else message.train


def _rewrites(trace: Trace, position: int) -> DataError:
    asked = first_words(trace.messages[:position] or trace.messages)
    return DataError(
        f"The student's chat template does not write the reply to {asked} as it is: it drops or moves reasoning, "
        "or changes what came before.",
        "Use a chat template that keeps every assistant message unchanged.",
    )
