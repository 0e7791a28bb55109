"""How much two models' answers to one question have in common, and what is left of that when both are centred out.

Letters of shapes: Q questions, M models.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np
import numpy.typing as npt

from stillroom.text.flat import Codes, Flat, distinct, flat, mixed, ngrams
from stillroom.text.words import tokens

Floats = npt.NDArray[np.float64]

LONGEST_RUN = 3
"""Words in a row: runs of one, two and three are compared."""
LEAST_WORDS = 5
"""A question to which somebody answers in fewer words is left out: there is too little to compare."""
MOST_WORDS = 200
"""Of an answer, from its start."""


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
    questions, models = len(answers_QM), len(answers_QM[0])
    numbers: dict[str, int] = {}
    cuts = [min(MOST_WORDS, *(len(answer) for answer in answers_M)) for answers_M in answers_QM]
    texts = _flat(
        [answer[:cut] for answers_M, cut in zip(answers_QM, cuts, strict=True) for answer in answers_M], numbers
    )
    asked = _flat(questions_Q, numbers)
    shared_QMM = np.zeros((questions, models, models))
    for length in range(1, LONGEST_RUN + 1):
        shared_QMM += _shared(distinct(ngrams(texts, length)), distinct(ngrams(asked, length)), models)
    own_QM = np.sqrt(np.diagonal(shared_QMM, axis1=1, axis2=2))
    scale_QMM = own_QM[:, :, None] * own_QM[:, None, :]
    found: Floats = np.divide(shared_QMM, scale_QMM, out=np.zeros_like(shared_QMM), where=scale_QMM > 0)
    found[:, np.eye(models, dtype=bool)] = np.nan
    return found


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


def _flat(texts: Sequence[Sequence[str]], numbers: dict[str, int]) -> Flat:
    """Each word as its number, which is given to it where it has none."""
    codes = [numbers.setdefault(word, len(numbers)) for text in texts for word in text]
    return flat(codes, [len(text) for text in texts])


def _shared(runs: Flat, asked: Flat, models: int) -> Floats:
    """The weight of the runs that two answers to a question share, shape QMM; on the diagonal, an answer's own.

    `runs`: of the answers, those of the first question's models first. `asked`: of the questions, which do not count.
    """
    questions = len(asked)
    owners = runs.owners()
    in_question = np.isin(_keys(runs.values, owners // models), _keys(asked.values, asked.owners()))
    values, owners = runs.values[~in_question], owners[~in_question]
    _, run = np.unique(values, return_inverse=True)
    # One place for each run in each question, R; how many of them a run has is the number of questions it stands in.
    places_R, place = np.unique(run * questions + owners // models, return_inverse=True)
    run_R, question_R = places_R // questions, places_R % questions
    weights_R = np.log((questions + 1) / np.bincount(run_R, minlength=1)[run_R])
    has_RM = np.zeros((len(places_R), models), dtype=bool)
    has_RM[place, owners % models] = True
    shared_QMM = np.zeros((questions, models, models))
    for one, other in combinations_with_replacement(range(models), 2):
        both = weights_R * (has_RM[:, one] & has_RM[:, other])
        shared_QMM[:, one, other] = shared_QMM[:, other, one] = np.bincount(question_R, both, minlength=questions)
    return shared_QMM


def _keys(values: Codes, questions: npt.NDArray[np.int64]) -> Codes:
    """One number for a run and a question."""
    return mixed(values ^ mixed(questions.astype(np.uint64)))
