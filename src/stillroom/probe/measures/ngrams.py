"""How much of each sibling's own wording the suspect's answers hold, its rare wording counting most.

N pairs, T = 2N siblings, firsts before seconds.
"""

from __future__ import annotations

import numpy as np

from stillroom.probe.measures.comparison import Comparison, Numbers
from stillroom.probe.measures.counting import counts_of, first_of_each, keys, perhaps_in
from stillroom.text.flat import ngrams

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
    count = 2 * comparison.pairs
    grams = ngrams(comparison.siblings, n)
    owner_G = grams.owners()
    once = first_of_each(keys(grams.values, owner_G))
    gram_G, owner_G = grams.values[once], owner_G[once]
    pair_G = owner_G % comparison.pairs
    in_pair_G = keys(gram_G, pair_G)
    question_G = comparison.question_N[pair_G]
    held_G = _answers_that_hold(comparison, n, keys(gram_G, question_G))
    hit = np.flatnonzero((held_G > 0) & (question_G >= 0))
    hit = hit[counts_of(in_pair_G[hit], in_pair_G) == 1]
    weight = np.log(count / counts_of(gram_G[hit], gram_G))
    share = held_G[hit] / comparison.samples_Q[question_G[hit]]
    return np.bincount(owner_G[hit], weights=weight * share, minlength=count).astype(np.float64)


def _answers_that_hold(comparison: Comparison, n: int, wanted_G: np.typing.NDArray[np.uint64]) -> Numbers:
    """How many answers to its question hold each of the n-grams, which are given as keys of gram and question."""
    grams = ngrams(comparison.answers, n)
    answer = grams.owners()
    found = keys(grams.values, comparison.question_S[answer])
    near = perhaps_in(found, wanted_G)
    found, answer = found[near], answer[near]
    return counts_of(wanted_G, found[first_of_each(keys(found, answer))]).astype(np.float64)
