"""What a difference counts in the sum that is swapped: whole numbers, so that the sum's distribution is exact."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

LEVELS = 32
"""The greatest score."""


def scores_of(magnitudes_U: NDArray[np.float64]) -> NDArray[np.int64]:
    """1 to `LEVELS` for each magnitude above zero, by its rank among those; 0 for zeros. Equal ones score the same."""
    scores = np.zeros(len(magnitudes_U), dtype=np.int64)
    differs = magnitudes_U > 0
    ranks = rankdata(magnitudes_U[differs])
    share_below = (ranks - 0.5) / max(len(ranks), 1)
    scores[differs] = 1 + np.floor((LEVELS - 1) * share_below + 0.5).astype(np.int64)
    return scores
