from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from stillroom.probe.sensitivity import GREATEST_ODDS, odds_tolerated, p_value_if_leaning
from stillroom.probe.swap_test import swap_test

DIFFERENCES = np.array([3.0, 1.0, 2.0, -0.5, 4.0, 6.0, 5.0])
COINS, UNITS = np.zeros(7, np.int8), np.arange(7)


def _reaching() -> np.ndarray:
    """Each fall of the coins that gives the statistic or more; 1: the reply that the suspect is nearer to is served."""
    falls = np.array(list(product((0, 1), repeat=7)), np.int8)
    statistic = swap_test(DIFFERENCES, COINS, UNITS).statistic
    statistics = [swap_test(np.abs(DIFFERENCES), 1 - fall, UNITS).statistic for fall in falls]
    return falls[np.array(statistics) >= statistic]


REACHING = _reaching()


def test_fair_coins_are_odds_of_one() -> None:
    fair = swap_test(DIFFERENCES, COINS, UNITS).p_value
    assert p_value_if_leaning(DIFFERENCES, COINS, UNITS, 1.0) == pytest.approx(fair)


@given(st.lists(st.floats(1 / 3, 3), min_size=7, max_size=7))
def test_no_coins_that_lean_by_up_to_so_much_give_a_greater_p_value(odds: list[float]) -> None:
    """`odds`: of each coin, towards the reply that this suspect is nearer to."""
    nearer = np.array(odds) / (1 + np.array(odds))
    p_value = np.prod(np.where(REACHING == 1, nearer, 1 - nearer), axis=1).sum()
    assert p_value <= p_value_if_leaning(DIFFERENCES, COINS, UNITS, 3.0) + 1e-12


def test_at_the_odds_tolerated_the_result_just_stands() -> None:
    odds = odds_tolerated(DIFFERENCES, COINS, UNITS, 0.05)
    assert odds is not None
    assert p_value_if_leaning(DIFFERENCES, COINS, UNITS, odds) == pytest.approx(0.05, rel=1e-3)


def test_a_result_that_does_not_stand_tolerates_nothing() -> None:
    assert odds_tolerated(DIFFERENCES, COINS, UNITS, 0.001) is None
    assert odds_tolerated(np.zeros(3), np.zeros(3, np.int8), np.arange(3), 0.05) is None


def test_the_search_ends() -> None:
    n = 100_000
    assert odds_tolerated(np.ones(n), np.zeros(n, np.int8), np.arange(n), 0.05) == GREATEST_ODDS


@pytest.mark.parametrize("odds", [0.5, np.inf, np.nan])
def test_odds_are_one_or_more(odds: float) -> None:
    with pytest.raises(ValueError, match="odds"):
        p_value_if_leaning(DIFFERENCES, COINS, UNITS, odds)


def test_clients_that_hang_up_make_a_brief_innocent_look_guilty_unless_the_coins_may_lean_by_as_much() -> None:
    """Whoever is served the longer reply hangs up on one in five. The suspect is always nearer to the shorter."""
    trials, calls, lost, generator = 200, 400, 0.2, np.random.default_rng(3)
    accused, accused_if_leaning = 0, 0
    for _ in range(trials):
        coins = generator.integers(0, 2, calls).astype(np.int8)
        nearer_to_first = generator.choice([-1.0, 1.0], calls)  # the first is the shorter one
        longer_was_served = (nearer_to_first > 0) == (coins == 1)
        kept = ~(longer_was_served & (generator.random(calls) < lost))
        left = nearer_to_first[kept], coins[kept], np.arange(int(kept.sum()))
        accused += swap_test(*left).p_value <= 0.05
        accused_if_leaning += p_value_if_leaning(*left, 1 / (1 - lost)) <= 0.05
    assert accused > trials / 2
    assert accused_if_leaning <= binom.ppf(0.9999, trials, 0.05)
