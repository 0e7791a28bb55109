"""What a difference counts in the sum that is swapped: whole numbers, so that the sum's distribution is exact."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

GREATEST = 64
_STEPS = 8
_BITS = 30


def scores_of(magnitudes_U: NDArray[np.float64]) -> NDArray[np.int64]:
    """1 to `GREATEST` for each magnitude above zero, by its rank among those; 0 for zeros. Equal ones score the same.

    Eight times the exponential score (Savage 1956, Annals of Mathematical Statistics 27: 590-615): a magnitude that one
    in k reaches counts 8 log k. What a suspect learned by heart shows in a few great differences among many that say
    little, and what it learned in general as a little in all of them: these scores are good at the one and fair at the
    other (`benchmarks/probe_scores.py`).
    """
    scores = np.zeros(len(magnitudes_U), dtype=np.int64)
    differs = magnitudes_U > 0
    ranks = rankdata(_rounded(magnitudes_U[differs]))
    share_above = 1 - (ranks - 0.5) / max(len(ranks), 1)
    scores[differs] = np.clip(np.rint(-_STEPS * np.log(share_above)), 1, GREATEST).astype(np.int64)
    return scores


def _rounded(magnitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    """To nine digits: another machine's last bit is not to break a tie, or the same data would give another score."""
    fraction, exponent = np.frexp(magnitudes)
    return np.asarray(np.ldexp(np.rint(fraction * 2.0**_BITS), exponent - _BITS))
