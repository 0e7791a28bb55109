"""The examinations' questions, arranged so that those are found quickly that a question may have been made from."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from stillroom.check.overlap.candidates import RUN, SameSkeleton, SharedRuns, SharedWords, WholeInside
from stillroom.check.overlap.side import FEWEST_CONTENT, NUMBERS_COUNT, SHORT, Side, skeleton_runs
from stillroom.check.overlap.texts import Text, said_key
from stillroom.check.overlap.weights import Counts, Weights, weights
from stillroom.text.codes import FUNCTION, NUMBER, SIGNS, SORT, Codebook
from stillroom.text.flat import Codes, Flat, Positions, distinct, flat, ngrams
from stillroom.text.skeleton import skeletons
from stillroom.text.words import tokens

_SOME, _MANY = 3, 0.02
"""A run of words that more examined questions than these, and than this share of them, have is a stock phrase."""


class Examination:
    """All examined questions; those that say the same are one."""

    def __init__(self, texts: Iterable[tuple[str, Text]], questions: Counts) -> None:
        """`texts` with their source. `questions`: the words of the questions that are to be compared with them."""
        self.texts: list[tuple[str, Text]] = []
        self.positions: dict[int, int] = {}
        """Of the texts, by what they say: see `said_key`."""
        codebook = Codebook()
        codes: list[int] = []
        lengths: list[int] = []
        seen: set[tuple[int, int]] = set()
        for source, text in texts:
            found = tokens(text.text)
            key = said_key(found, text.text)
            if (key, text.parameters) not in seen:
                seen.add((key, text.parameters))
                self.positions.setdefault(key, len(self.texts))
                self.texts.append((source, text))
                codes += codebook.codes(found)
                lengths.append(len(found))
        self._tokens = flat(codes, lengths)
        self._own, self._questions = Counts(), questions
        self._own.add(self._tokens)
        words = self._tokens.where(~np.isin(sorts(self._tokens), SIGNS))
        content = self._tokens.where(sorts(self._tokens) == 0)
        short = (np.diff(words.starts) < SHORT) | (np.diff(distinct(content).starts) < FEWEST_CONTENT)
        is_short = short[self._tokens.owners()]
        kinds = (skeleton_runs(words), ngrams(words, RUN), ngrams(skeletons(words), RUN))
        stock = np.concatenate([_stock(runs, len(self.texts)) for runs in kinds])
        self._stock = frozenset(stock.tolist())
        self._runs = SharedRuns(words, self.weigh, stock)
        self._words = SharedWords(self._tokens.where(_counts(sorts(self._tokens)) & ~is_short), self._weigh_likeness)
        self._short = SharedWords(self._tokens.where((sorts(self._tokens) != FUNCTION) & is_short), self.weigh)
        self._skeletons = SameSkeleton(self._tokens, short)
        self._inside = WholeInside(self._tokens, short)
        self._sides: dict[int, Side] = {}

    def __len__(self) -> int:
        return len(self.texts)

    def weigh(self, codes: Codes) -> Weights:
        return weights(codes, self._questions, self._own)

    def _weigh_likeness(self, codes: Codes) -> Weights:
        return self.weigh(codes) * np.where((codes & np.uint64(SORT)) == NUMBER, NUMBERS_COUNT, 1)

    def side(self, examined: int) -> Side:
        """What is compared of an examined question."""
        if examined not in self._sides:
            self._sides[examined] = Side(self._tokens.text(examined), self.weigh, self._stock)
        return self._sides[examined]

    def question_side(self, tokens: Codes) -> Side:
        """The same of a question."""
        return Side(tokens, self.weigh, self._stock)

    def candidates(self, texts: Flat) -> Positions:
        """Pairs (text, examined question) that are worth a closer look, sorted: shape (pairs, 2)."""
        sort = sorts(texts)
        found = [
            self._runs.meeting(texts.where(~np.isin(sort, SIGNS))),
            self._words.alike(texts.where(_counts(sort))),
            self._short.alike(texts.where(sort != FUNCTION)),
            self._skeletons.meeting(texts),
            self._inside.meeting(texts),
        ]
        return np.unique(np.concatenate(found), axis=0)


def _counts(sort: Codes) -> NDArray[np.bool_]:
    """What the likeness of two questions is made of: words that say something, and numbers."""
    return np.isin(sort, (0, NUMBER))


def _stock(runs: Flat, texts: int) -> Codes:
    values, counts = np.unique(distinct(runs).values, return_counts=True)
    stock: Codes = values[counts > max(_SOME, _MANY * texts)]
    return stock


def sorts(texts: Flat) -> Codes:
    return texts.values & np.uint64(SORT)
