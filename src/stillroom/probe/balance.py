"""Whether the coins look as they should, before any suspect is asked: fair, and blind to how long the replies are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from stillroom.probe.likeness.form import FEATURES
from stillroom.probe.swap_test import swap_test
from stillroom.store.siblings import Pair

UNUSUAL = 0.01
"""Of all forms together: how often exchangeable replies are called uneven in one of them, at most."""


@dataclass(frozen=True, slots=True)
class UnevenForm:
    """An outward feature of texts that stands oftener in served replies than in sealed ones, or less often."""

    feature: str
    only_served: int
    """Pairs of which the served reply has it, and the sealed one has not."""
    only_sealed: int
    p_value: float
    """Two-sided, of so uneven a split where the two are exchangeable (exact binomial)."""


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


def uneven_forms(pairs: Sequence[Pair], coins_N: NDArray[np.int8]) -> list[UnevenForm]:
    """Features by which served replies can be told from sealed ones, corrected for how many are looked at (Bonferroni).

    Where there was no coin, these say that the two were not made in the same way: with a think block and without, say,
    or written out for another page. A suspect that writes in one of the two forms then is nearer to it, whether or not
    it ever saw a reply.
    """
    found = []
    for name, sign in FEATURES.items():
        has_N2 = np.array([[bool(sign.search(text)) for text in (pair.first, pair.second)] for pair in pairs])
        if not has_N2.size:
            continue
        served_N = np.where(coins_N == 0, has_N2[:, 0], has_N2[:, 1])
        sealed_N = np.where(coins_N == 0, has_N2[:, 1], has_N2[:, 0])
        served, sealed = int(np.sum(served_N & ~sealed_N)), int(np.sum(sealed_N & ~served_N))
        if served + sealed:
            p_value = float(binomtest(served, served + sealed).pvalue)
            if p_value <= UNUSUAL / len(FEATURES):
                found.append(UnevenForm(name, served, sealed, p_value))
    return found
