"""A suspect's likelihoods beside its base's: what the suspect owes to its base is taken off."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Differences = NDArray[np.float64]


def relative_to_base(suspect_N: Differences, base_N: Differences) -> Differences:
    """suspect_N - share * base_N, both of log p(first) - log p(second) of each pair; nan where either is.

    `share` says how much of the base's preference the suspect has kept: near 1 after a light training, near 0 where the
    base knew nothing of such texts, and to take off all of it would add the base's noise. It is the slope, through the
    origin, of the least sum of absolute residuals (the median of suspect / base, weighted by |base|), within 0 and 1.
    Where two siblings change places both of their differences change sign and no ratio does, so that the slope is the
    same whatever the coins are, and the test as exact with it as without.
    """
    relative_N: Differences = suspect_N - _slope(suspect_N, base_N) * base_N
    return relative_N


def _slope(suspect_N: Differences, base_N: Differences) -> float:
    known_N = np.isfinite(suspect_N) & np.isfinite(base_N) & (base_N != 0)
    if not known_N.any():
        return 0.0
    with np.errstate(over="ignore"):  # beside next to nothing of the base's, anything is beyond all bounds
        ratio_N, weight_N = suspect_N[known_N] / base_N[known_N], np.abs(base_N[known_N])
    order_N = np.argsort(ratio_N, kind="stable")
    summed_N = np.cumsum(weight_N[order_N])
    return float(np.clip(ratio_N[order_N][np.searchsorted(summed_N, summed_N[-1] / 2)], 0, 1))
