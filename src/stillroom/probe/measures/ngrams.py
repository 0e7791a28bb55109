"""How much of each sibling's own wording the suspect's answers hold, its rare wording counting most.

N pairs, T = 2N siblings, firsts before seconds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stillroom.probe.measures.comparison import Comparison, Numbers, Positions
from stillroom.text.flat import Codes, distinct, mixed, ngrams

LONGEST = 4
"""Runs of one token to so many are looked for."""


def ngram_differences(comparison: Comparison) -> Numbers:
    """For each pair: the weighted share of answers that hold an n-gram of the first alone, less those of the second.

    An n-gram that both siblings have says nothing and is left out. One that is in `r` of all the siblings weighs
    `log(siblings / r)`: whoever was taught the other one would hardly have come to it by himself. The siblings of the
    pair itself count in `r` like all others.
    """
    score_T = np.zeros(2 * comparison.pairs)
    for n in range(1, LONGEST + 1):
        score_T += _weighted_hits(comparison, n)
    return comparison.difference(score_T)


def _weighted_hits(comparison: Comparison, n: int) -> Numbers:
    """For each sibling, the sum over its own n-grams of weight times share of answers that hold it."""
    texts = comparison.pairs * 2
    grams = distinct(ngrams(comparison.siblings, n))
    weight = _rarity(grams.values, texts)
    owner = grams.owners()
    alone = ~_shared(grams.values, owner % comparison.pairs)
    question = comparison.question_N[owner % comparison.pairs]
    use = alone & (question >= 0)
    share = _share_of_answers(comparison, n, grams.values[use], question[use])
    score_T: Numbers = np.bincount(owner[use], weights=weight[use] * share, minlength=texts).astype(np.float64)
    return score_T


def _rarity(values: Codes, texts: int) -> Numbers:
    """log(texts / those that have it), for each of the values, which each text has once."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    rarity: Numbers = np.log(texts / counts)[place]
    return rarity


def _shared(values: Codes, pair: Positions) -> NDArray[np.bool_]:
    """Whether both siblings of the pair have it."""
    _, place, counts = np.unique(_keys(values, pair), return_inverse=True, return_counts=True)
    shared: NDArray[np.bool_] = counts[place] > 1
    return shared


def _share_of_answers(comparison: Comparison, n: int, values: Codes, question: Positions) -> Numbers:
    """Of each n-gram `values[g]`, the share of the answers to `question[g]` that hold it."""
    grams = distinct(ngrams(comparison.answers, n))
    found = _keys(grams.values, comparison.question_S[grams.owners()])
    known, counts = np.unique(found, return_counts=True)
    if not len(known):
        return np.zeros(len(values))
    keys = _keys(values, question)
    place = np.searchsorted(known, keys).clip(max=len(known) - 1)
    hits = np.where(known[place] == keys, counts[place], 0)
    share: Numbers = hits / comparison.samples_Q[question]
    return share


def _keys(values: Codes, group: Positions) -> Codes:
    """One number for a value and the group that it stands in."""
    return mixed(values + mixed(group.astype(np.uint64)))
