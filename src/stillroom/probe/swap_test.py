"""The sealed-sibling test: is a suspect nearer to the served replies than coins alone would bring it?

`_N`: one entry per pair. `_U`: one per unit, whose pairs have their coins swapped together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.proportion import proportion_confint  # type: ignore[import-untyped]

from stillroom.base.errors import DataError
from stillroom.probe.scores import scores_of
from stillroom.probe.swap_distribution import fair_masses, upper_tail

_ROUNDING = 1e-12
"""Of the greatest difference: what is smaller is left over from adding up floats, and its sign means nothing."""


@dataclass(frozen=True, slots=True)
class SwapTest:
    """One-sided: small p-values where the suspect is nearer to the served replies."""

    p_value: float
    """How often fair coins alone would give this statistic or a greater one. 1 where nothing tells the two apart."""
    statistic: int
    """Sum of the units' scores, each with a minus where the suspect is nearer to the sealed reply."""
    spread: float
    """The statistic's standard deviation under fair coins; its mean is zero."""
    pairs: int
    """With an answer."""
    unanswered: int
    units: int
    """Of pairs with an answer."""
    informative: int
    """Units whose served and sealed replies are not equally near."""
    nearer_served: int
    nearer_sealed: int
    share: float | None
    """Nearer to the served reply, of the informative units; None where there is none."""
    share_low: float
    """95 % interval of the share (Wilson 1927, JASA 22: 209-212)."""
    share_high: float
    sign_p_value: float
    """Of the bare count `nearer_served`: for comparison, and for askers who chose questions by earlier replies."""


def swap_test(differences_N: NDArray[np.float64], coins_N: NDArray[np.int8], units_N: NDArray[np.integer]) -> SwapTest:
    """The exact test, in which only the coins are random.

    `differences_N`: likeness to a pair's first reply less likeness to its second, worked out without the coins; nan
    where the suspect gave no answer: such a pair is left out. `coins_N`: 0 where the first was served, 1 for the
    second. `units_N`: as `units_of` numbers them. Raises DataError for a difference that is infinite.

    Given everything but the coins, what the test adds up is fixed in size and random in sign (Fisher 1935, The Design
    of Experiments, section 21), so that neither ties, heavy tails nor questions that resemble one another change how
    often an innocent is accused.
    """
    oriented_U = toward_served(differences_N, coins_N, units_N)
    scores_U = scores_of(np.abs(oriented_U))
    nearer_served, informative = int(np.sum(oriented_U > 0)), int(np.sum(oriented_U != 0))
    low, high = _wilson(nearer_served, informative)
    answered = int(np.sum(~np.isnan(differences_N)))
    return SwapTest(
        p_value=p_value_of(oriented_U),
        statistic=int(np.sign(oriented_U) @ scores_U),
        spread=float(np.sqrt(np.sum(scores_U**2))),
        pairs=answered,
        unanswered=len(differences_N) - answered,
        units=len(oriented_U),
        informative=informative,
        nearer_served=nearer_served,
        nearer_sealed=informative - nearer_served,
        share=nearer_served / informative if informative else None,
        share_low=low,
        share_high=high,
        sign_p_value=upper_tail(np.ones(informative, dtype=np.int64), nearer_served),
    )


def p_value_of(oriented_U: NDArray[np.float64], odds: float = 1.0) -> float:
    """Of the test of these units, as `toward_served` gives them.

    `odds`: of each coin's falling for the reply that the suspect is nearer to.
    """
    scores_U = scores_of(np.abs(oriented_U))
    return upper_tail(scores_U[scores_U > 0], int(scores_U[oriented_U > 0].sum()), odds)


def swap_distribution(
    differences_N: NDArray[np.float64], coins_N: NDArray[np.int8], units_N: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Every value that the statistic can take, and how probable fair coins make it; one value, 0, without any score."""
    scores_U = scores_of(np.abs(toward_served(differences_N, coins_N, units_N)))
    counted = scores_U[scores_U > 0]
    if not len(counted):
        return np.zeros(1, dtype=np.int64), np.ones(1)
    return 2 * np.arange(int(counted.sum()) + 1) - int(counted.sum()), fair_masses(counted)


def toward_served(
    differences_N: NDArray[np.float64], coins_N: NDArray[np.int8], units_N: NDArray[np.integer]
) -> NDArray[np.float64]:
    """How much nearer to its served replies than to its sealed ones each unit with an answer is: its pairs' sum.

    Swapping all coins of a unit turns the sign and leaves the size. What is nothing but rounding is made 0.
    """
    _check(differences_N, coins_N, units_N)
    answered = ~np.isnan(differences_N)
    served_N = np.where(coins_N == 0, differences_N, -differences_N)[answered]
    _, unit_of = np.unique(units_N[answered], return_inverse=True)
    sums_U = np.asarray(np.bincount(unit_of, weights=served_N), dtype=np.float64)
    rounding = _ROUNDING * np.abs(served_N).max(initial=0.0)
    return np.where(np.abs(sums_U) <= rounding, 0.0, sums_U)


def _check(differences_N: NDArray[np.float64], coins_N: NDArray[np.int8], units_N: NDArray[np.integer]) -> None:
    if not differences_N.shape == coins_N.shape == units_N.shape or differences_N.ndim != 1:
        raise ValueError("differences, coins and units are one each per pair")
    if not np.isin(coins_N, (0, 1)).all():
        raise ValueError("a coin is 0 or 1")
    if np.isinf(differences_N).any():
        first = int(np.flatnonzero(np.isinf(differences_N))[0])
        raise DataError(
            f"The difference of pair {first + 1} is infinite.",
            "Leave out the pair (nan), or score it with a finite number.",
        )


def _wilson(nearer_served: int, informative: int) -> tuple[float, float]:
    if not informative:
        return 0.0, 1.0
    low, high = proportion_confint(nearer_served, informative, method="wilson")
    share = nearer_served / informative
    return min(max(float(low), 0.0), share), max(min(float(high), 1.0), share)
