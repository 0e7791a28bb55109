"""From a trace to token ids and what each counts, through the student's own chat template.

A reply is trained on behind the very prompt that the served student is given for it: the template writes the
conversation before it (`stillroom.generate.prompt`, as serving does), and the reply is written from the trace, in the
shape that `stillroom.generate.turns` has learned. So no thought is lost to a template that drops it from history, and
no text is ever searched for in another: which tokens are trained goes by their position.

The replies of a conversation share a row as long as the prompt of each begins with the tokens of the row so far. Where
it does not (the template drops thoughts of earlier turns, most often), that reply begins a row of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding
from transformers import PreTrainedTokenizerBase

from stillroom.base.errors import DataError
from stillroom.base.records import Message, Trace
from stillroom.generate.prompt import conversation_text, encode, template_message
from stillroom.generate.turns import KEEP, TurnShape, TurnShapes, call_names
from stillroom.text.think import CLOSE, reasoning_and_answer
from stillroom.train.settings import Method, PartWeights

CHARACTERS_AT_ONCE = 1_000_000
"""Of texts that are tokenized together, on all cores. A token takes some 150 bytes while it is on its way."""
TRACES_AT_ONCE = 1024
ALIKE = PartWeights()


@dataclass(frozen=True, slots=True)
class Reply:
    """Where a reply lies in a row: tokens [start, stop), the end token included."""

    message: int
    """Its place among the trace's messages."""
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Row:
    """One training row. The loss falls on predicting `ids[i]` from what is before it, `weights[i]` times."""

    question_id: str
    ids: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    """0 for what is not trained: the prompt."""
    replies: tuple[Reply, ...] = ()

    @property
    def trained(self) -> npt.NDArray[np.bool_]:
        return self.weights > 0


@dataclass(frozen=True, slots=True)
class Rendered:
    """A trace and its rows; none, and the reason, where it cannot be rendered."""

    trace: Trace
    rows: tuple[Row, ...]
    problem: DataError | None = None


@dataclass(frozen=True, slots=True)
class _Turn:
    """A reply and the prompt that it answers, as text."""

    message: int
    prompt: str
    shape: TurnShape
    reply: str
    """What the student writes, without its end token."""
    thought_ends: int
    """Characters of `reply` up to the end of its think block; 0 without one."""


