"""The examinations' questions, arranged so that those are found quickly that a question may have been made from."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from stillroom.check.overlap.candidates import SameSkeleton, SharedRuns, SharedWords, WholeInside
from stillroom.check.overlap.side import SHORT, Side
from stillroom.check.overlap.texts import Text
from stillroom.check.overlap.weights import Counts, Weights, weights
from stillroom.text.codes import FUNCTION, SORT, SYMBOL, Codebook
from stillroom.text.flat import Codes, Flat, Positions, flat
from stillroom.text.words import tokens


class Examination:
    """All examined questions; those that say the same are one."""

    def __init__(self, texts: Iterable[tuple[str, Text]], questions: Counts) -> None:
        """`texts` with their source. `questions`: the words of the questions that are to be compared with them."""
        self.texts: list[tuple[str, Text]] = []
        codebook, codes = Codebook(), []
        seen: set[tuple[bytes, int]] = set()
        for source, text in texts:
            found = codebook.codes(tokens(text.text)).astype(np.uint64)
            key = (found.tobytes(), text.parameters)
            if len(found) and key not in seen:
                seen.add(key)
                self.texts.append((source, text))
                codes.append(found)
        self._tokens = flat(codes)
        self._own, self._questions = Counts(), questions
        self._own.add(self._tokens)
        words = self._tokens.where(sorts(self._tokens) != SYMBOL)
        short = np.diff(words.starts) < SHORT
        is_short = short[self._tokens.owners()]
        self._runs = SharedRuns(words, self.weigh)
        self._words = SharedWords(self._tokens.where((sorts(self._tokens) == 0) & ~is_short), self.weigh)
        self._short = SharedWords(self._tokens.where((sorts(self._tokens) != FUNCTION) & is_short), self.weigh)
        self._skeletons = SameSkeleton(self._tokens, short)
        self._inside = WholeInside(self._tokens, short)
        self._sides: dict[int, Side] = {}

    def __len__(self) -> int:
        return len(self.texts)

    def weigh(self, codes: Codes) -> Weights:
        return weights(codes, self._questions, self._own)

    def side(self, examined: int) -> Side:
        """What is compared of an examined question."""
        if examined not in self._sides:
            self._sides[examined] = Side(self._tokens.text(examined), self.weigh)
        return self._sides[examined]

    def candidates(self, texts: Flat) -> Positions:
        """Pairs (text, examined question) that are worth a closer look, sorted: shape (pairs, 2)."""
        sort = sorts(texts)
        found = [
            self._runs.meeting(texts.where(sort != SYMBOL)),
            self._words.alike(texts.where(sort == 0)),
            self._short.alike(texts.where(sort != FUNCTION)),
            self._skeletons.meeting(texts),
            self._inside.meeting(texts),
        ]
        return np.unique(np.concatenate(found), axis=0)


def sorts(texts: Flat) -> Codes:
    return texts.values & np.uint64(SORT)
