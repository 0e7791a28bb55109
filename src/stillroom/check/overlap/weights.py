"""How much a shared word says: much where few questions have it.

The weight of a word is -log p in nats, p being the share of questions that hold it: among the questions, or among the
examinations' other questions, whichever is larger, so that what is common in either counts little. With few questions
p leans on a guess of what it is in general.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stillroom.text.codes import FUNCTION, OPERATOR, SORT, SYMBOL, VARIABLE
from stillroom.text.flat import Codes, Flat

_SLOTS = 1 << 22
_GUESSED_FROM = 200
"""Questions that the guess stands for."""
_GUESS = {FUNCTION: 0.15, SYMBOL: 0.05, OPERATOR: 0.05, VARIABLE: 0.05}
_GUESS_OF_OTHERS = 0.004
_RAREST = 0.001
"""What is rarer weighs no more: among millions of questions a rare word is no stronger a sign than among thousands."""

Weights = NDArray[np.float64]
Weigh = Callable[[Codes], Weights]


class Counts:
    """In how many texts each token stands, by a hash of its code: a fixed 16 MB, now and then a count too large."""

    def __init__(self) -> None:
        self.texts = 0
        self._counts = np.zeros(_SLOTS, np.uint32)

    def add(self, texts: Flat) -> None:
        self.texts += len(texts)
        # One sort for the codes of each text, once each: 32 bits hold a code.
        held = np.sort((texts.owners().astype(np.uint64) << np.uint64(32)) | texts.values)
        held = held[np.diff(held, prepend=np.uint64(0xFFFFFFFFFFFFFFFF)) != 0]
        codes, counts = np.unique(held & np.uint64(0xFFFFFFFF), return_counts=True)
        np.add.at(self._counts, _slots(codes), counts.astype(np.uint32))

    def of(self, codes: Codes) -> NDArray[np.uint32]:
        return self._counts[_slots(codes)]


def weights(codes: Codes, questions: Counts, examinations: Counts | None = None) -> Weights:
    """The weight of each token of `codes`."""
    shares = _share(codes, questions.of(codes).astype(np.float64), questions.texts)
    if examinations is not None:
        others = np.maximum(examinations.of(codes).astype(np.float64) - 1, 0)
        shares = np.maximum(shares, _share(codes, others, max(examinations.texts - 1, 0)))
    return -np.log(np.clip(shares, _RAREST, 1.0))


def _share(codes: Codes, counts: NDArray[np.float64], texts: int) -> NDArray[np.float64]:
    sorts = codes & np.uint64(SORT)
    guess = np.full(len(codes), _GUESS_OF_OTHERS)
    for sort, value in _GUESS.items():
        guess[sorts == sort] = value
    shares: NDArray[np.float64] = (counts + _GUESSED_FROM * guess) / (texts + _GUESSED_FROM)
    return shares


def _slots(codes: Codes) -> NDArray[np.int64]:
    return ((codes >> np.uint64(4)) & np.uint64(_SLOTS - 1)).astype(np.int64)