class Renderer:
    """Renders traces for one student."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        method: Method,
        end_ids: Collection[int],
        weights: PartWeights = ALIKE,
    ) -> None:
        """`end_ids` are the tokens at which generation stops for this student (its generation config's eos ids).

        Raises ModelError for a student without an end token.
        """
        self.end_ids = set(end_ids)
        """These, and every token that the template has ended a reply with: the trained student stops at each."""
        self._tokenizer = tokenizer
        self._method = method
        self._weights = weights
        self._shapes = TurnShapes(tokenizer, end_ids)
        self._ids_before: dict[str, list[int]] = {}

    def render(self, trace: Trace) -> tuple[Row, ...]:
        """The rows of one trace. Raises DataError, which says why, where it cannot be trained on as it is."""
        (rendered,) = self.render_all([trace])
        if rendered.problem is not None:
            raise rendered.problem
        return rendered.rows

    def render_all(self, traces: Iterable[Trace]) -> Iterator[Rendered]:
        """Every trace with its rows, or with what is wrong with it, in the same order."""
        # The tokenizers' threads are known to be wanted: without it they warn of every process started later.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
        group: list[tuple[Trace, list[_Turn] | DataError]] = []
        characters = 0
        for trace in traces:
            turns = self._turns_or_problem(trace)
            group.append((trace, turns))
            if isinstance(turns, list):
                characters += sum(len(turn.prompt) + len(turn.reply) for turn in turns)
            if characters >= CHARACTERS_AT_ONCE or len(group) >= TRACES_AT_ONCE:
                yield from self._tokenized(group)
                group, characters = [], 0
        yield from self._tokenized(group)

    def _tokenized(self, group: list[tuple[Trace, list[_Turn] | DataError]]) -> Iterator[Rendered]:
        all_turns = [turn for _, turns in group if isinstance(turns, list) for turn in turns]
        texts = [text for turn in all_turns for text in (turn.prompt, turn.shape.before + turn.reply)]
        encodings = self._encode_all(texts)
        for trace, turns in group:
            if isinstance(turns, DataError):
                yield Rendered(trace, (), turns)
            else:
                pairs = [(next(encodings), next(encodings)) for _ in turns]
                yield Rendered(trace, tuple(self._rows(trace, turns, pairs)))

    def _encode_all(self, texts: list[str]) -> Iterator[Encoding]:
        backend = self._tokenizer.backend_tokenizer
        # Offsets, which take time, are needed only to tell reasoning from answer.
        together = backend.encode_batch_fast if self._weights.are_alike else backend.encode_batch
        return iter(together(texts, add_special_tokens=False))

    # --- texts -------------------------------------------------------------------------------------------------------

    def _turns_or_problem(self, trace: Trace) -> list[_Turn] | DataError:
        try:
            return self._turns(trace)
        except DataError as error:
            return error

    def _turns(self, trace: Trace) -> list[_Turn]:
        trained = trained_messages(trace)
        messages = _for_template(trace, self._method)
        turns = []
        for place in trained:
            before = messages[:place]
            if not before:
                raise DataError("The conversation begins with a reply.", "Leave it out, or begin it with a question.")
            prompt = conversation_text(self._tokenizer, before, trace.tools)
            shape = self._shapes.of_reply(before, trace.tools)
            _refuse_changes(before, trace.tools or (), prompt, shape)
            turns.append(self._turn(place, trace, messages, prompt, shape))
        return turns

    def _turn(self, place: int, trace: Trace, messages: list[dict[str, Any]], prompt: str, shape: TurnShape) -> _Turn:
        reasoning, answer = reply_parts(trace.messages[place], self._method)
        if reasoning is not None and shape.closes_think:
            raise DataError(
                "The student's chat template closes the think block before the reply, which has reasoning.",
                "Train with method: answers_only, or use a chat template that lets the student think.",
            )
        lead, body, trail = shape.lead, answer, shape.trail
        if trace.messages[place].tool_calls:
            plain = {key: value for key, value in messages[place].items() if key != "reasoning_content"}
            lead, body, trail = "", self._shapes.call_text(messages[:place], plain, trace.tools), ""
        text = shape.written(reasoning, body)
        if shape.opens_think:
            lead = ""
        in_block = reasoning is not None or shape.opens_think
        thought_ends = len(lead) + text.index(CLOSE) + len(CLOSE) if in_block else 0
        return _Turn(place, prompt, shape, lead + text + trail, thought_ends)

    # --- tokens ------------------------------------------------------------------------------------------------------

    def _rows(self, trace: Trace, turns: list[_Turn], encodings: list[tuple[Encoding, Encoding]]) -> Iterator[Row]:
        ids: list[int] = []
        weights: list[float] = []
        replies: list[Reply] = []
        for turn, (prompt, reply) in zip(turns, encodings, strict=True):
            prompt_ids = prompt.ids
            if prompt_ids[: len(ids)] != ids:
                yield _row(trace, ids, weights, replies)
                ids, weights, replies = [], [], []
            weights += [0.0] * (len(prompt_ids) - len(ids))
            reply_ids, reply_weights = self._reply(turn, reply)
            ids = prompt_ids + reply_ids
            weights += reply_weights
            replies.append(Reply(turn.message, len(prompt_ids), len(ids)))
        yield _row(trace, ids, weights, replies)

    def _reply(self, turn: _Turn, encoding: Encoding) -> tuple[list[int], list[float]]:
        """The tokens of a reply with its end token, and their weights.

        It was tokenized behind the end of its prompt: some tokenizers write a word differently at the start of a text.
        Where its first token would have become one with the prompt's last, which a served prompt's never does, it is
        tokenized behind an end token.
        """
        before = turn.shape.before
        before_ids = self._ids_before.get(before)
        if before_ids is None:
            before_ids = self._ids_before[before] = encode(self._tokenizer, before)
        skipped, start = len(before_ids), len(before)
        if encoding.ids[:skipped] != before_ids:
            end = str(self._tokenizer.convert_ids_to_tokens(turn.shape.end_id))
            encoding = self._tokenizer.backend_tokenizer.encode(end + turn.reply, add_special_tokens=False)
            skipped, start = 1, len(end)
        ids = encoding.ids[skipped:]
        weight = self._weights
        if weight.are_alike:
            weights = [weight.answer] * (len(ids) + 1)
        else:
            thought_ends = start + turn.thought_ends if turn.thought_ends else 0
            begins = [begin for begin, _ in encoding.offsets[skipped:]]
            weights = [weight.reasoning if begin < thought_ends else weight.answer for begin in begins]
            weights.append(weight.answer)
        self.end_ids.add(turn.shape.end_id)
        return [*ids, turn.shape.end_id], weights


def trained_messages(trace: Trace) -> list[int]:
    """The places of the messages that the loss falls on: assistant messages, unless they say no.

    Raises DataError where there is none, and where somebody else's message is to be trained on.
    """
    trained = []
    for place, message in enumerate(trace.messages):
        if message.train and message.role != "assistant":
            raise DataError(
                f"A message of the role {message.role} is marked to be trained on.",
                "Set train on messages of the assistant only.",
            )
        if message.role == "assistant" and message.train is not False:
            trained.append(place)
    if not trained:
        raise DataError("It has no message to train on.", "Give it an assistant message, or leave the row out.")
    return trained


def reply_parts(message: Message, method: Method) -> tuple[str | None, str]:
    """(reasoning, answer) of an assistant's message, without white space around them.

    Reasoning that stands in a think block of the content is taken out of it, also where the block's first tag is
    missing since a prompt had written it. None where there is none, or the method leaves it out.
    """
    reasoning, answer = reasoning_and_answer(message.reasoning, message.content)
    return None if method == "answers_only" else reasoning, answer


def _for_template(trace: Trace, method: Method) -> list[dict[str, Any]]:
    """The messages as a client sends them; results of tools carry the ids and names of the calls before them."""
    messages = []
    calls: list[dict[str, Any]] = []
    for message in trace.messages:
        if message.role == "assistant":
            reasoning, answer = reply_parts(message, method)
            calls = list(message.tool_calls or ())
            messages.append(template_message("assistant", answer, reasoning=reasoning, tool_calls=calls))
        elif message.role == "tool" and calls:
            call = calls.pop(0)
            name, identity = call_names([call])[0] or None, call.get("id")
            messages.append(template_message("tool", message.content, tool_call_id=identity, name=name))
        else:
            messages.append(template_message(message.role, message.content))
    return messages


def _refuse_changes(
    before: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]], prompt: str, shape: TurnShape
) -> None:
    """A prompt has every text of its messages, as it is or as JSON, and every tool; it ends as the shape says."""
    if not prompt.endswith(shape.before):
        raise DataError("The student's chat template ends its prompts differently from text to text.", KEEP)
    for turn in before:
        texts = [turn["content"].strip(), *call_names(turn.get("tool_calls", ()))]
        for text in texts:
            if text not in prompt and _as_json(text) not in prompt:
                raise DataError(f"The student's chat template changes or leaves out a {turn['role']} message.", KEEP)
    if any(name not in prompt for name in call_names(tools)):
        raise DataError("The student's chat template leaves out what may be called.", KEEP)


def _as_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _row(trace: Trace, ids: list[int], weights: list[float], replies: list[Reply]) -> Row:
    return Row(trace.question_id, np.array(ids, np.int32), np.array(weights, np.float32), tuple(replies))
