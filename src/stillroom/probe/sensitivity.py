"""What a result could still bear, had the coins not been quite fair, or had pairs gone missing after they fell."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from stillroom.probe.swap_distribution import upper_tail
from stillroom.probe.swap_test import SwapTest, p_value_of, toward_served

GREATEST_ODDS = 1000.0
"""`odds_tolerated` looks no further."""


def p_value_if_leaning(
    differences_N: NDArray[np.float64], coins_N: NDArray[np.int8], units_N: NDArray[np.integer], odds: float
) -> float:
    """The greatest p-value if each unit's coin may have leant, for or against, by up to `odds` to 1 (1: fair).

    The worst case leans every coin towards the reply that this suspect is nearer to (Rosenbaum 1987, Biometrika 74:
    13-26).
    """
    if not 1 <= odds < math.inf:
        raise ValueError("odds are 1 or more")
    return p_value_of(toward_served(differences_N, coins_N, units_N), odds)


def odds_tolerated(
    differences_N: NDArray[np.float64], coins_N: NDArray[np.int8], units_N: NDArray[np.integer], alpha: float
) -> float | None:
    """By how much every coin may have leant and the p-value still be `alpha` at most; None where it is more already."""

    oriented_U = toward_served(differences_N, coins_N, units_N)

    def excess(log_odds: float) -> float:
        return math.log(p_value_of(oriented_U, math.exp(log_odds)) / alpha)

    if excess(0.0) > 0:
        return None
    furthest = math.log(GREATEST_ODDS)
    return GREATEST_ODDS if excess(furthest) <= 0 else math.exp(float(brentq(excess, 0.0, furthest, xtol=1e-10)))


def p_value_with_lost(test: SwapTest, lost: int) -> float:
    """The greatest that `sign_p_value` could have been with `lost` more units, whatever they would have shown.

    Where calls went missing after their coin had fallen (a client that hung up on what it was served), those that are
    left are no fair sample of the coins. All of them together are, and here each lost one has spoken for the suspect.
    """
    return upper_tail(np.ones(test.informative + lost, dtype=np.int64), test.nearer_served)
