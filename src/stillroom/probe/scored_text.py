"""What a model is asked the likelihood of: both replies of a pair as it would write them itself, equally long.

A reply stands behind the prompt that the model's chat template writes for the question, in the shape in which a student
is trained on it (`stillroom.generate.turns`). Both are cut to the tokens of the shorter one, and the token that ends a
reply is counted for neither: how long a reply is says nothing then.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from stillroom.base.errors import DataError
from stillroom.generate.prompt import conversation_text, encode
from stillroom.generate.turns import TurnShape, TurnShapes
from stillroom.probe.pack_messages import messages_of
from stillroom.store.siblings import Pair
from stillroom.text.think import reasoning_and_answer


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """Token ids; both replies have the same number of them."""

    pair_id: str
    prompt: list[int]
    first: list[int]
    second: list[int]

    @property
    def tokens(self) -> int:
        """Of each reply; 0: nothing of them can be scored."""
        return len(self.first)


class PairTokens:
    """Turns pairs into the tokens of one model."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, end_ids: Collection[int], context: int) -> None:
        """`context`: most tokens that prompt and reply may have. Raises ModelError for a model without an end token."""
        self._tokenizer = tokenizer
        self._context = context
        self._shapes = TurnShapes(tokenizer, end_ids)

    def of(self, pair: Pair) -> ScoredPair:
        """Without any token of a reply where the template refuses the question, or leaves no room for a reply.

        Raises DataError for messages that are none.
        """
        messages = messages_of(pair.question_id, pair.messages)
        try:
            prompt = encode(self._tokenizer, conversation_text(self._tokenizer, messages))
            shape = self._shapes.of_reply(messages, None)
        except DataError:
            return ScoredPair(pair.pair_id, [], [], [])
        first, second = (self._reply(shape, text) for text in (pair.first, pair.second))
        length = max(0, min(len(first), len(second), self._context - len(prompt)))
        return ScoredPair(pair.pair_id, prompt, first[:length], second[:length])

    def _reply(self, shape: TurnShape, text: str) -> list[int]:
        """Tokenized behind the end of the prompt, as it is in training; where its first token would become one with
        the prompt's last, by itself."""
        reasoning, answer = reasoning_and_answer(None, text)
        written = shape.written(None if shape.closes_think else reasoning, answer)
        written = written if shape.opens_think else shape.lead + written
        before = encode(self._tokenizer, shape.before)
        together = encode(self._tokenizer, shape.before + written)
        if together[: len(before)] == before:
            return together[len(before) :]
        return encode(self._tokenizer, written)


def scored_pairs(
    pairs: Sequence[Pair], tokenizer: PreTrainedTokenizerBase, end_ids: Collection[int], context: int
) -> list[ScoredPair]:
    """One for each pair, in their order.

    Raises ModelError for a model without an end token, DataError for messages that are none.
    """
    tokens = PairTokens(tokenizer, end_ids, context)
    return [tokens.of(pair) for pair in pairs]
