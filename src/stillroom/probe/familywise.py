"""Several measures, or several accounts, at once: p-values corrected so that one false positive among all is rare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stillroom.probe.scores import scores_of
from stillroom.probe.swap_test import SwapTest, swap_test, toward_served
from stillroom.probe.units import accounts_by_unit

DRAWS = 9999
_TOSSES_AT_ONCE = 1 << 23


@dataclass(frozen=True, slots=True)
class AccountTest:
    """Whether a suspect says more of what this account was served than its own coins would bring about."""

    account: str
    test: SwapTest
    adjusted_p_value: float
    """Over all accounts tested (Holm 1979, Scandinavian Journal of Statistics 6: 65-70)."""
    shared_units: int
    """Units in which other accounts have pairs too, and may have been served the same words."""
    shared_with: tuple[str, ...]
    """Those accounts."""


def max_t(
    differences_MN: NDArray[np.float64],
    coins_N: NDArray[np.int8],
    units_N: NDArray[np.integer],
    *,
    seed: int,
    draws: int = DRAWS,
) -> NDArray[np.float64]:
    """One adjusted p-value for each of M measures of the same pairs, as `swap_test` takes them.

    Each draw tosses new coins, the same for all measures, and keeps the greatest of the M standardised statistics: a
    measure's p-value is the share of draws, the real one included, whose greatest reaches it (Westfall & Young 1993,
    Resampling-Based Multiple Testing, single-step maxT). So it is never below 1 / (draws + 1).
    """
    scores_MU = _standardised_scores(differences_MN, coins_N, units_N)
    real_M = scores_MU.sum(axis=1)
    generator = np.random.default_rng(seed)
    reached_M = np.ones(len(real_M), dtype=np.int64)
    at_once = max(1, _TOSSES_AT_ONCE // max(1, scores_MU.shape[1]))
    for start in range(0, draws, at_once):
        count = min(at_once, draws - start)
        signs_DU = 2.0 * generator.integers(0, 2, (count, scores_MU.shape[1]), dtype=np.int8) - 1.0
        greatest_D = (signs_DU @ scores_MU.T).max(axis=1, initial=-np.inf)
        # Sums of the same numbers in another order differ by rounding: what is that near has reached it.
        reached_M += (greatest_D[:, None] >= real_M - 1e-9).sum(axis=0)
    return np.asarray(reached_M / (draws + 1))


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p-values, whatever the dependence between the tests (Holm 1979).

    statsmodels has the same, and collects all of the interpreter's garbage at every call: half a second.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values)
    left = np.arange(len(values), 0, -1)  # tests whose p-values are no smaller, itself included
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * left), 1.0)
    return adjusted


def by_account(
    differences_N: NDArray[np.float64],
    coins_N: NDArray[np.int8],
    units_N: NDArray[np.integer],
    accounts_N: Sequence[str],
) -> Mapping[str, AccountTest]:
    """A test for each account, by the coins of its own pairs alone, with Holm's correction; sorted by account.

    A unit's pairs are here swapped together only within one account: were another's coins swapped with them, what a
    suspect learned from that other one would be held against this one.
    """
    owners_N = np.asarray(accounts_N, dtype=np.str_)
    names = sorted(set(accounts_N))
    tests = {}
    for name in names:
        own = owners_N == name
        tests[name] = swap_test(differences_N[own], coins_N[own], units_N[own])
    adjusted = holm([tests[name].p_value for name in names])
    sharers = [those for those in accounts_by_unit(units_N, accounts_N).values() if len(those) > 1]
    found = {}
    for name, p_value in zip(names, adjusted, strict=True):
        its = [those for those in sharers if name in those]
        others = tuple(sorted({other for those in its for other in those} - {name}))
        found[name] = AccountTest(name, tests[name], float(p_value), len(its), others)
    return found


def _standardised_scores(
    differences_MN: NDArray[np.float64], coins_N: NDArray[np.int8], units_N: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Signed towards the served replies; each measure's squares add up to 1, or all are 0. Nothing where unanswered."""
    numbers, unit_of_N = np.unique(units_N, return_inverse=True)
    scores_MU = np.zeros((len(differences_MN), len(numbers)))
    for scores_U, differences_N in zip(scores_MU, differences_MN, strict=True):
        oriented = toward_served(differences_N, coins_N, units_N)
        signed = np.sign(oriented) * scores_of(np.abs(oriented))
        answered = np.unique(unit_of_N[~np.isnan(differences_N)])
        scores_U[answered] = signed / max(float(np.sqrt(np.sum(signed**2))), 1.0)
    return scores_MU
