"""What a result could still bear, had the coins not been quite fair.

So it is where pairs go missing after their coins fell, as when clients hang up on long replies. If a pair, a unit by
itself, is lost with a probability of `q` at most, whichever of its replies was served, the coins of those that are left
lean by `1 / (1 - q)` to 1 at most.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from stillroom.probe.swap_test import p_value_of, toward_served

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

    def excess(log_odds: float) -> float:
        return math.log(p_value_if_leaning(differences_N, coins_N, units_N, math.exp(log_odds)) / alpha)

    if excess(0.0) > 0:
        return None
    furthest = math.log(GREATEST_ODDS)
    return GREATEST_ODDS if excess(furthest) <= 0 else math.exp(float(brentq(excess, 0.0, furthest, xtol=1e-10)))
