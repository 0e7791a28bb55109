"""One of two questions that are compared, and what the comparison looks at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from stillroom.check.overlap.weights import Weigh
from stillroom.text.codes import FUNCTION, NUMBER, ONE, SORT, SYMBOL
from stillroom.text.flat import Codes

SHORT = 8
"""A question of fewer words is short: it has no runs of words by which a copy of it could be told."""
_HOLE = 0
_SKELETON_RUN = 3


class Side:
    def __init__(self, tokens: Codes, weigh: Weigh) -> None:
        weight = weigh(tokens)
        sort = tokens & np.uint64(SORT)
        is_word = sort != SYMBOL
        self.tokens: list[int] = tokens.tolist()
        self.words: list[int] = tokens[is_word].tolist()
        self.weights: list[float] = weight[is_word].tolist()
        """Of the words, in nats."""
        pairs = zip(self.tokens, sort.tolist(), weight.tolist(), strict=True)
        self.content: dict[int, float] = {}
        """The words that say something, with their weights."""
        self.telling: dict[int, float] = {}
        """The same with numbers and symbols."""
        self.numbers: Counter[int] = Counter()
        """All but the number 1, which is often left out or written out."""
        for token, kind, value in pairs:
            if kind == 0:
                self.content[token] = value
            if kind != FUNCTION:
                self.telling[token] = value
            if kind == NUMBER and token != ONE:
                self.numbers[token] += 1
        self.skeleton = [
            _HOLE if kind == NUMBER else token for token, kind in zip(self.tokens, sort.tolist(), strict=True)
        ]
        """The tokens with a hole in place of each number."""
        runs = [_HOLE if token & SORT == NUMBER else token for token in self.words]
        self.skeleton_runs = {tuple(runs[at : at + _SKELETON_RUN]) for at in range(len(runs) - _SKELETON_RUN + 1)}

    @property
    def is_short(self) -> bool:
        return len(self.words) < SHORT


def holds(long: Sequence[int], part: Sequence[int]) -> bool:
    """Whether `part` stands in `long`, whole and in one piece."""
    if not part or len(part) > len(long):
        return False
    first = part[0]
    last_start = len(long) - len(part)
    return any(long[at] == first and long[at : at + len(part)] == part for at in range(last_start + 1))


def shared_weight(left: dict[int, float], right: dict[int, float]) -> float:
    """How much of what either holds both hold, by weight; 0 where neither holds anything."""
    both = sum(left[token] for token in left.keys() & right.keys())
    either = sum(left.values()) + sum(right.values()) - both
    return both / either if either else 0.0


def shared_numbers(left: Counter[int], right: Counter[int]) -> float:
    """How many of the numbers of either are in both; 1 where neither has any."""
    either = (left | right).total()
    return (left & right).total() / either if either else 1.0


def longest_run(left: Side, right: Side) -> tuple[float, int]:
    """The run of words common to both that weighs most: its weight in nats, and its words."""
    places: dict[int, list[int]] = {}
    for at, word in enumerate(right.words):
        places.setdefault(word, []).append(at)
    best = (0.0, 0)
    runs: dict[int, tuple[float, int]] = {}
    for word, weight in zip(left.words, left.weights, strict=True):
        going_on: dict[int, tuple[float, int]] = {}
        for at in places.get(word, ()):
            before, words = runs.get(at - 1, (0.0, 0))
            going_on[at] = run = (before + weight, words + 1)
            best = max(best, run)
        runs = going_on
    return best
