"""Edit distance: how many tokens have to be put in or taken out to make an answer of a sibling."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from rapidfuzz.distance import Indel

from stillroom.probe.measures.comparison import Comparison, Numbers
from stillroom.text.flat import Flat


def edit_differences(comparison: Comparison) -> Numbers:
    """For each pair: the mean similarity of the answers with the first, less that with the second.

    The similarity of two texts is 1 where they are the same and 0 where they share no token (normalised insertions and
    deletions). An answer counts with its first tokens, as many as the siblings have.
    """
    siblings, answers = _as_characters(comparison.siblings, comparison.answers)
    starts = np.searchsorted(comparison.question_S, np.arange(len(comparison.samples_Q) + 1))
    score_T = np.zeros(2 * comparison.pairs)
    for index, sibling in enumerate(siblings):
        question = comparison.question_N[index % comparison.pairs]
        if question >= 0:
            given = answers[starts[question] : starts[question + 1]]
            score_T[index] = sum(Indel.normalized_similarity(sibling, each[: len(sibling)]) for each in given)
            score_T[index] /= len(given)
    return comparison.difference(score_T)


def _as_characters(*texts: Flat) -> list[list[str]]:
    """Each token as one character, the same for equal tokens: what rapidfuzz compares fastest."""
    _, place = np.unique(np.concatenate([each.values for each in texts]), return_inverse=True)
    # Not those of the surrogates: they are no characters by themselves.
    written = np.where(place < 0xD800, place, place + 0x800).astype("<u4").tobytes().decode("utf-32-le")
    found: list[list[str]] = []
    begin = 0
    for each in texts:
        starts = (each.starts + begin).tolist()
        found.append([written[start:end] for start, end in pairwise(starts)])
        begin += len(each.values)
    return found
