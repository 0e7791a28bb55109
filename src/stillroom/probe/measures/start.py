"""Agreement of the start: an answer begins as a sibling does, for as long as nothing before led it elsewhere."""

from __future__ import annotations

import numpy as np

from stillroom.probe.measures.comparison import Comparison, Numbers
from stillroom.text.flat import Codes

HALF_LIFE = 16
"""Tokens after which an agreement counts half as much."""


def start_differences(comparison: Comparison) -> Numbers:
    """For each pair: how far the answers agree with the first, position by position, less how far with the second.

    A position counts by `2 ** (-position / HALF_LIFE)`; one within the unbroken common start counts twice.
    """
    starts = np.searchsorted(comparison.question_S, np.arange(len(comparison.samples_Q) + 1))
    longest = int(np.diff(comparison.siblings.starts).max(initial=0))
    weight = np.exp2(-np.arange(longest) / HALF_LIFE)
    score_T = np.zeros(2 * comparison.pairs)
    for index in range(2 * comparison.pairs):
        question = comparison.question_N[index % comparison.pairs]
        if question >= 0:
            sibling = comparison.siblings.text(index)
            given = range(starts[question], starts[question + 1])
            score_T[index] = np.mean([_agreement(sibling, comparison.answers.text(each), weight) for each in given])
    return comparison.difference(score_T)


def _agreement(sibling: Codes, answer: Codes, weight: Numbers) -> float:
    common = min(len(sibling), len(answer))
    same = sibling[:common] == answer[:common]
    unbroken = np.logical_and.accumulate(same)
    return float(weight[:common] @ same + weight[:common] @ unbroken)
