"""Pairs of siblings and a suspect's answers, made ready to be compared.

N pairs, T = 2N siblings, Q questions that were answered, S answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stillroom.probe.measures.tokens import cut, token_codes
from stillroom.store.siblings import Pair
from stillroom.text.flat import Flat

Numbers = NDArray[np.float64]
Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Tokens of all that is compared."""

    siblings: Flat
    """T texts: the first of each pair, then the second of each; the two of a pair are cut to the same length."""
    question_N: Positions
    """The number of each pair's question, -1 where the suspect gave no answer to it."""
    answers: Flat
    question_S: Positions
    """The question that each answer is to, rising."""
    samples_Q: Positions
    """How many answers each question has."""

    @property
    def pairs(self) -> int:
        return len(self.question_N)

    def difference(self, score_T: Numbers) -> Numbers:
        """First less second of each pair; nan where the suspect gave no answer."""
        difference_N = score_T[: self.pairs] - score_T[self.pairs :]
        return np.where(self.question_N < 0, np.nan, rounded(difference_N))


def rounded(difference_N: Numbers) -> Numbers:
    """To nine decimals: what differs in the last bits only, which other machines compute otherwise, is the same."""
    return np.round(difference_N, 9)


def compare(pairs: Sequence[Pair], answers: Mapping[str, Sequence[str]]) -> Comparison:
    """`answers` of each question by its id: the samples that the suspect gave, in any order."""
    number: dict[str, int] = {}
    texts: list[str] = []
    question: list[int] = []
    samples: list[int] = []
    for pair in pairs:
        given = answers.get(pair.question_id, ())
        if given and pair.question_id not in number:
            number[pair.question_id] = len(number)
            texts += given
            question += [number[pair.question_id]] * len(given)
            samples.append(len(given))
    siblings = token_codes([pair.first for pair in pairs] + [pair.second for pair in pairs])
    lengths = np.diff(siblings.starts)
    shorter = np.minimum(lengths[: len(pairs)], lengths[len(pairs) :])
    return Comparison(
        siblings=cut(siblings, np.tile(shorter, 2)),
        question_N=np.array([number.get(pair.question_id, -1) for pair in pairs], np.int64),
        answers=token_codes(texts),
        question_S=np.array(question, np.int64),
        samples_Q=np.array(samples, np.int64),
    )
