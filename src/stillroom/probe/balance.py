"""Whether the coins look as they should, before any suspect is asked: fair, and blind to how long the replies are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from stillroom.probe.swap_test import swap_test
from stillroom.store.siblings import Pair


@dataclass(frozen=True, slots=True)
class Balance:
    """Two-sided p-values: small where something other than fair coins decided which pairs there are."""

    pairs: int
    first_served: int
    coins_p_value: float
    """Of as uneven a split into first and second by fair coins (exact binomial)."""
    served_longer: int
    """Units whose served replies are longer, in characters."""
    served_shorter: int
    length_p_value: float
    """Of lengths that differ as much between served and sealed replies. Clients that hang up on long replies, whose
    pairs are then missing, make it small."""


def balance(pairs: Sequence[Pair], coins_N: NDArray[np.int8], units_N: NDArray[np.integer]) -> Balance:
    """`coins_N` and `units_N` as for `swap_test`."""
    lengths_N = np.array([len(pair.first) - len(pair.second) for pair in pairs], dtype=np.float64)
    longer = swap_test(lengths_N, coins_N, units_N)
    shorter = swap_test(-lengths_N, coins_N, units_N)
    first_served = int(np.sum(coins_N == 0))
    return Balance(
        pairs=len(pairs),
        first_served=first_served,
        coins_p_value=float(binomtest(first_served, len(pairs)).pvalue) if pairs else 1.0,
        served_longer=longer.nearer_served,
        served_shorter=longer.nearer_sealed,
        length_p_value=min(1.0, 2 * min(longer.p_value, shorter.p_value)),
    )
