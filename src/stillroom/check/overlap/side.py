"""One of two questions that are compared, and what the comparison looks at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np

from stillroom.check.overlap.candidates import RUN
from stillroom.check.overlap.weights import Weigh
from stillroom.text.codes import FUNCTION, NUMBER, ONE, OPERATOR, SIGNS, SORT, Codebook
from stillroom.text.flat import Codes, Flat, ngrams
from stillroom.text.skeleton import HOLE, skeletons

SHORT = 8
"""A question of fewer words is short: it has no runs of words by which a copy of it could be told."""
FEWEST_CONTENT = 4
"""So is one with fewer words that say something, which then is a formula for the most part."""
NUMBERS_COUNT = 4
"""Times that a number counts: somebody who rewords a question keeps its numbers, so that the answer stays right."""
FEWEST_FORMULA_RUNS = 4
_SKELETON_RUN = 3
_MOST_PLACES = 64
"""A run that stands in more places of one text is looked for in these: it is a pattern, and a copy has all of it."""
_QUESTION_WORDS = frozenset(Codebook().codes(["who", "when", "where", "why", "how"]))
_FORMULA_SIGNS = frozenset(Codebook().codes(list("\\^_{}=+*<>|&~")))


class Side:
    """What is looked at of a question."""

    def __init__(self, tokens: Codes, weigh: Weigh, stock: frozenset[int]) -> None:
        """`stock`: hashes of runs that are no sign of anything."""
        weight = weigh(tokens)
        sort = tokens & np.uint64(SORT)
        is_word = ~np.isin(sort, SIGNS)
        self.tokens: list[int] = tokens.tolist()
        words = Flat(tokens[is_word], np.array([0, np.count_nonzero(is_word)]))
        self.words: list[int] = words.values.tolist()
        self.weight_before: list[float] = [0.0, *np.cumsum(weight[is_word]).tolist()]
        """For each word, what all words before it weigh together, in nats; the last is what all of them weigh."""
        runs: list[int] = ngrams(words, RUN).values.tolist()
        self.runs = [None if run in stock else run for run in runs]
        """Hashes of the runs of `RUN` words, None for stock phrases; run number n begins at word number n."""
        pairs = zip(self.tokens, sort.tolist(), weight.tolist(), strict=True)
        self.content: dict[int, float] = {}
        """The words that say something, with their weights."""
        self.telling: dict[int, float] = {}
        """The same with numbers and symbols."""
        self.numbers: Counter[int] = Counter()
        """All but the number 1, which is often left out or written out."""
        self.operators: Counter[int] = Counter()
        self.number_weights: dict[int, float] = {}
        for token, kind, value in pairs:
            if kind == 0:
                self.content[token] = value
            if kind != FUNCTION:
                self.telling[token] = value
            if kind == NUMBER and token != ONE:
                self.numbers[token] += 1
                self.number_weights[token] = value
            if kind == OPERATOR:
                self.operators[token] += 1
        self.skeleton = [
            int(HOLE) if kind == NUMBER else token for token, kind in zip(self.tokens, sort.tolist(), strict=True)
        ]
        """The tokens with a hole in place of each number."""
        self.asks = _QUESTION_WORDS.intersection(self.words)
        """The question words that another one cannot stand for."""
        self.formula_runs = {run for run in _runs(self.tokens) if not _FORMULA_SIGNS.isdisjoint(run)}
        """Runs of three tokens with a sign in them that formulas are written with."""
        self.skeleton_runs = set(skeleton_runs(words).values.tolist()) - stock
        """Hashes of the runs of three words, numbers as holes."""

    @cached_property
    def places(self) -> dict[int, list[int]]:
        """Where each of the runs begins."""
        found: dict[int, list[int]] = {}
        for at, run in enumerate(self.runs):
            if run is not None:
                found.setdefault(run, []).append(at)
        return found

    @property
    def is_short(self) -> bool:
        return len(self.words) < SHORT or len(self.content) < FEWEST_CONTENT


def skeleton_runs(words: Flat) -> Flat:
    """For each text, hashes of its runs of three words, numbers as holes."""
    return ngrams(skeletons(words), _SKELETON_RUN)


def _runs(tokens: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    return zip(tokens, tokens[1:], tokens[2:], strict=False)


def holds(long: Sequence[int], part: Sequence[int]) -> bool:
    """Whether `part` stands in `long`, whole and in one piece."""
    if not part or len(part) > len(long):
        return False
    first = part[0]
    last_start = len(long) - len(part)
    return any(long[at] == first and long[at : at + len(part)] == part for at in range(last_start + 1))


def shared_weight(left: dict[int, float], right: dict[int, float]) -> float:
    """How much of what either holds both hold, by weight; 0 where neither holds anything."""
    both, either = _both_and_either(left, right)
    return both / either if either else 0.0


def likeness(left: Side, right: Side) -> float:
    """How much both hold of the words and numbers of either, by weight; a number counts `NUMBERS_COUNT` times.

    Between 0 and 1. How often something stands in a text makes no difference.
    """
    both, either = _both_and_either(left.content, right.content)
    both_numbers, either_number = _both_and_either(left.number_weights, right.number_weights)
    both, either = both + NUMBERS_COUNT * both_numbers, either + NUMBERS_COUNT * either_number
    return both / either if either else 0.0


def _both_and_either(left: dict[int, float], right: dict[int, float]) -> tuple[float, float]:
    both = sum(left[token] for token in left.keys() & right.keys())
    return both, sum(left.values()) + sum(right.values()) - both


def shared_numbers(left: Side, right: Side) -> float:
    """How many of the numbers of either are in both; 1 where neither has any."""
    either = (left.numbers | right.numbers).total()
    return (left.numbers & right.numbers).total() / either if either else 1.0


def asks_otherwise(left: Side, right: Side) -> bool:
    """Whether one asks who and the other one when, say. A question may also be asked without such a word."""
    return bool(left.asks and right.asks) and left.asks.isdisjoint(right.asks)


def shared_formulas(question: Side, examined: Side) -> float:
    """How much of the examined question's formulas is in the other one; 1 where it has next to none."""
    if len(examined.formula_runs) < FEWEST_FORMULA_RUNS:
        return 1.0
    return len(question.formula_runs & examined.formula_runs) / len(examined.formula_runs)


def shared_skeleton(question: Side, examined: Side) -> tuple[float, float]:
    """Runs of three words, numbers as holes, that are in both: their share of all, and of the examined question's."""
    both = len(question.skeleton_runs & examined.skeleton_runs)
    either = len(question.skeleton_runs | examined.skeleton_runs)
    return (both / either, both / len(examined.skeleton_runs)) if both else (0.0, 0.0)


def longest_run(left: Side, right: Side) -> tuple[float, int]:
    """The run of at least `RUN` words common to both that weighs most: its weight in nats, and its words."""
    best = (0.0, 0)
    lengths: dict[int, int] = {}
    for at_left, run in enumerate(left.runs):
        going_on: dict[int, int] = {}
        for at_right in () if run is None else right.places.get(run, ())[:_MOST_PLACES]:
            going_on[at_right] = length = lengths.get(at_right - 1, 0) + 1
            weight = left.weight_before[at_left + RUN] - left.weight_before[at_left + 1 - length]
            best = max(best, (weight, length + RUN - 1))
        lengths = going_on
    return best
