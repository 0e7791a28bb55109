"""What each pair counts for: a function of texts alone, so that the real key and random ones are treated alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stillroom.probe.watermark.token_pairs import TokenPairs

Weights = tuple[TokenPairs, NDArray[np.float64]]
"""The pairs that are scored, and weight_N."""


def each_once(pairs: TokenPairs) -> Weights:
    """Every different pair counts once, as Sander et al. (2402.14904) have it."""
    return pairs, np.ones(len(pairs))


def against_unmarked(pairs: TokenPairs, unmarked: TokenPairs) -> Weights:
    """How much oftener each pair comes than in answers of a model that was never marked, after the same token.

    For a pair (c, t) that the suspect's answers have n times, of n(c) with c before: n - n(c) times the share of t
    after c in `unmarked`. What the language itself favours cancels, which in text of little choice is nearly all there
    is. Pairs with a c that the unmarked answers do not have are left out. The weights after each c add up to zero.
    """
    keys = np.union1d(_keys(pairs), _keys(unmarked))
    before_N = keys >> 32
    ours_N, theirs_N = _counts(pairs, keys), _counts(unmarked, keys)
    _, place_N = np.unique(before_N, return_inverse=True)
    ours_after_N = np.bincount(place_N, ours_N)[place_N]
    theirs_after_N = np.bincount(place_N, theirs_N)[place_N]
    known_N = (theirs_after_N > 0) & (ours_after_N > 0)
    keys, ours_N, theirs_N = keys[known_N], ours_N[known_N], theirs_N[known_N]
    weight_N = ours_N - ours_after_N[known_N] * theirs_N / theirs_after_N[known_N]
    scored = TokenPairs(
        before_N=keys >> 32,
        token_N=keys & 0xFFFFFFFF,
        count_N=ours_N.astype(np.int64),
        answers=pairs.answers,
        tokens=pairs.tokens,
        from_question=pairs.from_question,
    )
    return scored, weight_N


def _keys(pairs: TokenPairs) -> NDArray[np.int64]:
    return (pairs.before_N << 32) | pairs.token_N


def _counts(pairs: TokenPairs, keys: NDArray[np.int64]) -> NDArray[np.float64]:
    counts_N = np.zeros(len(keys))
    counts_N[np.searchsorted(keys, _keys(pairs))] = pairs.count_N
    return counts_N
