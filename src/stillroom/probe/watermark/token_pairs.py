"""What of a suspect's answers is scored: pairs of a token and the one before it, in answers alone.

A pair that stands in the question of the same answer is left out: whoever copies it has not learned it. A pair that
comes again, in this answer or another, is one pair with a count: its colour is one draw of the key, however often the
text repeats it. N different pairs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TokenPairs:
    before_N: NDArray[np.int64]
    token_N: NDArray[np.int64]
    """Sorted by the one before, then by the token."""
    count_N: NDArray[np.int64]
    """How often each stands in the answers."""
    answers: int
    tokens: int
    """Of the answers in all."""
    from_question: int
    """Pairs left out, counted each time, since they stand in their own question."""

    def __len__(self) -> int:
        return len(self.count_N)


def token_pairs(answers: Iterable[tuple[Sequence[int], Sequence[int]]]) -> TokenPairs:
    """Of (question, answer), each as tokens of the tokenizer that the watermark was drawn with.

    An answer's first token has none before it in the answer, and is not scored.
    """
    counts: Counter[tuple[int, int]] = Counter()
    number = tokens = from_question = 0
    for question, answer in answers:
        number, tokens = number + 1, tokens + len(answer)
        copied = set(pairwise(question))
        for pair in pairwise(answer):
            if pair in copied:
                from_question += 1
            else:
                counts[pair] += 1
    pairs = sorted(counts)
    return TokenPairs(
        before_N=np.array([before for before, _ in pairs], dtype=np.int64),
        token_N=np.array([token for _, token in pairs], dtype=np.int64),
        count_N=np.array([counts[pair] for pair in pairs], dtype=np.int64),
        answers=number,
        tokens=tokens,
        from_question=from_question,
    )
