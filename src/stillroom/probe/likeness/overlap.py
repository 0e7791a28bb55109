"""How much two models' answers to one question have in common, and what is left of that when both are centred out.

Letters of shapes: Q questions, M models.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from stillroom.text.words import tokens

Floats = npt.NDArray[np.float64]

LONGEST_RUN = 3
"""Words in a row: runs of one, two and three are compared."""
LEAST_WORDS = 5
"""A question to which somebody answers in fewer words is left out: there is too little to compare."""
MOST_WORDS = 200
"""Of an answer, from its start."""

Runs = frozenset[tuple[str, ...]]


def words_of(text: str) -> list[str]:
    """Words and numbers in lower case. Signs and marks of layout are left out: they are form."""
    return [token.lower() for token in tokens(text) if any(char.isalnum() for char in token)]


def overlaps(answers_QM: Sequence[Sequence[Sequence[str]]], questions_Q: Sequence[Sequence[str]]) -> Floats:
    """Of each question the models' overlaps with one another, 0 to 1, shape QMM; the diagonal is nan.

    The answers are words (see `words_of`), as are the questions. All answers to a question are cut to the words that
    the shortest of them has, so that no length enters. What stands in the question itself is left out. Of two answers
    the overlap is the weight of the runs of words that both have, over the geometric mean of either's weight (Ochiai's
    coefficient); a run's weight is the logarithm of how rare it is among the questions: what is said to many of them is
    a manner of speaking.
    """
    runs_QM = [_runs(answers, question) for answers, question in zip(answers_QM, questions_Q, strict=True)]
    asked = Counter(run for runs_M in runs_QM for run in frozenset().union(*runs_M))
    weights = {run: math.log((len(runs_QM) + 1) / count) for run, count in asked.items()}
    return np.array([_overlaps(runs_M, weights) for runs_M in runs_QM])


def doubly_centred(overlaps_QMM: Floats) -> Floats:
    """What is left of each question's overlaps without that question's level and without each model's: shape QMM.

    Of each question m + a_i + a_j is taken off the overlap of i and j, where m is the mean of all pairs and a_i by how
    much the model i is nearer to all others (least squares, the diagonal left out). Each row's sum is zero then: a
    model that is near to everybody is near to nobody in particular. Three models or more.
    """
    models = overlaps_QMM.shape[1]
    off_diagonal = np.where(np.eye(models, dtype=bool), 0.0, overlaps_QMM)
    sums_QM = off_diagonal.sum(axis=2)
    mean_Q = sums_QM.sum(axis=1) / (models * (models - 1))
    effects_QM = (sums_QM - (models - 1) * mean_Q[:, None]) / (models - 2)
    expected_QMM = mean_Q[:, None, None] + effects_QM[:, :, None] + effects_QM[:, None, :]
    left: Floats = overlaps_QMM - expected_QMM
    return left


def _runs(answers_M: Sequence[Sequence[str]], question: Sequence[str]) -> list[Runs]:
    words = min(MOST_WORDS, *(len(answer) for answer in answers_M))
    of_question = _runs_of(question)
    return [_runs_of(answer[:words]) - of_question for answer in answers_M]


def _runs_of(words: Sequence[str]) -> Runs:
    return frozenset(
        tuple(words[start : start + length])
        for length in range(1, LONGEST_RUN + 1)
        for start in range(len(words) - length + 1)
    )


def _overlaps(runs_M: Sequence[Runs], weights: Mapping[tuple[str, ...], float]) -> Floats:
    own_M = [math.fsum(weights[run] for run in runs) for runs in runs_M]  # the same sum in whatever order
    found = np.full((len(runs_M), len(runs_M)), np.nan)
    for one in range(len(runs_M)):
        for other in range(one):
            both = math.fsum(weights[run] for run in runs_M[one] & runs_M[other])
            scale = math.sqrt(own_M[one] * own_M[other])
            found[one, other] = found[other, one] = both / scale if scale > 0 else 0.0
    return found
