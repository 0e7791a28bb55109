"""A small language model of the suspect's answers to each question: which of the two siblings would it rather write?

T siblings, K tokens of them all; A tokens of all answers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stillroom.probe.measures.comparison import Comparison, Numbers, Positions
from stillroom.probe.measures.counting import counts_of, keys
from stillroom.text.flat import Codes, Flat, mixed

ORDER = 4
"""Most tokens before a token that its probability depends on."""
BACKGROUND_ORDER = 2
DOUBT = 30.0
"""A context counts as if it had been seen so often more, followed as one token less of it has it."""
BACKGROUND_DOUBT = 5.0
_UNKNOWN = 1e-5
"""Of a token of which nothing at all is known."""
_BEGINNING = np.uint64(0x9DF2B6E35A14C807)
"""Stands before the first token, so that how a text begins counts as any other context."""


@dataclass(frozen=True, slots=True)
class _Tokens:
    """Every token of some texts with those before it."""

    values: Codes
    places: Positions
    """Where in `values` each token stands; at least ORDER others stand before it."""
    question: Positions

    def ending_here(self, n: int) -> Codes:
        """A hash of each token and the n - 1 before it."""
        return self._runs(n, self.places)

    def ending_before(self, n: int) -> Codes:
        """A hash of the n tokens before each."""
        return self._runs(n, self.places - 1)

    def _runs(self, n: int, last: Positions) -> Codes:
        hashes = np.zeros(len(last), np.uint64)
        for step in range(n - 1, -1, -1):
            hashes = mixed(hashes + self.values[last - step])
        return hashes


def language_model_differences(comparison: Comparison) -> Numbers:
    """For each pair: how much likelier its first is than its second, to a model of the answers to its question.

    In nats, and relative to a background, which is the same for all questions: a model of all siblings and all answers.
    Both are counts of runs of tokens, in which a longer context falls back upon the shorter one (Bayesian smoothing
    with Dirichlet priors: MacKay and Peto, "A hierarchical Dirichlet language model", 1995).
    """
    owner_K = comparison.siblings.owners()
    siblings = _tokens(comparison.siblings, comparison.question_N[owner_K % max(comparison.pairs, 1)])
    answers = _tokens(comparison.answers, comparison.question_S[comparison.answers.owners()])
    background_K = _background(siblings, answers)
    probability_K = background_K
    for context in range(ORDER + 1):
        seen = counts_of(
            keys(siblings.ending_before(context), siblings.question),
            keys(answers.ending_before(context), answers.question),
        )
        followed = counts_of(
            keys(siblings.ending_here(context + 1), siblings.question),
            keys(answers.ending_here(context + 1), answers.question),
        )
        probability_K = (followed + DOUBT * probability_K) / (seen + DOUBT)
    gained_K = np.log(probability_K / background_K)
    score_T = np.bincount(owner_K, weights=gained_K, minlength=2 * comparison.pairs).astype(np.float64)
    return comparison.difference(score_T)


def _background(siblings: _Tokens, answers: _Tokens) -> Numbers:
    """The probability of each sibling's tokens in all texts together."""
    probability_K = np.full(len(siblings.places), _UNKNOWN)
    for context in range(BACKGROUND_ORDER + 1):
        before, here = siblings.ending_before(context), siblings.ending_here(context + 1)
        seen = counts_of(before, np.concatenate((before, answers.ending_before(context))))
        followed = counts_of(here, np.concatenate((here, answers.ending_here(context + 1))))
        probability_K = (followed + BACKGROUND_DOUBT * probability_K) / (seen + BACKGROUND_DOUBT)
    return probability_K


def _tokens(texts: Flat, question: Positions) -> _Tokens:
    owner = texts.owners()
    places = np.arange(len(texts.values)) + ORDER * (owner + 1)
    values = np.full(len(texts.values) + ORDER * len(texts), _BEGINNING, np.uint64)
    values[places] = texts.values
    return _Tokens(values, places, question)
